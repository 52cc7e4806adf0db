//! Headers of messages that are not retrieved, or not yet.

use std::collections::{HashMap, VecDeque};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::proof::{Groups, Landmark, Question};
use crate::header::{Head, SCAN_LIMIT};
use crate::message::MessageNumber;
use crate::pop3::command::Command;
use crate::pop3::multiline::Decoder;
use crate::pop3::session::{Session, SessionError};

/// What a reply is going to answer.
enum Asked {
    Head(Landmark),
    Proof(Question),
}

/// Asks for headers, one TOP after the other in a window.  A message that does not tell, or a
/// server without TOP, leaves them out.
///
/// # Errors
/// The connection broke, or the server's replies are out of place.
pub(super) async fn heads<S: AsyncRead + AsyncWrite + Unpin>(
    session: &mut Session<S>,
    messages: Vec<Landmark>,
) -> Result<HashMap<MessageNumber, Head>, SessionError> {
    let mut heads = HashMap::with_capacity(messages.len());
    let capabilities = session.capabilities();
    if capabilities.announced && !capabilities.top {
        return Ok(heads);
    }
    let pipelining = capabilities.pipelining;
    let mut waiting = messages.into_iter();
    let mut asked = VecDeque::new();
    let mut groups = Groups::begin(Instant::now());
    loop {
        while asked.is_empty() || (pipelining && session.has_room()) {
            if let Some(message) = waiting.next() {
                session.queue(Command::Top(message.number, 0));
                groups.ask_for(message.clone(), 0);
                asked.push_back(Asked::Head(message));
            } else if groups.is_due(None)
                && let Some(question) = groups.question()
            {
                session.queue(question.command());
                asked.push_back(Asked::Proof(question));
            } else {
                break;
            }
        }
        match asked.pop_front() {
            None => return Ok(heads),
            Some(Asked::Proof(question)) => {
                groups.prove(session, &question).await?;
            }
            Some(Asked::Head(message)) => {
                if !session.reply().await?.ok {
                    continue;
                }
                let (mut decoder, mut header, mut piece) = (Decoder::new(), Vec::new(), Vec::new());
                while !decoder.is_done() {
                    piece.clear();
                    session.body_piece(&mut decoder, &mut piece).await?;
                    let room = SCAN_LIMIT.saturating_sub(header.len());
                    header.extend_from_slice(&piece[..piece.len().min(room)]);
                }
                heads.insert(message.number, Head::scan(&header));
                groups.receive(message);
            }
        }
    }
}
