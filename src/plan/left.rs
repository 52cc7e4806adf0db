//! What a plan leaves on the server, counted by its reasons.

use super::{Action, Reason, Step};

/// Messages that are left on the server for now, as far as this is reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Because of their size.
    pub too_large: u64,
    /// Until the next poll (`max-messages`).
    pub waiting: u64,
    /// In quarantine.
    pub quarantined: u64,
    /// Because their delivery failed before.
    pub deferred: u64,
    /// Since they were there before the first poll (`initial`).
    pub ignored: u64,
    /// Without a usable unique-id.
    pub nameless: u64,
}

impl Left {
    /// Counts the steps of a plan.
    pub fn of(steps: &[Step]) -> Self {
        let mut left = Self::default();
        for step in steps {
            match (&step.reason, &step.action) {
                (Reason::TooLarge { .. }, Action::Leave) => left.too_large += 1,
                (Reason::EnoughForNow, _) => left.waiting += 1,
                (Reason::Quarantined, _) => left.quarantined += 1,
                (Reason::Deferred(_) | Reason::Unconfirmed, _) => left.deferred += 1,
                (Reason::Ignored, _) => left.ignored += 1,
                (Reason::NoUniqueId, _) => left.nameless += 1,
                _ => {}
            }
        }
        left
    }
}
