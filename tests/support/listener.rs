//! The ground under the scripted servers: a loopback port, a thread for each
//! connection, and an end for all of them when the test drops the server.

use std::io::{self, BufRead, BufReader, Read as _, Write};
use std::net::{IpAddr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::wait_until;

/// A listener that was dropped lets its port go as soon as its thread has woken.
const PORT_IS_FREED: Duration = Duration::from_secs(20);

/// A listening port on 127.0.0.1.  Dropping it ends every connection.
pub struct Listener {
    /// The port.
    pub port: u16,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    stopping: bool,
    count: usize,
    accepted: Vec<TcpStream>,
}

impl Listener {
    /// Serves each connection on a thread; `serve` gets its number, from 0.  An
    /// error that `serve` returns only ends the connection.
    pub fn start(serve: impl Fn(usize, Connection) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self::start_at(0, serve)
    }

    /// The same on a port that another listener has had.
    pub fn start_at(port: u16, serve: impl Fn(usize, Connection) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self::accept(port, true, move |number, stream| drop(serve(number, Connection::new(stream))))
    }

    /// Serves each connection on a thread, as a bare socket whose only owner `serve` is: it can be
    /// reset, and ends when the client does, not when the listener is dropped.
    pub fn start_raw(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        Self::accept(0, false, move |_, stream| serve(stream))
    }

    fn accept(port: u16, keeps: bool, serve: impl Fn(usize, TcpStream) + Send + Sync + 'static) -> Self {
        let mut bound = TcpListener::bind(("127.0.0.1", port));
        wait_until("the port is free", PORT_IS_FREED, || {
            if bound.is_err() {
                bound = TcpListener::bind(("127.0.0.1", port));
            }
            bound.is_ok()
        });
        let listener = bound.expect("bind to the port");
        let port = listener.local_addr().expect("own address").port();
        let shared = Arc::new(Mutex::new(Shared::default()));
        let (for_thread, serve) = (Arc::clone(&shared), Arc::new(serve));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(stream) = stream else { continue };
                let mut shared = for_thread.lock().expect("no panic while locked");
                if shared.stopping {
                    return;
                }
                let number = shared.count;
                shared.count += 1;
                if keeps {
                    shared.accepted.push(stream.try_clone().expect("clone a socket"));
                }
                let serve = Arc::clone(&serve);
                thread::spawn(move || serve(number, stream));
            }
        });
        Self { port, shared }
    }

    /// How many connections there have been.
    pub fn connections(&self) -> usize {
        self.shared.lock().expect("no panic while locked").count
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut shared = self.shared.lock().expect("no panic while locked");
        shared.stopping = true;
        for stream in shared.accepted.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        drop(shared);
        // Wakes the accepting thread, so that it sees the end.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// A server's side of a connection.  Closed when dropped.
pub struct Connection {
    reader: BufReader<TcpStream>,
    writer: TcpStream,
    corked: Option<Vec<u8>>,
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        let _ = stream.set_nodelay(true);
        let reader = stream.try_clone().expect("clone a socket");
        Self { reader: BufReader::with_capacity(64 * 1024, reader), writer: stream, corked: None }
    }

    /// Where the client connects from.
    pub fn client(&self) -> IpAddr {
        self.writer.peer_addr().expect("the client's address").ip()
    }

    /// The client's next octets.
    pub fn read_octets(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut octets = vec![0; count];
        self.reader.read_exact(&mut octets)?;
        Ok(octets)
    }

    /// Carries octets to and from another server until both have ended.
    pub fn relay(mut self, server: TcpStream) -> io::Result<()> {
        let (mut from_server, mut to_client) = (server.try_clone()?, self.writer.try_clone()?);
        let back = thread::spawn(move || {
            let _ = io::copy(&mut from_server, &mut to_client);
            let _ = to_client.shutdown(Shutdown::Write);
        });
        let _ = io::copy(&mut self.reader, &mut &server);
        let _ = server.shutdown(Shutdown::Write);
        let _ = back.join();
        Ok(())
    }

    /// The client's next line without its end; `None` when it has closed.
    pub fn read_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        if self.reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        if line.ends_with(b"\n") {
            line.pop();
        }
        if line.ends_with(b"\r") {
            line.pop();
        }
        Ok(Some(line))
    }

    /// Appends the client's next octets up to and with a LF; 0 when it has closed.
    pub fn read_raw_line(&mut self, line: &mut Vec<u8>) -> io::Result<usize> {
        self.reader.read_until(b'\n', line)
    }

    /// Whether more has come than was read so far.
    pub fn has_more(&self) -> bool {
        !self.reader.buffer().is_empty()
    }

    /// Sends octets as they are.
    pub fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        match &mut self.corked {
            Some(corked) => corked.extend_from_slice(octets),
            None => self.writer.write_all(octets)?,
        }
        Ok(())
    }

    /// Keeps what is sent from now on, so that it is sent in one piece.
    pub fn cork(&mut self) {
        self.corked.get_or_insert_default();
    }

    /// Sends what was kept.
    pub fn uncork(&mut self) -> io::Result<()> {
        let corked = self.corked.take().unwrap_or_default();
        self.send(&corked)
    }

    /// Sends a line and CRLF.
    pub fn send_line(&mut self, line: &str) -> io::Result<()> {
        self.send(format!("{line}\r\n").as_bytes())
    }

    /// Says nothing more, and discards what it reads until the client or the test ends.
    pub fn hang(&mut self) -> io::Result<()> {
        loop {
            let unread = self.reader.fill_buf()?.len();
            if unread == 0 {
                return Ok(());
            }
            self.reader.consume(unread);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // The listener keeps a clone, so dropping alone would not close it.
        let _ = self.writer.shutdown(Shutdown::Both);
    }
}
