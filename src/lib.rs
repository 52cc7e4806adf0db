//! postrider fetches mail from POP3 mailboxes and delivers it to Maildirs or by SMTP, never
//! losing or doubling a message.
//!
//! This page is the architecture; read it first, then the modules in the order of their layers.
//!
//! # The promise
//!
//! 1. A message is deleted from the server only after it is durable at every one of its
//!    destinations and the state database can prove it.
//! 2. A Maildir never gets a message twice, whenever the process, the connection or the machine
//!    dies.  By SMTP a second copy is possible only where the final reply was lost (RFC 1047).
//! 3. A password leaves the process only towards the verified server that it belongs to.
//! 4. One bad message, account, server or destination holds up no other.
//! 5. Nothing is deleted that nobody asked to delete.
//!
//! # The life of a message
//!
//! ```text
//! listed -> planned -> staged -> delivered -> deleted
//!              |          |
//!              |          +-> deferred: tried again later; quarantined: left to the operator
//!              +-> left on the server, with a reason
//! ```
//!
//! [`plan`] decides before anything is fetched.  [`poll`] then works in batches: messages stream
//! into `tmp/` of a Maildir, are synced, recorded as *staged* in one transaction, moved to
//! `new/`, and only after that may be deleted on the server.  After a crash each staged message
//! is looked up: its file in `tmp/` means that the move is still to be made, its absence that it
//! was made.  What crashed before the record is swept from `tmp/` at the next start by the
//! instance word in its name, and fetched again.  A message by SMTP is recorded as *sending*
//! before it is offered, and as *delivered* at once after its acceptance.
//!
//! # What is not taken at its word
//!
//! **A unique-id is a hint, the content is the identity.**  What cannot be undone, to delete a message or never to
//! fetch it, is not done on a hint alone.
//!
//! * **Unique-ids** (`plan/identity.rs`, `poll/recognise.rs`, `poll/examine.rs`, `poll/rematch.rs`): a message whose size has changed,
//!   that was away, whose unique-id several had, or that is to be deleted in a later session is compared by its
//!   header; where that cannot tell, by its content (`poll/commit/identify.rs`).  A row of the state whose unique-id
//!   is another message's is *set apart* and goes on being known by header and content.  When all have changed, mail
//!   is matched likewise.
//! * **Names** (`store/mailbox.rs`, `plan/places.rs`): what is known belongs to a mailbox and to a place, not to what
//!   the configuration calls them.  A place is a destination with its kind, location, recipient and machine
//!   (`plan/place.rs`); each is owed a message by itself.  A Maildir's machine is the instance word of its state
//!   directory (`store/local.rs`), and only that machine looks there for what a crash has left.
//! * **A server's replies** (`poll/proof.rs`): behind each group of messages the server is asked for
//!   the unique-id of one of them; without the right answer none of the group is delivered.
//! * **The database** ([`store`], [`rebuild`]): a seal tells at the next start whether it is as it was
//!   left.  What is damaged or gone is made anew from what can be read and from the Maildirs' file
//!   names; an account whose mail cannot be made out that way waits for the operator.
//! * **A message** ([`attempt`]): it is named in a file before it is handled, and set aside when the
//!   program has crashed or panicked at it twice in a row; SIGKILL does not count.
//! * **A destination** ([`deliver::Health`]): it is tried before mail is fetched for it, and left alone
//!   for a while after a failure, while the others go on.
//! * **Other users of this machine** ([`filesystem`]): what they may write is not obeyed, and no link of theirs is
//!   followed; root acts as the owner of the state that it works in ([`process::privilege`]).
//!
//! # Where to look
//!
//! | for | read |
//! |---|---|
//! | a poll, step by step | `poll/fetch.rs`, `run` |
//! | why a message is fetched, left alone or deleted | [`plan::plan`]; each answer has a [`plan::Reason`] |
//! | when a message that was just delivered may be deleted | `poll/jobs.rs` (`completes`), `poll/commit.rs` (`conclude`) |
//! | what is written down after a poll, by which later ones skip, forget or delete | `poll/ledger.rs` |
//! | DELE and QUIT | `poll/farewell.rs`; on the way: `poll/receive.rs` |
//! | a crash between staging and move | `poll/recover.rs` |
//! | what a destination promises, and what its answer obliges to | [`deliver`] and [`deliver::Verdict`] |
//! | what an SMTP reply means | `deliver/smtp/envelope.rs` up to DATA, `deliver/smtp/client.rs` (`message`) behind it |
//! | a key of the configuration | `config/keys.rs`, then `config/account.rs` or `config/destination.rs` |
//! | what a command of the program does | the file in `cli/` that has its name |
//!
//! CONTRIBUTING.md tells what to touch to add a destination, a mechanism, a command or a key.
//!
//! # The layers
//!
//! A module imports only from layers below its own; `tests/layers.rs` holds the table.
//!
//! | layer | modules | what they are |
//! |---|---|---|
//! | words | [`message`], [`secret`], [`failure`], [`text`], [`clock`], [`machine`], [`progress`], [`event`] | small validated types, and what happens |
//! | decisions | [`pop3::command`], [`pop3::reply`], [`pop3::multiline`], [`sasl`], [`header`], [`trace`], [`transcript`], [`plan`], [`schedule`] | pure: bytes and `now` in, values out |
//! | edges | [`net`], [`pop3::session`], [`credential`], [`oauth`], [`filesystem`], `subprocess`, [`attempt`], [`spool`], [`store`], [`threads`], [`descriptors`], [`deliver`] | one kind of I/O each |
//! | settings | [`account`] | what an account is, in the words of the edges |
//! | use cases | [`poll`], [`config`], [`rebuild`] | a poll reads as the journey of a message |
//! | process | [`process`] (log, signals, status, reload, systemd, privileges), [`engine`] | what the service and a single `fetch` are made of |
//! | socket | [`control`] | the local socket |
//! | service | [`daemon`] | the service's loop |
//! | face | [`cli`] | one file per subcommand |
//!
//! # How it runs
//!
//! A **poll** is one task of three hands: for the network ([`pop3::session`], generic over its stream),
//! for drafts and spools, and for making batches durable.  They are joined by bounded channels, so a slow disk stops the commands and nothing piles up.  With
//! PIPELINING a window of commands below 1,024 octets is kept full; without it, or with a server
//! that has broken under it (`poll/server.rs`), the session is lock-step.  A batch grows while the one
//! before is made durable, so a slow disk costs fewer syncs and not more time.
//!
//! What blocks is done on threads that all polls share ([`threads`]); none is held while there is
//! nothing to do, and where the system refuses one, work waits its turn.  Such a shortage
//! ([`failure::Failure::is_shortage`]) fails a poll at most, and is not put down to a destination.
//!
//! Open files are divided likewise ([`descriptors`]): by them fewer polls may run at a time than the
//! configuration says, and a message that finds no room among them is made durable by itself.
//!
//! Most polls bring nothing.  One that has left all mail where it is writes down a digest of the listing and
//! of what else the plan was made of, except for the state, and when the plan may change by time alone.  Any
//! change of the account's part of the state forgets that; until then the same digest ends a poll.
//!
//! What the server has no more is forgotten after a time (`plan/prune.rs`).  The Maildirs outlive that: up to when
//! files may be there whose messages are forgotten is kept, so that they do not look like signs of a newer state.
//!
//! The **state** is an SQLite database that one thread owns; writes that wait at the same time
//! share a transaction.  `history`, `list` and `quarantine` read it beside a running service,
//! so it does not use SQLite's exclusive locking: a kernel lock keeps other writers away.
//!
//! Whether the state can be trusted is looked at when it is opened ([`rebuild`]): after an orderly
//! end a checksum tells, otherwise the whole database is checked and compared with the Maildirs.
//! One that is damaged or gone is set aside and made anew from both; each account is then *lost*
//! until its next listing, in which every message that a Maildir holds is known by the token in
//! its file's name, and what nobody can know is left to the operator.
//!
//! **OAuth 2.0** ([`oauth`]): the command `login` signs in and leaves tokens in the state directory, for
//! their owner alone; a poll takes the access token from there and renews it where it must.  What the
//! provider replaces is durable before it is used, and a kernel lock makes processes take turns.
//!
//! The **service** ([`daemon`]) is one loop: whatever happens becomes an event of [`schedule`],
//! which answers with the polls to begin.  A poll keeps the configuration that it began with.
//! The files of a configuration, and those that it names, may be anything or on a disk that hangs: only
//! regular ones are opened, by a thread that is left behind when it is late ([`filesystem`]).
//! The control socket and the file watcher only leave notes for that loop, and read a board that
//! it writes; they cannot hold it up.  The socket is for its group; its clients find it by the state
//! directory, and believe only that directory's owner, themselves and root.
//!
//! What an operator is told is an [`event::Event`]: a kind with a journal id that never changes, fields, and a sentence
//! that names the account.  The log and the status board read the same event.  `debug!` and `trace!` are for whoever
//! looks for a fault.
//!
//! # What differs from the first design
//!
//! * There is no `source.rs` yet: a second kind of mailbox will show where its seam is.
//! * Destinations are two enums and no trait: [`deliver::Kind`] is what the configuration says, [`deliver::Carrier`]
//!   what messages are handed over to.  A Maildir has no carrier, since its deliveries are staged: so nobody can hand
//!   a message over to it by mistake.
//! * `tmp/` is swept at start-up for drafts of this state directory that no record knows.  A
//!   draft exists for some milliseconds before its record, and a crash in between must not leave
//!   residue.
//! * Destinations are opened before the mailbox is; an account none of whose destinations works
//!   does not even log in.
//! * TLS for SMTP is done by [`net`], not by lettre, so that pins, authorities and the guard
//!   against injected replies are the same everywhere.
//!
//! Absent on purpose: trait objects for the closed sets (destination, mechanism), a mode without
//! syncs, bounce messages, and `unsafe` (the binary has a little, for the
//! environment and for the signals of a crash).
#![forbid(unsafe_code)]

