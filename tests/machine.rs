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

/// Mailboxes, each with a Maildir of its own.
struct Mailboxes {
    servers: Vec<MailboxServer>,
    program: Postrider,
}

impl Mailboxes {
    /// So many, with so many messages each; `keys` of all accounts, `top` of the whole configuration.
    fn start(count: usize, messages: usize, keys: &str, top: &str) -> Self {
        let of = |seed| (1..=messages).map(|index| Message::generated(seed, index, Mix::Tiny)).collect();
        let servers: Vec<_> = (1..=count as u64).map(|seed| MailboxServer::start(of(seed))).collect();
        let account = |(index, server): (usize, &MailboxServer)| {
            let keys = format!("deliver = \"m{index}\"\n{keys}");
            mailbox(server.port(), &format!("a{index}"), &keys) + &maildir(&format!("m{index}"))
        };
        let accounts: String = servers.iter().enumerate().map(account).collect();
        Self { servers, program: Postrider::with_config(&[top, &accounts].concat()) }
    }

    /// The messages that have come.
    fn arrived(&self) -> usize {
        (0..self.servers.len()).map(|index| count_messages(&self.program.path(&format!("m{index}")))).sum()
    }

    #[track_caller]
    fn assert_exactly_once(&self) {
        for (index, server) in self.servers.iter().enumerate() {
            server.manifest().verify(&self.program.path(&format!("m{index}"))).assert_exactly_once();
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
