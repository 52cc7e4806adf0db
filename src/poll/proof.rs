//! Whether replies are where they belong: when to ask for a proof, and what the answer means.
//!
//! An extra or a missing reply makes each later message look like its neighbour; a lone dot that
//! the server has not stuffed ends a message in its middle.  The replies themselves do not show
//! this.  So messages are received in groups, and after each group the server is asked for the
//! unique-id of one of its messages (`UIDL n`, RFC 1939 §7).  Only if the answer agrees with the
//! listing does the group count as received.  A group whose proof does not come because the
//! connection broke is fetched again by the next poll; so groups begin small and grow with the speed.
//!
//! Servers answer in shapes of their own ([`Shape`]).  Where none of the answers says anything, each message is a group,
//! and the proof is its header, asked for once more: a reply out of place has another one.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use crate::header::{self, Head, SCAN_LIMIT};
use crate::message::{MessageKey, MessageNumber};
use crate::pop3::command::Command;
use crate::pop3::session::{Form, Session, SessionError, Shape, is_uid, size_of};

/// Messages of the largest group: enough that the cost of its proof is not noticed.
const GROUP_MESSAGES: usize = 64;

/// Octets that a group may have for each message that it may have.
const OCTETS_A_MESSAGE: u64 = 128 << 10;

/// A group whose proof comes this long after the previous one is too large, ...
const LONG: Duration = Duration::from_secs(2);
/// ... and if it comes sooner than this, the next group may be larger.
const SHORT: Duration = Duration::from_secs(1);

/// A message as the listing has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ListedAs {
    pub(super) number: MessageNumber,
    /// `None`: it has no unique-id.
    pub(super) key: Option<MessageKey>,
    pub(super) octets: Option<u64>,
}

/// A question that only a server in step answers correctly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Question {
    listed_as: ListedAs,
    about: About,
    form: Form,
    /// A header is asked for by TOP.
    by_top: bool,
}

/// What a question is about: the next one is asked if the server refuses the one before, or its answer says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum About {
    /// `UIDL n`.
    UniqueId,
    /// `LIST n`: of a message without unique-id, or where the server knows no `UIDL n`.
    Size,
    /// `STAT`: some servers know nothing more of a message that was retrieved.
    Totals,
    /// `TOP n 0`, and where the server refuses that, `RETR n`: the header that the message had.
    Header,
}

impl About {
    const ALL: [Self; 4] = [About::UniqueId, About::Size, About::Totals, About::Header];

    /// Whether the answers of a server in this shape say anything.
    fn is_answered(self, shape: Shape) -> bool {
        match self {
            About::UniqueId => shape.uidl.is_some(),
            About::Size => shape.list.is_some(),
            About::Totals => shape.stat,
            About::Header => true,
        }
    }

    fn next(self) -> Option<Self> {
        Self::ALL.into_iter().find(|about| *about > self)
    }
}

/// What an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// All that was received before it is what it seems.
    Proven,
    /// It proves nothing; something else is asked.
    Nothing,
    /// The replies are out of place, or that cannot be ruled out.
    Displaced,
}

/// The messages since the last question, and those since the last proof.
#[derive(Debug)]
pub(super) struct Groups {
    /// Messages that a group may have.
    span: usize,
    /// Messages and octets that were requested since the last question.
    messages: usize,
    octets: u64,
    /// The last message that was requested.
    asked: Option<ListedAs>,
    /// The last message that was received and is not proven.
    received: Option<ListedAs>,
    /// The last question was refused, and another one is due.
    again: bool,
    /// What the server answers questions about.
    about: About,
    shape: Shape,
    /// The beginning of the message that is coming, and the header of the last one that came, where headers are the
    /// proof.
    beginning: Vec<u8>,
    head: Option<Head>,
    /// The server has refused TOP: the message itself is asked for once more.
    without_top: bool,
    since: Instant,
}

impl Groups {
    /// Begins with a server whose answers have this shape.
    pub(super) fn begin(now: Instant, shape: Shape) -> Self {
        let (asked, received, head) = (None, None, None);
        let about = About::UniqueId;
        let (again, without_top, since) = (false, false, now);
        let (span, messages, octets, beginning) = (1, 0, 0, Vec::new());
        Self { span, messages, octets, asked, received, again, about, shape, beginning, head, without_top, since }
    }

    /// Whether the header of each message that is received is needed.
    fn wants_head(&self) -> bool {
        self.usable(self.about) == About::Header
    }

