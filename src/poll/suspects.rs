//! Messages at which sessions end.
//!
//! Some servers break off, hang or answer nonsense at one message, whenever it is asked for.  It must not keep the others
//! back: they are fetched, delivered and deleted first, with a QUIT of their own; then each suspect gets a session for
//! itself.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use super::error::PollError;
use super::piece::Job;
use super::report::Report;
use crate::account::Account;
use crate::event::Event;
use crate::failure::describe;
use crate::message::MessageKey;
use crate::plan::Place;
use crate::store::Change;

/// Suspects that one poll tries at most, each in a session of its own: it may cost as much time as a silent server.
pub(super) const SESSIONS: usize = 3;

/// The suspects of an account.
#[derive(Debug, Default)]
pub struct Suspects {
    /// Those of earlier sessions.
    before: HashSet<MessageKey>,
    /// Those of this one.
    found: Mutex<Vec<MessageKey>>,
}

/// Which messages a session retrieves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    /// All but the suspects; if there are no others, the first suspect.
    Others,
    /// This suspect.
    Alone(MessageKey),
}

/// The jobs of a session.
#[derive(Debug)]
pub(super) struct Selected {
    pub(super) jobs: Vec<Job>,
    /// The only one is this suspect.
    pub(super) alone: Option<MessageKey>,
    /// Suspects that are left for sessions of their own.
    pub(super) left: Vec<MessageKey>,
}

impl Suspects {
    pub(super) fn new(before: Vec<MessageKey>) -> Self {
        Self { before: before.into_iter().collect(), found: Mutex::default() }
    }

    /// Whether an earlier session ended at this message.
    pub(super) fn contains(&self, key: &MessageKey) -> bool {
        self.before.contains(key)
    }

    /// This session has ended at a message.
    pub(super) fn add(&self, key: MessageKey) {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).push(key);
    }

    /// Those at which this session has ended.
    pub(super) fn found(&self) -> Vec<MessageKey> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Selects the jobs of a session; `deletes`: it has something to delete besides.
    pub(super) fn select(&self, jobs: Vec<Job>, pass: &Pass, deletes: bool) -> Selected {
        let (suspects, others): (Vec<Job>, Vec<Job>) = jobs.into_iter().partition(|job| self.contains(&job.key));
        let first = suspects.first().map(|job| job.key.clone());
        let alone = match pass {
            Pass::Others if others.is_empty() && !deletes => first,
            Pass::Others => None,
            Pass::Alone(key) => Some(key.clone()),
        };
        let others_are_left = alone.is_some() && !others.is_empty();
        let mut left: Vec<MessageKey> = suspects.iter().map(|job| job.key.clone()).collect();
        left.retain(|key| alone.as_ref() != Some(key));
        let jobs: Vec<Job> = match &alone {
            None => others,
            Some(key) => {
                // What has come meanwhile is the next poll's.
                left.extend(others_are_left.then(|| others[0].key.clone()));
                suspects.into_iter().filter(|job| job.key == *key).collect()
            }
        };
        let alone = alone.filter(|_| !jobs.is_empty());
        Selected { jobs, alone, left }
    }
}

/// The record of messages at which a session ended.  Where the number of commands or the shape of the answers may be the
/// cause, no message is.
pub(super) fn ended_at(
    account: &Account,
    places: &[Place],
    keys: Vec<MessageKey>,
    error: &PollError,
    report: &mut Report,
) -> Option<Change> {
    if keys.is_empty() || report.slower {
        return None;
    }
    let cause = describe(error);
    for uid in &keys {
        report.failures.insert(uid.clone(), cause.clone());
        Event::SessionEndedAt { account: account.name.clone(), uid: uid.clone(), cause: cause.clone() }.tell();
    }
    Some(Change::SessionEnd { account: account.name.clone(), keys, places: places.to_vec(), cause })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::MessageNumber;
    use crate::poll::piece::Supposed;

    fn key(n: u32) -> MessageKey {
        MessageKey::new(format!("u{n}").as_bytes(), 0).expect("a key")
    }

    fn job(n: u32) -> Job {
        let number = MessageNumber::new(n).expect("not zero");
        let (octets, header_only, targets, supposed) = (None, false, vec![0], Supposed::New);
        Job { number, key: key(n), octets, header_only, targets, supposed, suspect: false, completes: true, due: false }
    }

    fn numbers(selected: &Selected) -> (Vec<u32>, Option<MessageKey>, Vec<MessageKey>) {
        let jobs = selected.jobs.iter().map(|job| job.number.value()).collect();
        (jobs, selected.alone.clone(), selected.left.clone())
    }

    #[test]
    fn others_come_first_and_each_suspect_alone() {
        let suspects = Suspects::new(vec![key(2), key(4)]);
        let jobs = || (1..=5).map(job).collect::<Vec<_>>();
        let select = |jobs, pass: &Pass, deletes| numbers(&suspects.select(jobs, pass, deletes));
        assert_eq!(select(jobs(), &Pass::Others, false), (vec![1, 3, 5], None, vec![key(2), key(4)]));
        let only = || vec![job(2), job(4)];
        assert_eq!(select(only(), &Pass::Others, false), (vec![2], Some(key(2)), vec![key(4)]));
        // What is to be deleted gets its QUIT first.
        assert_eq!(select(only(), &Pass::Others, true), (vec![], None, vec![key(2), key(4)]));
        assert_eq!(select(only(), &Pass::Alone(key(4)), true), (vec![4], Some(key(4)), vec![key(2)]));
        // It is gone, or not due.
        assert_eq!(select(vec![job(2)], &Pass::Alone(key(4)), false), (vec![], None, vec![key(2)]));
        assert_eq!(select(jobs(), &Pass::Alone(key(4)), false).0, [4]);
        assert_eq!(numbers(&Suspects::default().select(jobs(), &Pass::Others, false)).0, [1, 2, 3, 4, 5]);
    }
}
