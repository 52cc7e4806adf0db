//! A connection that messages are sent through, one after the other.

use std::io;
use std::time::Duration;

use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::Rset;
use tokio::io::AsyncWriteExt as _;
use tracing::debug;

use super::body::Converter;
use super::command::Command;
use super::dialogue::Dialogue;
use super::envelope::Addresses;
use super::error::MESSAGE;
use super::extensions::Extensions;
use super::opening::{self, Opened};
use super::wire::SharedWire;
use super::{At, Reply, SendError, Settings, SmtpError, refusal};
use crate::header::Head;
use crate::secret::Secret;
use crate::spool::{PIECE_LIMIT, Spool};

/// Time for the reply to MAIL, RCPT or RSET (RFC 5321 §4.5.3.2.2 and .3).
const COMMAND_LIMIT: Duration = Duration::from_secs(5 * 60);

/// Time for the reply to the final dot (RFC 5321 §4.5.3.2.6): a server may look for viruses
/// before it answers, and a client that gives up too early gets the message delivered twice.
const FINAL_LIMIT: Duration = Duration::from_secs(10 * 60);

/// Time for QUIT and its reply; nothing depends on it.
const QUIT_LIMIT: Duration = Duration::from_secs(5);

/// Time to read why a server has hung up in the middle of a message.
const LAST_WORDS_LIMIT: Duration = Duration::from_secs(2);

/// Octets of a Message-ID that are written, so that its line is within 998.
const MESSAGE_ID_LIMIT: usize = 900;

/// The server has taken responsibility for a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The text of its final reply, fit to be shown; most servers give the message's queue id.
    pub reply: String,
}

/// A connection to an SMTP server.
pub struct Client {
    connection: AsyncSmtpConnection,
    wire: SharedWire,
    pub(super) extensions: Extensions,
    tls_version: Option<&'static str>,
    pub(super) addresses: Addresses,
    pub(super) server: String,
    timeout: Duration,
    /// Replies that have been asked for.  More replies than that mean that both sides are out of step.
    asked: usize,
    /// No command or message is under way: the next message may begin.
    pub(super) usable: bool,
    /// The buffer that a message is written from, kept for the next one.
    buffer: Vec<u8>,
}

impl Client {
    /// Connects, encrypts and logs in as the settings require.
    ///
    /// # Errors
    /// No connection, no encryption where it is wanted, a refused login, or settings that cannot
    /// be followed.  Mail and password were sent, if at all, only to the verified server.
    pub async fn connect(settings: &Settings, secret: Option<&Secret>) -> Result<Client, SmtpError> {
        let addresses = Addresses::of(settings)?;
        let Opened { connection, wire, extensions, tls_version } = opening::open(settings, secret).await?;
        addresses.fit(&extensions)?;
        let asked = wire.lock().replies();
        Ok(Client {
            connection,
            wire,
            extensions,
            tls_version,
            addresses,
            server: settings.endpoint.shown(),
            timeout: settings.timeout,
            asked,
            usable: true,
            buffer: Vec::new(),
        })
    }

