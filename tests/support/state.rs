//! The state of a program, as tests look into it and change it behind its back: the one place that knows its SQL.

use rusqlite::{Connection, params};

use super::Postrider;

/// The state's database, open.
pub struct State(Connection);

impl State {
    /// That of a program; one is made where there is none.
    pub fn of(program: &Postrider) -> Self {
        Self(Connection::open(program.state_dir().join("state.db")).expect("the state"))
    }

    /// Messages that are remembered.
    pub fn messages(&self) -> u32 {
        self.number("SELECT count(*) FROM message").try_into().expect("a count")
    }

    /// Seconds until the only account may log in again.
    pub fn seconds_to_login(&self) -> i64 {
        self.number("SELECT not_before - unixepoch() FROM account")
    }

    /// As if this many seconds had passed since everything in the state.
    pub fn let_pass(&self, seconds: i64) {
        for statement in [
            "UPDATE account SET first_poll = first_poll - ?1, not_before = max(not_before - ?1, 0)",
            "UPDATE message SET seen = seen - ?1, done = done - ?1, deleted = deleted - ?1",
            "UPDATE message SET absent = absent - ?1 WHERE absent > 0",
            "UPDATE message SET ends_since = ends_since - ?1",
            "UPDATE delivery SET at = at - ?1, until = until - ?1, since = since - ?1",
            "UPDATE quiet SET at = at - ?1, until = until - ?1",
            "UPDATE destination SET since = since - ?1, until = until - ?1",
            "UPDATE place SET used = used - ?1 WHERE used > 1",
        ] {
            self.change(statement, [seconds]);
        }
    }

    /// As if the time to try deferred deliveries and refused logins again had come; the shortest wait is five
    /// minutes.  Returns the number of deliveries.
    pub fn set_deferrals_due(&self) -> usize {
        self.let_pass(
            self.number("SELECT coalesce(min(until) - unixepoch(), 0) FROM delivery WHERE until > unixepoch()"),
        );
        self.change("UPDATE account SET not_before = 0", []);
        self.change("UPDATE destination SET until = 0", []);
        self.change("UPDATE delivery SET until = 0 WHERE until IS NOT NULL", [])
    }

    /// As if the first poll had been this much earlier.
    pub fn first_polled_earlier(&self, seconds: i64) {
        self.change("UPDATE account SET first_poll = first_poll - ?1", [seconds]);
    }

    /// As if the first of the messages had been delivered this much earlier.
    pub fn delivered_earlier(&self, messages: i64, seconds: i64) {
        self.change("UPDATE message SET done = done - ?2 WHERE id <= ?1", [messages, seconds]);
    }

    /// As if the file of a delivery had another name.
    pub fn rename_file(&self, from: &str, to: &str) {
        self.change("UPDATE delivery SET detail = ?2 WHERE detail = ?1", [from, to]);
    }

    /// As left by a process that dies before it moves a file from `tmp/`.
    pub fn stage_again(&self, file: &str) {
        assert_eq!(self.change("UPDATE delivery SET state = 1 WHERE detail = ?1", [file]), 1);
    }

    /// As if a message had come with other content, by which it is also known where it has no unique-id.
    pub fn replace_content(&self, from: &[u8], to: &[u8]) {
        let (from, octets, to) = (blake3::hash(from), to.len() as i64, blake3::hash(to));
        let change = "UPDATE message SET digest = ?1, octets = ?2 WHERE digest = ?3";
        assert_eq!(self.change(change, params![to.as_bytes(), octets, from.as_bytes()]), 1);
        let key = |hash: blake3::Hash| format!("blake3:{}", hash.to_hex()).into_bytes();
        self.change("UPDATE message SET uid = ?1 WHERE uid = ?2", [key(to), key(from)]);
    }

    /// Puts into a row what no program writes.
    pub fn damage_a_message(&self) {
        self.change("UPDATE message SET kind = 9 WHERE id = 1", []);
    }

    /// As a newer program leaves it.
    pub fn set_format(&self, format: i64) {
        self.0.pragma_update(None, "user_version", format).expect("changed");
    }

    /// As the database of another program.
    pub fn be_of_another_program(&self) {
        self.batch("CREATE TABLE other (x); PRAGMA application_id = 7");
    }

    /// Nobody else can write until [`State::unlock`].
    pub fn lock(&self) {
        self.batch("BEGIN IMMEDIATE");
    }

    /// Takes back [`State::lock`].
    pub fn unlock(&self) {
        self.batch("ROLLBACK");
    }

    fn number(&self, query: &str) -> i64 {
        self.0.query_row(query, [], |row| row.get(0)).expect("read")
    }

    fn change(&self, statement: &str, values: impl rusqlite::Params) -> usize {
        self.0.execute(statement, values).expect("changed")
    }

    fn batch(&self, statements: &str) {
        self.0.execute_batch(statements).expect("done");
    }
}

/// [`State::set_deferrals_due`] for a program.
pub fn set_deferrals_due(program: &Postrider) -> usize {
    State::of(program).set_deferrals_due()
}

/// [`State::let_pass`] for a program.
pub fn let_pass(program: &Postrider, seconds: i64) {
    State::of(program).let_pass(seconds);
}
