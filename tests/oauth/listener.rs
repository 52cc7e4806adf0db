//! The port to which the browser comes back, on a machine that others use too.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};

use rustix::net::{AddressFamily, SocketType, bind, listen, socket, sockopt};

use super::sign_in::{begin, redirect};
use super::*;

/// The program whose browser is sent back to `uri`.
fn back_to(provider_: &AuthorizationServer, uri: &str) -> Postrider {
    let keys = format!("{}redirect-uri = \"{uri}\"\n", provider(provider_.port));
    Postrider::with_config(&format!("{}{keys}", account(1, "")))
}

/// A listener of somebody else at an IPv6 address that leaves the IPv4 one free; `None` without IPv6.
fn others(address: Ipv6Addr) -> Option<(std::os::fd::OwnedFd, u16)> {
    let socket = socket(AddressFamily::INET6, SocketType::STREAM, None).ok()?;
    sockopt::set_ipv6_v6only(&socket, true).expect("set");
    bind(&socket, &SocketAddr::from((address, 0))).ok()?;
    listen(&socket, 1).expect("listening");
    let bound = SocketAddr::try_from(rustix::net::getsockname(&socket).expect("an address")).expect("of IPv6");
    Some((socket, bound.port()))
}

#[test]
fn a_port_that_is_somebody_elses_at_one_address_is_used_at_none() {
    let provider = rotating(3600);
    let mut taken = Vec::new();
    let v4 = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    taken.push(v4.local_addr().expect("an address").port());
    let v6: Vec<_> = [Ipv6Addr::LOCALHOST, Ipv6Addr::UNSPECIFIED].into_iter().filter_map(others).collect();
    taken.extend(v6.iter().map(|(_, port)| port));
    for port in taken {
        let program = back_to(&provider, &format!("http://localhost:{port}"));
        let run = program.run(&["login", "a", "--no-browser"]).assert_code(74);
        assert_says(&run, &["listening for the browser at ", &format!(":{port}: "), "use --paste"]);
        assert!(!run.stdout.contains("http"), "{}", run.stdout);
    }
}

#[test]
fn a_browser_comes_back_to_either_address_of_localhost() {
    for address in ["127.0.0.1", "[::1]"] {
        if TcpListener::bind((address.trim_matches(['[', ']']), 0)).is_err() {
            continue;
        }
        let provider = rotating(3600);
        let program = back_to(&provider, "http://localhost");
        let (run, url) = begin(&program);
        assert!(parameters(&url)["redirect_uri"].starts_with("http://localhost:"), "{url}");
        let back = redirect(&url, &format!("code={CODE}")).replace("localhost", address);
        assert_eq!(browse(&back).expect("a page").0, 200);
        run.wait(LIMIT).assert_success();
    }
}

#[test]
fn connections_that_say_nothing_keep_no_browser_out() {
    let provider = rotating(3600);
    let program = program(&provider, 1);
    let (run, url) = begin(&program);
    let back = Url::parse(&parameters(&url)["redirect_uri"]).expect("an address");
    let port = back.port().expect("a port");
    // Nothing, half a request, a whole one of which the answer is not read, and one whose body never comes.
    let texts = [
        &b""[..],
        b"GET /?code=",
        b"GET /?code=x&state=forged HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n",
    ];
    let mut crowd: Vec<TcpStream> = Vec::new();
    for number in 0..400 {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("connected");
        // One that had to make room is closed already.
        let _ = stream.write_all(texts[number % texts.len()]);
        crowd.push(stream);
    }
    let (status, _) = browse(&redirect(&url, &format!("code={CODE}"))).expect("a page");
    assert_eq!(status, 200);
    run.wait(LIMIT).assert_success();
    // The oldest ones made room, and the others ended with the listener.
    let ended = |mut stream: TcpStream| {
        stream.set_read_timeout(Some(LIMIT)).expect("set");
        let mut answer = [0; 4096];
        while matches!(stream.read(&mut answer), Ok(1..)) {}
    };
    crowd.into_iter().for_each(ended);
}
