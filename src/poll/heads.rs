//! Headers of messages that are not retrieved, or not yet.

use std::collections::HashMap;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::proof::{Groups, ListedAs, Question, learn, read_beginning};
use crate::header::{self, Head};
use crate::message::MessageNumber;
use crate::pop3::command::Command;
use crate::pop3::session::{Session, SessionError, Window};

/// Headers that were read in a session.
#[derive(Debug, Default)]
pub(super) struct Heads {
    /// `None`: the server did not return it.
    heads: HashMap<MessageNumber, Option<Head>>,
    /// The server says that it has no TOP, or has refused each one.
    without_top: bool,
}

impl Heads {
    pub(super) fn get(&self, number: MessageNumber) -> Option<&Head> {
        self.heads.get(&number)?.as_ref()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (MessageNumber, &Head)> {
        self.heads.iter().filter_map(|(number, head)| Some((*number, head.as_ref()?)))
    }

    /// A header that the server does not return, or would not.
    pub(super) fn refuse(&mut self, number: MessageNumber) {
        self.heads.insert(number, None);
    }

    pub(super) fn is_asked(&self, number: MessageNumber) -> bool {
        self.heads.contains_key(&number)
    }

    /// Whether none of the requested headers has come, and more than a single message is the cause.
    pub(super) fn are_refused(&self) -> bool {
        self.without_top || (self.heads.len() > 1 && self.heads.values().all(Option::is_none))
    }

    /// Whether the server has TOP, as far as this session has shown.
    pub(super) fn has_top(&self) -> bool {
        !self.without_top
    }
}

/// What a reply answers.
enum Asked {
    Head(ListedAs),
    Proof(Question),
}

/// Whether the server has no TOP, as far as its first message can show.
///
/// # Errors
/// The connection broke, or the server's replies are out of place.
pub async fn lacks_top<S: AsyncRead + AsyncWrite + Unpin>(session: &mut Session<S>) -> Result<bool, SessionError> {
    let mut known = Heads::default();
    if let Some(number) = MessageNumber::new(1) {
        let first = ListedAs { number, key: None, octets: None };
        if session.shape().is_none() {
            let shape = learn(session, &first).await?;
            session.expect_shape(Some(shape));
        }
        heads(session, vec![first], &mut known).await?;
    }
    Ok(!known.has_top())
}

/// Asks for headers with TOP commands in a window, and adds them to those that are known.
///
/// # Errors
/// The connection broke, or the server's replies are out of place.
pub(super) async fn heads<S: AsyncRead + AsyncWrite + Unpin>(
    session: &mut Session<S>,
    messages: Vec<ListedAs>,
    known: &mut Heads,
) -> Result<(), SessionError> {
    let capabilities = session.capabilities();
    let is_announced = capabilities.announced && capabilities.top;
    if capabilities.announced && !capabilities.top {
        known.without_top = true;
        return Ok(());
    }
    let mut waiting = messages.into_iter();
    let mut window = Window::new(session);
    let mut groups = Groups::begin(Instant::now(), session.shape().unwrap_or_default());
    loop {
        window.fill(session, || {
            if let Some(message) = waiting.next() {
                groups.ask_for(message.clone(), 0);
                return Some((Command::Top(message.number, 0), Asked::Head(message)));
            }
            let question = groups.is_due(None).then(|| groups.question()).flatten()?;
            Some((question.command(), Asked::Proof(question)))
        })?;
        match window.pop() {
            None => break,
            Some(Asked::Proof(question)) => {
                groups.prove(session, &question).await?;
            }
            Some(Asked::Head(message)) => {
                if !session.reply().await?.ok {
                    known.heads.insert(message.number, None);
                    continue;
                }
                // Some servers answer TOP with nothing.
                let beginning = read_beginning(session).await?;
                let head = header::has_field(&beginning).then(|| Head::scan(&beginning));
                known.heads.insert(message.number, head);
                groups.read(&beginning);
                groups.receive(message);
            }
        }
    }
    known.without_top = !is_announced && known.heads.values().all(Option::is_none);
    Ok(())
}
