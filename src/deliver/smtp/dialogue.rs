//! The commands of an envelope with their replies, and what follows from these.  Pure.

use super::command::Command;
use super::{Reply, SendError, refusal};

impl Command {
    /// Whether a reply may refuse because of the sender.  Servers say it in many ways, and trying one more address
    /// costs little: so every permanent refusal counts that does not name another reason, by its status (RFC 3463)
    /// or its code (RFC 5321 §4.2.3, RFC 4954 §6).  A temporary refusal has to name the sender: Postfix says
    /// 450 4.1.8 to a domain that is not found, for as long as the message waits.
    fn may_refuse_sender(&self, reply: &Reply) -> bool {
        let status = reply.text.split(' ').next().unwrap_or_default();
        if !reply.is_permanent() {
            return reply.is_transient() && *self != Command::Data && matches!(status, "4.1.7" | "4.1.8");
        }
        match self {
            // But not because of the login or the size.
            Command::Mail(_) => !matches!(reply.code, 523 | 530 | 534 | 535 | 538 | 552) && status != "5.3.4",
            // Many servers check the sender only now.  But not because of the recipient, the mailbox or the size.
            Command::Rcpt(_) => {
                let is_of_recipient =
                    matches!(status, "5.1.1" | "5.1.2" | "5.1.3" | "5.1.4" | "5.1.5" | "5.1.6" | "5.1.10" | "5.3.4");
                reply.code != 552 && !is_of_recipient && !status.starts_with("5.2.")
            }
            Command::Data => false,
        }
    }

    /// Whether a reply is positive, but does not fit the command.
    fn is_misplaced(&self, reply: &Reply) -> bool {
        let class = match self {
            Command::Data => 3,
            _ => 2,
        };
        matches!(reply.code / 100, 2 | 3) && reply.code / 100 != class
    }
}

/// Commands and their replies, in order.
#[derive(Debug, Default)]
pub(super) struct Dialogue(pub(super) Vec<(Command, Reply)>);

impl Dialogue {
    /// The worst of the refusals; `None` if the message may be sent.  After a refused MAIL the other
    /// replies say nothing new.  Of several recipients a 4xx wins: trying again may help.
    pub(super) fn refusal(&self, server: &str) -> Option<SendError> {
        let is_mail = |command: &Command| matches!(command, Command::Mail(_));
        let of = |wanted: &dyn Fn(&Command, &Reply) -> bool| {
            let mut found = self.0.iter().filter(|(command, reply)| wanted(command, reply));
            found.find_map(|(command, reply)| refusal::of_command(server, command, reply))
        };
        of(&|command, _| is_mail(command))
            .or_else(|| of(&|command, reply| *command != Command::Data && reply.is_transient()))
            .or_else(|| of(&|_, _| true))
    }

    /// Whether it may be the sender that was refused: MAIL was, or every recipient was.  Another one may be accepted.
    pub(super) fn may_refuse_sender(&self) -> bool {
        let refused = |(_, reply): &(Command, Reply)| reply.is_transient() || reply.is_permanent();
        let is_recipient = |(command, _): &&(Command, Reply)| matches!(command, Command::Rcpt(_));
        match self.0.iter().find(|pair| refused(pair)) {
            Some((command @ Command::Mail(_), reply)) => command.may_refuse_sender(reply),
            Some((Command::Rcpt(_), _)) => {
                self.0.iter().filter(is_recipient).all(|(command, reply)| command.may_refuse_sender(reply))
            }
            _ => false,
        }
    }

    /// Whether any command was refused.
    fn is_refused(&self) -> bool {
        self.0.iter().any(|(_, reply)| reply.is_transient() || reply.is_permanent())
    }

    /// Whether the server waits for a message.
    pub(super) fn is_begun(&self) -> bool {
        self.0.iter().any(|(command, reply)| *command == Command::Data && reply.code / 100 == 3)
    }

    /// Whether a group of commands is still worth sending.
    pub(super) fn allows(&self, group: &[Command]) -> bool {
        let mail_refused =
            self.0.iter().any(|(command, reply)| matches!(command, Command::Mail(_)) && reply.code >= 400);
        !mail_refused && (group != [Command::Data] || !self.is_refused())
    }

    /// A reply that fits no command: server and client are out of step.
    pub(super) fn misplaced(&self) -> Option<&Reply> {
        self.0.iter().find(|(command, reply)| command.is_misplaced(reply)).map(|(_, reply)| reply)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::{Address, envelope_address};

    fn address(text: &str) -> Address {
        envelope_address(text).expect("an address")
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
        // If one recipient is accepted, so is the sender.
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
            (&[550, 503, 503, 503], Some("h: MAIL")),
            (&[451, 503, 503, 503], Some("put off: MAIL")),
            (&[250, 550, 250, 354], Some("h: recipient a@x.org")),
            (&[250, 550, 451], Some("put off: recipient b@x.org")),
            (&[250, 250, 250, 451], Some("put off: DATA")),
            (&[250, 550, 550, 451], Some("h: recipient a@x.org")),
        ] {
            let commands = [
                Command::Mail(String::new()),
                Command::Rcpt(address("a@x.org")),
                Command::Rcpt(address("b@x.org")),
                Command::Data,
            ];
            let dialogue: Vec<_> =
                commands.into_iter().zip(replies.iter().map(|&code| Reply::new(code, "x"))).collect();
            let text = Dialogue(dialogue).refusal("h").map(|refusal| refusal.to_string());
            let begins = |text: &String| want.is_some_and(|want| text.starts_with(want));
            assert!(text.as_ref().map_or(want.is_none(), begins), "{replies:?}: {text:?}");
        }
    }
}