    /// The first question from this one on whose answer says anything.
    fn usable(&self, from: About) -> About {
        let answered = |about: &About| *about >= from && about.is_answered(self.shape);
        About::ALL.into_iter().find(answered).unwrap_or(About::Header)
    }

    /// Whether a question is due before the next message, of `next` octets, is requested; `None`:
    /// no more messages are requested.
    pub(super) fn is_due(&self, next: Option<u64>) -> bool {
        let limit = self.span as u64 * OCTETS_A_MESSAGE;
        let is_full = |octets| self.messages >= self.span || self.octets.saturating_add(octets) > limit;
        self.again || (self.messages > 0 && next.is_none_or(is_full))
    }

    /// Notes that a message is requested, of which `octets` will come.
    pub(super) fn ask_for(&mut self, message: ListedAs, octets: u64) {
        self.messages += 1;
        self.octets = self.octets.saturating_add(octets);
        self.asked = Some(message);
    }

    /// Octets of a message that is coming, as it is decoded.
    pub(super) fn read(&mut self, octets: &[u8]) {
        if self.wants_head() {
            let room = SCAN_LIMIT.saturating_sub(self.beginning.len());
            self.beginning.extend_from_slice(&octets[..octets.len().min(room)]);
        }
    }

    /// Notes that a message has come.
    pub(super) fn receive(&mut self, message: ListedAs) {
        let beginning = std::mem::take(&mut self.beginning);
        self.received = Some(message);
        self.head = header::has_field(&beginning).then(|| Head::scan(&beginning));
    }

    /// The last message that has come and is not proven.
    pub(super) fn unproven(&self) -> Option<MessageKey> {
        self.received.as_ref()?.key.clone()
    }

    /// The question that is due; the next group begins after it.
    pub(super) fn question(&mut self) -> Option<Question> {
        let again = self.again.then(|| self.received.clone()).flatten();
        let listed_as = again.or_else(|| self.asked.clone())?;
        (self.messages, self.octets, self.again) = (0, 0, false);
        let least = if listed_as.key.is_some() { About::UniqueId } else { About::Size };
        let about = self.usable(self.about.max(least));
        // A header proves its own message alone.
        self.span = if about == About::Header { 1 } else { (self.span * 2).min(GROUP_MESSAGES) };
        Some(Question { about, form: self.form(about), by_top: !self.without_top, listed_as })
    }

    /// Reads the answer to a question, and returns whether it proves what was received before it.
    pub(super) async fn prove<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        session: &mut Session<S>,
        question: &Question,
    ) -> Result<bool, SessionError> {
        let (status, text) = session.reply_with(<[u8]>::to_vec).await?;
        let now = Instant::now();
        let answer = if question.about == About::Header {
            let beginning = if status.ok { Some(read_beginning(session).await?) } else { None };
            self.answer_by_header(question, beginning.as_deref(), now)
        } else {
            let text = if status.ok { Some(session.answer_in(question.form, text).await?) } else { None };
            self.answer(question, text.as_deref(), now)
        };
        match answer {
            Answer::Proven => Ok(true),
            Answer::Nothing => Ok(false),
            Answer::Displaced => {
                Err(SessionError::Displaced { step: question.command().to_string(), line: status.text })
            }
        }
    }

    /// What the answer to a question says; `None` if it was refused.
    fn answer(&mut self, question: &Question, text: Option<&[u8]>, now: Instant) -> Answer {
        // Some servers count again once they have handed a message out.
        match text.filter(|text| !question.is_about_another_size(text)) {
            Some(text) if question.is_answered_by(text) => self.proven(now),
            Some(_) => Answer::Displaced,
            None => self.without_answer(question),
        }
    }

    /// What the beginning of a message says that was asked for once more; `None` if that was refused.
    fn answer_by_header(&mut self, question: &Question, beginning: Option<&[u8]>, now: Instant) -> Answer {
        let Some(beginning) = beginning else { return self.without_answer(question) };
        if self.received.as_ref() != Some(&question.listed_as) {
            return if self.received.is_some() { self.ask_again() } else { Answer::Nothing };
        }
        let again = Head::scan(beginning).fingerprint;
        // A header does not begin with a reply: the one that was read as such was one too many.
        let is_same = !beginning.starts_with(b"+OK")
            && again.is_some()
            && self.head.as_ref().is_some_and(|head| head.fingerprint == again);
        if is_same { self.proven(now) } else { Answer::Displaced }
    }

    fn proven(&mut self, now: Instant) -> Answer {
        let took = now - std::mem::replace(&mut self.since, now);
        // It has grown since it was asked.
        let shrink = if took >= LONG { 4 } else { 1 + usize::from(took >= SHORT) };
        self.span = (self.span / shrink).max(1);
        (self.received, self.head) = (None, None);
        Answer::Proven
    }

    /// What follows from a refused question.
    fn without_answer(&mut self, question: &Question) -> Answer {
        // It may be gone from the server; with nothing received nothing is in doubt.
        if self.received.is_none() {
            return Answer::Nothing;
        }
        if self.received.as_ref() != Some(&question.listed_as) {
            return self.ask_again();
        }
        match question.about.next() {
            Some(next) => self.about = self.usable(next),
            None if question.by_top => self.without_top = true,
            None => return Answer::Displaced,
        }
        self.ask_again()
    }

    fn form(&self, about: About) -> Form {
        let form = match about {
            About::UniqueId => self.shape.uidl,
            About::Size => self.shape.list,
            About::Totals | About::Header => None,
        };
        form.unwrap_or(Form::STANDARD)
    }

    fn ask_again(&mut self) -> Answer {
        self.again = true;
        Answer::Nothing
    }
}

