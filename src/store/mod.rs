//! The state: which messages are known, where each was delivered, what is still open.
//!
//! An SQLite database, `STATE-DIR/state.db`, owned by one thread; [`Store`] is a handle to it.
//! Its operations are in the domain's words, and each is durable when it returns (WAL,
//! `synchronous=FULL`).  Writes that wait at the same time share one transaction, so that many
//! polls cost one sync.
//!
//! One process at a time: a kernel lock on `STATE-DIR/lock` is held for life.  Reading
//! ([`Reader`]) needs no lock, which is why the database does not use exclusive locking.

mod account;
mod change;
mod error;
mod lock;
mod lookup;
mod migrate;
mod open;
mod read;
mod schema;
mod thread;
mod write;

use rusqlite::{Connection, Transaction, TransactionBehavior};

pub use account::AccountMemory;
pub use change::{
    Change, Ending, Outcome, Place, Release, Renamed, Resolution, Stage, StagedDelivery, Target, TargetState,
};
pub use error::StoreError;
pub use lookup::Known;
pub use read::{Event, HistoryFilter, QuarantinedDelivery, QuarantinedMessage, Reader, release};
pub use thread::Store;

/// Begins a transaction that is going to write: it waits for another process now, since one that
/// has read before it writes would fail at once.
fn begin(connection: &Connection) -> rusqlite::Result<Transaction<'_>> {
    Transaction::new_unchecked(connection, TransactionBehavior::Immediate)
}
