//! The ground of a trial: a mailbox, a program with a new home, and what must hold.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::support::*;

/// A mailbox of a real server whose mail stays, so that all trials share it.
pub(crate) struct Kept {
    server: Dovecot,
    wanted: Manifest,
}

impl Kept {
    /// A new server with mail.
    pub(crate) fn start(messages: usize) -> Self {
        let server = Dovecot::start();
        let wanted = server.fill("user1", &Fill::new(messages, Mix::Tiny));
        Self { server, wanted }
    }

    /// A trial with it, by POP3S.
    pub(crate) fn trial(&self) -> Trial<'_> {
        let program = Postrider::with_config(
            &[pop3s(&self.server, "a", 1, "deliver = \"home\"\nretention = \"keep\""), maildir("home")].concat(),
        );
        let mailbox = Mailbox::Dovecot { server: &self.server, left: self.wanted.len() };
        Trial { program, wanted: self.wanted.clone(), mailbox }
    }
}

/// A real server's mailbox that each trial empties.
pub(crate) struct Emptied {
    server: Dovecot,
    trials: u64,
}

impl Emptied {
    /// A new server.
    pub(crate) fn start() -> Self {
        Self { server: Dovecot::start(), trials: 0 }
    }

    /// A trial with new mail: Dovecot is confused when deleted files come back.
    pub(crate) fn trial(&mut self, messages: usize) -> Trial<'_> {
        self.server.clear("user1");
        self.trials += 1;
        let wanted = self.server.fill("user1", &Fill::new(messages, Mix::Tiny).seed(self.trials));
        let program = Postrider::with_config(
            &[pop3s(&self.server, "a", 1, "deliver = \"home\"\nretention = \"delete\""), maildir("home")].concat(),
        );
        Trial { program, wanted, mailbox: Mailbox::Dovecot { server: &self.server, left: 0 } }
    }
}

/// A program, its mailbox, and what must arrive.
pub(crate) struct Trial<'a> {
    pub(crate) program: Postrider,
    wanted: Manifest,
    mailbox: Mailbox<'a>,
}

enum Mailbox<'a> {
    /// user1's; this many messages are there in the end.
    Dovecot {
        server: &'a Dovecot,
        left: usize,
    },
    Scripted {
        server: Arc<MailboxServer>,
        early: Arc<Mutex<Vec<String>>>,
        left: usize,
    },
}

