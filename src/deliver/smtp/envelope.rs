//! From whom and to whom a message goes, and the commands that say so.
//!
//! A message goes to every recipient or to none: one that is refused has been delivered to
//! nobody, and can be tried again without doubling it.  Pure.

use std::fmt::Write as _;

use super::command::Command;
use super::extensions::Extensions;
use super::{Because, SendError, Settings, SmtpError};
use crate::header::{Address, Head, ReturnPath, envelope_address};

/// RCPT commands in one write: their replies fit into any window, so that neither side waits for
/// the other to read (RFC 2920 §3.1).
const GROUP_LIMIT: usize = 100;

/// The addresses that the settings name.
#[derive(Clone, Debug)]
pub(super) struct Addresses {
    recipients: Vec<Address>,
    /// `None`: the message's own; `Some(None)`: the null sender.
    sender: Option<Option<Address>>,
}

impl Addresses {
    /// Reads the settings.
    ///
    /// # Errors
    /// An address is none, or there is no recipient.
    pub(super) fn of(settings: &Settings) -> Result<Self, SmtpError> {
        let parse = |what, text: &String| {
            envelope_address(text).ok_or_else(|| SmtpError::Settings { what, value: text.clone() })
        };
        let recipients: Result<Vec<_>, _> =
            settings.recipients.iter().map(|text| parse("`recipient` is no address", text)).collect();
        let recipients = recipients?;
        if recipients.is_empty() {
            return Err(SmtpError::Settings { what: "`recipient` names nobody", value: String::new() });
        }
        let sender = match &settings.sender {
            None => None,
            Some(text) if text.is_empty() => Some(None),
            Some(text) => Some(Some(parse("`sender` is no address", text)?)),
        };
        Ok(Self { recipients, sender })
    }

    /// Where a server has to offer SMTPUTF8 (RFC 6531), since an address of the settings is not ASCII.
    ///
    /// # Errors
    /// It does not.
    pub(super) fn fit(&self, offers: &Extensions) -> Result<(), SmtpError> {
        let own = self.recipients.iter().chain(self.sender.iter().flatten());
        match own.into_iter().find(|address| !offers.smtp_utf8 && !address.is_ascii()) {
            None => Ok(()),
            Some(address) => {
                let what = "the server takes no address that is not ASCII (it does not offer SMTPUTF8)";
                Err(SmtpError::Settings { what, value: address.to_string() })
            }
        }
    }

    /// The senders of a message that may be told to the server: each is the next one's better.  `None` is the null
    /// sender, which every server has to take.
    pub(super) fn senders(&self, head: &Head, offers: &Extensions) -> Vec<Option<Address>> {
        if let Some(sender) = &self.sender {
            return vec![sender.clone()];
        }
        let recorded = match &head.return_path {
            ReturnPath::Null => return vec![None],
            ReturnPath::Address(address) => Some(address),
            ReturnPath::Absent => None,
        };
        let mut senders = Vec::new();
        let own = recorded.into_iter().chain(&head.from).filter_map(|text| envelope_address(text));
        for address in own.filter(|address| offers.smtp_utf8 || address.is_ascii()) {
            let quoted = address.quoted();
            senders.extend([Some(address), quoted].into_iter().flatten().map(Some));
        }
        senders.dedup();
        senders.push(None);
        senders
    }

    /// The senders that an envelope without a message is tried with.
    pub(super) fn rehearsed(&self, offers: &Extensions) -> Vec<Option<Address>> {
        match &self.sender {
            Some(sender) => vec![sender.clone()],
            None => {
                let own = self.recipients.first().filter(|address| offers.smtp_utf8 || address.is_ascii());
                std::iter::once(None).chain(own.cloned().map(Some)).collect()
            }
        }
    }

    /// The commands of an envelope without a message.
    pub(super) fn envelope(&self, sender: Option<&Address>) -> Vec<Command> {
        let mut mail = mail_from(sender);
        self.add_utf8(&mut mail, sender);
        let recipients = self.recipients.iter().cloned().map(Command::Rcpt);
        std::iter::once(Command::Mail(mail)).chain(recipients).collect()
    }

    fn add_utf8(&self, mail: &mut String, sender: Option<&Address>) {
        if self.recipients.iter().chain(sender).any(|address| !address.is_ascii()) {
            mail.push_str(" SMTPUTF8");
        }
    }

    /// The commands for a message from this sender, in groups that go out in one write each.
    ///
    /// # Errors
    /// [`SendError::Refused`]: the server does not offer what the message needs.
    pub(super) fn commands(
        &self,
        sender: Option<&Address>,
        octets: u64,
        eight_bit: bool,
        offers: &Extensions,
    ) -> Result<Vec<Vec<Command>>, SendError> {
        if let Some(limit) = offers.size.flatten().filter(|&limit| octets > limit) {
            let reason = format!("it has {octets} octets, and the server takes at most {limit} (SIZE)");
            return Err(SendError::Refused { reason, because: Because::Content });
        }
        let mut mail = mail_from(sender);
        if offers.size.is_some() {
            let _ = write!(mail, " SIZE={octets}");
        }
        if eight_bit && offers.eight_bit_mime {
            mail.push_str(" BODY=8BITMIME");
        }
        self.add_utf8(&mut mail, sender);
        let recipients = self.recipients.iter().cloned().map(Command::Rcpt);
        Ok(group(std::iter::once(Command::Mail(mail)).chain(recipients).collect(), offers.pipelining))
    }
}

fn mail_from(sender: Option<&Address>) -> String {
    format!("MAIL FROM:<{}>", sender.map_or(String::new(), Address::to_string))
}

