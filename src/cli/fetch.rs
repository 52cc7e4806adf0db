//! `postrider fetch`: polls once, now.

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::output::{self, count, paragraph, size};
use super::progress::Bars;
use crate::config::Config;
use crate::daemon::{self, Signals};
use crate::failure::{Class, Failure, describe};
use crate::log;
use crate::message::Name;
use crate::poll::{Account, Context, Outcome, Progress, Report};
use crate::store::StoreError;

/// Arguments of `fetch`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Accounts to poll [default: all that are enabled]
    #[arg(value_name = "ACCOUNT")]
    accounts: Vec<String>,
    /// Say nothing unless something is wrong
    #[arg(short, long)]
    quiet: bool,
    /// Say what happens to each message
    #[arg(short, long, conflicts_with = "quiet")]
    verbose: bool,
    /// Write the results as JSON
    #[arg(long)]
    json: bool,
}

/// An account's results, as JSON.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Row<'a> {
    account: &'a str,
    listed: u64,
    delivered: u64,
    octets: u64,
    deleted: u64,
    too_large: u64,
    waiting: u64,
    deferred: u64,
    quarantined: u64,
    failed: usize,
    error: Option<String>,
    advice: Option<String>,
    exit_code: u8,
}

/// All results, as JSON.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Document<'a> {
    accounts: Vec<Row<'a>>,
    exit_code: u8,
}

pub(super) fn run(arguments: &Arguments, config: &Config) -> u8 {
    let accounts = match super::choose(config, &arguments.accounts) {
        Ok(accounts) => accounts.into_iter().map(Arc::clone).collect::<Vec<_>>(),
        Err(code) => return code,
    };
    super::raise_file_limit();
    let bars = Bars::new(!arguments.quiet && !arguments.json);
    let level = if arguments.verbose { tracing::Level::INFO } else { tracing::Level::WARN };
    log::start(level, false, log::wants_colours(bars.is_drawn()), bars.clone());
    match super::block_on(fetch_all(&accounts, config, arguments, &bars)) {
        Ok(class) => class.map_or(0, Class::exit_code),
        Err(error) => output::complain_code(None, &error),
    }
}

async fn fetch_all(
    accounts: &[Arc<Account>],
    config: &Config,
    arguments: &Arguments,
    bars: &Bars,
) -> Result<Option<Class>, StoreError> {
    let cancel = CancellationToken::new();
    let context = daemon::prepare(config, cancel.clone()).await?;
    let room = Arc::new(Semaphore::new(config.max_concurrent_polls));
    let mut polls = JoinSet::new();
    for (index, account) in accounts.iter().enumerate() {
        let work = fetch_one(Arc::clone(account), context.clone(), bars.clone(), Arc::clone(&room));
        polls.spawn(async move { (index, work.await) });
    }
    let stopping = tokio::spawn(stop_on_signal(cancel, bars.clone()));
    let mut ended: Vec<(usize, Outcome)> = Vec::new();
    while let Some(poll) = polls.join_next().await {
        let Ok((index, outcome)) = poll else { continue };
        if !arguments.json {
            tell(&accounts[index].name, &outcome, arguments.quiet, bars);
        }
        ended.push((index, outcome));
    }
    stopping.abort();
    daemon::close(&context).await;
    ended.sort_by_key(|(index, _)| *index);
    let class = ended.iter().filter_map(|(_, outcome)| outcome.error.as_ref().map(Failure::class)).max();
    if arguments.json {
        let rows = ended.iter().map(|(index, outcome)| row(&accounts[*index].name, outcome));
        output::print_json(&Document { accounts: rows.collect(), exit_code: class.map_or(0, Class::exit_code) });
    }
    Ok(class)
}

async fn fetch_one(account: Arc<Account>, context: Context, bars: Bars, room: Arc<Semaphore>) -> Outcome {
    let progress = Arc::new(Progress::default());
    let bar = bars.add(&account.name, Arc::clone(&progress));
    let _permit = room.acquire().await;
    let poll = daemon::poll_guarded(account, context, progress);
    let outcome = match bars.is_drawn() {
        false => poll.await,
        true => tokio::select! {
            outcome = poll => outcome,
            () = bar.follow() => Outcome { report: Report::default(), error: None },
        },
    };
    bar.finish();
    outcome
}

/// The first signal ends polls gently, the second one the process.
async fn stop_on_signal(cancel: CancellationToken, bars: Bars) {
    let Ok(mut signals) = Signals::new() else { return };
    let name = signals.next().await;
    bars.say(&format!("postrider: {name}: finishing what is in flight"));
    cancel.cancel();
    let limit = tokio::time::sleep(std::time::Duration::from_secs(9));
    tokio::select! {
        _ = signals.next() => {}
        () = limit => {}
    }
    // Nothing is lost: what is not recorded is fetched again, what is staged is finished.
    std::process::exit(i32::from(Class::TryLater.exit_code()));
}

/// One line for an account, and a paragraph if something is wrong.
fn tell(name: &Name, outcome: &Outcome, quiet: bool, bars: &Bars) {
    if !quiet && (outcome.error.is_none() || outcome.report.delivered > 0) {
        bars.print(&summary(name, &outcome.report));
    }
    if let Some(error) = &outcome.error {
        bars.say(&paragraph(Some(name), error, &describe(error)));
    }
}

fn summary(name: &Name, report: &Report) -> String {
    let mut parts = vec![match report.delivered {
        0 => "no new mail".to_owned(),
        delivered => format!("{} delivered ({})", count(delivered, "message"), size(report.octets)),
    }];
    let mut also = |number: u64, what: &str| {
        if number > 0 {
            parts.push(format!("{number} {what}"));
        }
    };
    also(report.deleted, "deleted on the server");
    also(report.too_large, "left for their size");
    also(report.waiting, "left for the next poll");
    also(report.deferred, "to be tried again later");
    also(report.quarantined, "in quarantine");
    also(report.nameless, "without a unique-id");
    also(report.failures.len() as u64, "failed");
    format!("{name}: {}", parts.join(", "))
}

fn row<'a>(name: &'a Name, outcome: &Outcome) -> Row<'a> {
    let report = &outcome.report;
    let error = outcome.error.as_ref();
    Row {
        account: name.as_str(),
        listed: report.listed,
        delivered: report.delivered,
        octets: report.octets,
        deleted: report.deleted,
        too_large: report.too_large,
        waiting: report.waiting,
        deferred: report.deferred,
        quarantined: report.quarantined,
        failed: report.failures.len(),
        error: error.map(|error| describe(error)),
        advice: error.and_then(Failure::advice),
        exit_code: error.map_or(0, |error| error.class().exit_code()),
    }
}