impl Trial<'_> {
    /// A trial with a scripted server of its own.
    pub(crate) fn scripted(messages: usize, retention: &str, behaviour: Behaviour) -> Self {
        let server = Arc::new(MailboxServer::start_with(Message::several(messages, Mix::Tiny), behaviour));
        let lines = format!("deliver = \"home\"\nretention = \"{retention}\"");
        let program = Postrider::with_config(&[mailbox(server.port(), "a", &lines), maildir("home")].concat());
        let early = deleted_too_early(&server, program.path("home"));
        let left = if retention == "keep" { messages } else { 0 };
        Trial { program, wanted: server.manifest(), mailbox: Mailbox::Scripted { server, early, left } }
    }

    /// Fetches the first half of a scripted server's messages; the others have not come yet.
    pub(crate) fn fetch_half(&self) {
        let Mailbox::Scripted { server, .. } = &self.mailbox else { panic!("a scripted server") };
        let uids = server.remaining_uids();
        server.change(|behaviour| behaviour.hidden = uids[uids.len() / 2..].to_vec());
        self.program.run(&["fetch"]).assert_success();
        server.change(|behaviour| behaviour.hidden.clear());
    }

    /// What must hold right after the fault: nothing is there twice or in part, and what has not
    /// arrived is on the server.
    pub(crate) fn check_fault(&self) -> Verdict {
        let verdict = self.wanted.verify(&self.program.path("home"));
        verdict.assert_nothing_wrong();
        let lost = || -> Vec<&String> {
            let there = self.on_server();
            verdict.missing.iter().filter(|mark| !there.contains(*mark)).collect()
        };
        // A server that is renaming its files may hide one from the first look.
        if !lost().is_empty() {
            wait_until("what has not arrived is on the server", Duration::from_secs(5), || lost().is_empty());
        }
        verdict
    }

    /// The same, and the run has reported its failure in words, or had none.
    pub(crate) fn check_words(&self, output: &Output) {
        let verdict = self.check_fault();
        assert!(!output.text().contains("panicked"), "a panic: {}", output.text());
        match output.code {
            Some(0) => assert!(verdict.missing.is_empty(), "called a success: {verdict}{}", output.text()),
            _ => assert!(!output.stderr.trim().is_empty(), "no words, exit {:?}/{:?}", output.code, output.signal),
        }
    }

    /// A plain rerun repairs everything.
    pub(crate) fn check_rerun(&self) {
        self.program.run(&["fetch"]).assert_success();
        self.wanted.verify(&self.program.path("home")).assert_exactly_once();
        let history = self.program.run(&["history", "--json", "-n", "0"]).assert_success().stdout;
        let history: Vec<serde_json::Value> = serde_json::from_str(&history).expect("JSON");
        assert_eq!(history.len(), self.wanted.len(), "messages in the history");
        assert!(history.iter().all(|event| event["state"] == "delivered"), "{history:?}");
        match &self.mailbox {
            Mailbox::Dovecot { server, left } => assert_eq!(server.messages_on_server("user1"), *left),
            Mailbox::Scripted { server, early, left } => {
                assert_eq!(server.remaining(), *left, "on the server");
                assert_eq!(*early.lock().expect("no panic while locked"), [""; 0], "deleted before their delivery");
            }
        }
    }

    /// The marks of the messages that the server has.
    fn on_server(&self) -> BTreeSet<String> {
        match &self.mailbox {
            Mailbox::Dovecot { server, .. } => marks(&server.maildir("user1")),
            Mailbox::Scripted { server, .. } => {
                server.remaining_uids().iter().filter_map(|uid| uid.strip_prefix("uid-")).map(str::to_owned).collect()
            }
        }
    }
}

/// The messages whose deletion was asked for before they were in a Maildir.
fn deleted_too_early(server: &Arc<MailboxServer>, maildir: PathBuf) -> Arc<Mutex<Vec<String>>> {
    let early = Arc::new(Mutex::new(Vec::new()));
    let (found, weak, arrived) = (Arc::clone(&early), Arc::downgrade(server), Mutex::new(BTreeSet::new()));
    server.watch(move |line| {
        let Some(number) = line.strip_prefix("DELE ").and_then(|number| number.parse::<usize>().ok()) else { return };
        // Numbers change from session to session, and QUIT alone takes a message away.
        let uids = weak.upgrade().map(|server| server.remaining_uids()).unwrap_or_default();
        let Some(mark) = uids.get(number - 1).and_then(|uid| uid.strip_prefix("uid-")) else { return };
        let mut arrived = arrived.lock().expect("no panic while locked");
        if !arrived.contains(mark) {
            *arrived = marks(&maildir);
        }
        if !arrived.contains(mark) {
            found.lock().expect("no panic while locked").push(format!("{line}: {mark}"));
        }
    });
    early
}

/// The marks of the messages in a Maildir; files may come and go meanwhile.
fn marks(maildir: &Path) -> BTreeSet<String> {
    // In this order: what is moved from one to the other is met in one of them.
    let folders = ["new", "cur"].map(|sub| maildir.join(sub));
    let entries = folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten();
    let texts = entries.filter_map(|entry| std::fs::read_to_string(entry.ok()?.path()).ok());
    let mark = |text: String| {
        text.lines().find_map(|line| line.strip_prefix("X-Test-Message: ")).map(|mark| mark.trim_end().to_owned())
    };
    texts.filter_map(mark).collect()
}
