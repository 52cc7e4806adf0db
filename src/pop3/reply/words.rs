//! The meaning of a refusal without a response code, from its words: most servers send no codes.
//!
//! The phrases are those of RFC 1939 itself ("maildrop already locked", "unable to lock maildrop") and similar
//! ones.  Words about the password or the user win over all others: a login that was refused for good must not
//! be tried again within minutes, since that may lock the account.

use super::ResponseCode;

/// Words that blame the user name or the password, even where the text also says "try again" or "locked".
const BLAME: &[&str] = &[
    "passw",
    "passphrase",
    "credential",
    "attempts",
    "login attempt",
    "invalid",
    "incorrect",
    "wrong",
    "bad login",
    "bad user",
    "access denied",
    "login denied",
    "logon denied",
    "authentication denied",
    "unknown user",
    "no such user",
    "user unknown",
    "user not found",
    "not accepted",
    "not allowed",
    "not permitted",
    "enable",
    "disabled",
    "deactivated",
    "suspended",
    "account expired",
    "banned",
    "blocked",
    "locked out",
    "lockout",
    "failed login",
    "login failure",
    "login failed",
    "logon fail",
    "authentication fail",
    "authorization fail",
    "authorisation fail",
    "auth failed",
    "no mailbox",
    "no such mailbox",
    "does not exist",
    "doesn't exist",
    "over quota",
    "for this account",
];

/// Words for a wrong password, in a text that also names the password.
const WRONG: &[&str] = &["invalid", "incorrect", "wrong", "bad ", "not accepted", "not match", "mismatch"];

/// The user is locked out, unless the text says that another session has the lock.
const LOCKED_OUT: &[&str] = &[
    "account locked",
    "account is locked",
    "account has been locked",
    "account temporarily locked",
    "account is temporarily locked",
    "user locked",
    "user is locked",
];

/// Forms of "lock", as whole words, so that "blocked" and "unlock" do not match.
const LOCK: &[&str] = &["lock", "locked", "locking", "locks", "lockfile"];

/// Words that go with the lock of another session, such as what is locked, as whole words.
const MAILDROP: &[&str] = &[
    "mail",
    "maildrop",
    "mailbox",
    "mailboxes",
    "inbox",
    "spool",
    "folder",
    "session",
    "pop",
    "pop3",
    "file",
    "box",
    "drop",
    "unable",
    "can't",
    "cannot",
    "couldn't",
    "could",
    "failed",
    "already",
    "busy",
    "another",
    "exclusive",
    "obtain",
    "acquire",
];

/// Another session has the maildrop.
const IN_USE: &[&str] = &[
    "by another",
    "in use",
    "in-use",
    "already open",
    " already logged",
    "already connected",
    "already active",
    "already accessed",
    "being accessed",
    "being used",
    "mailbox is busy",
    "maildrop is busy",
    "mailbox busy",
    "maildrop busy",
    "lock busy",
    "another session",
    "another pop",
    "another client",
    "another connection",
    "another process",
    "another user",
    "other session",
    "session is active",
    "session active",
    "session in progress",
    "session is in progress",
    "session already",
    "session still",
    "concurrent access",
    "simultaneous access",
    "only one session",
    "multiple sessions",
];

/// The server has a temporary fault.
const PASSING: &[&str] = &[
    "temporar",
    "unavailable",
    "not available",
    "try again",
    "try later",
    "retry",
    "again later",
    "wait a ",
    "few minutes",
    "please wait",
    "timed out",
    "timeout",
    "time out",
    "internal error",
    "internal server",
    "server error",
    "system error",
    "system failure",
    "overload",
    "too busy",
    "server busy",
    "server is busy",
    "too many connection",
    "too many session",
    "too many users",
    "too many concurrent",
    "too many simultaneous",
    "maximum number of connection",
    "connection limit",
    "load too high",
    "maintenance",
    "shutting down",
    "out of memory",
    "i/o error",
    "input/output error",
    "no space left",
    "open mail",
    "access mail",
    "open inbox",
    "unable to connect",
    "could not connect",
    "cannot connect",
    "connection refused",
];

/// The server does not accept the form of the command.
const SYNTAX: &[&str] =
    &["syntax", "argument", "parameter", "usage:", "malformed", "line too long", "initial response"];

/// The server does not know the command at all.
const UNKNOWN: &[&str] = &[
    "unknown command",
    "command unknown",
    "unrecognized command",
    "unrecognised command",
    "invalid command",
    "bad command",
    "command not",
    "not implemented",
    "not supported",
    "unsupported",
];

