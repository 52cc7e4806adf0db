//! A SOCKS 5 proxy (RFC 1928, RFC 1929) that connects every client to one port of this machine,
//! whatever name was asked for, and misbehaves on request.

use super::listener::{Connection, Listener};
use std::io;
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

/// How a [`SocksProxy`] behaves.
#[derive(Clone, Debug, Default)]
pub struct SocksBehaviour {
    /// The user name and password that it demands.
    pub login: Option<(String, String)>,
    /// The reply to the request; 0 is success.
    pub reply: u8,
    /// Sends each octet of its answers by itself.
    pub drips: bool,
    /// Says this instead of its first answer, and then nothing more.
    pub raw: Option<Vec<u8>>,
}

/// A proxy on a port of 127.0.0.1.
pub struct SocksProxy {
    listener: Listener,
    asked: Arc<Mutex<Vec<String>>>,
}

impl SocksProxy {
    /// A proxy whose every way leads to `port`.
    pub fn start(port: u16, behaviour: SocksBehaviour) -> Self {
        let asked = Arc::default();
        let for_threads = Arc::clone(&asked);
        let listener = Listener::start(move |_, connection| serve(connection, port, &behaviour, &for_threads));
        Self { listener, asked }
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.listener.port
    }

    /// What it was asked to connect to, as `name pop.example:995`.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no panic while locked").clone()
    }
}

fn serve(mut client: Connection, port: u16, behaviour: &SocksBehaviour, asked: &Mutex<Vec<String>>) -> io::Result<()> {
    let methods = usize::from(client.read_octets(2)?[1]);
    let methods = client.read_octets(methods)?;
    if let Some(raw) = &behaviour.raw {
        client.send(raw)?;
        return client.hang();
    }
    let wanted = if behaviour.login.is_some() { 2 } else { 0 };
    if !methods.contains(&wanted) {
        return client.send(&[5, 0xff]);
    }
    answer(&mut client, behaviour, &[5, wanted])?;
    if let Some((username, password)) = &behaviour.login {
        client.read_octets(1)?;
        let given = (field(&mut client)?, field(&mut client)?);
        let good = given == (username.clone(), password.clone());
        answer(&mut client, behaviour, &[1, u8::from(!good)])?;
        if !good {
            return Ok(());
        }
    }
    let kind = client.read_octets(4)?[3];
    let host = match kind {
        3 => format!("name {}", field(&mut client)?),
        _ => format!("address {:?}", client.read_octets(if kind == 1 { 4 } else { 16 })?),
    };
    let to = client.read_octets(2)?;
    asked.lock().expect("no panic while locked").push(format!("{host}:{}", u16::from_be_bytes([to[0], to[1]])));
    answer(&mut client, behaviour, &[5, behaviour.reply, 0, 1, 127, 0, 0, 1, 0, 0])?;
    match behaviour.reply {
        0 => client.relay(TcpStream::connect(("127.0.0.1", port))?),
        _ => Ok(()),
    }
}

fn field(client: &mut Connection) -> io::Result<String> {
    let length = usize::from(client.read_octets(1)?[0]);
    Ok(String::from_utf8_lossy(&client.read_octets(length)?).into_owned())
}

fn answer(client: &mut Connection, behaviour: &SocksBehaviour, octets: &[u8]) -> io::Result<()> {
    let piece = if behaviour.drips { 1 } else { octets.len() };
    octets.chunks(piece).try_for_each(|piece| client.send(piece))
}