impl Question {
    pub(super) fn command(&self) -> Command<'static> {
        match self.about {
            About::UniqueId => Command::UidlOf(self.listed_as.number),
            About::Size => Command::ListOf(self.listed_as.number),
            About::Totals => Command::Stat,
            About::Header if self.by_top => Command::Top(self.listed_as.number, 0),
            About::Header => Command::Retr(self.listed_as.number),
        }
    }

    /// Whether the answer names the right message with another size, which proves nothing.
    fn is_about_another_size(&self, text: &[u8]) -> bool {
        self.about == About::Size && self.size_in(text).is_some() && !self.is_answered_by(text)
    }

    fn size_in(&self, text: &[u8]) -> Option<u64> {
        size_of(text, self.listed_as.number, self.form.is_bare)
    }

    fn is_answered_by(&self, text: &[u8]) -> bool {
        let ListedAs { number, key, octets } = &self.listed_as;
        match self.about {
            About::UniqueId => key.as_ref().is_some_and(|key| is_uid(text, *number, key.uid(), self.form.is_bare)),
            About::Size => self.size_in(text).is_some_and(|size| octets.is_none_or(|octets| octets == size)),
            About::Totals => has_totals(text),
            About::Header => false,
        }
    }
}

/// Whether the answer to STAT has its two numbers, which no answer to RETR has.
fn has_totals(text: &[u8]) -> bool {
    let mut words = text.trim_ascii_start().split(u8::is_ascii_whitespace);
    let mut is_number = || words.next().is_some_and(|word| !word.is_empty() && word.iter().all(u8::is_ascii_digit));
    is_number() && is_number()
}

/// Reads a body after its `+OK`, and keeps its beginning.
pub(super) async fn read_beginning<S: AsyncRead + AsyncWrite + Unpin>(
    session: &mut Session<S>,
) -> Result<Vec<u8>, SessionError> {
    let (mut decoder, mut beginning, mut piece) = (session.decoder(), Vec::new(), Vec::new());
    while !decoder.is_done() {
        piece.clear();
        session.body_piece(&mut decoder, &mut piece).await?;
        let room = SCAN_LIMIT.saturating_sub(beginning.len());
        beginning.extend_from_slice(&piece[..piece.len().min(room)]);
    }
    Ok(beginning)
}

/// Finds out, in lock-step and by questions about one message, what the server's answers look like.
///
/// # Errors
/// The connection broke; an answer is longer than any that is known.
pub(super) async fn learn<S: AsyncRead + AsyncWrite + Unpin>(
    session: &mut Session<S>,
    message: &ListedAs,
) -> Result<Shape, SessionError> {
    let number = message.number;
    let mut shape = Shape::NOTHING;
    if let Some(key) = &message.key {
        let sample = session.sample(Command::UidlOf(number)).await?;
        shape.uidl = sample.form(|line, is_bare| is_uid(line, number, key.uid(), is_bare));
    }
    let sample = session.sample(Command::ListOf(number)).await?;
    // A number without the message's is an answer only if it is the size that LIST said.
    shape.list = sample.form(|line, is_bare| {
        size_of(line, number, is_bare).is_some_and(|size| !is_bare || message.octets == Some(size))
    });
    let sample = session.sample(Command::Stat).await?;
    shape.stat = sample.lines.is_empty() && sample.text.is_some_and(|text| has_totals(&text));
    Ok(shape)
}

#[cfg(test)]
mod tests;