/// The meaning of a refusal's text, if it is clear.
pub(super) fn meaning(text: &str) -> Option<ResponseCode> {
    let text = text.to_ascii_lowercase();
    if text.contains("passw") && has(&text, WRONG) {
        return Some(ResponseCode::Auth);
    }
    if has(&text, BLAME) || (has(&text, LOCKED_OUT) && !has(&text, IN_USE)) {
        return None;
    }
    let words: Vec<&str> = text.split(|c: char| !(c.is_alphanumeric() || c == '\'')).collect();
    let says = |list: &[&str]| words.iter().any(|word| list.contains(word));
    if has(&text, IN_USE) || (says(LOCK) && says(MAILDROP)) {
        return Some(ResponseCode::InUse);
    }
    has(&text, PASSING).then_some(ResponseCode::SysTemp)
}

/// Whether the text of a refusal says that another session has the maildrop, and nothing else.
pub(super) fn is_held(text: &str) -> bool {
    meaning(text) == Some(ResponseCode::InUse) && has(&text.to_ascii_lowercase(), IN_USE)
}

/// Whether the text of a refusal is about the form of the command, not about its content.
pub(super) fn is_about_syntax(text: &str) -> bool {
    has(&text.to_ascii_lowercase(), SYNTAX)
}

/// Whether the text of a refusal says that the server does not have the command or the mechanism.
pub(super) fn is_about_the_command(text: &str) -> bool {
    has(&text.to_ascii_lowercase(), UNKNOWN)
}

fn has(text: &str, phrases: &[&str]) -> bool {
    phrases.iter().any(|phrase| text.contains(phrase))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_locked_maildrop_is_known_by_its_words() {
        for text in [
            "maildrop already locked",
            "unable to lock maildrop",
            "Unable to lock the mailbox",
            "POP lock busy!  Is another session active? (11)",
            "Can't lock /var/mail/alice: Resource temporarily unavailable",
            "maildrop locked by another session",
            "Mailbox is locked",
            "Unable to lock maildrop for account alice",
            "couldn't get exclusive lock on INBOX",
            "Mailbox in use",
            "mailbox is busy",
            "Another session is already open for this user",
            "user alice already logged in",
            "[LOCKED] mail drop locked",
            "Account is temporarily locked by another session",
            "User locked: another POP3 session is open",
        ] {
            assert_eq!(meaning(text), Some(ResponseCode::InUse), "{text}");
        }
    }

    #[test]
    fn a_fault_that_passes_is_known_by_its_words() {
        for text in [
            "mail storage services unavailable, wait a few minutes and try again",
            "Temporary authentication problem",
            "internal server error",
            "too many connections from your host",
            "Server is down for maintenance",
            "LDAP timed out",
            "Unable to open mailbox",
        ] {
            assert_eq!(meaning(text), Some(ResponseCode::SysTemp), "{text}");
        }
    }

    #[test]
    fn what_names_the_password_and_calls_it_wrong_is_the_passwords_refusal() {
        for text in [
            "invalid password",
            "Password supplied for \"alice\" is incorrect.",
            "Logon failure: unknown user name or bad password.",
            "Username and password not accepted",
            "WRONG PASSWORD",
            "password incorrect, mailbox locked by another session",
            "Invalid user name or password, try again later",
        ] {
            assert_eq!(meaning(text), Some(ResponseCode::Auth), "{text}");
        }
        for text in
            ["password locked", "password expired", "invalid login", "bad mailbox", "POP3 needs an app password"]
        {
            assert_eq!(meaning(text), None, "{text}");
        }
    }

    #[test]
    fn a_session_that_holds_the_maildrop_is_more_than_a_lock() {
        assert!(is_held("mailbox locked by another session") && is_held("Mailbox in use"));
        assert!(!is_held("mailbox is locked") && !is_held("invalid login, mailbox in use"));
    }

    #[test]
    fn words_about_the_password_win_over_all_others() {
        for text in [
            "Invalid login, please try again",
            "Account locked",
            "account is temporarily locked: too many failed attempts, try again later",
            "you are locked out",
            "access blocked",
            "Authentication failed. Please try again later",
            "POP3 access is not available for this account",
            "no",
            "",
            "blocked: see the web mail of your mailbox",
            "no such user locksmith",
        ] {
            assert_eq!(meaning(text), None, "{text}");
        }
    }
}
