//! A server that says what it is given, a turn for each time that it is spoken to.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The octets of a server, and those of its client.
pub(super) struct Turns<'a> {
    turns: Box<dyn Iterator<Item = &'a [u8]> + Send + 'a>,
    /// What can be read by now.
    heard: Vec<u8>,
    /// The most octets that one read returns.
    piece: usize,
    /// What the client has sent.
    pub(super) said: Vec<u8>,
    /// The client has spoken since the last turn.
    spoken: bool,
}

impl<'a> Turns<'a> {
    /// The first turn is the greeting; no separator: the only one.
    pub(super) fn new(input: &'a [u8], separator: Option<u8>, piece: usize) -> Self {
        let mut turns = Box::new(input.split(move |&octet| Some(octet) == separator));
        let heard = turns.next().unwrap_or_default().to_vec();
        Self { turns, heard, piece, said: Vec::new(), spoken: false }
    }
}

impl AsyncRead for Turns<'_> {
    fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.spoken) {
            let turn = self.turns.next().unwrap_or_default();
            self.heard.extend_from_slice(turn);
        }
        // Nothing is the end of the connection.
        let octets = self.heard.len().min(self.piece).min(into.remaining());
        into.put_slice(&self.heard[..octets]);
        self.heard.drain(..octets);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Turns<'_> {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        self.said.extend_from_slice(octets);
        self.spoken = true;
        Poll::Ready(Ok(octets.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
