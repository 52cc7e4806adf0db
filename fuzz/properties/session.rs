//! A whole session with a server that says anything: greeting, capabilities, login, listings,
//! messages, deletion, QUIT.
//!
//! The first octet chooses the login; after it, `0x1e` ends what the server says before it is
//! spoken to again.  However the network cuts that, the session is the same; the password is never
//! in an error; what is sent are lines of POP3, and DELE only after a whole message.

use std::time::Duration;

use postrider::testing::message::MessageNumber;
use postrider::testing::pop3::command::Command;
use postrider::testing::pop3::multiline::Decoder;
use postrider::testing::pop3::session::{Client, Login, Session, SessionError, Skips};
use postrider::testing::sasl::{Credentials, Identity, Mechanism};
use postrider::testing::secret::Secret;

use super::turns::Turns;
use super::{assert_fit_to_be_shown, block_on};

const PASSWORD: &str = "hunter2hunter2";
/// The same as PLAIN sends it.
const PLAIN: &str = "AGFsaWNlAGh1bnRlcjJodW50ZXIy";
const SEPARATOR: Option<u8> = Some(0x1e);

/// What happened, step by step; what the client said; whether it lost step.
type Told = (Vec<String>, Vec<u8>, bool);

pub(super) fn holds(input: &[u8]) {
    let Some((&letter, input)) = input.split_first() else { return };
    let mechanisms: &[Mechanism] = match letter {
        b'u' => &[Mechanism::UserPass],
        b'p' => &[Mechanism::Plain],
        b'c' => &[Mechanism::CramMd5],
        b'l' => &[Mechanism::Login],
        b'a' => &[Mechanism::Apop],
        _ => &[],
    };
    let (steps, said, lost_step) = tell(input, mechanisms, usize::MAX);
    said_in_lines(&said);
    // Octets that nobody has asked for are seen only if they have come by then.
    if !lost_step {
        for piece in [1, 7] {
            let cut = tell(input, mechanisms, piece);
            assert_eq!(cut.0, steps, "in pieces of {piece}");
        }
    }
}

fn tell(input: &[u8], mechanisms: &[Mechanism], piece: usize) -> Told {
    let mut steps = Vec::new();
    let mut stream = Turns::new(input, SEPARATOR, piece);
    let ended = block_on(talk(&mut stream, mechanisms, &mut steps));
    let out_of_step = match &ended {
        Err(SessionError::Capabilities { source, .. }) => matches!(**source, SessionError::OutOfStep { .. }),
        ended => matches!(ended, Err(SessionError::OutOfStep { .. })),
    };
    let lost_step = out_of_step || steps.last().is_some_and(|step| step == "Silence");
    if let Err(error) = ended {
        let text = error.to_string();
        assert_fit_to_be_shown(&text);
        // A server that knows it beforehand may say it where it likes.
        if answers_login(&error) {
            let debugged = format!("{error:?}");
            let was_sent = |secret: &&str| String::from_utf8_lossy(&stream.said).contains(*secret);
            for secret in [PASSWORD, PLAIN].into_iter().filter(was_sent) {
                assert!(!text.contains(secret) && !debugged.contains(secret), "{text}");
            }
        }
        steps.push(text);
    }
    (steps, stream.said, lost_step)
}

/// Whether the error is about the answer to what holds the password.
fn answers_login(error: &SessionError) -> bool {
    match error {
        SessionError::OutOfStep { step, .. } => ["PASS", "AUTH", "APOP"].iter().any(|verb| step.starts_with(verb)),
        error => error.is_login_refused(),
    }
}

async fn talk(stream: &mut Turns<'_>, mechanisms: &[Mechanism], steps: &mut Vec<String>) -> Result<(), SessionError> {
    let client = Client::greet(stream, Duration::from_secs(60), None, Skips::default()).await?;
    steps.push(format!("{:?}", client.capabilities()));
    let credentials = Credentials::Password(Secret::new(PASSWORD.into()));
    let login = Login {
        identity: Identity { username: "alice", host: "pop.example.org", port: 995 },
        credentials: &credentials,
        mechanisms,
        is_encrypted: true,
        is_private: true,
    };
    let mut session = client.login(&login).await?;
    steps.push(format!("{:?}", session.capabilities()));
    steps.push(format!("{:?}", session.stat().await?));
    let mut entries = session.uidl(true).await?.unwrap_or_default().entries();
    entries.sort_by_key(|entry| entry.number);
    session.sizes(&mut entries).await?;
    steps.push(format!("{entries:?}"));
    for number in entries.iter().map(|entry| entry.number).take(2) {
        fetch(&mut session, number, steps).await?;
    }
    steps.push(format!("{:?}", session.quit().await));
    Ok(())
}

/// Header and message in one window, and its deletion.
async fn fetch(
    session: &mut Session<&mut Turns<'_>>,
    number: MessageNumber,
    steps: &mut Vec<String>,
) -> Result<(), SessionError> {
    session.check_in_step()?;
    for command in [Command::Top(number, 0), Command::Retr(number)] {
        assert!(session.queue(command));
    }
    let mut whole = false;
    for _ in 0..2 {
        let status = session.reply().await?;
        whole = status.ok;
        let (mut decoder, mut body) = (Decoder::new(), Vec::new());
        while status.ok && !decoder.is_done() {
            session.body_piece(&mut decoder, &mut body).await?;
        }
        steps.push(format!("{status:?} {body:?}"));
    }
    if whole {
        steps.push(format!("{:?}", session.command(Command::Dele(number)).await?));
    }
    Ok(())
}

/// Every line has its end and no more octets than a server must take; the login is not repeated.
fn said_in_lines(said: &[u8]) {
    assert!(said.is_empty() || said.ends_with(b"\r\n"));
    let text = String::from_utf8_lossy(said);
    let mut commands = text.split_terminator("\r\n");
    assert!(commands.clone().all(|line| line.len() + 2 <= 255 && !line.contains(['\r', '\n', '\0'])), "{text:?}");
    let logins = |line: &str| ["PASS ", "AUTH ", "APOP "].iter().any(|verb| line.starts_with(verb));
    assert!(commands.clone().filter(|line| logins(line)).count() <= 1, "{text:?}");
    assert!(commands.clone().filter(|line| line.starts_with("QUIT")).count() <= 1);
    let deleted = commands.clone().filter(|line| line.starts_with("DELE")).count();
    assert!(deleted <= commands.clone().filter(|line| line.starts_with("RETR")).count());
    if let Some(at) = commands.clone().position(|line| line == "QUIT") {
        assert_eq!(at + 1, commands.by_ref().count(), "nothing follows QUIT");
    }
}
