//! A message larger than memory should ever hold: it passes through in pieces.
#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a failure here is a failure of the test"
)]

mod support;

use support::*;

/// Octets of the message; `POSTRIDER_TEST_LARGE_MIB` asks for another size, as 1024.
fn octets() -> u64 {
    let chosen = std::env::var("POSTRIDER_TEST_LARGE_MIB").ok().and_then(|mib| mib.parse().ok());
    chosen.unwrap_or(64_u64) << 20
}

/// What the program may use at most, whatever the message's size.
const PEAK_KIB: u64 = 40 * 1024;

/// A mailbox with the large message between two small ones.
fn server() -> MailboxServer {
    let small = |index| Message::generated(1, index, Mix::Tiny);
    MailboxServer::start(vec![small(1), Message::large("large", 2, octets()), small(3)])
}

fn assert_small(output: &Output) {
    eprintln!("{} MiB in {:?}, peak memory {} KiB", octets() >> 20, output.elapsed, output.peak_kib);
    assert!(output.peak_kib > 1024, "the peak was seen: {} KiB", output.peak_kib);
    assert!(output.peak_kib < PEAK_KIB, "{} KiB", output.peak_kib);
}

#[test]
fn a_large_message_reaches_a_maildir_whole_in_little_memory() {
    let server = server();
    let wanted = server.manifest();
    let lines = "deliver = \"home\"\nretention = \"delete\"";
    let program = Postrider::with_config(&[mailbox(server.port(), "a", lines), maildir("home")].concat());
    let output = program.run(&["fetch"]).assert_success();
    assert_small(&output);
    wanted.verify(&program.path("home")).assert_exactly_once();
    assert_eq!(server.remaining(), 0);
}

#[test]
fn a_large_message_reaches_a_mail_server_whole_in_little_memory() {
    let server = server();
    // The hash of what was sent: the file is as it came, without a header of ours.
    let message = Message::large("large", 2, octets());
    let hub = ScriptedSmtp::start_with(SmtpBehaviour { keep_octets: 4096, ..SmtpBehaviour::default() });
    let lines = "deliver = \"hub\"\nretention = \"delete\"\nreceived-header = false";
    let program = Postrider::with_config(&[mailbox(server.port(), "a", lines), smtp("hub", hub.port())].concat());
    let output = program.run(&["fetch"]).assert_success();
    assert_small(&output);
    let received = hub.received();
    let large = received.iter().max_by_key(|message| message.octets).expect("it was received");
    assert_eq!((received.len(), large.octets), (3, message.octets()));
    assert!(large.sha256 == message.wire_sha256(), "other octets");
    assert_eq!(server.remaining(), 0);
    let spool = std::fs::read_dir(program.state_dir().join("spool")).map_or(0, Iterator::count);
    assert_eq!(spool, 0, "nothing stays in the spool");
}