pub(crate) mod account;
pub(crate) mod attempt;
pub mod cli;
pub(crate) mod clock;
pub(crate) mod config;
pub(crate) mod control;
pub(crate) mod credential;
pub(crate) mod daemon;
pub(crate) mod deliver;
pub(crate) mod descriptors;
pub(crate) mod engine;
pub(crate) mod event;
pub(crate) mod failure;
pub(crate) mod filesystem;
pub(crate) mod header;
pub(crate) mod machine;
pub(crate) mod message;
pub(crate) mod net;
pub(crate) mod oauth;
pub(crate) mod plan;
pub(crate) mod poll;
pub(crate) mod pop3;
pub(crate) mod process;
pub(crate) mod progress;
pub(crate) mod rebuild;
pub(crate) mod sasl;
pub(crate) mod schedule;
pub(crate) mod secret;
pub(crate) mod spool;
pub(crate) mod store;
pub(crate) mod subprocess;
pub(crate) mod text;
pub(crate) mod threads;
pub(crate) mod trace;
pub(crate) mod transcript;

pub use attempt::death_note;
pub use net::environment_for_openssl;

/// What the tests, the benchmarks and the fuzzer look at: nothing for anybody else.
#[doc(hidden)]
pub mod testing {
    pub mod attempt {
        pub use crate::attempt::*;
    }
    pub mod config {
        pub use crate::config::*;
    }
    pub mod control {
        pub use crate::control::*;
    }
    pub mod credential {
        pub use crate::credential::*;
    }
    pub mod deliver {
        pub use crate::deliver::*;
    }
    pub mod failure {
        pub use crate::failure::*;
    }
    pub mod header {
        pub use crate::header::*;
    }
    pub mod message {
        pub use crate::message::*;
    }
    pub mod net {
        pub use crate::net::*;
    }
    pub mod plan {
        pub use crate::plan::*;
    }
    pub mod poll {
        pub use crate::poll::*;
    }
    pub mod pop3 {
        pub use crate::pop3::*;
    }
    pub mod process {
        pub use crate::process::*;
    }
    pub mod progress {
        pub use crate::progress::*;
    }
    pub mod sasl {
        pub use crate::sasl::*;
    }
    pub mod secret {
        pub use crate::secret::*;
    }
    pub mod spool {
        pub use crate::spool::*;
    }
    pub mod store {
        pub use crate::store::*;
    }
    pub mod text {
        pub use crate::text::*;
    }
}
