//! What is wrong, in paragraphs: what concerns an account together, then destinations, then the configuration.

use super::{ahead, span};
use crate::cli::output::count;
use crate::clock::unix_now;
use crate::failure::paragraph;
use crate::process::status::{AccountStatus, DestinationStatus, Standing, Status, Undelivered};

pub(super) fn troubles(status: &Status) -> Vec<String> {
    let mut troubles = Vec::new();
    for account in &status.accounts {
        troubles.extend(of_account(account, &status.destinations));
        troubles.extend(account.undelivered.iter().map(|one| not_delivered(&account.account, one)));
    }
    troubles.extend(status.destinations.iter().map(of_destination));
    if status.accounts.iter().flat_map(|account| &account.undelivered).any(is_put_off) {
        troubles.push("`postrider retry` tries at once what is put off.".to_owned());
    }
    let instead = if status.running { "; the service uses the previous one" } else { "" };
    let of_file = |error: &String| format!("The configuration file is broken{instead}:\n{error}");
    troubles.extend(status.config_error.as_ref().map(of_file));
    troubles
}

fn is_put_off(undelivered: &Undelivered) -> bool {
    undelivered.state == Standing::Deferred
}

/// How its last poll failed; what is wrong with a destination is told there.
fn of_account(account: &AccountStatus, destinations: &[DestinationStatus]) -> Option<String> {
    let error = account.error.as_ref()?;
    let named = error.strip_prefix("destination ").and_then(|rest| rest.split_once(": ")).map(|(name, _)| name);
    let text = match named.filter(|name| destinations.iter().any(|one| one.destination == *name)) {
        Some(name) => format!("destination {name} does not work; see below."),
        None => paragraph(error, account.advice.as_deref()),
    };
    Some(format!("{}: {text}", account.account))
}

fn of_destination(destination: &DestinationStatus) -> String {
    let DestinationStatus { destination, error, advice, since, next_try, .. } = destination;
    let (text, time) = (paragraph(error, advice.as_deref()), span(unix_now() - since));
    let next = if *next_try > unix_now() { ahead(*next_try) } else { "with the next mail for it".to_owned() };
    format!("destination {destination} has not worked for {time}: {text}  Next try {next}.")
}

/// What is not delivered, why, and what comes next.
fn not_delivered(account: &str, undelivered: &Undelivered) -> String {
    let Undelivered { destination, state, messages, cause, uid, since, next_try } = undelivered;
    let (which, it, does) = match messages {
        1 => (format!("message {uid}"), "It stays", "is"),
        _ => (count(*messages, "message"), "They stay", "are"),
    };
    let (time, cause) =
        (span(unix_now() - since), paragraph(cause.as_deref().unwrap_or("the cause is not known"), None));
    match state {
        Standing::Deferred => {
            let next =
                next_try.filter(|time| *time > unix_now()).map_or_else(|| "with the next poll".to_owned(), ahead);
            format!("{account}: {which} {does} not delivered to {destination}, for {time}: {cause}  Next try {next}.")
        }
        Standing::Quarantined => format!(
            "{account}: {which} {does} in quarantine, since {destination} does not get it, for {time}: {cause}  {it} on \
             the server; `postrider quarantine list {account}` tells more, and `postrider quarantine retry {account}` or \
             `skip` ends it."
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn undelivered(state: Standing, messages: u64, ahead: i64) -> Undelivered {
        let (cause, next_try) = (Some("450 later".to_owned()), Some(unix_now() + ahead));
        Undelivered {
            destination: "hub".into(),
            state,
            messages,
            cause,
            uid: "u7".into(),
            since: unix_now() - 7200,
            next_try,
        }
    }

    #[test]
    fn mail_that_is_not_delivered_is_told_with_its_destination_time_cause_and_what_comes_next() {
        let told = |state, messages, ahead| not_delivered("a", &undelivered(state, messages, ahead));
        assert_eq!(
            told(Standing::Deferred, 3, 120),
            "a: 3 messages are not delivered to hub, for 2 h 0 min: 450 later.  Next try in 2 min."
        );
        assert_eq!(
            told(Standing::Deferred, 1, -5),
            "a: message u7 is not delivered to hub, for 2 h 0 min: 450 later.  Next try with the next poll."
        );
        assert!(told(Standing::Quarantined, 1, 0).starts_with("a: message u7 is in quarantine"));
    }

    #[test]
    fn what_concerns_an_account_is_told_together_and_a_destinations_trouble_once() {
        let destination = DestinationStatus {
            destination: "hub".into(),
            error: "full".into(),
            advice: Some("Make room.".into()),
            exit_code: 75,
            failures: 2,
            since: unix_now(),
            next_try: unix_now() - 1,
        };
        let account = |name: &str, error: &str| AccountStatus {
            account: name.into(),
            error: Some(error.into()),
            undelivered: vec![undelivered(Standing::Deferred, 1, 60)],
            ..AccountStatus::default()
        };
        let status = Status {
            accounts: vec![account("a", "destination hub: full"), account("b", "login")],
            destinations: vec![destination],
            running: true,
            ..Status::default()
        };
        let begins: Vec<String> = troubles(&status).iter().map(|text| text.chars().take(25).collect()).collect();
        let want = [
            "a: destination hub does n",
            "a: message u7 is not deli",
            "b: login.",
            "b: message u7 is not deli",
            "destination hub has not w",
            "`postrider retry` tries a",
        ];
        assert_eq!(begins, want);
    }
}
