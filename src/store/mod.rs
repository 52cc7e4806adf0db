//! The state: which messages are known, where each was delivered, what is still open.
//!
//! An SQLite database, `STATE-DIR/state.db`, owned by one thread; [`Store`] is a handle to it.
//! Its operations are in the domain's words (`words`, `query`), and each is durable when it returns (WAL,
//! `synchronous=FULL`).  Writes that wait at the same time share one transaction, so that many
//! polls cost one sync.
//!
//! One process at a time: it holds a kernel lock on `STATE-DIR/lock` ([`Possession`]) until it ends.  Reading
//! ([`Reader`]) needs no lock, which is why the database does not use exclusive locking.
//!
//! Trouble with the file itself: at the next start `seal` shows whether it is as it was left, and
//! if not, `open` checks it; `renew` and `salvage` make a new one in its place, and `lost` holds
//! what the Maildirs show until each account is listed again.
//!
//! The record that an account had nothing to do is kept in `quiet`, which is also the one place where
//! a change drops it.

mod account;
mod answer;
mod destination;
mod durable;
mod ends;
mod error;
mod file;
mod ground;
mod headings;
mod host;
mod inspect;
mod keeper;
mod likeness;
mod local;
mod lock;
mod lookup;
mod lost;
mod mailbox;
mod open;
mod operator;
mod origin;
mod origin_file;
mod possession;
mod prune;
mod query;
mod questions;
mod quiet;
mod read;
mod renamed;
mod renew;
mod rows;
mod salvage;
mod schema;
mod seal;
mod sound;
mod stage;
mod thread;
mod tokens;
mod undelivered;
mod words;
mod write;

use rusqlite::{Connection, Transaction, TransactionBehavior};

pub use error::StoreError;
pub use ground::{Ground, look_at};
pub use local::Local;
pub use lock::holder;
pub use open::Condition;
pub use operator::{decide, release, set_aside};
pub use origin_file::check_origins;
pub use possession::Possession;
pub use read::Reader;
pub use renew::Renewal;
pub use salvage::Salvaged;
pub use thread::Store;
pub use undelivered::retry;
pub use words::*;

/// Begins a transaction that is going to write: it waits for another process here, since a transaction
/// that reads before it writes would fail at once.
fn begin(connection: &Connection) -> rusqlite::Result<Transaction<'_>> {
    Transaction::new_unchecked(connection, TransactionBehavior::Immediate)
}
