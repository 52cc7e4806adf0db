//! Files that may not be larger than so much (RLIMIT_FSIZE).

use super::support::*;
use super::{Mailboxes, SOON, under};

const LIMIT: [&str; 2] = ["prlimit", "--fsize=1000000:1000000"];

/// Two small messages with a large one between them.
fn with_a_large_one() -> MailboxServer {
    let small = |index| Message::generated(1, index, Mix::Tiny);
    MailboxServer::start(vec![small(1), Message::large("large", 2, 3_000_000), small(3)])
}

#[test]
fn a_file_that_may_not_be_so_large_is_the_trouble_of_its_message_alone() {
    let server = with_a_large_one();
    let other = MailboxServer::start(vec![Message::generated(2, 1, Mix::Tiny)]);
    let smtp_server = ScriptedSmtp::start();
    let keys = "deliver = [\"home\", \"mta\"]\nretention = \"delete\"";
    let accounts = [mailbox(server.port(), "a", keys), mailbox(other.port(), "b", keys)].concat();
    let program = Postrider::with_config(&[accounts, maildir("home"), smtp("mta", smtp_server.port())].concat());
    let wanted = {
        let mut wanted = server.manifest();
        wanted.merge(other.manifest());
        wanted
    };
    let output = under(&program, &LIMIT, &["fetch"]).wait(SOON).assert_code(75);
    assert!(output.stderr.contains("File too large") && output.stderr.contains("RLIMIT_FSIZE"), "{}", output.stderr);
    assert_eq!((count_messages(&program.path("home")), smtp_server.received().len()), (3, 3));
    assert_eq!((server.remaining_uids(), other.remaining()), (vec!["large".to_owned()], 0));
    // It waits its time, as one that a destination puts off.
    let retrieved = server.count("RETR");
    under(&program, &LIMIT, &["fetch"]).wait(SOON).assert_success();
    assert_eq!(server.count("RETR"), retrieved);
    // In the end it is set aside, where the operator sees it.
    for _ in 0..6 {
        let_pass(&program, 7 * 3600);
        under(&program, &LIMIT, &["fetch"]).wait(SOON);
    }
    let list = program.run(&["quarantine", "list"]).assert_success().stdout;
    assert!(list.contains("large") && list.contains("RLIMIT_FSIZE"), "{list}");
    program.run(&["quarantine", "retry", "a", "large"]).assert_success();
    program.run(&["fetch"]).assert_success();
    wanted.verify(&program.path("home")).assert_exactly_once();
    assert_eq!((server.remaining(), smtp_server.received().len()), (0, 4));
    assert_eq!(std::fs::read_dir(program.path("home/tmp")).expect("tmp").count(), 0);
}

#[test]
fn a_service_outlives_a_file_that_may_not_be_so_large() {
    let mailboxes = Mailboxes::start(3, 2, "interval = \"10s\"", "");
    mailboxes.servers[1].add(Message::large("large", 3, 3_000_000));
    let mut service = under(&mailboxes.program, &LIMIT, &["run"]);
    service.wait_until("the small ones", SOON, |_| mailboxes.arrived() == 6);
    service.wait_until("the large one", SOON, |service| service.stderr().contains("File too large"));
    service.wait_until("the status", SOON, |_| mailboxes.program.run(&["status"]).code == Some(75));
    mailboxes.servers[2].add(Message::generated(9, 9, Mix::Tiny));
    mailboxes.program.run(&["poll"]).assert_success();
    service.wait_until("what comes later", SOON, |_| mailboxes.arrived() == 7);
    service.sigterm();
    service.wait(SOON).assert_success();
}

#[test]
fn a_command_has_the_signal_of_a_large_file_as_it_was() {
    let server = MailboxServer::start(Message::several(1, Mix::Tiny));
    let command = format!("head -c 2000000 /dev/zero >large; echo $? >code; echo {}", MailboxServer::PASSWORD);
    let account = mailbox(server.port(), "a", "deliver = \"home\"").replace(
        &format!("password = \"{}\"", MailboxServer::PASSWORD),
        &format!("password-command = [\"sh\", \"-c\", \"{command}\"]"),
    );
    let program = Postrider::with_config(&(account + &maildir("home")));
    under(&program, &LIMIT, &["fetch"]).wait(SOON).assert_success();
    // Ended by SIGXFSZ.
    assert_eq!(std::fs::read_to_string(program.path("code")).expect("it has run").trim(), "153");
}
