//! One poll of one account: what happens to its messages, from the listing to the deletion.
//!
//! [`poll`] follows that order.  All progress is in the state, so an error at any step loses
//! nothing: the next poll goes on where this one ended.

mod commit;
mod destination;
mod doubt;
mod doubts;
mod error;
mod examine;
mod export;
mod farewell;
mod fetch;
mod headings;
mod heads;
mod jobs;
mod ledger;
mod listing;
mod login;
mod lost;
mod mailbox;
mod owed;
mod piece;
mod pieces;
mod proof;
mod quiet;
mod ready;
mod recall;
mod receive;
mod recognise;
mod recover;
mod rematch;
mod report;
mod server;
mod stage;
mod suspects;
mod told;
mod transfer;
mod turns;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

pub use error::PollError;
pub use export::{Exported, export};
pub use headings::{Headings, headings};
pub use heads::lacks_top;
pub use listing::{Inventory, inventory};
pub use login::log_in;
pub use mailbox::{mailbox, tell_of_new_destinations};
pub use recall::{Look, Recall};
pub use recognise::Recognised;
pub use recover::{recover, remove_strays};
pub use report::{Outcome, Report, Summary};
pub use turns::Turns;

use suspects::Pass;

use crate::account::Account;
use crate::deliver::Outlet;
use crate::message::Name;
use crate::net::{self, Stream, TlsMode};
use crate::pop3::reply::Capabilities;
use crate::pop3::session::{Client, Session, SessionError, Skips};
use crate::progress::{Phase, Progress};
use crate::store::Store;

/// Time after the deadline of a poll in which the delivery of what was received may still begin.
const GRACE: Duration = Duration::from_secs(10);

/// What polls share.
#[derive(Clone, Debug)]
pub struct Context {
    /// The state.
    pub store: Store,
    /// The destinations by name.
    pub outlets: Arc<HashMap<Name, Arc<Outlet>>>,
    /// The mailboxes that the accounts of the configuration lead to ([`mailbox()`]).
    pub mailboxes: Arc<[(Name, String)]>,
    /// The accounts that are being polled.
    pub turns: Turns,
    /// Cancelled when the process is to end: the batch in flight is finished, no other begun.
    pub cancel: CancellationToken,
}

/// Polls an account once: fetches what is new, delivers it, deletes what the policy wants deleted.
pub async fn poll(account: &Account, context: &Context, progress: &Progress) -> Outcome {
    let mut report = Report::default();
    let deadline = Instant::now() + account.deadline;
    let mut result = fetch::run(account, context, progress, &mut report, (&Pass::Others, deadline)).await;
    // A server that announces PIPELINING and breaks under it gets one command at a time, at once and later on.
    if result.is_err() && std::mem::take(&mut report.slower) && !context.cancel.is_cancelled() {
        let again = fetch::run(account, context, progress, &mut report, (&Pass::Others, deadline)).await;
        // If that does not help, the first error is reported: it says more.
        let is_no_better = matches!(&again, Err(PollError::Session(error)) if error.is_of_the_line());
        if !is_no_better {
            result = again;
        }
    }
    if report.alone && matches!(result, Err(PollError::Session(_))) {
        // There were no others, so it was tried alone at once.
        result = undelivered(&report);
    }
    if !matches!(result, Err(PollError::Session(_))) {
        let alone = try_suspects(account, context, progress, &mut report, deadline).await;
        result = result.and(alone);
    }
    progress.enter(Phase::Ended);
    Outcome { report, error: result.err() }
}

/// The result of a poll after which messages are left that failed.
fn undelivered(report: &Report) -> Result<(), PollError> {
    let Some(first) = report.failures.values().next().cloned() else { return Ok(()) };
    let count = report.failures.len();
    let total = usize::try_from(report.delivered).unwrap_or(usize::MAX).saturating_add(count);
    Err(PollError::Undelivered { count, total, first })
}

