//! The sections of a configuration, and the one thing about the state that tests may change.

use super::{Dovecot, MailboxServer, Postrider};

/// An account `name` that fetches a Dovecot user's mail by POP3S, with more lines of its own.
pub fn pop3s(server: &Dovecot, name: &str, user: usize, lines: &str) -> String {
    format!(
        "[accounts.{name}]\nhost = \"localhost\"\nport = {}\ntls-ca = \"{}\"\nusername = \"user{user}\"\n\
         password = \"pass{user}\"\n{lines}\n",
        server.tls_port,
        server.ca().display()
    )
}

/// An account `name` that fetches the mail of a [`MailboxServer`] in clear.
pub fn mailbox(port: u16, name: &str, lines: &str) -> String {
    format!(
        "[accounts.{name}]\nhost = \"127.0.0.1\"\nport = {port}\ntls = \"none\"\nusername = \"{}\"\n\
         password = \"{}\"\n{lines}\n",
        MailboxServer::USER,
        MailboxServer::PASSWORD
    )
}

/// A destination `name`: the Maildir of that name in the program's home.
pub fn maildir(name: &str) -> String {
    format!("[destinations.{name}]\ntype = \"maildir\"\npath = \"{name}\"\n")
}

/// A destination `name`: an SMTP server on this machine, for user1@example.net.
pub fn smtp(name: &str, port: u16) -> String {
    format!(
        "[destinations.{name}]\ntype = \"smtp\"\nhost = \"127.0.0.1\"\nport = {port}\n\
         recipient = \"user1@example.net\"\n"
    )
}

/// As if the time to try deferred deliveries and refused logins again had come; the shortest wait is five minutes.
/// Gives the number of deliveries.
pub fn set_deferrals_due(program: &Postrider) -> usize {
    let next = "SELECT coalesce(min(until) - unixepoch(), 0) FROM delivery WHERE until > unixepoch()";
    let wait: i64 = state(program).query_row(next, [], |row| row.get(0)).expect("read");
    let_pass(program, wait);
    state(program).execute("UPDATE account SET not_before = 0", []).expect("changed");
    state(program).execute("UPDATE delivery SET until = 0 WHERE until IS NOT NULL", []).expect("changed")
}

/// As if so many seconds had passed since everything that the state tells of.
pub fn let_pass(program: &Postrider, seconds: i64) {
    let statements = [
        "UPDATE account SET first_poll = first_poll - ?1, not_before = max(not_before - ?1, 0)",
        "UPDATE message SET seen = seen - ?1, done = done - ?1, deleted = deleted - ?1",
        "UPDATE message SET absent = absent - ?1 WHERE absent > 0",
        "UPDATE delivery SET at = at - ?1, until = until - ?1",
        "UPDATE quiet SET at = at - ?1, until = until - ?1",
    ];
    let state = state(program);
    for statement in statements {
        state.execute(statement, [seconds]).expect("changed");
    }
}

/// The state's database.
fn state(program: &Postrider) -> rusqlite::Connection {
    rusqlite::Connection::open(program.state_dir().join("state.db")).expect("the state")
}