    /// What the server offers, by name.
    pub fn extensions(&self) -> Vec<&'static str> {
        self.extensions.names()
    }

    /// The version of TLS, as `TLS 1.3`; `None` in clear.
    pub fn tls_version(&self) -> Option<&'static str> {
        self.tls_version
    }

    /// Whether another message can be sent.
    pub fn is_usable(&self) -> bool {
        self.usable
    }

    /// Sends a message to all recipients: `prefix` (whole trace fields), a Message-ID if `head`
    /// has none, and what is in the spool.  A future that is dropped leaves the client unusable.
    ///
    /// # Errors
    /// The message was not accepted, unless [`SendError::Lost`] says that this is not known.  After
    /// any error [`Client::is_usable`] says whether the next message can be tried.
    pub async fn send(
        &mut self,
        head: &Head,
        prefix: &[u8],
        message_id: &str,
        spool: &Spool,
    ) -> Result<Accepted, SendError> {
        self.send_on(head, prefix, message_id, spool, &mut Refused::default()).await
    }

    /// The same, beginning after the senders that were refused before, perhaps on another connection.
    ///
    /// # Errors
    /// As for [`Client::send`].  If the server has hung up after it refused a sender, and there is another sender to
    /// try, the connection is lost, and `refused` has grown.
    pub(super) async fn send_on(
        &mut self,
        head: &Head,
        prefix: &[u8],
        message_id: &str,
        spool: &Spool,
        refused: &mut Refused,
    ) -> Result<Accepted, SendError> {
        let top = top(head, prefix, message_id);
        let lone = memchr::memchr_iter(b'\n', &top).filter(|&at| at == 0 || top[at - 1] != b'\r').count();
        let octets = top.len() as u64 + lone as u64 + spool.wire_octets();
        let eight_bit = spool.has_eight_bit() || !top.is_ascii();
        let mut senders = self.addresses.senders(head, &self.extensions).into_iter().skip(refused.senders).peekable();
        loop {
            let Some(sender) = senders.next() else {
                // This connection may offer less than the one before.
                let none_left = || SendError::Deferred { reason: "no sender is left to try".to_owned() };
                return Err(refused.first.take().unwrap_or_else(none_left));
            };
            let groups = self.addresses.commands(sender.as_ref(), octets, eight_bit, &self.extensions)?;
            if !std::mem::take(&mut self.usable) {
                return Err(self.lost("MAIL", |place| SmtpError::Closed { place }));
            }
            match self.envelope(groups).await {
                Ok(()) => break,
                // A message is not given up because one sender is refused.
                Err(Unsent { error, of_sender: true }) if senders.peek().is_some() => {
                    debug!(server = self.server, "another sender is tried: {error}");
                    refused.senders += 1;
                    refused.first.get_or_insert(error);
                }
                Err(Unsent { error, of_sender: true }) => return Err(refused.first.take().unwrap_or(error)),
                Err(Unsent { error, .. }) => return Err(error),
            }
        }
        let reply = self.message(&top, spool).await?;
        self.usable = self.wire.lock().replies() == self.asked;
        Ok(Accepted { reply: reply.text })
    }

    /// Sends QUIT; the reply does not matter.
    pub async fn quit(mut self) {
        if self.usable {
            self.wire.lock().set_reply_limit(QUIT_LIMIT);
            let _ = tokio::time::timeout(QUIT_LIMIT, self.connection.quit()).await;
        }
    }

    /// Everything up to the server's 354.
    async fn envelope(&mut self, groups: Vec<Vec<Command>>) -> Result<(), Unsent> {
        let mut dialogue = Dialogue::default();
        for group in groups {
            if !dialogue.allows(&group) {
                break;
            }
            let broken = self.exchange(group, &mut dialogue).await.err();
            if let Some(reply) = dialogue.misplaced() {
                let what = format!("a reply that fits no command: {reply}");
                return Err(self.lost("DATA", |place| SmtpError::Protocol { place, what }).into());
            }
            if let Some(source) = broken {
                // Why the server has hung up is worth more than that it has.
                let lost = SendError::Lost { outcome_unknown: false, source };
                let of_sender = dialogue.may_refuse_sender();
                return Err(Unsent { error: dialogue.refusal(&self.server).unwrap_or(lost), of_sender });
            }
        }
        if self.wire.lock().replies() != self.asked {
            let what = "more replies than commands".to_owned();
            return Err(self.lost("DATA", |place| SmtpError::Protocol { place, what }).into());
        }
        let Some(refusal) = dialogue.refusal(&self.server) else { return Ok(()) };
        // After a 354 there is no way back: only if no final dot is sent, nothing is delivered.
        if !dialogue.is_begun() {
            self.reset().await;
        }
        Err(Unsent { error: refusal, of_sender: dialogue.may_refuse_sender() })
    }

    /// Writes a group of commands at once and reads their replies.
    pub(super) async fn exchange(&mut self, group: Vec<Command>, dialogue: &mut Dialogue) -> Result<(), SmtpError> {
        let lines: String = group.iter().map(Command::line).collect();
        let count = u32::try_from(group.len()).unwrap_or(u32::MAX);
        self.wire.lock().set_reply_limit(self.timeout.max(COMMAND_LIMIT).saturating_mul(count));
        self.asked += group.len();
        for (at, command) in group.into_iter().enumerate() {
            let result = match at {
                0 => self.connection.command(&lines).await,
                _ => self.connection.read_response().await,
            };
            let place = At { server: self.server.clone(), step: command.step() };
            let reply = match result {
                Ok(response) => reply_of(&response),
                Err(error) => opening::reply_of(&error)
                    .ok_or_else(|| SmtpError::from_lettre(place.clone(), &error, self.wire.lock().is_closed()))?,
            };
            if reply.is_closing() {
                return Err(SmtpError::Refused { place, reply });
            }
            dialogue.0.push((command, reply));
        }
        Ok(())
    }

    /// The message, and the reply to its final dot.
    async fn message(&mut self, top: &[u8], spool: &Spool) -> Result<Reply, SendError> {
        self.wire.lock().set_reply_limit(self.timeout.max(FINAL_LIMIT));
        self.asked += 1;
        let place = At { server: self.server.clone(), step: MESSAGE };
        if let Err(broken) = self.transmit(top, spool).await {
            return Err(match broken {
                Broken::Unreadable(error) => SendError::Local(error),
                Broken::Unwritable { error, outcome_unknown } => {
                    let lost = SendError::Lost { outcome_unknown, source: SmtpError::from_io(place, error) };
                    if outcome_unknown { lost } else { self.last_words().await.unwrap_or(lost) }
                }
            });
        }
        let reply = match self.connection.read_response().await {
            Ok(response) => reply_of(&response),
            Err(error) => opening::reply_of(&error).ok_or_else(|| {
                let source = SmtpError::from_lettre(place.clone(), &error, self.wire.lock().is_closed());
                SendError::Lost { outcome_unknown: true, source }
            })?,
        };
        if reply.is_closing() {
            return Err(SendError::Lost { outcome_unknown: false, source: SmtpError::Refused { place, reply } });
        }
        if let Some(refusal) = refusal::of_message(&self.server, &reply, format!("end of the message: {reply}")) {
            self.usable = self.wire.lock().replies() == self.asked;
            return Err(refusal);
        }
        if !reply.is_completed() {
            let what = format!("a reply that fits no message: {reply}");
            return Err(SendError::Lost { outcome_unknown: true, source: SmtpError::Protocol { place, what } });
        }
        Ok(reply)
    }

    /// Writes the message and its final dot; a transcript shows only their size.
    async fn transmit(&mut self, top: &[u8], spool: &Spool) -> Result<(), Broken> {
        self.wire.lock().transcript().is_sending_message(true);
        let result = self.transmit_pieces(top, spool).await;
        self.wire.lock().transcript().is_sending_message(false);
        result
    }

    /// The same, in pieces as large as those of the spool.
    async fn transmit_pieces(&mut self, top: &[u8], spool: &Spool) -> Result<(), Broken> {
        let (mut converter, mut out) = (Converter::default(), std::mem::take(&mut self.buffer));
        out.clear();
        converter.convert(top, &mut out);
        let mut pieces = spool.pieces();
        // If the message cannot be read to its end, no dot is sent, and the server does not take it.
        while let Some(piece) = pieces.next_piece().map_err(Broken::Unreadable)? {
            converter.convert(piece, &mut out);
            if out.len() >= PIECE_LIMIT {
                let written = self.wire.write_all(&out).await;
                written.map_err(|error| Broken::Unwritable { error, outcome_unknown: false })?;
                out.clear();
            }
        }
        let text = out.len();
        converter.end(&mut out);
        let mut written = 0;
        while written < out.len() {
            let result = self.wire.write(&out[written..]).await;
            let result =
                result.and_then(|octets| if octets > 0 { Ok(octets) } else { Err(io::ErrorKind::WriteZero.into()) });
            written += result.map_err(|error| Broken::Unwritable { error, outcome_unknown: written > text })?;
        }
        self.buffer = out;
        self.wire.flush().await.map_err(|error| Broken::Unwritable { error, outcome_unknown: true })
    }

    /// What the server said before it hung up in the middle of a message.  Without it a message that
    /// is too large would be tried for ever.
    async fn last_words(&mut self) -> Option<SendError> {
        let response = tokio::time::timeout(LAST_WORDS_LIMIT, self.connection.read_response()).await.ok()?;
        let reply = opening::reply_of(&response.err()?).filter(|reply| !reply.is_closing())?;
        refusal::of_message(&self.server, &reply, format!("in the middle of the message: {reply}"))
    }

    /// Forgets the envelope, so that the next message can begin.
    pub(super) async fn reset(&mut self) {
        self.wire.lock().set_reply_limit(self.timeout.max(COMMAND_LIMIT));
        self.asked += 1;
        let done = self.connection.command(Rset).await;
        self.usable = done.is_ok() && self.wire.lock().replies() == self.asked;
    }

    pub(super) fn lost(&self, step: &'static str, error: impl FnOnce(At) -> SmtpError) -> SendError {
        let place = At { server: self.server.clone(), step };
        SendError::Lost { outcome_unknown: false, source: error(place) }
    }
}

