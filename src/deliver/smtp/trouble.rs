//! Why a server serves nobody.

/// Why a server serves nobody with these settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It wants a login, or another one (RFC 4954 §6).
    Login,
    /// It does not know the recipient.
    Recipient,
    /// It does not take mail from this sender, nor from others that were tried.
    Sender,
    /// It does not take mail from this machine for the recipient, or from these senders.
    Relay,
    /// This machine's address is on a list of addresses that it takes no mail from.
    Blocked,
    /// The recipient's mailbox takes no mail, since it is full or switched off.
    Mailbox,
    /// It is short of something.
    Busy,
}

impl Trouble {
    /// Whether another sender may be accepted.
    pub(super) fn may_be_of_sender(self) -> bool {
        !matches!(self, Trouble::Mailbox | Trouble::Busy)
    }

    /// What to do about it.
    pub(super) fn advice(self) -> &'static str {
        match self {
            Trouble::Login => {
                "The server wants a login, or another one: check the user name and the password of this destination, and \
                 `port` (587 and 465 are for logins)."
            }
            Trouble::Recipient => "The server does not know this recipient: check `recipient` and `host`.",
            Trouble::Sender => {
                "The server takes neither this sender nor another one that was tried: set `sender` to one that it takes, log \
                 in (`username`), or have it permitted there."
            }
            Trouble::Relay => {
                "The server does not take this mail from this machine: check `recipient` and `host`, and whether it wants \
                 a login (`username`) or another `sender`."
            }
            Trouble::Blocked => {
                "The server takes no mail from this machine's address.  It is tried again by itself; to be taken off the \
                 list, or to be let through, ask whoever keeps the list or the server."
            }
            Trouble::Mailbox => {
                "The recipient's mailbox takes no mail now: make room there, or switch it on.  It is tried again by itself."
            }
            Trouble::Busy => "The server is short of something, and asks to be tried again later.",
        }
    }
}
