//! From whom and to whom a message goes, in which commands, and what their replies come to.
//!
//! A message goes to every recipient or to none: one that is refused has been delivered to
//! nobody, and can be tried again without doubling it.  Pure.

use lettre::Address;
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{MailBodyParameter, MailParameter};

use super::extensions::Extensions;
use super::{Reply, SendError, Settings, SmtpError};
use crate::header::{Head, ReturnPath, envelope_address};

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

    /// The sender of a message.
    fn sender(&self, head: &Head) -> Option<Address> {
        if let Some(sender) = &self.sender {
            return sender.clone();
        }
        match &head.return_path {
            ReturnPath::Null => None,
            ReturnPath::Address(address) => envelope_address(address),
            ReturnPath::Absent => head.from.as_deref().and_then(envelope_address),
        }
    }

    /// The commands for a message, in groups that go out in one write each.
    ///
    /// # Errors
    /// [`SendError::Refused`]: the server does not offer what the message needs.
    pub(super) fn commands(
        &self,
        head: &Head,
        octets: u64,
        eight_bit: bool,
        offers: &Extensions,
    ) -> Result<Vec<Vec<Command>>, SendError> {
        let sender = self.sender(head);
        let international = self.recipients.iter().chain(&sender).any(|address| !address.to_string().is_ascii());
        let refused = |reason: String| Err(SendError::Refused { reason });
        if international && !offers.smtp_utf8 {
            return refused("an address is not ASCII, and the server does not offer SMTPUTF8".into());
        }
        if let Some(limit) = offers.size.flatten().filter(|&limit| octets > limit) {
            return refused(format!("it has {octets} octets, and the server takes at most {limit} (SIZE)"));
        }
        let mut parameters = Vec::new();
        if offers.size.is_some() {
            parameters.push(MailParameter::Size(usize::try_from(octets).unwrap_or(usize::MAX)));
        }
        if eight_bit && offers.eight_bit_mime {
            parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        if international {
            parameters.push(MailParameter::SmtpUtfEight);
        }
        let mail = Command::Mail(Mail::new(sender, parameters).to_string());
        let recipients = self.recipients.iter().cloned().map(Command::Rcpt);
        Ok(group(std::iter::once(mail).chain(recipients).collect(), offers.pipelining))
    }
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

/// One command of an envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    /// MAIL with its parameters, as it is written.
    Mail(String),
    Rcpt(Address),
    Data,
}

impl Command {
    /// As it is written.
    pub(super) fn line(&self) -> String {
        match self {
            Command::Mail(line) => line.clone(),
            Command::Rcpt(address) => Rcpt::new(address.clone(), Vec::new()).to_string(),
            Command::Data => Data.to_string(),
        }
    }

    /// Its name.
    pub(super) fn step(&self) -> &'static str {
        match self {
            Command::Mail(_) => "MAIL",
            Command::Rcpt(_) => "RCPT",
            Command::Data => "DATA",
        }
    }

    /// What a negative reply to it means; `None` if it is not one.
    fn refusal(&self, reply: &Reply) -> Option<SendError> {
        let reason = match self {
            Command::Rcpt(address) => format!("recipient {address}: {reply}"),
            _ => format!("{}: {reply}", self.step()),
        };
        refusal(reply, reason)
    }

    /// A positive reply that does not fit the command.
    fn is_misplaced(&self, reply: &Reply) -> bool {
        let class = match self {
            Command::Data => 3,
            _ => 2,
        };
        matches!(reply.code / 100, 2 | 3) && reply.code / 100 != class
    }
}

/// What a negative reply means; `None` if it is not one.
pub(super) fn refusal(reply: &Reply, reason: String) -> Option<SendError> {
    match reply.code / 100 {
        4 => Some(SendError::Deferred { reason }),
        5 => Some(SendError::Refused { reason }),
        _ => None,
    }
}

/// Commands and their replies, in order.
#[derive(Debug, Default)]
pub(super) struct Dialogue(pub(super) Vec<(Command, Reply)>);

impl Dialogue {
    /// Whether the message is not to be sent; the worst of the refusals.  After a refused MAIL
    /// the rest is not news.  Of several recipients a 4xx wins: trying again may help.
    pub(super) fn refusal(&self) -> Option<SendError> {
        let is_mail = |command: &Command| matches!(command, Command::Mail(_));
        let of = |wanted: &dyn Fn(&Command, &Reply) -> bool| {
            let mut found = self.0.iter().filter(|(command, reply)| wanted(command, reply));
            found.find_map(|(command, reply)| command.refusal(reply))
        };
        of(&|command, _| is_mail(command))
            .or_else(|| of(&|command, reply| *command != Command::Data && reply.is_transient()))
            .or_else(|| of(&|_, _| true))
    }

    /// Whether the server waits for a message.
    pub(super) fn is_begun(&self) -> bool {
        self.0.iter().any(|(command, reply)| *command == Command::Data && reply.code / 100 == 3)
    }

