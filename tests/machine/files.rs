//! Fewer open files than messages on their way.

use super::support::*;
use super::{Mailboxes, SOON, under};

/// Runs `prlimit` with so many open files.
fn fetch(program: &Postrider, files: &str) -> Output {
    under(program, &["prlimit", &format!("--nofile={files}:{files}")], &["fetch"]).wait(SOON * 2)
}

#[test]
fn ten_mailboxes_of_news_come_whole_with_few_open_files() {
    for (files, messages) in [("1024", 300), ("64", 50)] {
        let mailboxes = Mailboxes::start(10, messages, "retention = \"delete\"\ndeadline = \"90s\"", "");
        let wanted: Vec<_> = mailboxes.servers.iter().map(MailboxServer::manifest).collect();
        fetch(&mailboxes.program, files).assert_success();
        assert!(mailboxes.servers.iter().all(|server| server.remaining() == 0), "{files}");
        for (index, wanted) in wanted.iter().enumerate() {
            let maildir = mailboxes.program.path(&format!("m{index}"));
            wanted.verify(&maildir).assert_exactly_once();
            assert_eq!(std::fs::read_dir(maildir.join("tmp")).expect("tmp").count(), 0);
        }
        let retrieved: usize = mailboxes.servers.iter().map(|server| server.count("RETR")).sum();
        assert_eq!(retrieved, 10 * messages, "each is retrieved once");
    }
}

#[test]
fn large_mail_to_two_maildirs_and_a_server_comes_with_few_open_files() {
    let servers: Vec<_> = (1..=4_u64)
        .map(|seed| {
            MailboxServer::start((1..=12).map(|index| Message::generated(seed, index, Mix::Fixed(600_000))).collect())
        })
        .collect();
    let smtp_server = ScriptedSmtp::start();
    let keys = "deliver = [\"home\", \"mirror\", \"mta\"]\nretention = \"delete\"\ndeadline = \"90s\"";
    let account = |(index, server): (usize, &MailboxServer)| mailbox(server.port(), &format!("a{index}"), keys);
    let accounts: String = servers.iter().enumerate().map(account).collect();
    let sections = [accounts, maildir("home"), maildir("mirror"), smtp("mta", smtp_server.port())];
    let program = Postrider::with_config(&sections.concat());
    let mut wanted = Manifest::default();
    servers.iter().for_each(|server| wanted.merge(server.manifest()));
    fetch(&program, "64").assert_success();
    for name in ["home", "mirror"] {
        wanted.verify(&program.path(name)).assert_exactly_once();
    }
    assert_eq!(smtp_server.received().len(), 48);
    assert!(servers.iter().all(|server| server.remaining() == 0));
    assert_eq!(std::fs::read_dir(program.state_dir().join("spool")).expect("the folder").count(), 0);
}

#[test]
fn a_service_with_few_open_files_polls_fewer_at_a_time_says_so_and_answers() {
    let mailboxes = Mailboxes::start(12, 40, "interval = \"10s\"", "max-polls-per-host = 100\n");
    let mut service = under(&mailboxes.program, &["prlimit", "--nofile=64:64"], &["run"]);
    service.wait_until("the log", SOON, |service| {
        let said = service.stderr();
        said.contains("at most 1 accounts are polled at a time") && said.contains("only 64 files may be open")
    });
    service.wait_until("all mail", SOON * 2, |_| mailboxes.arrived() == 480);
    service.wait_until("a good end", SOON, |_| mailboxes.program.run(&["status"]).code == Some(0));
    assert!(!service.stderr().contains("failed"), "{}", service.stderr());
    service.sigterm();
    service.wait(SOON).assert_success();
    mailboxes.assert_exactly_once();
}

#[test]
fn too_few_open_files_for_anything_are_told_and_no_destination_is_to_blame() {
    let mailboxes = Mailboxes::start(1, 20, "", "");
    for files in (8..32).step_by(2) {
        let output = fetch(&mailboxes.program, &files.to_string());
        let said = output.stderr.contains("open files") || output.stderr.contains("files may be open");
        assert!(output.code.is_some() && said, "{files}: {:?} {}", output.code, output.text());
        assert!(!output.stderr.contains("bug"), "{files}: {}", output.text());
    }
    mailboxes.program.run(&["fetch"]).assert_success();
    mailboxes.assert_exactly_once();
}
