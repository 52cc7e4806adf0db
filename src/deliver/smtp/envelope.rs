//! From whom and to whom a message goes, in which commands, and what their replies come to.
//!
//! A message goes to every recipient or to none: one that is refused has been delivered to
//! nobody, and can be tried again without doubling it.  Pure.

use std::fmt::Write as _;

use super::extensions::Extensions;
use super::{Reply, SendError, Settings, SmtpError};
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
            return Err(SendError::Refused { reason });
        }
        let mut mail = format!("MAIL FROM:<{}>", sender.map_or(String::new(), Address::to_string));
        if offers.size.is_some() {
            let _ = write!(mail, " SIZE={octets}");
        }
        if eight_bit && offers.eight_bit_mime {
            mail.push_str(" BODY=8BITMIME");
        }
        if self.recipients.iter().chain(sender).any(|address| !address.is_ascii()) {
            mail.push_str(" SMTPUTF8");
        }
        let recipients = self.recipients.iter().cloned().map(Command::Rcpt);
        Ok(group(std::iter::once(Command::Mail(mail)).chain(recipients).collect(), offers.pipelining))
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
    /// MAIL with its parameters.
    Mail(String),
    Rcpt(Address),
    Data,
}

impl Command {
    /// As it is written.
    pub(super) fn line(&self) -> String {
        match self {
            Command::Mail(line) => format!("{line}\r\n"),
            Command::Rcpt(address) => format!("RCPT TO:<{address}>\r\n"),
            Command::Data => "DATA\r\n".to_owned(),
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

    /// Whether a reply may refuse because of the sender.  Servers say it in many ways, and an address more that is
    /// tried costs little: so it is whatever refuses for good and does not name another reason, by its status
    /// (RFC 3463) or its code (RFC 5321 §4.2.3, RFC 4954 §6).  What refuses for now has to name the sender: Postfix
    /// says 450 4.1.8 to a domain that is not found, for as long as the message waits.
    fn may_refuse_sender(&self, reply: &Reply) -> bool {
        let status = reply.text.split(' ').next().unwrap_or_default();
        if !reply.is_permanent() {
            return reply.is_transient() && *self != Command::Data && matches!(status, "4.1.7" | "4.1.8");
        }
        match self {
            // Not: the login, the size.
            Command::Mail(_) => !matches!(reply.code, 523 | 530 | 534 | 535 | 538 | 552) && status != "5.3.4",
            // Many look at the sender only now.  Not: the recipient, the mailbox, the size.
            Command::Rcpt(_) => {
                let is_of_recipient =
                    matches!(status, "5.1.1" | "5.1.2" | "5.1.3" | "5.1.4" | "5.1.5" | "5.1.6" | "5.1.10" | "5.3.4");
                reply.code != 552 && !is_of_recipient && !status.starts_with("5.2.")
            }
            Command::Data => false,
        }
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

    /// Whether it may be the sender that was refused: MAIL was, or every recipient was.  Another one may be taken.
    pub(super) fn may_refuse_sender(&self) -> bool {
        let refused = |(command, reply): &(Command, Reply)| command.refusal(reply).is_some();
        let is_recipient = |(command, _): &&(Command, Reply)| matches!(command, Command::Rcpt(_));
        match self.0.iter().find(|pair| refused(pair)) {
            Some((command @ Command::Mail(_), reply)) => command.may_refuse_sender(reply),
            Some((Command::Rcpt(_), _)) => {
                self.0.iter().filter(is_recipient).all(|(command, reply)| command.may_refuse_sender(reply))
            }
            _ => false,
        }
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

    #[test]
    fn a_refusal_that_may_be_the_senders_is_told_from_one_with_another_reason() {
        for (replies, want) in [
            (&[(501, "bad address")][..], true),
            (&[(553, "sorry"), (503, "x"), (503, "x")], true),
            (&[(550, "Sender verify failed")], true),
            (&[(550, "5.1.8 no such domain")], true),
            (&[(554, "5.1.7 bad sender")], true),
            (&[(553, "5.6.7 no SMTPUTF8")], true),
            (&[(250, "x"), (550, "5.1.8 Sender address rejected: Domain not found"), (503, "x")], true),
            (&[(517, "Syntax error."), (502, "x"), (502, "x")], true),
            (&[(550, "5.7.1 not you")], true),
            (&[(553, "5.7.1 not owned by user")], true),
            (&[(554, "no")], true),
            (&[(552, "5.3.4 too large")], false),
            (&[(530, "5.7.0 log in")], false),
            (&[(535, "5.7.8 log in")], false),
            (&[(502, "5.5.1 what")], true),
            (&[(555, "5.5.4 SIZE")], true),
            (&[(504, "5.5.2 <x>: Sender address rejected: need fully-qualified address")], true),
            (&[(250, "x"), (504, "5.5.2 <x>: Sender address rejected: need fully-qualified address")], true),
            (&[(523, "5.3.4 too large")], false),
            (&[(450, "4.1.8 no such domain now")], true),
            (&[(250, "x"), (450, "4.1.8 <x>: Sender address rejected: Domain not found"), (503, "x")], true),
            (&[(250, "x"), (451, "4.1.7 x")], true),
            (&[(450, "4.7.1 greylisted")], false),
            (&[(250, "x"), (450, "4.1.2 recipient's domain not found")], false),
            (&[(250, "x"), (550, "5.1.10 null MX")], false),
            (&[(250, "x"), (250, "x"), (450, "4.1.8 x")], false),
            (&[(250, "x"), (550, "Sender verify failed"), (503, "x")], true),
            (&[(250, "x"), (550, "5.7.1 relaying denied")], true),
            (&[(250, "x"), (550, "5.1.1 nobody")], false),
            (&[(250, "x"), (552, "5.2.2 full")], false),
            (&[(250, "x"), (550, "5.2.1 disabled")], false),
            (&[(250, "x"), (450, "greylisted")], false),
            (&[(250, "x"), (250, "x"), (550, "5.1.8 x")], false),
            (&[(250, "x"), (250, "x"), (354, "go")], false),
        ] {
            let commands = [Command::Mail(String::new()), Command::Rcpt(address("a@x.org")), Command::Data];
            let replies_of = replies.iter().map(|(code, text)| Reply::new(*code, text));
            let dialogue = Dialogue(commands.into_iter().zip(replies_of).collect());
            assert_eq!(dialogue.may_refuse_sender(), want, "{replies:?}");
        }
        // One recipient that is accepted shows that the sender is, too.
        let commands =
            [Command::Mail(String::new()), Command::Rcpt(address("a@x.org")), Command::Rcpt(address("b@x.org"))];
        for (replies, want) in [([250, 550, 250], false), ([250, 550, 553], true), ([250, 550, 450], false)] {
            let replies = replies.map(|code| Reply::new(code, "x"));
            assert_eq!(Dialogue(commands.clone().into_iter().zip(replies.clone()).collect()).may_refuse_sender(), want);
        }
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
