//! Headers of messages that are not retrieved, or not yet.

use std::collections::{HashMap, VecDeque};

use tokio::io::{AsyncRead, AsyncWrite};

use crate::header::{Head, SCAN_LIMIT};
use crate::message::MessageNumber;
use crate::pop3::command::Command;
use crate::pop3::multiline::Decoder;
use crate::pop3::session::{Session, SessionError};

/// Asks for headers, one TOP after the other in a window.  A message that does not tell, or a
/// server without TOP, leaves them out.
pub(super) async fn heads<S: AsyncRead + AsyncWrite + Unpin>(
    session: &mut Session<S>,
    numbers: Vec<MessageNumber>,
) -> Result<HashMap<MessageNumber, Head>, SessionError> {
    let mut heads = HashMap::with_capacity(numbers.len());
    let capabilities = session.capabilities();
    if capabilities.announced && !capabilities.top {
        return Ok(heads);
    }
    let pipelining = capabilities.pipelining;
    let mut waiting = numbers.into_iter();
    let mut asked = VecDeque::new();
    loop {
        while asked.is_empty() || (pipelining && session.has_room()) {
            let Some(number) = waiting.next() else { break };
            session.queue(Command::Top(number, 0));
            asked.push_back(number);
        }
        let Some(number) = asked.pop_front() else { return Ok(heads) };
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
        heads.insert(number, Head::scan(&header));
    }
}
