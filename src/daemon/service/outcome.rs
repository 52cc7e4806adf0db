//! How a poll ended: told in the log, on the board and to those who wait, and remembered.

use std::time::Duration;

use tracing::{debug, error, info, warn};

use super::{Ended, Service, seconds, today, write_down};
use crate::failure::{Class, Failure, paragraph};
use crate::message::Name;
use crate::poll::{PollError, Summary, unix_now};
use crate::pop3::reply::ResponseCode;
use crate::pop3::session::SessionError;
use crate::schedule::{Event, Memory, Verdict};
use crate::store::{AccountMemory, Change, StoreError};

impl Service {
    pub(super) fn ended(&mut self, ended: Result<Ended, tokio::task::JoinError>) -> Event {
        let Ended { name, outcome, refused } = match ended {
            Ok(ended) => ended,
            Err(failure) => {
                error!("a poll was lost: {failure}");
                return Event::Tick;
            }
        };
        self.cancels.remove(&name);
        let login_delay = outcome.report.login_delay;
        let summary = Summary::of(&name, &outcome);
        tell(&name, &summary, outcome.error.as_ref());
        if let Some(PollError::Store(error @ StoreError::Damaged { .. })) = &outcome.error {
            self.damaged = Some(error.clone());
        }
        let verdict = verdict(outcome.error.as_ref(), login_delay);
        let today = today();
        self.board().ended(&name, &summary, unix_now(), today);
        for waiter in self.waiters.remove(&name).unwrap_or_default() {
            let _ = waiter.send(summary.clone());
        }
        // The schedule decides about the next time; what it decides is remembered.
        self.step(Event::Ended(name.clone(), verdict));
        self.remember(&name, &summary, login_delay.is_some(), refused);
        // It was switched off and on again before its poll had ended.
        let is_back = matches!(outcome.error, Some(PollError::Stopped)) && self.accounts.contains_key(&name);
        if is_back { Event::Poll(name) } else { Event::Tick }
    }

    /// Writes down what a restart must know; not for every quiet poll.
    pub(super) fn remember(&mut self, name: &Name, summary: &Summary, is_delayed: bool, refused: Option<[u8; 32]>) {
        let Some(Memory { failures, refusals, wait }) = self.schedule.memory(name, self.now()) else { return };
        let before = self.remembered.get(name).cloned().unwrap_or_default();
        let well = summary.error.is_none();
        // An ordinary interval is no reason to wait after a restart; what a server demands is.
        let must_wait = is_delayed || failures + refusals > 0;
        let memory = AccountMemory {
            failures,
            refusals,
            not_before: if must_wait { unix_now() + seconds(wait) } else { 0 },
            last_success: if well { Some(unix_now()) } else { before.last_success },
            error: summary.error.clone(),
            exit_code: summary.exit_code,
            // A failure of another kind says nothing about what was refused before.
            refused: if well { None } else { refused.or(before.refused) },
            ..AccountMemory::default()
        };
        let quiet = well && !must_wait && summary.delivered == 0 && before.error.is_none();
        self.remembered.insert(name.clone(), memory.clone());
        if !quiet {
            let (store, account) = (self.context.store.clone(), name.clone());
            // The loop does not wait for a disk.
            tokio::spawn(async move { write_down(&store, vec![Change::Remember { account, memory }]).await });
        }
    }
}

/// One line in the log for a poll that is worth it.
fn tell(name: &Name, summary: &Summary, error: Option<&PollError>) {
    let Summary { delivered, octets, deleted, .. } = *summary;
    match error {
        None if delivered + deleted == 0 => debug!(account = %name, "polled: nothing new"),
        None => info!(account = %name, octets, "polled: {delivered} delivered, {deleted} deleted"),
        Some(PollError::Stopped) => info!(account = %name, octets, "polled: {delivered} delivered, then stopped"),
        Some(error) => {
            let text = paragraph(summary.error.as_deref().unwrap_or_default(), summary.advice.as_deref());
            match error.class() {
                Class::LoginRefused | Class::Configuration | Class::LocalIo => {
                    error!(account = %name, "failed: {text}");
                }
                _ => warn!(account = %name, "failed: {text}"),
            }
        }
    }
}

/// What an outcome means for the next poll.
pub(super) fn verdict(error: Option<&PollError>, login_delay: Option<Duration>) -> Verdict {
    match error {
        None
        | Some(
            PollError::Undelivered { .. }
            | PollError::Stopped
            | PollError::Deadline { .. }
            // It has a back-off of its own.
            | PollError::Destination { others_work: true, .. },
        ) => {
            Verdict::Good { login_delay }
        }
        Some(PollError::OAuth(error)) if error.is_refusal() => Verdict::LoginRefused { certain: true },
        Some(PollError::Doubted { .. }) => Verdict::InUse,
        Some(PollError::Session(session)) => of_session(session, login_delay),
        Some(PollError::TokenRefused { source, .. }) => of_session(source, login_delay),
        Some(_) => Verdict::Failed,
    }
}

fn of_session(session: &SessionError, login_delay: Option<Duration>) -> Verdict {
    match session.meaning() {
        Some(ResponseCode::InUse) => Verdict::InUse,
        Some(ResponseCode::LoginDelay) => Verdict::TooSoon(login_delay),
        Some(ResponseCode::SysPerm) => Verdict::ServerFault,
        Some(ResponseCode::SysTemp) => Verdict::Failed,
        Some(ResponseCode::Auth) => Verdict::LoginRefused { certain: true },
        _ if session.is_login_refused() => Verdict::LoginRefused { certain: false },
        _ => Verdict::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{NetError, ProxyFault};
    use crate::sasl::ExchangeError;

    #[test]
    fn a_server_that_proves_nothing_is_left_alone_as_one_that_refuses() {
        let of = |error: ExchangeError| verdict(Some(&PollError::Session(SessionError::Exchange(error))), None);
        assert_eq!(of(ExchangeError::Unproven("SCRAM-SHA-256")), Verdict::LoginRefused { certain: false });
        let mechanism = "CRAM-MD5";
        assert_eq!(of(ExchangeError::Challenge { mechanism, fault: String::new() }), Verdict::Failed);
    }

    #[test]
    fn a_proxy_that_refuses_its_login_is_no_server_that_refuses_the_mailboxs() {
        let fault = ProxyFault::LoginRefused;
        let error = NetError::Proxy { proxy: "gw:1080".into(), server: "pop.example:995".into(), fault };
        assert_eq!(verdict(Some(&PollError::Session(error.into())), None), Verdict::Failed);
    }
}
