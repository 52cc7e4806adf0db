//! What the programs have to do.

use crate::mail::Mix;

/// One thing to do, the same for every program.
#[derive(Clone, Debug)]
pub(crate) struct Workload {
    /// The name by which it is chosen.
    pub(crate) name: &'static str,
    /// The title in the report.
    pub(crate) title: &'static str,
    /// What is on the server.
    pub(crate) mail: Mail,
    /// Whether it is fetched by POP3S.
    pub(crate) tls: bool,
    /// The round-trip time to the server in milliseconds.
    pub(crate) rtt_ms: u64,
    /// What is done with it.
    pub(crate) task: Task,
}

/// The mail of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mail {
    /// Mailboxes.
    pub(crate) accounts: usize,
    /// Messages in each.
    pub(crate) messages: usize,
    /// What kind of messages they are.
    pub(crate) mix: Mix,
}

/// What is done with mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// It is fetched, and stays on the server.
    Fetch,
    /// It is fetched and deleted.
    Delete,
    /// It was all fetched before.
    Seen,
    /// It is fetched and handed on by SMTP.
    Smtp,
}

impl Mail {
    const fn new(accounts: usize, messages: usize, mix: Mix) -> Self {
        Self { accounts, messages, mix }
    }

    /// This percentage of it: fewer messages, or a smaller one.
    fn scaled(self, percent: usize) -> Self {
        let part = |whole: usize| (whole * percent / 100).max(1);
        match self {
            Self { messages: 1, mix: Mix::Fixed(octets), .. } => Self { mix: Mix::Fixed(part(octets)), ..self },
            _ => Self { messages: part(self.messages), ..self },
        }
    }

    /// Messages in all.
    pub(crate) fn total(&self) -> usize {
        self.accounts * self.messages
    }
}

const MIXED: Mail = Mail::new(1, 5_000, Mix::Realistic);
const MANY: Mail = Mail::new(1, 20_000, Mix::Tiny);
const VERY_MANY: Mail = Mail::new(1, 100_000, Mix::Tiny);

/// All workloads.
const ALL: [Workload; 11] = [
    of("mixed", "5,000 mixed messages, in clear", MIXED, false, 0, Task::Fetch),
    of("mixed-tls", "5,000 mixed messages, TLS", MIXED, true, 0, Task::Fetch),
    of("far", "1,000 messages of 4 KB, TLS, 50 ms", Mail::new(1, 1_000, Mix::Fixed(4_096)), true, 50, Task::Fetch),
    of("seen-20k", "nothing new among 20,000, TLS", MANY, true, 0, Task::Seen),
    of("seen-20k-far", "nothing new among 20,000, TLS, 50 ms", MANY, true, 50, Task::Seen),
    of("seen-100k", "nothing new among 100,000, TLS", VERY_MANY, true, 0, Task::Seen),
    of("seen-100k-far", "nothing new among 100,000, TLS, 50 ms", VERY_MANY, true, 50, Task::Seen),
    of("large", "one message of 200 MB, in clear", Mail::new(1, 1, Mix::Fixed(200_000_000)), false, 0, Task::Fetch),
    of(
        "accounts",
        "30 accounts of 10 messages, TLS, 50 ms",
        Mail::new(30, 10, Mix::Fixed(4_096)),
        true,
        50,
        Task::Fetch,
    ),
    of("delete", "5,000 mixed messages, in clear, deleted", MIXED, false, 0, Task::Delete),
    of("smtp", "5,000 mixed messages, in clear, to SMTP", MIXED, false, 0, Task::Smtp),
];

const fn of(name: &'static str, title: &'static str, mail: Mail, tls: bool, rtt_ms: u64, task: Task) -> Workload {
    Workload { name, title, mail, tls, rtt_ms, task }
}

/// All workloads with this percentage of their mail.
pub(crate) fn all(percent: usize) -> Vec<Workload> {
    ALL.into_iter().map(|workload| Workload { mail: workload.mail.scaled(percent), ..workload }).collect()
}
