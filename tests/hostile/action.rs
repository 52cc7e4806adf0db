//! What a hostile server does when it hears something: the actions of a script.

use super::literal;
use std::time::Duration;

/// One thing that the server does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Sends octets this many times (`None`: for ever), `{n}` in them counted from 1, with a pause after
    /// each octet, or after each piece of several KiB.
    Send { octets: Vec<u8>, times: Option<u64>, pace: Duration, gap: Duration },
    /// Sends a message's body, stuffed, and the final dot.
    Body(usize),
    /// Answers as an honest server would.
    Honest,
    /// Waits.
    Pause(Duration),
    /// Hears one more line, such as the answer to a challenge.
    Hear,
    /// Waits until the client has sent something.
    Await,
    /// Speaks TLS from here on.
    Upgrade,
    /// Deletes what is marked.
    Update,
    /// Says nothing more until the client has gone.
    Stall,
    /// Ends the connection in good order.
    Close,
    /// Ends it without the close_notify of TLS.
    Cut,
    /// Ends it by a reset.
    Reset,
}

/// Reads the actions of a line.
pub(crate) fn read_all(text: &str) -> Result<Vec<Action>, String> {
    let mut actions = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (action, after) = read(rest)?;
        actions.push(action);
        rest = after.trim_start();
    }
    Ok(actions)
}

fn read(text: &str) -> Result<(Action, &str), String> {
    if text.starts_with(['\'', '"']) {
        return send(text, Some(1));
    }
    let (word, rest) = word(text);
    Ok(match word {
        "repeat" => {
            let (times, rest) = number(rest)?;
            send(rest, Some(times))?
        }
        "endless" => send(rest, None)?,
        "drip" | "flow" => {
            let (time, rest) = number(rest)?;
            let (action, rest) = read(rest)?;
            let Action::Send { octets, times, .. } = action else {
                return Err(format!("only octets can {word}: {text}"));
            };
            let (time, none) = (Duration::from_millis(time), Duration::ZERO);
            let (pace, gap) = if word == "drip" { (time, none) } else { (none, time) };
            (Action::Send { octets, times, pace, gap }, rest)
        }
        "pause" => {
            let (time, rest) = number(rest)?;
            (Action::Pause(Duration::from_millis(time)), rest)
        }
        "body" => {
            let (message, rest) = number(rest)?;
            (Action::Body(usize::try_from(message).map_err(|error| error.to_string())?), rest)
        }
        "honest" => (Action::Honest, rest),
        "hear" => (Action::Hear, rest),
        "await" => (Action::Await, rest),
        "upgrade" => (Action::Upgrade, rest),
        "update" => (Action::Update, rest),
        "stall" => (Action::Stall, rest),
        "close" => (Action::Close, rest),
        "cut" => (Action::Cut, rest),
        "reset" => (Action::Reset, rest),
        _ => return Err(format!("not an action: {text}")),
    })
}

fn send(text: &str, times: Option<u64>) -> Result<(Action, &str), String> {
    let (octets, rest) = literal::read(text)?;
    Ok((Action::Send { octets, times, pace: Duration::ZERO, gap: Duration::ZERO }, rest))
}

fn word(text: &str) -> (&str, &str) {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    (word, rest.trim_start())
}

fn number(text: &str) -> Result<(u64, &str), String> {
    let (word, rest) = word(text);
    Ok((word.parse().map_err(|_| format!("a number is missing: {text}"))?, rest))
}

#[test]
fn actions_are_read_one_after_another() {
    let actions = read_all(r#"'+OK' drip 50 endless "x" body 2 cut"#).expect("actions");
    let (pace, none) = (Duration::from_millis(50), Duration::ZERO);
    assert_eq!(
        actions,
        [
            Action::Send { octets: b"+OK\r\n".to_vec(), times: Some(1), pace: none, gap: none },
            Action::Send { octets: b"x".to_vec(), times: None, pace, gap: none },
            Action::Body(2),
            Action::Cut
        ]
    );
    assert!(read_all("'+OK' shout").is_err() && read_all("drip 5 close").is_err());
}
