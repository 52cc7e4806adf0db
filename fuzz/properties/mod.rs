//! What must hold whatever the octets are: a property for each target of `fuzz/`.
//!
//! Each takes any octets and panics if something of it does not hold.  `fuzz/src/main.rs` has
//! libFuzzer look for such octets; `tests/fuzz_corpus.rs` has each property hold for the corpus,
//! which has everything that was ever found.

mod address;
mod attempt;
mod capabilities;
mod config;
mod control;
mod header;
mod listing;
mod maildir_name;
mod multiline;
mod sasl;
mod scram;
mod session;
mod smtp_body;
mod smtp_replies;
mod socks;
mod status;
mod token_refusal;
mod turns;

/// A property by the name of its folder in `fuzz/corpus/`.
pub(crate) type Target = (&'static str, fn(&[u8]));

/// All of them.
pub(crate) const TARGETS: &[Target] = &[
    ("address", address::holds),
    ("attempt", attempt::holds),
    ("capabilities", capabilities::holds),
    ("config", config::holds),
    ("control", control::holds),
    ("header", header::holds),
    ("listing", listing::holds),
    ("maildir_name", maildir_name::holds),
    ("multiline", multiline::holds),
    ("sasl", sasl::holds),
    ("session", session::holds),
    ("smtp_body", smtp_body::holds),
    ("smtp_replies", smtp_replies::holds),
    ("socks", socks::holds),
    ("status", status::holds),
    ("token_refusal", token_refusal::holds),
];

/// Where an input is cut in two: everywhere, or at this many places of a long one.
const CUTS: usize = 128;

/// Every way to cut an input in two that there is time for.
fn cuts(input: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let stride = input.len() / CUTS + 1;
    (0..=input.len()).step_by(stride).map(|at| input.split_at(at))
}

/// Fails if a text could steer a terminal, forge a line, or hide something.
#[track_caller]
fn assert_fit_to_be_shown(text: &str) {
    let hides =
        |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    assert!(!text.contains(|c: char| c.is_control() || hides(c)), "{text:?}");
}

/// Runs what waits for something, on this thread.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    }
    RUNTIME.with(|runtime| runtime.block_on(future))
}

/// Octets in hexadecimal.
fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
