//! What the log says, and to whom: people read sentences that name the account, programs read fields.

#![expect(clippy::expect_used, reason = "helpers of tests")]

mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;
use support::*;

const LIMIT: Duration = Duration::from_secs(15);

/// Two accounts: one gets two messages, the other's login is refused in words that could deceive a terminal or a
/// log.
fn two_accounts() -> (Postrider, [MailboxServer; 2]) {
    let servers = [MailboxServer::start(Message::several(2, Mix::Tiny)), MailboxServer::start(Vec::new())];
    let refusal = format!("-ERR [AUTH] \x1b[2J{} is wrong", MailboxServer::PASSWORD);
    servers[1].change(|behaviour| behaviour.refuse_login = Some(refusal));
    let keys = "interval = \"1h\"\ndeliver = \"home\"";
    let accounts = [mailbox(servers[0].port(), "anna", keys), mailbox(servers[1].port(), "bert", keys)];
    (Postrider::with_config(&format!("{}{}", accounts.concat(), maildir("home"))), servers)
}

/// The log of a service that has polled both.
fn log(program: &Postrider, format: &str) -> String {
    let mut service = program.spawn(&["run", "--log-format", format]);
    service.wait_until("both polls", LIMIT, |service| {
        service.stderr().contains("anna: polled: ") && service.stderr().contains("bert: failed: ")
    });
    service.sigterm();
    let log = service.wait(LIMIT).assert_success().stderr;
    assert!(!log.contains(MailboxServer::PASSWORD) && !log.contains('\x1b'), "{log}");
    log
}

#[test]
fn people_read_whose_mail_it_is_and_what_happened_on_one_line() {
    let (program, _servers) = two_accounts();
    let log = log(&program, "human");
    let lines = |text: &str| log.lines().filter(|line| line.contains(text)).count();
    assert_eq!((lines(" INFO anna: delivered "), lines(" to home (")), (2, 2), "{log}");
    assert_eq!(lines(" INFO anna: polled: 2 delivered, 0 deleted, "), 1, "{log}");
    assert_eq!(lines("ERROR bert: failed: login as "), 1, "{log}");
    assert!(!log.contains("account=") && !log.contains("journal_id"), "the sentence says it: {log}");
    assert!(log.lines().all(|line| line.matches("anna").count() + line.matches("bert").count() <= 1), "{log}");
}

#[test]
fn programs_read_fields() {
    let (program, _servers) = two_accounts();
    let log = log(&program, "json");
    let events: Vec<serde_json::Value> =
        log.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    let of = |name: &str| events.iter().filter(|event| event["event"] == name).collect::<Vec<_>>();
    let delivered = of("delivered");
    assert_eq!(delivered.len(), 2, "{log}");
    for event in delivered {
        assert_eq!((&event["account"], &event["destination"]), (&"anna".into(), &"home".into()));
        assert!(event["octets"].as_u64() > Some(0) && event["uid"].is_string(), "{event}");
        assert_eq!(event["journal_id"], "6d8b1ee1c1b44f8c9c5a6a2f5f3c7d01");
    }
    let failed = of("poll-failed");
    assert_eq!((failed.len(), &failed[0]["account"], &failed[0]["level"]), (1, &"bert".into(), &"ERROR".into()));
    assert!(events.iter().all(|event| event["event"].is_string()), "all that the service says is an event: {log}");
}

#[test]
fn a_fetch_names_the_account_once_on_a_line() {
    let (program, _servers) = two_accounts();
    let output = program.run(&["fetch", "-v", "anna"]).assert_success();
    let told: Vec<&str> = output.stderr.lines().filter(|line| line.contains("delivered")).collect();
    assert_eq!(told.len(), 2, "{}", output.text());
    assert!(told.iter().all(|line| line.contains("anna: delivered ") && line.matches("anna").count() == 1), "{told:?}");
}

/// What an operator is told goes through `event.rs`, which adds the account and the fields, and escapes it.
#[test]
fn nothing_is_told_to_operators_but_events() {
    let mut found = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut |path, text| {
        // The log itself says when it had to drop lines.
        let is_log = path.ends_with("process/log/journal.rs");
        for (number, line) in text.lines().enumerate().filter(|_| !is_log) {
            if ["info!(", "warn!(", "error!("].iter().any(|word| line.contains(word)) {
                found.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
            }
        }
    });
    assert!(found.is_empty(), "{found:#?}");
}

fn sources(folder: &Path, look: &mut impl FnMut(PathBuf, String)) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, look);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("readable");
            look(path, text);
        }
    }
}