    /// Whether a group of commands is still worth sending.
    pub(super) fn allows(&self, group: &[Command]) -> bool {
        let mail_refused =
            self.0.iter().any(|(command, reply)| matches!(command, Command::Mail(_)) && reply.code >= 400);
        !mail_refused && (group != [Command::Data] || self.refusal().is_none())
    }

    /// A reply that fits no command: server and client are out of step.
    pub(super) fn misplaced(&self) -> Option<&Reply> {
        self.0.iter().find(|(command, reply)| command.is_misplaced(reply)).map(|(_, reply)| reply)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Address {
        text.parse().expect("an address")
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
        let head = Head { from: Some("f@x.org".into()), ..Head::default() };
        let one = addresses(&["a@x.org"], None).commands(&head, 9, true, &OFFERS).expect("commands");
        let mail = "MAIL FROM:<f@x.org> SIZE=9 BODY=8BITMIME\r\n";
        assert_eq!(lines(&one), [format!("{mail}RCPT TO:<a@x.org>\r\nDATA\r\n")]);
        let two = addresses(&["a@x.org", "b@x.org"], None);
        let groups = two.commands(&head, 9, true, &OFFERS).expect("commands");
        assert_eq!(lines(&groups), [&format!("{mail}RCPT TO:<a@x.org>\r\nRCPT TO:<b@x.org>\r\n"), "DATA\r\n"]);
        let slow = Extensions { pipelining: false, size: None, ..OFFERS };
        let groups = two.commands(&head, 9, false, &slow).expect("commands");
        let want = ["MAIL FROM:<f@x.org>\r\n", "RCPT TO:<a@x.org>\r\n", "RCPT TO:<b@x.org>\r\n", "DATA\r\n"];
        assert_eq!(lines(&groups), want);
        let many: Vec<String> = (0..250).map(|n| format!("u{n}@x.org")).collect();
        let many = addresses(&many.iter().map(String::as_str).collect::<Vec<_>>(), None);
        let groups = many.commands(&head, 9, false, &OFFERS).expect("commands");
        assert_eq!(groups.iter().map(Vec::len).collect::<Vec<_>>(), [100, 100, 51, 1]);
    }

    #[test]
    fn the_sender_is_the_settings_else_return_path_else_from_else_null() {
        let from = Some("f@x.org".to_owned());
        let path = ReturnPath::Address("r@x.org".into());
        for (setting, return_path, from, want) in [
            (Some(Some("s@x.org")), ReturnPath::Null, from.clone(), "s@x.org"),
            (Some(None), path.clone(), from.clone(), ""),
            (None, path, from.clone(), "r@x.org"),
            (None, ReturnPath::Null, from.clone(), ""),
            (None, ReturnPath::Absent, from, "f@x.org"),
            (None, ReturnPath::Absent, None, ""),
        ] {
            let head = Head { return_path, from, ..Head::default() };
            let sender = addresses(&["a@x.org"], setting).sender(&head).map_or(String::new(), |a| a.to_string());
            assert_eq!(sender, want, "{head:?}");
        }
    }

    #[test]
    fn what_the_server_cannot_take_is_refused_before_it_is_asked() {
        let head = Head::default();
        let refused = |recipient: &str, octets, offers: &Extensions| {
            matches!(
                addresses(&[recipient], None).commands(&head, octets, false, offers),
                Err(SendError::Refused { .. })
            )
        };
        assert!(!refused("a@x.org", 1000, &OFFERS));
        assert!(refused("a@x.org", 1001, &OFFERS));
        assert!(!refused("ü@x.org", 9, &OFFERS));
        assert!(refused("ü@x.org", 9, &Extensions { smtp_utf8: false, ..OFFERS }));
    }

    #[test]
    fn the_worst_reply_decides() {
        for (replies, want) in [
            (&[250, 250, 250, 354][..], None),
            (&[550, 503, 503, 503], Some("refused: MAIL")),
            (&[451, 503, 503, 503], Some("put off: MAIL")),
            (&[250, 550, 250, 354], Some("refused: recipient a@x.org")),
            (&[250, 550, 451], Some("put off: recipient b@x.org")),
            (&[250, 250, 250, 451], Some("put off: DATA")),
            (&[250, 550, 550, 451], Some("refused: recipient a@x.org")),
        ] {
            let commands = [
                Command::Mail(String::new()),
                Command::Rcpt(address("a@x.org")),
                Command::Rcpt(address("b@x.org")),
                Command::Data,
            ];
            let dialogue: Vec<_> =
                commands.into_iter().zip(replies.iter().map(|&code| Reply::new(code, "x"))).collect();
            let text = Dialogue(dialogue).refusal().map(|refusal| refusal.to_string());
            let begins = |text: &String| want.is_some_and(|want| text.starts_with(want));
            assert!(text.as_ref().map_or(want.is_none(), begins), "{replies:?}: {text:?}");
        }
    }
}
