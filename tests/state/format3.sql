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
    error        TEXT,
    exit_code    INTEGER NOT NULL DEFAULT 0,
    refused      BLOB,              -- tells settings and secret of a refused login from others
    migrating    INTEGER NOT NULL DEFAULT 0, -- its unique-ids have changed, and not all are matched yet
    lost         INTEGER NOT NULL DEFAULT 0  -- not 0: its state is made out by its next listing (lost.rs)
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

-- A server, whoever logs in there.
CREATE TABLE host (
    name            TEXT NOT NULL,
    port            INTEGER NOT NULL,
    encrypted       INTEGER NOT NULL, -- TLS from the first octet
    capabilities    TEXT,             -- what it announces before the login, a line each; NULL: not known
    asked           INTEGER NOT NULL, -- when that was
    lock_step_until INTEGER NOT NULL, -- so long it gets one command at a time
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
CREATE INDEX delivery_open ON delivery (state) WHERE state IN (1, 5);
