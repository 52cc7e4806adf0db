//! Tables and their versions.
//!
//! A `message` row exists from the moment that something was decided about a message which must
//! not be forgotten; a `delivery` row for each of its destinations says how far that one is.
//! Unique-ids are octets (BLOB).  Times are seconds since 1970.

/// Identifies the file as postrider's (`PRAGMA application_id`).
pub(super) const APPLICATION_ID: i64 = 0x706f_7374;

/// `PRAGMA user_version` of this format.
pub(super) const VERSION: i64 = 5;

/// What makes each older format the next one, from format 1 on.
pub(super) const UPGRADES: [&str; 4] = [
    "
ALTER TABLE account ADD COLUMN migrating INTEGER NOT NULL DEFAULT 0;
ALTER TABLE account ADD COLUMN lost INTEGER NOT NULL DEFAULT 0;
ALTER TABLE message ADD COLUMN head BLOB;
ALTER TABLE message ADD COLUMN proof INTEGER NOT NULL DEFAULT 0;
ALTER TABLE message ADD COLUMN crashes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE message ADD COLUMN absent INTEGER NOT NULL DEFAULT 0;
CREATE TABLE salvaged (
    token    TEXT NOT NULL,
    location BLOB NOT NULL,
    name     TEXT NOT NULL,
    at       INTEGER NOT NULL,
    PRIMARY KEY (token, location)
) WITHOUT ROWID;
",
    "
CREATE TABLE quiet (
    account     INTEGER PRIMARY KEY REFERENCES account ON DELETE CASCADE,
    digest      BLOB NOT NULL,
    at          INTEGER NOT NULL,
    until       INTEGER NOT NULL,
    too_large   INTEGER NOT NULL,
    quarantined INTEGER NOT NULL,
    deferred    INTEGER NOT NULL
);
CREATE TABLE host (
    name            TEXT NOT NULL,
    port            INTEGER NOT NULL,
    encrypted       INTEGER NOT NULL,
    capabilities    TEXT,
    asked           INTEGER NOT NULL,
    lock_step_until INTEGER NOT NULL,
    PRIMARY KEY (name, port, encrypted)
) WITHOUT ROWID;
ALTER TABLE place ADD COLUMN used INTEGER NOT NULL DEFAULT 0;
UPDATE place SET used = 1 WHERE id IN (SELECT place FROM delivery WHERE state = 3);
ALTER TABLE message ADD COLUMN digest BLOB;
ALTER TABLE message DROP COLUMN sha256;
",
    "
ALTER TABLE account ADD COLUMN mailbox TEXT;
ALTER TABLE account ADD COLUMN deliver TEXT;
ALTER TABLE account ADD COLUMN by_size INTEGER NOT NULL DEFAULT 0;
ALTER TABLE message ADD COLUMN listed INTEGER;
CREATE INDEX message_content ON message (account, substr(digest, 1, 8));
CREATE INDEX account_mailbox ON account (mailbox);
CREATE TABLE former (
    message    INTEGER NOT NULL REFERENCES message ON DELETE CASCADE,
    uid        BLOB NOT NULL,
    occurrence INTEGER NOT NULL,
    PRIMARY KEY (message, uid, occurrence)
) WITHOUT ROWID;
",
    "
ALTER TABLE account ADD COLUMN worked INTEGER;
ALTER TABLE account ADD COLUMN doubts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE account ADD COLUMN told TEXT;
ALTER TABLE host ADD COLUMN lessons INTEGER NOT NULL DEFAULT 0;
ALTER TABLE host ADD COLUMN lessons_until INTEGER NOT NULL DEFAULT 0;
",
];

/// The format, for a new database.
pub(super) const CREATE: &str = "
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

