//! One poll of an account without a service.  A refused login is not tried again for as long as the service would
//! wait, no matter which of them has tried it: cron repeats a command for ever.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::latch::{Ending, fingerprint, left, remembered, skipped};
use super::poll_guarded;
use super::verdict::verdict;
use crate::account::Account;
use crate::clock::unix_now;
use crate::event::Event as Told;
use crate::failure::describe;
use crate::poll::{Context, PollError, Summary};
use crate::progress::Progress;
use crate::schedule::{Carried, IN_USE, Input, LONGEST, Limits, Schedule, Timing, Verdict};
use crate::store::{AccountMemory, Change};

/// The result of a poll.
#[derive(Debug)]
pub(crate) struct Polled {
    pub summary: Summary,
    /// What is to be remembered, unless it is on record already.
    pub memory: Option<AccountMemory>,
}

/// Polls an account once; a refused login is on record when this returns.  With `insists`, a login is tried even if
/// it was refused.
pub(crate) async fn poll_once(
    account: Arc<Account>,
    context: Context,
    progress: Arc<Progress>,
    before: AccountMemory,
    insists: bool,
) -> Polled {
    let salt = context.store.local().instance().to_owned();
    if !insists && waits(&before) && is_as_refused(&account, &before, &salt).await {
        return Polled { summary: skipped(&account.name, &before), memory: None };
    }
    let outcome = poll_guarded(Arc::clone(&account), context.clone(), progress).await;
    let mut summary = Summary::of(&account.name, &outcome);
    let verdict = verdict(outcome.error.as_ref(), outcome.report.login_delay);
    let is_refused = matches!(verdict, Verdict::LoginRefused { .. });
    if !is_refused && before.refusals == 0 {
        let has_ended = !matches!(outcome.error, Some(PollError::Stopped));
        let memory = has_ended.then(|| after_no_refusal(before, &summary));
        return Polled { summary, memory };
    }
    let refused = if is_refused { fingerprint(&account, &salt).await } else { None };
    let schedule = after(&account, &before, verdict);
    let must_wait = schedule.failures + schedule.refusals > 0;
    let memory = remembered(&before, schedule, &Ending { summary: &summary, must_wait, refused });
    if is_refused {
        summary.next_try = Some(memory.not_before);
    }
    let change = Change::Remember { account: account.name.clone(), memory };
    if let Err(error) = context.store.apply(vec![change], unix_now()).await {
        Told::NotRecorded { account: Some(account.name.clone()), cause: describe(&error) }.tell();
    }
    Polled { summary, memory: None }
}

/// What is remembered after a poll without a refusal.  How long to wait after a failure is left to the service.
fn after_no_refusal(before: AccountMemory, summary: &Summary) -> AccountMemory {
    let Summary { error, advice, exit_code, .. } = summary.clone();
    let AccountMemory { waiting, too_large, ignored, .. } = left(&before, summary);
    if error.is_some() {
        return AccountMemory { error, advice, exit_code, waiting, too_large, ignored, ..before };
    }
    // A delay that the server has asked for still applies.
    let not_before = if before.failures > 0 { 0 } else { before.not_before };
    let last_success = Some(unix_now());
    AccountMemory { not_before, last_success, waiting, too_large, ignored, ..AccountMemory::default() }
}

/// Whether it is too early to try a refused login again.
fn waits(before: &AccountMemory) -> bool {
    let wait = before.not_before.saturating_sub(unix_now());
    // A refusal that does not mention the password counts only from the second time on; the first waits for minutes.
    let least = if before.refusals > 1 { 0 } else { IN_USE.1.as_secs() };
    // No poll is put off for longer than that: the clock was set back.
    before.refusals > 0 && u64::try_from(wait).is_ok_and(|wait| wait > least && wait <= LONGEST.as_secs())
}

/// Whether settings and secret are those that were refused.
async fn is_as_refused(account: &Account, before: &AccountMemory, salt: &str) -> bool {
    before.refused.is_some() && fingerprint(account, salt).await == before.refused
}

/// What the service's schedule would remember after such a poll.
fn after(account: &Account, before: &AccountMemory, verdict: Verdict) -> Carried {
    let mut schedule = Schedule::new(Limits { polls: 1, polls_per_host: 1 }, fastrand::u64(..));
    let timing = Timing { interval: account.interval, host: account.endpoint.host.as_str().into() };
    let memory = Carried { failures: before.failures, refusals: before.refusals, wait: Duration::ZERO };
    let accounts = BTreeMap::from([(account.name.clone(), (timing, memory))]);
    schedule.handle(Input::Configured(accounts), Duration::ZERO);
    schedule.handle(Input::Ended(account.name.clone(), verdict), Duration::ZERO);
    schedule.memory(&account.name, Duration::ZERO).unwrap_or_default()
}
