//! The sections of a configuration.

use super::{Dovecot, MailboxServer};

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