/// DATA may go out with a single RCPT, since it then fails with it.  With several it has to wait
/// for all their replies: the message must not begin when one of them is refused.
fn group(envelope: Vec<Command>, pipelining: bool) -> Vec<Vec<Command>> {
    let group_limit = if pipelining { GROUP_LIMIT } else { 1 };
    let mut groups: Vec<Vec<Command>> = envelope.chunks(group_limit).map(<[Command]>::to_vec).collect();
    match groups.as_mut_slice() {
        [only] if pipelining && only.len() == 2 => only.push(Command::Data),
        _ => groups.push(vec![Command::Data]),
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        envelope_address(text).expect("an address")
    }

    fn addresses(recipients: &[&str], sender: Option<Option<&str>>) -> Addresses {
        Addresses {
            recipients: recipients.iter().map(|text| address(text)).collect(),
            sender: sender.map(|sender| sender.map(address)),
        }
    }

    fn lines(groups: &[Vec<Command>]) -> Vec<String> {
        groups.iter().map(|group| group.iter().map(Command::line).collect()).collect()
    }

    const OFFERS: Extensions = Extensions {
        pipelining: true,
        eight_bit_mime: true,
        smtp_utf8: true,
        start_tls: false,
        size: Some(Some(1000)),
        plain: false,
        login: false,
    };

    #[test]
    fn data_goes_out_with_a_single_recipient_only() {
        let from = address("f@x.org");
        let from = Some(&from);
        let one = addresses(&["a@x.org"], None).commands(from, 9, true, &OFFERS).expect("commands");
        let mail = "MAIL FROM:<f@x.org> SIZE=9 BODY=8BITMIME\r\n";
        assert_eq!(lines(&one), [format!("{mail}RCPT TO:<a@x.org>\r\nDATA\r\n")]);
        let two = addresses(&["a@x.org", "b@x.org"], None);
        let groups = two.commands(from, 9, true, &OFFERS).expect("commands");
        assert_eq!(lines(&groups), [&format!("{mail}RCPT TO:<a@x.org>\r\nRCPT TO:<b@x.org>\r\n"), "DATA\r\n"]);
        let slow = Extensions { pipelining: false, size: None, ..OFFERS };
        let groups = two.commands(from, 9, false, &slow).expect("commands");
        let want = ["MAIL FROM:<f@x.org>\r\n", "RCPT TO:<a@x.org>\r\n", "RCPT TO:<b@x.org>\r\n", "DATA\r\n"];
        assert_eq!(lines(&groups), want);
        let many: Vec<String> = (0..250).map(|n| format!("u{n}@x.org")).collect();
        let many = addresses(&many.iter().map(String::as_str).collect::<Vec<_>>(), None);
        let groups = many.commands(from, 9, false, &OFFERS).expect("commands");
        assert_eq!(groups.iter().map(Vec::len).collect::<Vec<_>>(), [100, 100, 51, 1]);
    }

    #[test]
    fn the_sender_is_the_settings_else_return_path_else_from_else_null() {
        let from = || Some("f@x.org".to_owned());
        let path = |path: &str| ReturnPath::Address(path.into());
        for (setting, return_path, from, want) in [
            (Some(Some("s@x.org")), ReturnPath::Null, from(), &["s@x.org"][..]),
            (Some(None), path("r@x.org"), from(), &[""]),
            (None, path("r@x.org"), from(), &["r@x.org", "f@x.org", ""]),
            (None, path("f@x.org"), from(), &["f@x.org", ""]),
            (None, path("r..r@x.org"), from(), &["r..r@x.org", "\"r..r\"@x.org", "f@x.org", ""]),
            (None, ReturnPath::Null, from(), &[""]),
            (None, ReturnPath::Absent, from(), &["f@x.org", ""]),
            (None, ReturnPath::Absent, None, &[""]),
        ] {
            let head = Head { return_path, from, ..Head::default() };
            assert_eq!(senders(&addresses(&["a@x.org"], setting), &head, &OFFERS), want, "{head:?}");
        }
    }

    fn senders(addresses: &Addresses, head: &Head, offers: &Extensions) -> Vec<String> {
        let senders = addresses.senders(head, offers).into_iter();
        senders.map(|sender| sender.map_or(String::new(), |sender| sender.to_string())).collect()
    }

    #[test]
    fn a_sender_that_needs_smtputf8_is_told_to_no_server_without_it() {
        let without = Extensions { smtp_utf8: false, ..OFFERS };
        let addresses = addresses(&["a@x.org"], None);
        let return_path = ReturnPath::Address("ü@x.org".into());
        let head = Head { return_path, from: Some("f@x.org".into()), ..Head::default() };
        assert_eq!(senders(&addresses, &head, &OFFERS), ["ü@x.org", "f@x.org", ""]);
        assert_eq!(senders(&addresses, &head, &without), ["f@x.org", ""]);
        let sender = address("ü@x.org");
        let groups = addresses.commands(Some(&sender), 9, false, &OFFERS).expect("commands");
        assert!(lines(&groups)[0].starts_with("MAIL FROM:<ü@x.org> SIZE=9 SMTPUTF8\r\n"));
    }

    #[test]
    fn what_the_server_cannot_take_is_refused_before_it_is_asked() {
        let one = addresses(&["a@x.org"], None);
        assert!(one.commands(None, 1000, false, &OFFERS).is_ok());
        assert!(matches!(one.commands(None, 1001, false, &OFFERS), Err(SendError::Refused { .. })));
        let without = Extensions { smtp_utf8: false, ..OFFERS };
        for (recipient, sender) in [("ü@x.org", None), ("a@x.org", Some(Some("ü@x.org")))] {
            let international = addresses(&[recipient], sender);
            assert!(international.fit(&OFFERS).is_ok());
            assert!(matches!(international.fit(&without), Err(SmtpError::Settings { .. })), "{recipient}");
        }
        assert!(one.fit(&without).is_ok());
    }
}
