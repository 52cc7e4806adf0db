//! The server's end of a connection: in clear or in TLS, with a record of what came in clear.

use native_tls::{HandshakeError, TlsAcceptor, TlsStream};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Octets that are kept of what was heard on the wire.
const RECORD_OCTETS: usize = 1 << 20;

/// Time for a client to read what was sent before an orderly end.
const FAREWELL: Duration = Duration::from_secs(20);

/// The octets that came over the wire as they were.
pub(crate) type Heard = Arc<Mutex<Vec<u8>>>;

/// A socket that keeps a record of what comes in.
struct Tap {
    socket: TcpStream,
    heard: Heard,
}

impl Read for Tap {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let octets = self.socket.read(buffer)?;
        let mut heard = self.heard.lock().expect("no panic while locked");
        if heard.len() < RECORD_OCTETS {
            heard.extend_from_slice(&buffer[..octets]);
        }
        Ok(octets)
    }
}

impl Write for Tap {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.socket.write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

enum Stream {
    Clear(Tap),
    Tls(Box<TlsStream<Tap>>),
    Gone,
}

/// A connection.
pub(crate) struct Channel {
    stream: Stream,
    socket: TcpStream,
    unread: Vec<u8>,
}

impl Channel {
    pub(crate) fn new(socket: TcpStream, heard: Heard) -> Self {
        let _ = socket.set_nodelay(true);
        let stream = Stream::Clear(Tap { socket: socket.try_clone().expect("clone a socket"), heard });
        Self { stream, socket, unread: Vec::new() }
    }

    pub(crate) fn is_tls(&self) -> bool {
        matches!(self.stream, Stream::Tls(_))
    }

    /// Speaks TLS from here on.
    pub(crate) fn upgrade(&mut self, acceptor: &TlsAcceptor) -> io::Result<()> {
        let Stream::Clear(tap) = std::mem::replace(&mut self.stream, Stream::Gone) else {
            return Err(io::Error::other("TLS in TLS"));
        };
        match acceptor.accept(tap) {
            Ok(stream) => self.stream = Stream::Tls(Box::new(stream)),
            Err(HandshakeError::Failure(error)) => return Err(io::Error::other(error)),
            Err(HandshakeError::WouldBlock(_)) => return Err(io::Error::other("a socket that does not block")),
        }
        Ok(())
    }

    /// The client's next line without its end; `None` when it has gone.
    pub(crate) fn read_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if let Some(end) = self.unread.iter().position(|&octet| octet == b'\n') {
                let mut line: Vec<u8> = self.unread.drain(..=end).collect();
                line.pop();
                if line.ends_with(b"\r") {
                    line.pop();
                }
                return Ok(Some(line));
            }
            let mut piece = [0; 4096];
            let octets = self.read(&mut piece)?;
            if octets == 0 {
                return Ok(None);
            }
            self.unread.extend_from_slice(&piece[..octets]);
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.stream {
            Stream::Clear(tap) => tap.read(buffer),
            Stream::Tls(stream) => stream.read(buffer),
            Stream::Gone => Ok(0),
        }
    }

    pub(crate) fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        match &mut self.stream {
            Stream::Clear(tap) => tap.write_all(octets),
            Stream::Tls(stream) => stream.write_all(octets).and_then(|()| stream.flush()),
            Stream::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Waits for the client's next octet.
    pub(crate) fn wait(&self) -> io::Result<()> {
        self.socket.peek(&mut [0]).map(drop)
    }

    /// Reads and discards until the client has gone.
    pub(crate) fn outwait(&mut self) {
        let mut piece = [0; 4096];
        while matches!(self.read(&mut piece), Ok(1..)) {}
    }

    /// Ends the connection in good order, or without the close_notify of TLS.
    pub(crate) fn close(mut self, farewell: bool) {
        if farewell && let Stream::Tls(stream) = &mut self.stream {
            let _ = stream.shutdown();
        }
        let _ = self.socket.shutdown(Shutdown::Write);
        // Unread octets at the end would make it a reset, and the client might lose what was sent.
        let _ = self.socket.set_read_timeout(Some(FAREWELL));
        let mut piece = [0; 4096];
        while matches!(self.socket.read(&mut piece), Ok(1..)) {}
    }

    /// Ends it by a reset.
    pub(crate) fn reset(self) {
        let _ = rustix::net::sockopt::set_socket_linger(&self.socket, Some(Duration::ZERO));
    }
}
