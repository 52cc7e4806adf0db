//! postrider fetches mail from POP3 mailboxes and delivers it to Maildirs or by SMTP, never
//! losing or doubling a message.
//!
//! This page is the architecture; read it first, then the modules in the order of their layers.
//!
//! # The promise
//!
//! 1. A message is deleted from the server only after it is durable at every one of its
//!    destinations and the state database can prove it: it is on record as delivered, or as staged
//!    and its file is moved.
//! 2. A Maildir never gets a message twice, whenever the process, the connection or the machine
//!    dies.  By SMTP a second copy is possible only where the final reply was lost (RFC 1047).
//! 3. A password leaves the process only towards the verified server that it belongs to.
//! 4. One bad message, account, server or destination does not delay another.
//! 5. Nothing is deleted unless the operator has asked for it.
//!
//! # The life of a message
//!
//! ```text
//! listed -> planned -> staged -> delivered -> deleted
//!              |          |
//!              |          +-> deferred: tried again later; quarantined: the operator decides
//!              +-> left on the server, with a reason
//! ```
//!
//! [`plan`] decides before anything is fetched.  [`poll`] then works in batches: messages stream
//! into `tmp/` of a Maildir, are synced, recorded as *staged* in one transaction, moved to
//! `new/`, and only after that may be deleted on the server.  After a crash each staged message
//! is looked up: if its file is in `tmp/`, the move is still to be made; if not, it was made (unless
//! the record is older than 36 hours and the file is nowhere).
//! Files that have no record because of the crash are removed from `tmp/` at the next start (the
//! instance word in their names shows whose they are), and the messages are fetched again.  A message
//! by SMTP is recorded as *sending* before it is offered, and as *delivered* as soon as it is accepted.
//!
//! # What is not trusted
//!
//! **A unique-id is a hint, the content is the identity.**  A hint alone is not enough for what cannot be undone: to
//! delete a message, or never to fetch it.
//!
//! * **Unique-ids** (`plan/identity.rs`, `poll/recognise.rs`, `poll/examine.rs`, `poll/rematch.rs`): some messages
//!   are compared by their headers, and, if that is not conclusive, by their content (`poll/commit/identify.rs`):
//!   those whose size has changed, that had vanished from the server, that share a unique-id, or that are to be
//!   deleted in a later session.  A row of the state whose unique-id now belongs to another message is *set apart*;
//!   its message is still known by header and content.  If all unique-ids have changed, mail is matched the same way.
//! * **Names** (`store/mailbox.rs`, `plan/places.rs`): the state belongs to a mailbox and to a place, not to their
//!   names in the configuration.  A place is a destination with its kind, location, recipient and machine
//!   (`plan/place.rs`); each place gets its own copy of a message.  A Maildir's machine is the instance word of its
//!   state directory (`store/local.rs`), and only that machine looks there for the remains of a crash.
//!   What stands for an account in the names of its files stays when it is renamed (`store/origin.rs`), and is kept beside
//!   the database (`store/origin_file.rs`).
//! * **A server's replies** (`poll/proof.rs`): after each group of messages the server is asked for
//!   the unique-id of one of them; without the right answer no message of the group is delivered.
//! * **The database** ([`store`], [`rebuild`]): a seal shows at the next start whether the database has changed since
//!   it was closed.  One that is damaged or gone is rebuilt from what can be read of it and from the Maildirs' file
//!   names; an account whose mail cannot be identified that way waits for the operator.
//! * **A message** ([`attempt`]): it is named in a file before it is handled, and quarantined after the
//!   program has crashed or panicked on it twice in a row; SIGKILL does not count.
//! * **A message at which sessions end** (`poll/suspects.rs`, `store/ends.rs`): it is on record from the first session
//!   that ends at it; from then on the others are fetched and deleted first, and then it alone.
//! * **A destination** ([`deliver::Health`]): it is tried before mail is fetched for it, and not used
//!   for a while after a failure, while the others continue.  The state knows it until it works
//!   (`store/destination.rs`).  Whether a refusal is about the message or about the destination is decided in three
//!   places: by what the server says (`deliver/smtp/refusal.rs`), by whether it takes another envelope
//!   (`deliver/smtp/pool.rs`, `judge`), and by what it does with other messages (`poll/doubts.rs`).
//! * **Other users of this machine** ([`filesystem`]): files that they may write to are not used, and their links are
//!   not followed; root acts as the owner of the state that it works in ([`process::privilege`]).
//!
//! # Where to look
//!
//! A module `a::b` is `a/b.rs` or `a/b/mod.rs`.
//!
//! | for | read |
//! |---|---|
//! | a poll, step by step | `poll/fetch.rs`, `run` |
//! | why a message is fetched, left alone or deleted | [`plan::plan`]; each answer has a [`plan::Reason`].  A deletion is dropped again if the message is not confirmed to be what was delivered (`poll/listing.rs`, `planned`) |
//! | when a message that was just delivered may be deleted | `poll/jobs.rs` (`jobs`, `completes`), `poll/commit.rs` (`conclude`); only with `retention = "delete"`, a time is left to the plan of a later poll |
//! | when a fetched message that turns out to be delivered already may be deleted | `poll/commit/identify.rs` |
//! | what a poll records, so that later polls skip, forget or delete messages | `poll/ledger.rs` |
//! | DELE and QUIT | `poll/farewell.rs`; on the way: `poll/receive.rs`.  Nothing is deleted without QUIT, and `poll/ledger.rs` (`Facts`) says whether it may be sent |
//! | a crash between staging and move | `poll/recover.rs` (`recover`), at the start and before each poll |
//! | what a destination promises, and what its answer requires of the caller | [`deliver`] and [`deliver::Verdict`] |
//! | what an SMTP reply means | `deliver/smtp/refusal.rs`; `deliver/smtp/dialogue.rs` chooses among several up to DATA, `deliver/smtp/client.rs` (`message`) reads what comes after it, and 421 anywhere; then `deliver/smtp/kind.rs` makes a verdict of it, and `poll/commit/sending.rs` a record |
//! | what From, Subject and Date look like, and whether they are kept | `header/heading.rs`, `store/headings.rs` |
//! | a key of the configuration | `config/keys.rs`, then `config/account.rs` or `config/destination.rs` reads it into a field of [`account`], of [`plan::Policy`] or of a destination's settings |
//! | what a command of the program does | the file in `cli/` that has its name |
//!
//! CONTRIBUTING.md lists what to change to add a destination, a mechanism, a command or a key.
//!
//! # The layers
//!
//! A module imports only from layers below its own; `tests/layers.rs` holds the table.
//!
//! | layer | modules | what they are |
//! |---|---|---|
//! | words | [`message`], [`secret`], [`failure`], [`text`], [`clock`], [`machine`], [`progress`], [`event`] | small validated types, and the events |
//! | decisions | [`pop3::command`], [`pop3::reply`], [`pop3::multiline`], [`sasl`], [`header`], [`trace`], [`transcript`], [`plan`], [`schedule`] | pure: bytes and `now` in, values out |
//! | edges | [`net`], [`pop3::session`], [`credential`], [`oauth`], [`filesystem`], `subprocess`, [`attempt`], [`spool`], [`store`], [`threads`], [`descriptors`], [`deliver`] | one kind of I/O each |
//! | settings | [`account`] | the settings of an account, in the types of the edges |
//! | use cases | [`poll`], [`config`], [`rebuild`] | a poll follows the life of a message |
//! | process | [`process`] (log, signals, status, reload, systemd, privileges), [`engine`] | what the service and a single `fetch` are made of |
//! | socket | [`control`] | the local socket |
//! | service | [`daemon`] | the service's loop |
//! | face | [`cli`] | one file per subcommand |
//!
//! # How it runs
//!
//! A **poll** is one tokio task of three futures: for the network ([`pop3::session`], generic over its stream),
//! for drafts and spools, and for making batches durable.  They are joined by bounded channels, so a slow disk stops
//! the commands and nothing piles up.  With PIPELINING a window of commands below 1,024 octets is kept full; without
//! it, or with a server that has failed with it (`poll/server.rs`), the session is lock-step.  A batch grows while
//! the previous one is made durable, so a slow disk costs fewer syncs and not more time.
//!
//! Blocking work runs on threads that all polls share ([`threads`]).  No thread is held while there is
//! nothing to do, and if the system refuses a thread, work waits its turn.  Such a shortage
//! ([`failure::Failure::is_shortage`]) fails at most a poll, and is not attributed to a destination.
//!
//! Open files are shared out too ([`descriptors`]): their limit may allow fewer concurrent polls than the
//! configuration does, and a message for which no file is left is made durable by itself.
//!
//! Most polls find no new mail.  A poll that has left all mail where it is records a digest of the listing and of
//! everything else that the plan depends on, except for the state, and the time at which the plan may change by time
//! alone.  Any change of the account's part of the state deletes that record; until then, a poll with the same digest
//! ends at once.  A rule that decides about a listing and is in none of these belongs in the digest (`poll/quiet.rs`).
//!
//! Messages that the server no longer has are forgotten after a time (`plan/prune.rs`).  Their files in the Maildirs
//! outlive that; the state keeps the latest date of such files, so that they are not taken as signs of a newer state.
//!
//! The **state** is an SQLite database that one thread owns; writes that wait at the same time
//! share a transaction.  `history`, `list` and `quarantine` read it beside a running service,
//! so it does not use SQLite's exclusive locking: a kernel lock keeps other writers away.
//!
//! Whether the state can be trusted is checked when it is opened ([`rebuild`]): after an orderly
//! end by a checksum, otherwise by checking the whole database and comparing it with the Maildirs.
//! A database that is damaged or gone is set aside and rebuilt from what can be read of it and from the
//! Maildirs.  Each account is then *lost* until its next listing, in which every message that a Maildir holds is
//! known by the token in its file's name; the operator decides about messages that cannot be identified.
//!
//! **OAuth 2.0** ([`oauth`]): the command `login` signs in and stores tokens in the state directory, readable by
//! their owner alone; a poll takes the access token from there and renews it if necessary.  A token that the
//! provider replaces is durable before it is used, and a kernel lock makes processes take turns.
//!
//! The **service** ([`daemon`]) is one loop: everything that happens becomes an event of [`schedule`],
//! which answers with the polls to begin.  A poll keeps the configuration that it began with.
//! The files of a configuration, and those that it names, may be anything or on a disk that hangs: only
//! regular files are opened, by a thread that is abandoned if it takes too long ([`filesystem`]).
//! The control socket and the file watcher only leave notes for that loop, and read a board that
//! it writes; they cannot delay it.  The socket is for its group; its clients find it by the state
//! directory, and trust only that directory's owner, themselves and root.
//!
//! Everything that is reported to the operator is an [`event::Event`]: a kind with a journal id that never changes,
//! fields, and a sentence that names the account.  The log and the status board read the same event.  `debug!` and
//! `trace!` are for debugging.
//!
//! # What differs from the first design
//!
//! * There is no `source.rs` yet: only a second kind of mailbox will show what the two have in common.
//! * Destinations are an enum in the configuration ([`deliver::Kind`]) and two traits: [`deliver::Settings`] is what a kind
//!   says about itself, [`deliver::Carrier`] takes messages over.  With enums alone a new kind touched thirteen files.
//!   A Maildir has no carrier, since its deliveries are staged; so no code can hand a message over to it by mistake.
//! * At start-up, drafts of this state directory without a record are removed from `tmp/`.  A
//!   draft exists for some milliseconds before its record, and a crash in between must not leave
//!   residue.
//! * Destinations are opened before the mailbox; if none of an account's destinations works, the
//!   account does not even log in.
//! * TLS for SMTP is done by [`net`], not by lettre, so that pins, authorities and the guard
//!   against injected replies are the same everywhere.
//!
//! Absent on purpose: trait objects for mechanisms, a mode without
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

/// What the tests, the benchmarks and the fuzzer use; not an API.
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
