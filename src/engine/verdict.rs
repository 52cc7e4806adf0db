//! Judges what the outcome of a poll means for the next one.

use std::time::Duration;

use crate::poll::PollError;
use crate::pop3::reply::ResponseCode;
use crate::pop3::session::SessionError;
use crate::schedule::Verdict;

/// What an outcome means for the next poll.
pub(crate) fn verdict(error: Option<&PollError>, login_delay: Option<Duration>) -> Verdict {
    match error {
        None
        | Some(
            PollError::Undelivered { .. }
            | PollError::Stopped
            | PollError::Deadline { .. }
            // The destination has its own back-off.
            | PollError::Destination { others_work: true, .. },
        ) => {
            Verdict::Good { login_delay }
        }
        Some(PollError::OAuth(error)) if error.is_refusal() => Verdict::LoginRefused { certain: true },
        // The login was tried often enough.
        Some(PollError::Doubted { is_over: true, .. }) => Verdict::LoginRefused { certain: true },
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
