//! Tables and their versions.
//!
//! A `message` row exists from the moment that something was decided about a message which must
//! not be forgotten; its `delivery` rows, one for each destination, say how far each delivery is.
//! Unique-ids are octets (BLOB).  Times are seconds since 1970.

/// Identifies the file as postrider's (`PRAGMA application_id`).
pub(super) const APPLICATION_ID: i64 = 0x706f_7374;

/// `PRAGMA user_version` of this format.
pub(super) const VERSION: i64 = 7;

/// The statements that make each older format the next one, from format 1 on.
pub(super) const UPGRADES: [&str; 6] = [
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
    // A table's UNIQUE cannot be changed: the two small tables are made again.
    "
CREATE TABLE account_made (
    id           INTEGER PRIMARY KEY,
    name         TEXT NOT NULL,
    first_poll   INTEGER,
    failures     INTEGER NOT NULL DEFAULT 0,
    refusals     INTEGER NOT NULL DEFAULT 0,
    not_before   INTEGER NOT NULL DEFAULT 0,
    last_success INTEGER,
    error        TEXT,
    exit_code    INTEGER NOT NULL DEFAULT 0,
    refused      BLOB,
    migrating    INTEGER NOT NULL DEFAULT 0,
    lost         INTEGER NOT NULL DEFAULT 0,
    mailbox      TEXT,
    deliver      TEXT,
    by_size      INTEGER NOT NULL DEFAULT 0,
    worked       INTEGER,
    doubts       INTEGER NOT NULL DEFAULT 0,
    told         TEXT,
    folder       TEXT NOT NULL DEFAULT '',
    origin       TEXT,
    revision     INTEGER NOT NULL DEFAULT 0,
    UNIQUE (name, folder)
);
INSERT INTO account_made (id, name, first_poll, failures, refusals, not_before, last_success, error, exit_code, refused,
                          migrating, lost, mailbox, deliver, by_size, worked, doubts, told)
    SELECT id, name, first_poll, failures, refusals, not_before, last_success, error, exit_code, refused,
           migrating, lost, mailbox, deliver, by_size, worked, doubts, told FROM account;
DROP TABLE account;
ALTER TABLE account_made RENAME TO account;
CREATE INDEX account_mailbox ON account (mailbox);
CREATE TABLE place_made (
    id          INTEGER PRIMARY KEY,
    destination TEXT NOT NULL,
    location    BLOB NOT NULL,
    used        INTEGER NOT NULL DEFAULT 0,
    kind        TEXT NOT NULL DEFAULT '',
    recipient   TEXT NOT NULL DEFAULT '',
    machine     TEXT NOT NULL DEFAULT '',
    UNIQUE (destination, kind, location, recipient, machine)
);
INSERT INTO place_made (id, destination, location, used) SELECT id, destination, location, used FROM place;
DROP TABLE place;
ALTER TABLE place_made RENAME TO place;
ALTER TABLE message ADD COLUMN sender TEXT;
ALTER TABLE message ADD COLUMN subject TEXT;
ALTER TABLE message ADD COLUMN date INTEGER;
ALTER TABLE message ADD COLUMN ends INTEGER NOT NULL DEFAULT 0;
ALTER TABLE message ADD COLUMN ends_since INTEGER;
ALTER TABLE message ADD COLUMN routed INTEGER NOT NULL DEFAULT 0;
ALTER TABLE delivery ADD COLUMN mark BLOB;
ALTER TABLE delivery ADD COLUMN prefix BLOB;
ALTER TABLE delivery ADD COLUMN since INTEGER;
ALTER TABLE host ADD COLUMN replies BLOB;
CREATE TABLE alert (
    kind    TEXT NOT NULL,
    subject TEXT NOT NULL,
    host    TEXT NOT NULL,
    since   INTEGER NOT NULL,
    held    INTEGER,
    told    INTEGER,
    PRIMARY KEY (kind, subject)
) WITHOUT ROWID;
CREATE TABLE destination (
    name      TEXT PRIMARY KEY,
    settings  BLOB,
    failures  INTEGER NOT NULL DEFAULT 0,
    since     INTEGER NOT NULL,
    until     INTEGER NOT NULL,
    error     TEXT NOT NULL,
    exit_code INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX message_ends ON message (account) WHERE ends > 0;
",
    "
ALTER TABLE destination ADD COLUMN at_messages INTEGER NOT NULL DEFAULT 0;
ALTER TABLE account ADD COLUMN waiting INTEGER NOT NULL DEFAULT 0;
ALTER TABLE account ADD COLUMN too_large INTEGER NOT NULL DEFAULT 0;
ALTER TABLE account ADD COLUMN ignored INTEGER NOT NULL DEFAULT 0;
ALTER TABLE quiet ADD COLUMN ignored INTEGER NOT NULL DEFAULT 0;
DROP INDEX delivery_open;
CREATE INDEX delivery_open ON delivery (state) WHERE state IN (1, 4, 5);
CREATE INDEX delivery_doubted ON delivery (message) WHERE since IS NOT NULL;
",
];

/// Gives places from before format 6 their kind: a location that began with a slash was a Maildir of this state
/// directory's machine, any other was a server's host and port, a space and its recipients.
pub(super) const GIVE_KINDS: &str = "
UPDATE OR IGNORE place SET kind = 'maildir', machine = (SELECT value FROM meta WHERE name = 'instance')
    WHERE kind = '' AND substr(location, 1, 1) = x'2f';
UPDATE OR IGNORE place SET kind = 'smtp', recipient = CAST(substr(location, instr(location, x'20') + 1) AS TEXT),
        location = substr(location, 1, instr(location, x'20') - 1)
    WHERE kind = '' AND instr(location, x'20') > 1;
UPDATE OR IGNORE place SET kind = 'smtp' WHERE kind = '';
";

/// The condition for Maildirs of this state directory's machine in a query of `place`.
pub(super) const OWN_MAILDIR: &str = "kind = 'maildir' AND machine = (SELECT value FROM meta WHERE name = 'instance')";

/// The condition on a place of this machine, of whatever kind.
pub(super) const OWN: &str = "machine = (SELECT value FROM meta WHERE name = 'instance')";

/// The format, for a new database.
pub(super) const CREATE: &str = "
CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- A mailbox of an account.  Its number stays with the mailbox, and changes if this database is lost.
CREATE TABLE account (
    id           INTEGER PRIMARY KEY,
    name         TEXT NOT NULL,
    first_poll   INTEGER,           -- when `initial` was applied; NULL: not yet
    failures     INTEGER NOT NULL DEFAULT 0,
    refusals     INTEGER NOT NULL DEFAULT 0,
    not_before   INTEGER NOT NULL DEFAULT 0,
    last_success INTEGER,
    error        TEXT,              -- of its last poll; on a second line, what to do about it
    exit_code    INTEGER NOT NULL DEFAULT 0,
    refused      BLOB,              -- distinguishes settings and secret of a refused login from others
    migrating    INTEGER NOT NULL DEFAULT 0, -- its unique-ids have changed, and not all are matched yet
    lost         INTEGER NOT NULL DEFAULT 0, -- not 0: its state is worked out at its next listing (lost.rs)
    mailbox      TEXT,              -- the mailbox that it was polled at last (mailbox.rs); NULL: before format 4
    deliver      TEXT,              -- the destinations that its mail was decided for then, one per line
    by_size      INTEGER NOT NULL DEFAULT 0, -- that its server has no TOP was reported
    worked       INTEGER,           -- distinguishes the password of the last login from most others (login.rs)
    doubts       INTEGER NOT NULL DEFAULT 0, -- how many times in a row that password was refused
    told         TEXT,              -- marks of mail that stays on the server for good and was reported already
    folder       TEXT NOT NULL DEFAULT '', -- the folder of its source; empty for POP3, which has one (not used yet)
    origin       TEXT,              -- what stands for it in the tokens of file names (deliver::maildir::token), one
                                    -- per line, first for new files (origin.rs); NULL: its name
    revision     INTEGER NOT NULL DEFAULT 0, -- raised when another process changes what is known of its mail (quiet.rs)
    waiting      INTEGER NOT NULL DEFAULT 0, -- messages that waited for the next poll after the last one (max-messages)
    too_large    INTEGER NOT NULL DEFAULT 0, -- messages that it left because of their size
    ignored      INTEGER NOT NULL DEFAULT 0, -- messages that it left since they were there first (initial)
    UNIQUE (name, folder)
);

-- A destination as it was at the time: a later change of its path must not confuse what is open (plan::Place).
CREATE TABLE place (
    id          INTEGER PRIMARY KEY,
    destination TEXT NOT NULL,
    location    BLOB NOT NULL,      -- a Maildir's path, a server's host and port
    used        INTEGER NOT NULL DEFAULT 0, -- when mail came here last; 1: some time before format 7; 0: never
    kind        TEXT NOT NULL DEFAULT '', -- as the destination's `type`; never empty but within an upgrade
    recipient   TEXT NOT NULL DEFAULT '', -- one address, or several that get one copy, separated by commas
    machine     TEXT NOT NULL DEFAULT '', -- of a Maildir: the instance word of its machine's state directory
    UNIQUE (destination, kind, location, recipient, machine)
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
    crashes     INTEGER NOT NULL DEFAULT 0, -- how many times the program crashed while handling it
    absent      INTEGER NOT NULL DEFAULT 0, -- since when listings have not had it; 0: the last one had it
    digest      BLOB,               -- BLAKE3 of what `octets` counts
    listed      INTEGER,            -- its size as LIST had it when it was last known to be this message
    sender      TEXT,               -- its From, escaped and bounded (headings.rs), unless `record-headers` is off
    subject     TEXT,               -- its Subject, likewise
    date        INTEGER,            -- its Date, likewise
    ends        INTEGER NOT NULL DEFAULT 0, -- how many sessions in a row ended at it (ends.rs)
    ends_since  INTEGER,            -- when the first of these ended
    routed      INTEGER NOT NULL DEFAULT 0, -- 1: routes have decided, its deliveries are all there are (not used yet)
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
    mark     BLOB,                  -- what the destination recognises it by; never shown or exported (not used yet)
    prefix   BLOB,                  -- the octets before the message, so that another try sends the same; likewise
    since    INTEGER,               -- when the first of its attempts failed; NULL: none has, or it is delivered
    PRIMARY KEY (message, place)
) WITHOUT ROWID;

-- Former unique-ids of messages of which only the header was delivered: the whole message takes the place of the
-- header's delivery, but the header's file must still be recognised.
CREATE TABLE former (
    message    INTEGER NOT NULL REFERENCES message ON DELETE CASCADE,
    uid        BLOB NOT NULL,
    occurrence INTEGER NOT NULL,
    PRIMARY KEY (message, uid, occurrence)
) WITHOUT ROWID;

-- A server, for all accounts that log in there.
CREATE TABLE host (
    name            TEXT NOT NULL,
    port            INTEGER NOT NULL,
    encrypted       INTEGER NOT NULL, -- TLS from the first octet
    capabilities    TEXT,             -- what it announces before the login, one per line; NULL: not known
    asked           INTEGER NOT NULL, -- when that was
    lock_step_until INTEGER NOT NULL, -- until then it gets one command at a time
    lessons         INTEGER NOT NULL DEFAULT 0, -- what else it was found unable to handle (poll/server.rs)
    lessons_until   INTEGER NOT NULL DEFAULT 0, -- until when `lessons` holds
    replies         BLOB,             -- what its replies look like, in the words of their reader
    PRIMARY KEY (name, port, encrypted)
) WITHOUT ROWID;

-- Failures that were reported, or are to be: a recovery is reported once, too (not used yet).
CREATE TABLE alert (
    kind    TEXT NOT NULL,
    subject TEXT NOT NULL,          -- an account's name; empty for the whole program
    host    TEXT NOT NULL,          -- alerts of many accounts become one by it; may be empty
    since   INTEGER NOT NULL,       -- when it began
    held    INTEGER,                -- held back until then, for others of its host
    told    INTEGER,                -- when it was reported; NULL: not yet
    PRIMARY KEY (kind, subject)
) WITHOUT ROWID;

-- A destination that does not work, as long as it does not.
CREATE TABLE destination (
    name      TEXT PRIMARY KEY,
    settings  BLOB,                 -- a digest of its settings: with others it is tried at once
    failures  INTEGER NOT NULL DEFAULT 0,
    since     INTEGER NOT NULL,     -- when the first of them was
    until     INTEGER NOT NULL,     -- not tried again before
    error     TEXT NOT NULL,
    exit_code INTEGER NOT NULL,
    at_messages INTEGER NOT NULL DEFAULT 0 -- 1: it treated several messages alike; only a delivery shows that it works
) WITHOUT ROWID;

-- What a Maildir's file names show after the loss of this database (deliver::maildir::token).  A row
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
    too_large   INTEGER NOT NULL,   -- messages that are left because of their size
    quarantined INTEGER NOT NULL,   -- messages in quarantine
    deferred    INTEGER NOT NULL,   -- messages whose delivery failed before
    ignored     INTEGER NOT NULL DEFAULT 0 -- messages that are left since they were there first
);

CREATE INDEX message_done ON message (account, done);
CREATE INDEX message_content ON message (account, substr(digest, 1, 8));
CREATE INDEX account_mailbox ON account (mailbox);
CREATE INDEX delivery_open ON delivery (state) WHERE state IN (1, 4, 5);
CREATE INDEX delivery_doubted ON delivery (message) WHERE since IS NOT NULL;
CREATE INDEX message_ends ON message (account) WHERE ends > 0;
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

/// A further condition in queries for staged, deferred or quarantined deliveries, so that SQLite finds their
/// index and does not read every delivery on record.
pub(super) const IN_INDEX: &str = "d.state IN (1, 4, 5)";

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
    use crate::store::{account, read, undelivered, write};

    #[test]
    fn what_is_open_is_found_without_a_look_at_what_is_done() {
        let connection = Connection::open_in_memory().expect("made");
        connection.execute_batch(CREATE).expect("made");
        let [groups, causes] = undelivered::queries();
        let others = [write::staged_query(), write::released_query(), account::query(), read::quarantined_query()];
        for query in others.into_iter().chain([groups, causes]) {
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
