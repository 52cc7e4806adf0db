//! A machine that gives little: what is short is told and passes, and no mail waits for ever.

#![allow(clippy::allow_attributes, clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "tests")]

mod support;

#[path = "machine/files.rs"]
mod files;
#[path = "machine/size.rs"]
mod size;
#[path = "machine/threads.rs"]
mod threads;

use std::process::Command;
use std::time::Duration;

use support::*;

const SOON: Duration = Duration::from_secs(60);

/// Mailboxes, each with a Maildir of its own, or with one for all.
struct Mailboxes {
    servers: Vec<MailboxServer>,
    maildirs: usize,
    program: Postrider,
}

impl Mailboxes {
    /// So many, with so many messages each; `keys` of all accounts, `top` of the whole configuration.
    fn start(count: usize, messages: usize, keys: &str, top: &str) -> Self {
        Self::with_maildirs(count, count, messages, keys, top)
    }

    fn with_maildirs(maildirs: usize, count: usize, messages: usize, keys: &str, top: &str) -> Self {
        let of = |seed| (1..=messages).map(|index| Message::generated(seed, index, Mix::Tiny)).collect();
        let servers: Vec<_> = (1..=count as u64).map(|seed| MailboxServer::start(of(seed))).collect();
        let account = |(index, server): (usize, &MailboxServer)| {
            let keys = format!("deliver = \"m{}\"\n{keys}", index % maildirs);
            mailbox(server.port(), &format!("a{index}"), &keys)
        };
        let accounts: String = servers.iter().enumerate().map(account).collect();
        let destinations: String = (0..maildirs).map(|index| maildir(&format!("m{index}"))).collect();
        let program = Postrider::with_config(&[top, &accounts, &destinations].concat());
        Self { servers, maildirs, program }
    }

    /// The messages that have come.
    fn arrived(&self) -> usize {
        (0..self.maildirs).map(|index| count_messages(&self.program.path(&format!("m{index}")))).sum()
    }

    #[track_caller]
    fn assert_exactly_once(&self) {
        let mut wanted = vec![Manifest::default(); self.maildirs];
        for (index, server) in self.servers.iter().enumerate() {
            wanted[index % self.maildirs].merge(server.manifest());
        }
        for (index, wanted) in wanted.iter().enumerate() {
            wanted.verify(&self.program.path(&format!("m{index}"))).assert_exactly_once();
        }
    }
}

/// The program, started by another one: `strace`, `prlimit`.
fn under(program: &Postrider, by: &[&str], arguments: &[&str]) -> Running {
    let (name, rest) = by.split_first().expect("a program");
    let mut command = Command::new(name);
    command.args(rest).arg(program.command().get_program()).arg("-c").arg(program.config_path()).args(arguments);
    program.prepare(&mut command);
    program.spawn_command(command)
}
