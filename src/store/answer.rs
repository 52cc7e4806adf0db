//! What the database answers to each question.

use std::path::Path;

use rusqlite::Connection;

use super::query::{Query, Reply};
use super::{
    StoreError, account, destination, ends, file, headings, host, likeness, lookup, lost, mailbox, origin, prune,
    quiet, renamed, tokens, undelivered, write,
};

/// Answers a question; returns whether the database was found damaged.
pub(super) fn answer(connection: &Connection, path: &Path, query: Query) -> bool {
    let to = To { path };
    match query {
        Query::Known { account, keys, stale, reply } => {
            let known = lookup::known(connection, &account, &keys, stale);
            // When the caller gets the answer, it alone holds them.
            drop(keys);
            to.send(reply, known)
        }
        Query::Standing { account, key, reply } => to.send(reply, lookup::standing(connection, &account, &key)),
        Query::Missing { account, listed, reply } => to.send(reply, renamed::missing(connection, &account, &listed)),
        Query::Identities { account, keys, reply } => to.send(reply, renamed::identities(connection, &account, &keys)),
        Query::ByContent { account, contents, reply } => {
            to.send(reply, renamed::by_content(connection, &account, &contents))
        }
        Query::Quiet { account, digest, reply } => to.send(reply, quiet::find(connection, &account, &digest)),
        Query::ExpectsNews { account, reply } => to.send(reply, quiet::expects_news(connection, &account)),
        Query::Staged { account, reply } => to.send(reply, write::staged(connection, account.as_ref())),
        Query::Binding { account, reply } => to.send(reply, mailbox::find(connection, &account)),
        Query::KnownAs { account, mailbox, others, reply } => {
            to.send(reply, mailbox::known_as(connection, &account, &mailbox, &others))
        }
        Query::Alike { account, mailbox, others, deliver, reply } => {
            to.send(reply, likeness::alike(connection, &account, &mailbox, &others, Some(&deliver)))
        }
        Query::Familiar { mailbox, others, deliver, keys, reply } => {
            let familiar = likeness::familiar(connection, &mailbox, &others, &deliver, &keys);
            // When the caller gets the answer, it alone holds them.
            drop(keys);
            to.send(reply, familiar)
        }
        Query::Origins { account, reply } => to.send(reply, origin::find(connection, &account)),
        Query::NeverMeantFor { account, destination, reply } => {
            to.send(reply, mailbox::never_meant_for(connection, &account, destination.as_str()))
        }
        Query::Remembered { since, reply } => to.send(reply, account::remembered(connection, since)),
        Query::LastLogin { account, reply } => to.send(reply, account::last_login(connection, &account)),
        Query::Told { account, reply } => to.send(reply, account::told(connection, &account)),
        Query::Host { host, reply } => to.send(reply, host::find(connection, &host)),
        Query::Suspects { account, reply } => to.send(reply, ends::suspects(connection, &account)),
        Query::Doubted { account, reply } => to.send(reply, destination::doubted(connection, &account)),
        Query::Backlog { reply } => to.send(reply, undelivered::backlog(connection)),
        Query::IsBlank { reply } => to.send(reply, account::is_none_known(connection)),
        Query::Lost { account, reply } => to.send(reply, lookup::lost(connection, &account)),
        Query::Knows { maildir, reply } => to.send(reply, lookup::knows(connection, &maildir)),
        Query::Maildirs { reply } => to.send(reply, lost::maildirs(connection)),
        Query::IsUnread { maildir, reply } => to.send(reply, lost::is_unread(connection, &maildir)),
        Query::Files { tokens, reply } => to.send(reply, lost::files(connection, &tokens)),
        Query::Tokens { of_message, of_file, reply } => to.send(reply, tokens::tokens(connection, of_message, of_file)),
        Query::RecordsHeadings { reply } => to.send(reply, headings::setting(connection)),
        Query::Forgotten { reply } => to.send(reply, prune::forgotten(connection)),
    }
}

/// Sends answers, with errors that name the file.
struct To<'a> {
    path: &'a Path,
}

impl To<'_> {
    fn send<T>(&self, reply: Reply<T>, answer: rusqlite::Result<T>) -> bool {
        let answer = answer.map_err(|error| file::database_error(self.path, &error));
        let is_damaged = matches!(answer, Err(StoreError::Damaged { .. }));
        // The caller may be gone.
        let _ = reply.send(answer);
        is_damaged
    }
}
