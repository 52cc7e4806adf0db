//! `postrider fetch`: polls once, now; through the service, if it runs.

use std::collections::{BTreeMap, HashMap};
use std::io::IsTerminal;
use std::sync::Arc;

use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::client::{self, Answers, Silence};
use super::output::{self, count, local_time, paragraph, size};
use super::progress::{self, Bar, Bars};
use crate::account::Account;
use crate::clock::unix_now;
use crate::config::{Config, Whereabouts};
use crate::control::{Reply, Request};
use crate::engine::{self, Polled};
use crate::event::Event;
use crate::failure::Class;
use crate::message::Name;
use crate::poll::{Context, Summary};
use crate::process::log;
use crate::process::signals::Signals;
use crate::progress::Progress;
use crate::store::{AccountMemory, Change, StoreError};
use crate::transcript::Transcript;
use crate::{descriptors, subprocess};

/// Arguments of `fetch`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Accounts to poll [default: all that are enabled]
    #[arg(value_name = "ACCOUNT", add = super::completions::accounts())]
    accounts: Vec<String>,
    /// Say nothing unless something is wrong
    #[arg(short, long)]
    quiet: bool,
    /// Say what happens to each message; twice: also what is said to servers, without secrets
    #[arg(short, long, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    verbose: u8,
    /// Write the results as JSON
    #[arg(long)]
    json: bool,
}

/// The version of the document; fields may be added within a version.
const SCHEMA: u32 = 1;

/// All results, as JSON.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Document<'a> {
    schema: u32,
    accounts: &'a [Summary],
    exit_code: u8,
}

pub(super) fn run(arguments: &Arguments, config: &Config) -> u8 {
    let accounts = match super::accounts::choose(config, &arguments.accounts) {
        Ok(accounts) => accounts.into_iter().map(Arc::clone).collect::<Vec<_>>(),
        Err(code) => return code,
    };
    descriptors::raise_limit();
    let bars = Bars::new(!arguments.quiet && !arguments.json);
    let level = match arguments.verbose {
        0 => tracing::Level::WARN,
        1 => tracing::Level::INFO,
        _ => tracing::Level::TRACE,
    };
    log::start_command(level, log::wants_colours(bars.is_drawn()), bars.clone());
    let insists = somebody_looks_on();
    let request = Request::Fetch { accounts: arguments.accounts.clone(), insists };
    let results = match client::ask(&Whereabouts::from(config.clone()), &request) {
        Ok(answers) => {
            if Transcript::start(None).is_wanted() {
                output::say(
                    "note: the service does the polls, and what is said to servers is in its log if `log-level` is \
                     \"trace\"",
                );
            }
            fetch_by_service(answers, arguments, &bars)
        }
        Err(Silence::Absent(absence)) => {
            let fetched = super::runtime::block_on(fetch_all(&accounts, config, arguments, &bars));
            fetched.map_err(|error| {
                if matches!(error, StoreError::Locked { .. }) && absence.is_remarkable() {
                    output::say(&format!("postrider: {absence}"));
                }
                output::complain_code(None, &error)
            })
        }
        Err(silence) => Err(client::complain(&silence)),
    };
    let summaries = match results {
        Ok(summaries) => summaries,
        Err(code) => return code,
    };
    let exit_code = summaries.iter().map(|summary| summary.exit_code).fold(0, super::graver);
    if arguments.json {
        output::print_json(&Document { schema: SCHEMA, accounts: &summaries, exit_code });
    }
    exit_code
}

async fn fetch_all(
    accounts: &[Arc<Account>],
    config: &Config,
    arguments: &Arguments,
    bars: &Bars,
) -> Result<Vec<Summary>, StoreError> {
    let cancel = CancellationToken::new();
    let context = engine::prepare(config, cancel.clone()).await?;
    let room = Arc::new(Semaphore::new(engine::polls_at_a_time(config)));
    let mut remembered: HashMap<Name, AccountMemory> =
        context.store.remembered(unix_now()).await?.into_iter().collect();
    let insists = somebody_looks_on();
    context.outlets.values().for_each(|outlet| outlet.health.hasten(insists));
    let mut polls = JoinSet::new();
    for (index, account) in accounts.iter().enumerate() {
        let before = remembered.remove(&account.name).unwrap_or_default();
        let work = Work { account: Arc::clone(account), context: context.clone(), before, insists };
        let work = fetch_one(work, bars.clone(), Arc::clone(&room));
        polls.spawn(async move { (index, work.await) });
    }
    let stopping = tokio::spawn(stop_on_signal(cancel, bars.clone()));
    let mut ended: Vec<(usize, Summary)> = Vec::new();
    let mut changes = Vec::new();
    while let Some(poll) = polls.join_next().await {
        let Ok((index, Polled { summary, memory })) = poll else { continue };
        tell(&summary, arguments, bars);
        let account = || accounts[index].name.clone();
        changes.extend(memory.map(|memory| Change::Remember { account: account(), memory }));
        ended.push((index, summary));
    }
    stopping.abort();
    // For `status`; in one transaction.
    if let Err(error) = context.store.apply(changes, unix_now()).await {
        Event::NotRecorded { account: None, cause: error.to_string() }.tell();
    }
    engine::close(&context).await;
    engine::leave(&context).await;
    ended.sort_by_key(|(index, _)| *index);
    Ok(ended.into_iter().map(|(_, summary)| summary).collect())
}

