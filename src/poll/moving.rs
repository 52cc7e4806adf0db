//! The moves of a batch into one Maildir, with what becomes of each.  Blocks.

use crate::deliver::maildir::{Maildir, MaildirError};

/// A copy that is to be moved: its message, its position, its file's name.
pub(super) type Move = (usize, usize, String);

/// How far the moves of a batch have come.
pub(super) struct Moved {
    pub(super) moved: Vec<Move>,
    /// Somebody has removed them from `tmp/`: taken for moved at the next look, they would be lost.
    pub(super) vanished: Vec<Move>,
    pub(super) result: Result<(), MaildirError>,
}

/// Moves files into `new/` and makes that durable.
pub(super) fn move_all(maildir: &Maildir, moves: Vec<Move>) -> Moved {
    let (mut moved, mut vanished, mut result) = (Vec::with_capacity(moves.len()), Vec::new(), Ok(()));
    for one in moves {
        match maildir.publish(&one.2) {
            Ok(()) => moved.push(one),
            Err(_) if maildir.has_lost(&one.2) => vanished.push(one),
            // The others are tried all the same.
            Err(error) => result = Err(error),
        }
    }
    let synced = maildir.sync_new();
    Moved { moved, vanished, result: result.and(synced) }
}