CREATE TABLE account (
    id           INTEGER PRIMARY KEY,
    name         TEXT NOT NULL UNIQUE,
    first_poll   INTEGER,           -- when `initial` was applied; NULL: not yet
    failures     INTEGER NOT NULL DEFAULT 0,
    refusals     INTEGER NOT NULL DEFAULT 0,
    not_before   INTEGER NOT NULL DEFAULT 0,
    last_success INTEGER,
    error        TEXT,              -- of its last poll; on a second line, what to do about it
    exit_code    INTEGER NOT NULL DEFAULT 0,
    refused      BLOB,              -- tells settings and secret of a refused login from others
    migrating    INTEGER NOT NULL DEFAULT 0, -- its unique-ids have changed, and not all are matched yet
    lost         INTEGER NOT NULL DEFAULT 0, -- not 0: its state is made out by its next listing (lost.rs)
    mailbox      TEXT,              -- the mailbox that it was polled at last (mailbox.rs); NULL: before format 4
    deliver      TEXT,              -- the destinations that its mail was decided for then, a line each
    by_size      INTEGER NOT NULL DEFAULT 0, -- it was told that its server has no TOP
    worked       INTEGER,           -- tells the password of the last login from most others (login.rs)
    doubts       INTEGER NOT NULL DEFAULT 0, -- so often in a row that one was refused
    told         TEXT               -- what was told once of mail that stays on the server for good
);

-- A destination as it was at the time: a later change of its path must not confuse what is open.
CREATE TABLE place (
    id          INTEGER PRIMARY KEY,
    destination TEXT NOT NULL,
    location    BLOB NOT NULL,      -- a Maildir's path, a server's address
    used        INTEGER NOT NULL DEFAULT 0, -- mail has come here
    UNIQUE (destination, location)
);

CREATE TABLE message (
    id          INTEGER PRIMARY KEY,
    account     INTEGER NOT NULL REFERENCES account,
    uid         BLOB NOT NULL,
    occurrence  INTEGER NOT NULL,
    octets      INTEGER,            -- as stored, without trace headers
    message_id  TEXT,
    seen        INTEGER NOT NULL,   -- when the row was made
    kind        INTEGER NOT NULL,   -- 0 whole, 1 left alone at the first poll, 2 header only
    done        INTEGER,            -- when it was delivered everywhere
    deleted     INTEGER,            -- when the server confirmed its deletion
    head        BLOB,               -- digest of the header fields that identify it
    proof       INTEGER NOT NULL DEFAULT 0, -- 0 its content came under this unique-id, 1 its header, 2 neither
    crashes     INTEGER NOT NULL DEFAULT 0, -- so often the program has died while handling it
    absent      INTEGER NOT NULL DEFAULT 0, -- since when listings have not had it; 0: the last one had it
    digest      BLOB,               -- BLAKE3 of what `octets` counts
    listed      INTEGER,            -- its size as LIST had it when it was last known to be this message
    UNIQUE (account, uid, occurrence)
);

CREATE TABLE delivery (
    message  INTEGER NOT NULL REFERENCES message ON DELETE CASCADE,
    place    INTEGER NOT NULL REFERENCES place,
    state    INTEGER NOT NULL,      -- 1 staged, 2 sending, 3 delivered, 4 deferred, 5 quarantined, 6 skipped
    at       INTEGER NOT NULL,      -- when it came into this state
    attempts INTEGER NOT NULL DEFAULT 0,
    until    INTEGER,               -- deferred: not before
    detail   TEXT,                  -- the file's name, the server's reply, the reason
    PRIMARY KEY (message, place)
) WITHOUT ROWID;

-- What messages of which only the header was delivered were known by before: the whole message takes the place of
-- the header's delivery, and its file must not become a riddle.
CREATE TABLE former (
    message    INTEGER NOT NULL REFERENCES message ON DELETE CASCADE,
    uid        BLOB NOT NULL,
    occurrence INTEGER NOT NULL,
    PRIMARY KEY (message, uid, occurrence)
) WITHOUT ROWID;

