use crate::failure::Class;
use std::collections::BTreeSet;

use super::*;

/// What a server, a command or a file may say.
const HOSTILE: &str = "no\x1b[31m\r\nAug 1 root: ok\u{202e}";

fn account() -> Name {
    Name::new("bert").expect("a name")
}

fn destination() -> Name {
    Name::new("inbox").expect("a name")
}

fn uid() -> MessageKey {
    MessageKey::new(HOSTILE.as_bytes(), 0).expect("a unique-id")
}

/// One event of each kind.
fn samples() -> Vec<Event> {
    let text = || HOSTILE.to_owned();
    let (cause, path) = (text, || PathBuf::from(HOSTILE));
    let counts = || Counts { delivered: 3, octets: 4096, ..Counts::default() };
    let time = Duration::from_millis(1500);
    let fault = || Fault { text: text(), advice: Some(text()), class: Class::LoginRefused };
    let (messages, account) = (2, account);
    let mut events = of_messages();
    events.extend([
        Event::PollEnded { account: account(), counts: counts(), time, stopped: None },
        Event::PollFailed { account: account(), counts: counts(), time, fault: fault() },
        Event::PollLost { cause: cause() },
        Event::UniqueIdsChanged { account: account(), messages },
        Event::MailboxChanged { account: account(), messages },
        Event::MailboxTakenOver { account: account(), from: destination(), is_gone: true },
        Event::NoTop { account: account() },
        Event::AnswersSayNothing { account: account() },
        Event::DestinationAdded { account: account(), destination: destination(), messages },
        Event::OneCommandAtATime { account: account(), why: LockStep::OutOfStep },
        Event::NotQuit { account: account(), why: NoQuit::Refused(text()) },
        Event::LostStateMadeOut { account: account(), found: 1, total: 2 },
        Event::PerhapsDelivered { account: account(), messages },
        Event::LoginRetried { account: account() },
        Event::NotRecorded { account: Some(account()), cause: cause() },
        Event::NotMoved { account: account(), cause: cause() },
        Event::StaysStaged { account: Some(account()), file: Some(text()), cause: cause() },
        Event::RecoveryLate { cause: cause() },
        Event::Recovered { messages },
        Event::MaildirMissing { maildir: path(), deliveries: 2 },
        Event::DraftsRemoved { maildir: path(), files: 2 },
        Event::DraftsStay { cause: cause() },
        Event::Reloaded { cause: "SIGHUP", new: 1, changed: 2, removed: 3, same: 4 },
        Event::NotReloaded { cause: "SIGHUP", text: text() },
        Event::ConfigurationFault { text: text() },
        Event::ConfigurationWarning { text: text() },
        Event::RestartNeeded,
        Event::Started { accounts: 2 },
        Event::Stopping { cause: "SIGTERM" },
        Event::PollsDropped,
        Event::Ended,
        Event::StateRebuilt { text: text() },
        Event::StateMisplaced { folder: path(), mend: text() },
        Event::StateUnsealed { cause: cause() },
        Event::TooFewFiles { limit: 10, least: 32 },
        Event::PollsLimited { polls: 1, limit: 64 },
        Event::ThreadsLimited { threads: 8, cause: cause() },
        Event::FilesNotWatched { folder: Some(path()), cause: cause(), every: Duration::from_secs(5) },
        Event::SocketTrouble { text: text() },
        Event::SocketBack { path: path() },
    ]);
    events
}

fn of_messages() -> Vec<Event> {
    let cause = || HOSTILE.to_owned();
    let why = LeftBehind::TooLarge;
    vec![
        Event::Delivered { account: account(), uid: uid(), destination: destination(), octets: 42 },
        Event::NotDelivered { account: account(), uid: uid(), destination: destination(), cause: Some(cause()) },
        Event::Quarantined { account: account(), uid: uid(), destination: destination(), cause: cause() },
        Event::SessionEndedAt { account: account(), uid: uid(), cause: cause() },
        Event::NotRetrieved { account: account(), uid: uid(), cause: cause() },
        Event::DeletionRefused { account: Some(account()), uid: uid(), text: cause() },
        Event::KnownByContent { account: account(), uid: uid() },
        Event::BatchKnown { account: account(), messages: 2 },
        Event::Reappeared { account: account(), uid: uid() },
        Event::ContentDiffers { account: account(), uid: uid() },
        Event::DiedAt { account: account(), uid: uid() },
        Event::LeftOnServer { account: account(), why, messages: 2, named: cause() },
    ]
}

/// The journal ids of the table, in its order.
fn table() -> Vec<&'static str> {
    let prefix = concat!("6d8b1ee1c1b4", "4f8c9c5a6a2f5f3c7d");
    include_str!("../event.rs").match_indices(prefix).map(|(at, _)| &include_str!("../event.rs")[at..at + 32]).collect()
}

