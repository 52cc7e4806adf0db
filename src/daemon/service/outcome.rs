//! The end of a poll: reported in the log, on the board and to waiting clients, and remembered.

use std::time::Duration;

use super::{Ended, Service, write_down};
use crate::clock::{seconds_up, unix_now};
use crate::engine::latch::{Ending, remembered};
use crate::engine::verdict::verdict;
use crate::event::{Counts, Event as Told, Fault};
use crate::failure::Failure;
use crate::message::Name;
use crate::poll::{PollError, Summary};
use crate::schedule::Input;
use crate::store::{Change, StoreError};

impl Service {
    pub(super) fn ended(&mut self, ended: Result<Ended, tokio::task::JoinError>) -> Input {
        let Ended { name, outcome, time, refused } = match ended {
            Ok(ended) => ended,
            Err(failure) => {
                self.tell(&Told::PollLost { cause: failure.to_string() });
                return Input::Tick;
            }
        };
        self.cancels.remove(&name);
        let login_delay = outcome.report.login_delay;
        let mut summary = Summary::of(&name, &outcome);
        if let Some(PollError::Store(error @ StoreError::Damaged { .. })) = &outcome.error {
            self.damaged = Some(error.clone());
        }
        let verdict = verdict(outcome.error.as_ref(), login_delay);
        self.tell(&told(&name, &summary, outcome.error.as_ref(), time));
        let waiters = self.waiters.remove(&name).unwrap_or_default();
        // The schedule decides about the next poll; its decision is remembered, and sent to waiting clients.
        self.step(Input::Ended(name.clone(), verdict));
        if self.schedule.is_latched(&name) {
            summary.next_try =
                self.schedule.due(&name).map(|due| unix_now() + seconds_up(due.saturating_sub(self.now())));
        }
        for waiter in waiters {
            let _ = waiter.send(summary.clone());
        }
        self.remember(&name, &summary, login_delay.is_some(), refused);
        self.tell_systemd();
        // The account was disabled and enabled again before its poll had ended.
        let is_back = matches!(outcome.error, Some(PollError::Stopped)) && self.accounts.contains_key(&name);
        if is_back { Input::Poll(name) } else { Input::Tick }
    }

    /// Records what a restart must know, except after a poll that has changed nothing.
    pub(super) fn remember(&mut self, name: &Name, summary: &Summary, is_delayed: bool, refused: Option<[u8; 32]>) {
        let Some(schedule) = self.schedule.memory(name, self.now()) else { return };
        let before = self.remembered.get(name).cloned().unwrap_or_default();
        // After a restart an account need not wait for its interval, but for what the server demands.
        let must_wait = is_delayed || schedule.failures + schedule.refusals > 0;
        let well = summary.error.is_none();
        let memory = remembered(&before, schedule, &Ending { summary, must_wait, refused });
        let quiet = well && !must_wait && summary.delivered == 0 && before.error.is_none();
        self.remembered.insert(name.clone(), memory.clone());
        if !quiet {
            let (store, account) = (self.context.store.clone(), name.clone());
            // In the background: the loop must not wait for the disk.
            tokio::spawn(async move { write_down(&store, vec![Change::Remember { account, memory }]).await });
        }
    }
}

/// How a poll ended, as an event.
fn told(name: &Name, summary: &Summary, error: Option<&PollError>, time: Duration) -> Told {
    let account = name.clone();
    let counts = Counts {
        listed: summary.listed,
        delivered: summary.delivered,
        octets: summary.octets,
        deleted: summary.deleted,
        waiting: summary.not_tried() + summary.unrecorded,
        too_large: summary.too_large,
        ignored: summary.ignored,
        quarantined: summary.quarantined,
    };
    let fault = |error: &PollError| Fault {
        text: summary.error.clone().unwrap_or_default(),
        advice: summary.advice.clone(),
        class: error.class(),
    };
    match error {
        None => Told::PollEnded { account, counts, time, stopped: None },
        Some(error @ PollError::Stopped) => Told::PollEnded { account, counts, time, stopped: Some(fault(error)) },
        Some(error) => Told::PollFailed { account, counts, time, fault: fault(error) },
    }
}