/// An account to fetch from.
struct Work {
    account: Arc<Account>,
    context: Context,
    before: AccountMemory,
    insists: bool,
}

async fn fetch_one(work: Work, bars: Bars, room: Arc<Semaphore>) -> Polled {
    let Work { account, context, before, insists } = work;
    let progress = Arc::new(Progress::default());
    let bar = bars.add(&account.name, Arc::clone(&progress));
    let _permit = room.acquire().await;
    let name = account.name.to_string();
    let poll = engine::poll_once(account, context, progress, before, insists);
    let polled = if bars.is_drawn() {
        tokio::select! {
            polled = poll => polled,
            () = bar.follow() => Polled { summary: Summary { account: name, ..Summary::default() }, memory: None },
        }
    } else {
        poll.await
    };
    bar.finish();
    polled
}

/// Whether a person is watching.  If not, a refused login is not tried again before its time: a script may call us
/// again and again.
fn somebody_looks_on() -> bool {
    std::io::stderr().is_terminal() || std::io::stdout().is_terminal()
}

/// The first signal ends the polls gracefully, the second one ends the process.
async fn stop_on_signal(cancel: CancellationToken, bars: Bars) {
    let Ok(mut signals) = Signals::of_command() else { return };
    let name = signals.next().await.name();
    bars.say(&format!("postrider: {name}: finishing what is in flight"));
    cancel.cancel();
    let limit = tokio::time::sleep(std::time::Duration::from_secs(9));
    tokio::select! {
        _ = signals.next() => {}
        () = limit => {}
    }
    subprocess::end_all();
    progress::clear();
    // Nothing is lost: unrecorded messages are fetched again, staged ones are finished.
    std::process::exit(i32::from(Class::TryLater.exit_code()));
}

/// Follows a fetch that the service does.
fn fetch_by_service(mut answers: Answers, arguments: &Arguments, bars: &Bars) -> Result<Vec<Summary>, u8> {
    let mut drawn: BTreeMap<String, (Bar, Arc<Progress>)> = BTreeMap::new();
    let mut summaries = Vec::new();
    loop {
        match answers.next() {
            Ok(Some(Reply::Progress { account, snapshot })) => {
                let Some(name) = Name::new(&account) else { continue };
                let wanted = arguments.accounts.is_empty() || arguments.accounts.contains(&account);
                if wanted && bars.is_drawn() {
                    let (bar, progress) = drawn.entry(account).or_insert_with(|| {
                        let progress = Arc::new(Progress::default());
                        (bars.add(&name, Arc::clone(&progress)), progress)
                    });
                    progress.mirror(&snapshot);
                    bar.draw();
                }
            }
            Ok(Some(Reply::Ended(summary))) => {
                if let Some((bar, _)) = drawn.remove(&summary.account) {
                    bar.finish();
                }
                tell(&summary, arguments, bars);
                summaries.push(*summary);
            }
            Ok(Some(Reply::Done)) => return Ok(summaries),
            Ok(Some(Reply::Failed { error, exit_code })) => {
                bars.say(&format!("postrider: the service refuses: {error}"));
                return Err(exit_code);
            }
            Ok(Some(Reply::Status(_)) | None) => return Err(client::broken("it ended its answer too early")),
            Err(error) => return Err(client::broken(&error.to_string())),
        }
    }
}

/// One line for an account, and a paragraph if something is wrong.
fn tell(summary: &Summary, arguments: &Arguments, bars: &Bars) {
    // The refusal was reported when the login was tried.
    if summary.skipped && arguments.quiet {
        return;
    }
    if !arguments.json && !arguments.quiet && (summary.error.is_none() || summary.delivered > 0) {
        bars.print(&line(summary));
    }
    if let Some(cause) = &summary.error {
        let advice = advice(summary);
        bars.say(&paragraph(Name::new(&summary.account).as_ref(), cause, advice.as_deref()));
    }
}

/// The advice, and when a refused login is tried again.
fn advice(summary: &Summary) -> Option<String> {
    let Some(next) = summary.next_try else { return summary.advice.clone() };
    let told = match (summary.skipped, &summary.advice) {
        (true, _) => "The login was not tried again.  ".to_owned(),
        (false, Some(advice)) => format!("{advice}  "),
        (false, None) => String::new(),
    };
    Some(format!(
        "{told}It is tried after {}, or as soon as the account's settings or its password change; `postrider fetch` on a \
         terminal tries it at once.",
        local_time(next)
    ))
}

fn line(summary: &Summary) -> String {
    let mut parts = vec![match summary.delivered {
        0 => "no new mail".to_owned(),
        delivered => format!("{} delivered ({})", count(delivered, "message"), size(summary.octets)),
    }];
    let mut also = |number: u64, what: &str| {
        if number > 0 {
            parts.push(format!("{number} {what}"));
        }
    };
    also(summary.recognised, "known under another unique-id or by their content");
    also(summary.deleted, "deleted on the server");
    also(summary.too_large, "left because of their size");
    also(summary.not_tried(), "left for the next poll");
    also(summary.deferred, "to be tried again later");
    also(summary.quarantined, "in quarantine");
    also(summary.nameless, "without a unique-id");
    also(summary.failed, "failed");
    format!("{}: {}", summary.account, parts.join(", "))
}