fn reply_of(response: &lettre::transport::smtp::response::Response) -> Reply {
    Reply::new(response.code().into(), &response.message().collect::<Vec<_>>().join(" "))
}

/// What is put before the message.
fn top(head: &Head, prefix: &[u8], message_id: &str) -> Vec<u8> {
    let mut top = prefix.to_vec();
    if !top.is_empty() && !top.ends_with(b"\n") {
        top.extend_from_slice(b"\r\n");
    }
    if head.message_id.is_none() {
        let id: String = message_id.chars().filter(|c| c.is_ascii_graphic() && !matches!(c, '<' | '>')).collect();
        let id = &id[..id.len().min(MESSAGE_ID_LIMIT)];
        top.extend_from_slice(format!("Message-ID: <{id}>\r\n").as_bytes());
    }
    top
}

/// The senders of one message that a server has refused so far.
#[derive(Debug, Default)]
pub(super) struct Refused {
    pub(super) senders: usize,
    /// What it said about the first one.
    first: Option<SendError>,
}

/// An envelope after which the message cannot be sent.
struct Unsent {
    error: SendError,
    /// It may be the sender that was refused.
    of_sender: bool,
}

impl From<SendError> for Unsent {
    fn from(error: SendError) -> Self {
        Self { error, of_sender: false }
    }
}

/// Why a message was not written to its end.
enum Broken {
    /// The spool cannot be read; no dot was sent.
    Unreadable(io::Error),
    /// The connection failed; the server may have the message if part of its end was sent.
    Unwritable { error: io::Error, outcome_unknown: bool },
}
