//! A digest of the header fields that identify a message.
//!
//! Where a message has been (`Received`) is part of it: two copies of one message that came by two
//! routes are two messages.  Fields that servers write while they keep a message (`Status`,
//! `X-UIDL`) are not, nor are line ends and folding.

use sha2::{Digest, Sha256};

use crate::message::Fingerprint;

/// Fields that are part of it.
const FIELDS: [&str; 7] = ["received", "message-id", "date", "from", "to", "cc", "subject"];

/// How many of the first fields can identify a message.  It must have one of them: the others are alike in many.
const IDENTIFYING: usize = 3;

/// The digest of one header's fields.
#[derive(Default)]
pub(super) struct Hash {
    hash: Sha256,
    identifies: bool,
}

impl Hash {
    /// Adds a field.
    pub(super) fn note(&mut self, name: &[u8], value: &[u8]) {
        let Some(index) = FIELDS.iter().position(|field| name.eq_ignore_ascii_case(field.as_bytes())) else { return };
        self.identifies |= index < IDENTIFYING;
        self.hash.update(FIELDS[index]);
        for word in value.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
            self.hash.update(b" ");
            self.hash.update(word);
        }
        // No word holds a line end.
        self.hash.update(b"\n");
    }

    /// The digest, if the fields identify the message.
    pub(super) fn finish(self) -> Option<Fingerprint> {
        let digest = self.hash.finalize();
        self.identifies.then(|| std::array::from_fn(|index| digest[index]))
    }
}

#[cfg(test)]
mod tests {
    use crate::header::Head;

    fn fingerprint(header: &str) -> Option<[u8; 16]> {
        Head::scan(header.as_bytes()).fingerprint
    }

    const HEADER: &str = "Received: by a; now\nMessage-ID: <1@x>\nSubject: a long\n one\n\n";

    #[test]
    fn folding_line_ends_case_and_what_servers_add_do_not_count() {
        let same =
            "X-UIDL: 7\r\nreceived:  by a; now\r\nMESSAGE-ID: <1@x>\r\nStatus: RO\r\nSubject: a\r\n long one\r\n\r\n";
        assert!(fingerprint(HEADER).is_some());
        assert_eq!(fingerprint(HEADER), fingerprint(same));
    }

    #[test]
    fn another_way_another_id_or_another_subject_is_another_message() {
        for (part, other) in [("by a;", "by b;"), ("<1@x>", "<2@x>"), ("long", "short")] {
            assert_ne!(fingerprint(HEADER), fingerprint(&HEADER.replace(part, other)));
        }
    }

    #[test]
    fn a_header_that_many_messages_may_have_identifies_none() {
        assert_eq!(fingerprint("From: a@example.org\nSubject: Report\n\n"), None);
        assert_eq!(fingerprint("\n"), None);
    }
}
