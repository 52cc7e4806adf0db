//! A TCP relay with the round-trip time of a long route, and no other limit.
//!
//! What arrives at a time leaves half a round trip later, however much is in flight.  The server
//! sees a connection after one and a half round trips: by then a real handshake would be over.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{sleep, spawn};
use std::time::{Duration, Instant};

/// Octets that are read at once.
const PIECE: usize = 64 * 1024;

/// Pieces in flight in one direction: 64 MiB, more than any link holds for 50 ms.
const PIECES: usize = 1024;

/// When a piece in flight arrives, and its octets.
type Piece = (Instant, Vec<u8>);

/// Starts a relay to a port of this machine; returns its own port.  It ends with the process.
pub(crate) fn start(target: u16, round_trip: Duration) -> std::io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    spawn(move || {
        for client in listener.incoming().flatten() {
            spawn(move || join(&client, target, round_trip / 2));
        }
    });
    Ok(port)
}

fn join(client: &TcpStream, target: u16, delay: Duration) -> std::io::Result<()> {
    let (there, arrived) = sync_channel(PIECES);
    let reader = client.try_clone()?;
    spawn(move || take(reader, delay, &there));
    sleep(3 * delay);
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, target))?;
    let (back, returned) = sync_channel(PIECES);
    let (reader, writer) = (server.try_clone()?, server);
    spawn(move || take(reader, delay, &back));
    spawn(move || give(&writer, &arrived));
    give(client, &returned)
}

/// Reads until the end.
fn take(mut from: TcpStream, delay: Duration, pieces: &SyncSender<Piece>) {
    let mut buffer = vec![0; PIECE];
    loop {
        // An error is an end as well, and both are delayed like the rest.
        let octets = from.read(&mut buffer).unwrap_or(0);
        let piece = (Instant::now() + delay, buffer[..octets].to_vec());
        if pieces.send(piece).is_err() || octets == 0 {
            return;
        }
    }
}

/// Writes each piece when its time has come.
fn give(mut to: &TcpStream, pieces: &Receiver<Piece>) -> std::io::Result<()> {
    to.set_nodelay(true)?;
    for (due, piece) in pieces {
        sleep(due.saturating_duration_since(Instant::now()));
        if piece.is_empty() {
            break;
        }
        to.write_all(&piece)?;
    }
    to.shutdown(Shutdown::Write)
}
