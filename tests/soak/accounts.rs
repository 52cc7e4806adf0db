//! The servers of the accounts, their mail and their troubles.

use super::support::{Behaviour, MailboxServer, Manifest, Message, Mix, message};
use fastrand::Rng;
use std::time::{Duration, Instant};

/// Accounts, each at a server of its own.
pub(crate) const ACCOUNTS: usize = 40;

/// One in this many ticks of an account brings a message.
const MAIL: usize = 100;

/// Mail comes to all accounts at once, at this interval and this much: then threads and files run short.
const BURST: (Duration, usize) = (Duration::from_secs(20), 8);

/// How long a server is in trouble, or in order, at a time.
const SPELL: std::ops::Range<u64> = 1..20;

/// A mailbox is never fuller than that, as its owner deletes old mail.
const MOST: usize = 400;

struct Account {
    server: MailboxServer,
    messages: usize,
    /// Until when the server is as it is.
    until: Instant,
}

/// All accounts.
pub(crate) struct Accounts {
    accounts: Vec<Account>,
    wanted: Manifest,
    last_burst: Instant,
}

impl Accounts {
    pub(crate) fn start() -> Self {
        let account = |_| Account { server: MailboxServer::start(Vec::new()), messages: 0, until: Instant::now() };
        Self { accounts: (0..ACCOUNTS).map(account).collect(), wanted: Manifest::default(), last_burst: Instant::now() }
    }

    pub(crate) fn port(&self, account: usize) -> u16 {
        self.accounts[account].server.port()
    }

    /// Messages that have arrived.
    pub(crate) fn arrived(&self) -> usize {
        self.wanted.len()
    }

    /// Logins at all servers.
    pub(crate) fn logins(&self) -> usize {
        self.accounts.iter().map(|account| account.server.logins()).sum()
    }

    /// What must have come in the end.
    pub(crate) fn manifest(&self) -> Manifest {
        self.wanted.clone()
    }

    /// What is still on the servers.
    pub(crate) fn remaining(&self) -> Vec<String> {
        let uids = self.accounts.iter().flat_map(|account| account.server.remaining_uids());
        uids.filter_map(|uid| uid.strip_prefix("uid-").map(str::to_owned)).collect()
    }

    /// Mail arrives, and some servers change for the worse or the better.
    pub(crate) fn suffer(&mut self, random: &mut Rng) {
        let is_burst = self.last_burst.elapsed() >= BURST.0;
        if is_burst {
            self.last_burst = Instant::now();
        }
        for (number, account) in self.accounts.iter_mut().enumerate() {
            let messages = if is_burst { BURST.1 } else { usize::from(random.usize(..MAIL) == 0) };
            for _ in 0..messages {
                if account.server.remaining() < MOST {
                    account.receive(number as u64 + 1, &mut self.wanted, random);
                }
            }
            if account.until <= Instant::now() {
                account.until = Instant::now() + Duration::from_secs(random.u64(SPELL));
                account.change(random);
            }
        }
    }

    /// All servers are there and in order.
    pub(crate) fn come_to_peace(&mut self) {
        for Account { server, .. } in &mut self.accounts {
            server.come_up();
            server.change(|behaviour| *behaviour = Behaviour::default());
        }
    }
}

impl Account {
    fn receive(&mut self, seed: u64, wanted: &mut Manifest, random: &mut Rng) {
        self.messages += 1;
        let text = message(seed, self.messages, [Mix::Tiny, Mix::Edge, Mix::Realistic][random.usize(..3)]);
        wanted.add(&text);
        self.server.add(Message::text(&format!("uid-{seed}-{}", self.messages), &text));
    }

    fn change(&mut self, random: &mut Rng) {
        let some = |command: &str| Some(command.to_owned());
        let commands = ["CAPA", "AUTH", "UIDL", "LIST", "RETR", "DELE", "QUIT"];
        let command = commands[random.usize(..commands.len())];
        let mut behaviour = Behaviour::default();
        self.server.come_up();
        match random.u8(..16) {
            0 => return self.server.go_down(),
            1 => behaviour.hang_at = some(command),
            2 => behaviour.drop_at = some(command),
            3 => behaviour.drop_at_nth = Some(random.usize(1..40)),
            4 => behaviour.cut_after_octets = Some(random.u64(1..200_000)),
            5 => behaviour.hang_in_retr = Some((1, random.u64(..2000))),
            6 => behaviour.refuse_login = some("-ERR [SYS/TEMP] not now"),
            // A password that is refused is not tried again for an hour.
            7 if command != "AUTH" => behaviour.answers.push((command.to_owned(), "-ERR not now".to_owned())),
            8 => behaviour.inject_after = Some((command.to_owned(), b"+OK and more\r\n".to_vec())),
            9 => behaviour.capabilities = None,
            _ => {}
        }
        self.server.change(|now| *now = behaviour);
    }
}
