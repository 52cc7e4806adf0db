//! The result of a poll.

use std::collections::BTreeMap;
use std::time::Duration;

use super::PollError;
use crate::failure::{Failure, describe};
use crate::message::{MessageKey, Name, UnixTime};

/// Counts of one poll.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Messages that the server listed.
    pub listed: u64,
    /// Messages delivered everywhere they should go.
    pub delivered: u64,
    /// Messages that were deleted, are listed again, and were not delivered again.
    pub reappeared: u64,
    /// Messages that were delivered under another unique-id or without one.
    pub recognised: u64,
    /// Octets of the delivered messages, as stored.
    pub octets: u64,
    /// Messages deleted on the server, confirmed.
    pub deleted: u64,
    /// Messages left on the server because of their size.
    pub too_large: u64,
    /// Messages left on the server since they were there before the first poll (`initial`).
    pub ignored: u64,
    /// Messages that wait for the next poll (`max-messages`).
    pub waiting: u64,
    /// Messages in quarantine, those of earlier polls included.
    pub quarantined: u64,
    /// Messages that this poll put into quarantine.
    pub set_aside: u64,
    /// Messages left for now because their delivery failed before.
    pub deferred: u64,
    /// Messages without a usable unique-id.
    pub nameless: u64,
    /// Least time between logins that the server announces.
    pub login_delay: Option<Duration>,
    /// Messages of this poll that were not delivered, each with the first cause.
    pub failures: BTreeMap<MessageKey, String>,
    /// Those of them that the state knows nothing of, since nothing was staged.
    pub unrecorded: u64,
    /// It failed with several commands at once, and may do better with one at a time.
    pub(super) slower: bool,
    /// The session was for a message at which others had ended.
    pub(super) alone: bool,
    /// Messages at which sessions end, to be tried in sessions of their own.
    pub(super) suspects: Vec<MessageKey>,
}

/// A poll's counts, and why it ended early.
#[derive(Debug)]
pub struct Outcome {
    /// The counts.
    pub report: Report,
    /// `None`: everything that was to be done is done.
    pub error: Option<PollError>,
}

/// An outcome in words and numbers, for people and other programs.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Summary {
    /// The account.
    pub account: String,
    /// Messages that the server listed.
    pub listed: u64,
    /// Messages delivered everywhere they should go.
    pub delivered: u64,
    /// Their octets, as stored.
    pub octets: u64,
    /// Messages that were delivered under another unique-id, or without one, and are known again.
    pub recognised: u64,
    /// Messages deleted on the server, confirmed.
    pub deleted: u64,
    /// Messages left on the server because of their size.
    pub too_large: u64,
    /// Messages left on the server since they were there before the first poll (`initial`).
    pub ignored: u64,
    /// Messages that wait on the server: for the next poll (`max-messages`), or to be tried again.
    pub waiting: u64,
    /// Those of them that were not tried, because their delivery failed before.
    pub deferred: u64,
    /// Messages in quarantine.
    pub quarantined: u64,
    /// Messages without a usable unique-id.
    pub nameless: u64,
    /// Messages of this poll that were not delivered.
    pub failed: u64,
    /// Those of them that went into quarantine.
    pub refused: u64,
    /// Those of them that the state knows nothing of.
    #[serde(skip)]
    pub unrecorded: u64,
    /// Step and cause, if it ended early or left something undone.
    pub error: Option<String>,
    /// What to do about it.
    pub advice: Option<String>,
    /// As sysexits(3) has it; 0: all is well.
    pub exit_code: u8,
    /// It was left alone: its login was refused before, and it is not time to try it again.
    pub skipped: bool,
    /// When a refused login is tried again.
    pub next_try: Option<UnixTime>,
}

impl Summary {
    /// Messages that wait for their turn (`max-messages`).
    pub fn not_tried(&self) -> u64 {
        self.waiting.saturating_sub(self.deferred + self.failed.saturating_sub(self.refused))
    }

    /// The summary of an account's poll.
    pub fn of(account: &Name, outcome: &Outcome) -> Self {
        let Report { listed, delivered, octets, deleted, too_large, waiting, .. } = outcome.report;
        let Report { deferred, quarantined, nameless, recognised, ignored, set_aside, ref failures, .. } =
            outcome.report;
        let failed = failures.len() as u64;
        let error = outcome.error.as_ref();
        Self {
            account: account.to_string(),
            listed,
            delivered,
            octets,
            recognised,
            deleted,
            too_large,
            ignored,
            waiting: waiting + deferred + failed.saturating_sub(set_aside),
            deferred,
            quarantined,
            nameless,
            failed,
            refused: set_aside,
            unrecorded: outcome.report.unrecorded,
            error: error.map(|error| describe(error)),
            advice: error.and_then(Failure::advice),
            exit_code: error.map_or(0, |error| error.class().exit_code()),
            skipped: false,
            next_try: None,
        }
    }
}

/// What one side of a poll counts.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) delivered: u64,
    pub(super) reappeared: u64,
    pub(super) recognised: u64,
    /// Messages without unique-id that have come.
    pub(super) contents: Vec<MessageKey>,
    pub(super) octets: u64,
    pub(super) quarantined: u64,
    pub(super) unrecorded: u64,
    pub(super) failures: BTreeMap<MessageKey, String>,
}

impl Tally {
    /// A message that was not delivered; its first cause counts.
    pub(super) fn fail(&mut self, key: &MessageKey, cause: String) {
        self.failures.entry(key.clone()).or_insert(cause);
    }

    /// A message that was refused for good.
    pub(super) fn quarantine(&mut self, key: &MessageKey, cause: String) {
        self.quarantined += 1;
        self.fail(key, cause);
    }
}