#[test]
fn each_kind_has_a_name_and_a_journal_id_of_its_own() {
    let samples = samples();
    let ids: BTreeSet<&str> = samples.iter().map(Event::journal_id).collect();
    let names: BTreeSet<&str> = samples.iter().map(Event::name).collect();
    assert_eq!((ids.len(), names.len()), (samples.len(), samples.len()));
    assert_eq!(table().len(), samples.len(), "there is a sample of each kind");
    assert!(ids.iter().all(|id| id.len() == 32 && id.chars().all(|c| c.is_ascii_hexdigit())));
}

#[test]
fn a_journal_id_never_changes() {
    // As the manual has them.  A kind that is gone leaves its id unused.
    let manual = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/man/postrider.8"));
    let lines: Vec<&str> = manual.lines().collect();
    let id = |line: &'static str| line.strip_prefix(".It 6d8b1ee1");
    let mut told: Vec<(&str, &str)> = lines.windows(2).filter_map(|pair| Some((id(pair[0])?, pair[1]))).collect();
    told.sort_unstable();
    let mut kinds: Vec<(&str, &str)> = samples().iter().map(|event| (&event.journal_id()[8..], event.name())).collect();
    kinds.sort_unstable();
    assert_eq!(told, kinds);
    let first = ["delivered", "poll-ended", "poll-failed", "quarantined", "reloaded", "not-reloaded"];
    let ends = ["c7d01", "c7d02", "c7d03", "c7d04", "c7d05", "c7d06"];
    for (name, end) in first.into_iter().zip(ends) {
        let event = samples().into_iter().find(|event| event.name() == name).expect("a sample");
        assert!(event.journal_id().ends_with(end), "{name}");
    }
}

#[test]
fn a_sentence_about_an_account_begins_with_its_name_and_says_it_once() {
    for event in samples() {
        let sentence = event.to_string();
        assert_eq!(sentence.starts_with("bert: "), event.account().is_some(), "{sentence}");
        assert_eq!(sentence.matches("bert").count(), usize::from(event.account().is_some()), "{sentence}");
        assert!(sentence.len() > 10, "{sentence}");
        // What concerns a message or a destination names it too: nothing but the sentence is shown to people.
        let Fields { uid, destination, messages, .. } = event.fields();
        assert!(uid.is_none_or(|uid| sentence.contains(&uid.to_string())), "{sentence}");
        assert!(destination.is_none_or(|destination| sentence.contains(destination.as_str())), "{sentence}");
        assert!(messages.is_none_or(|messages| sentence.contains(&messages.to_string())), "{sentence}");
    }
}

#[test]
fn what_others_say_is_escaped_and_bounded() {
    for event in samples() {
        let sentence = event.to_string();
        assert!(!sentence.chars().any(|c| c.is_control() || c == '\u{202e}'), "{sentence:?}");
        let quotes = format!("{event:?}").contains("Aug 1");
        assert_eq!(sentence.contains("\\x1b[31m\\x0d\\x0aAug 1"), quotes && !says_less(&event), "{sentence}");
    }
    let long = Event::ConfigurationWarning { text: "x".repeat(1 << 20) };
    assert!(long.to_string().len() < SENTENCE_LIMIT + 4);
}

/// The faults of a configuration are logged one by one.
fn says_less(event: &Event) -> bool {
    matches!(event, Event::NotReloaded { .. })
}

#[test]
fn a_poll_is_worth_a_line_when_it_did_something_and_an_error_when_the_operator_must_act() {
    let (counts, time) = (Counts::default(), Duration::ZERO);
    let ended = |delivered, deleted| Event::PollEnded {
        account: account(),
        counts: Counts { delivered, deleted, ..counts.clone() },
        time,
        stopped: None,
    };
    let failed = |class| Event::PollFailed {
        account: account(),
        counts: counts.clone(),
        time,
        fault: Fault { text: "login".into(), advice: Some("Change it.".into()), class },
    };
    for (event, level, sentence) in [
        (ended(0, 0), Level::DEBUG, "bert: polled: nothing new, in 0.0 s"),
        (ended(1, 0), Level::INFO, "bert: polled: 1 delivered, 0 deleted, 0 octets in 0.0 s"),
        (ended(0, 1), Level::INFO, "bert: polled: 0 delivered, 1 deleted, 0 octets in 0.0 s"),
        (failed(Class::LoginRefused), Level::ERROR, "bert: failed: login.  Change it."),
        (failed(Class::Configuration), Level::ERROR, "bert: failed: login.  Change it."),
        (failed(Class::LocalIo), Level::ERROR, "bert: failed: login.  Change it."),
        (failed(Class::Unreachable), Level::WARN, "bert: failed: login.  Change it."),
        (failed(Class::TryLater), Level::WARN, "bert: failed: login.  Change it."),
        (failed(Class::Protocol), Level::WARN, "bert: failed: login.  Change it."),
    ] {
        assert_eq!((event.level(), event.to_string().as_str()), (level, sentence));
    }
}