-- A server, whoever logs in there.
CREATE TABLE host (
    name            TEXT NOT NULL,
    port            INTEGER NOT NULL,
    encrypted       INTEGER NOT NULL, -- TLS from the first octet
    capabilities    TEXT,             -- what it announces before the login, a line each; NULL: not known
    asked           INTEGER NOT NULL, -- when that was
    lock_step_until INTEGER NOT NULL, -- so long it gets one command at a time
    lessons         INTEGER NOT NULL DEFAULT 0, -- what else it was found not to stand (poll/host.rs)
    lessons_until   INTEGER NOT NULL DEFAULT 0, -- and so long that is believed
    PRIMARY KEY (name, port, encrypted)
) WITHOUT ROWID;

-- What a Maildir's file names tell after the loss of this database (deliver::maildir::token).  A row
-- without a token: that Maildir could not be read yet.
CREATE TABLE salvaged (
    token    TEXT NOT NULL,
    location BLOB NOT NULL,
    name     TEXT NOT NULL,
    at       INTEGER NOT NULL,
    PRIMARY KEY (token, location)
) WITHOUT ROWID;

-- An account whose last look at its listing found nothing to do, see quiet.rs.
CREATE TABLE quiet (
    account     INTEGER PRIMARY KEY REFERENCES account ON DELETE CASCADE,
    digest      BLOB NOT NULL,      -- of the listing, and of the settings that matter
    at          INTEGER NOT NULL,   -- when that was
    until       INTEGER NOT NULL,   -- when time alone may change it
    too_large   INTEGER NOT NULL,   -- messages that are left for their size
    quarantined INTEGER NOT NULL,   -- messages in quarantine
    deferred    INTEGER NOT NULL    -- messages whose delivery failed before
);

CREATE INDEX message_done ON message (account, done);
CREATE INDEX message_content ON message (account, substr(digest, 1, 8));
CREATE INDEX account_mailbox ON account (mailbox);
CREATE INDEX delivery_open ON delivery (state) WHERE state IN (1, 5);
";

/// The numbers of `delivery.state`.
pub(super) mod state {
    pub(in crate::store) const STAGED: i64 = 1;
    pub(in crate::store) const SENDING: i64 = 2;
    pub(in crate::store) const DELIVERED: i64 = 3;
    pub(in crate::store) const DEFERRED: i64 = 4;
    pub(in crate::store) const QUARANTINED: i64 = 5;
    pub(in crate::store) const SKIPPED: i64 = 6;
}

/// What a query for staged or for quarantined deliveries says besides, so that SQLite finds the
/// index of those and does not read all deliveries that ever were.
pub(super) const IN_INDEX: &str = "d.state IN (1, 5)";

/// The numbers of `message.kind`.
pub(super) mod kind {
    pub(in crate::store) const WHOLE: i64 = 0;
    pub(in crate::store) const IGNORED: i64 = 1;
    pub(in crate::store) const HEADER: i64 = 2;
}

/// The numbers of `message.proof`.
pub(super) mod proof {
    pub(in crate::store) const CONTENT: i64 = 0;
    pub(in crate::store) const HEADER: i64 = 1;
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::store::{account, read, write};

    #[test]
    fn what_is_open_is_found_without_a_look_at_what_is_done() {
        let connection = Connection::open_in_memory().expect("made");
        connection.execute_batch(CREATE).expect("made");
        for query in [write::staged_query(), write::released_query(), account::query(), read::quarantined_query()] {
            let mut explain = connection.prepare(&format!("EXPLAIN QUERY PLAN {query}")).expect("a query");
            let steps = explain.raw_query().mapped(|row| row.get(3)).collect::<rusqlite::Result<Vec<String>>>();
            let steps = steps.expect("explained");
            let finds = |step: &String| step.starts_with("SEARCH d USING") && step.contains("INDEX delivery_open");
            assert!(steps.iter().any(finds), "{query}: {steps:?}");
            let scans = |step: &String| step.starts_with("SCAN d") || step.starts_with("SEARCH m USING INDEX");
            assert!(!steps.iter().any(scans), "{query}: {steps:?}");
        }
    }
}