/// Retrieves messages at which sessions end, each in a session of its own.
async fn try_suspects(
    account: &Account,
    context: &Context,
    progress: &Progress,
    report: &mut Report,
    deadline: Instant,
) -> Result<(), PollError> {
    let mut result = Ok(());
    for key in std::mem::take(&mut report.suspects).into_iter().take(suspects::SESSIONS) {
        if context.cancel.is_cancelled() {
            break;
        }
        let pass = Pass::Alone(key.clone());
        match (fetch::run(account, context, progress, report, (&pass, deadline)).await, report.failures.get(&key)) {
            (Err(PollError::Session(_)), Some(_)) => result = undelivered(report),
            // A session that did not get as far as the message says nothing about it.
            (Err(PollError::Session(_)) | Ok(()), _) => {}
            (Err(error), _) => result = Err(error),
        }
    }
    result
}

/// Connects, secures the connection as the account wants it, and reads what the server offers.  A server that breaks
/// off when it is asked is connected to once more, and not asked.
///
/// # Errors
/// No connection, no TLS where it is wanted, no POP3.
pub async fn connect(account: &Account) -> Result<Client<Stream>, SessionError> {
    let mut skips = Skips::default();
    loop {
        match connect_to(account, None, skips).await {
            Err(SessionError::Capabilities { stage, .. }) if skips != skips.with(stage) => skips = skips.with(stage),
            connected => return connected,
        }
    }
}

/// The same with a single connection: what the server offers may be known, or it must not be asked.
async fn connect_to(
    account: &Account,
    known: Option<Capabilities>,
    skips: Skips,
) -> Result<Client<Stream>, SessionError> {
    let endpoint = &account.endpoint;
    let stream = net::connect(endpoint, account.timeout).await?;
    let greeting = Client::greet(stream, account.timeout, known, skips);
    let greeted = net::greeted(endpoint, account.timeout, greeting).await;
    let client = greeted.unwrap_or_else(|| Err(SessionError::SpeaksTls { server: endpoint.shown() }))?;
    match endpoint.tls {
        TlsMode::StartTls => match client.stls(endpoint).await {
            Err(SessionError::Net(error)) if error.is_of_certificate() => {
                let seen = net::certificate(endpoint, ready_for_tls(account, skips)).await;
                Err(net::explained(error, seen).into())
            }
            secured => secured,
        },
        TlsMode::Implicit | TlsMode::None => Ok(client),
    }
}

/// A connection on which the server waits for a TLS handshake.
async fn ready_for_tls(account: &Account, skips: Skips) -> Option<Stream> {
    let stream = net::connect(&account.endpoint, account.timeout).await.ok()?;
    Client::greet(stream, account.timeout, None, skips).await.ok()?.ask_for_tls().await.ok()
}

/// [`connect`] and [`log_in`] before a deadline, for a look at the mailbox.
async fn open(account: &Account, deadline: Instant) -> Result<Session<Stream>, PollError> {
    let work = async { log_in(account, connect(account).await?).await };
    timeout_at(deadline, work).await.unwrap_or(Err(PollError::Deadline { limit: account.deadline }))
}

/// The mailboxes of the enabled ones among these accounts.
pub fn mailboxes<'a>(accounts: impl IntoIterator<Item = &'a Arc<Account>>) -> Arc<[(Name, String)]> {
    let polled = accounts.into_iter().filter(|account| account.enabled);
    polled.map(|account| (account.name.clone(), mailbox(account))).collect()
}

/// Until when work on received messages waits for a thread: they are still delivered after the
/// poll's deadline.
fn turn(deadline: Instant) -> Instant {
    deadline.max(Instant::now() + GRACE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Credential;
    use crate::net::{Endpoint, Route, Trust};
    use crate::plan::Policy;

    /// A typical account.
    pub(super) fn account() -> Account {
        let (tls, trust, route) = (TlsMode::Implicit, Trust::default(), Route::default());
        Account {
            name: Name::new("a").expect("a name"),
            enabled: true,
            endpoint: Endpoint { host: "pop.example.org".into(), port: 995, tls, trust, route },
            username: "alice".into(),
            credential: Credential::Certificate,
            auth: Vec::new(),
            policy: Policy::default(),
            deliver: vec![Name::new("home").expect("a name")],
            history: Duration::ZERO,
            interval: Duration::from_secs(60),
            timeout: Duration::from_secs(60),
            deadline: Duration::from_secs(60),
            received_header: true,
        }
    }
}
