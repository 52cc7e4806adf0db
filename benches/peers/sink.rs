//! A mail server that takes every message, counts it and forgets it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::spawn;

use rustix::net::sockopt::set_tcp_quickack;

/// Octets that are read at once.
const BUFFER: usize = 256 * 1024;

/// A running sink.
#[derive(Debug)]
pub(crate) struct Sink {
    /// Its port.
    pub(crate) port: u16,
    count: Arc<AtomicUsize>,
}

impl Sink {
    /// Starts one; it ends with the process.
    pub(crate) fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let sink = Self { port: listener.local_addr()?.port(), count: Arc::default() };
        let count = Arc::clone(&sink.count);
        spawn(move || {
            for client in listener.incoming().flatten() {
                let count = Arc::clone(&count);
                spawn(move || serve(client, &count));
            }
        });
        Ok(sink)
    }

    /// Messages taken since the last call.
    pub(crate) fn taken(&self) -> usize {
        self.count.swap(0, Ordering::SeqCst)
    }
}

fn serve(client: TcpStream, count: &AtomicUsize) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    let mut writer = client.try_clone()?;
    let mut reader = BufReader::with_capacity(BUFFER, client);
    let (mut line, mut in_data, mut replies) = (Vec::new(), false, b"220 sink ready\r\n".to_vec());
    loop {
        if reader.buffer().is_empty() {
            writer.write_all(&replies)?;
            replies.clear();
            // Senders that write a message in small pieces would wait 40 ms for our ACK each time.
            set_tcp_quickack(reader.get_ref(), true)?;
        }
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if in_data {
            if line == b".\r\n" {
                in_data = false;
                count.fetch_add(1, Ordering::SeqCst);
                replies.extend_from_slice(b"250 2.0.0 taken\r\n");
            }
            continue;
        }
        let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
        in_data = verb == b"DATA";
        replies.extend_from_slice(match verb.as_slice() {
            b"EHLO" => b"250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250 SIZE 0\r\n",
            b"DATA" => b"354 go on\r\n",
            b"QUIT" => b"221 2.0.0 bye\r\n",
            _ => b"250 2.0.0 yes\r\n",
        });
    }
}
