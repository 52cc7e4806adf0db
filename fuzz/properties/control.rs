//! The control socket: whatever a client says, it gets whole answers and the service a note only
//! if that was a request; and whatever a service answers, the client reads the same in it.

use std::cell::RefCell;
use std::sync::{Arc, Mutex};

use postrider::testing::control::{self, Front, Note, Reply, Request};
use postrider::testing::message::Name;
use postrider::testing::poll::Summary;
use postrider::testing::process::status::{AccountStatus, Board, Status};
use postrider::testing::progress::Progress;
use postrider::testing::store::Possession;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use super::block_on;

/// The accounts of the service.
const ACCOUNTS: [&str; 2] = ["home", "work"];

/// A service that does nothing and remembers what it was told.
struct Service {
    dir: tempfile::TempDir,
    told: Arc<Mutex<Vec<String>>>,
}

pub(super) fn holds(input: &[u8]) {
    thread_local! {
        static SERVICE: RefCell<Option<Service>> = const { RefCell::new(None) };
    }
    SERVICE.with(|service| {
        let mut service = service.borrow_mut();
        let service = service.get_or_insert_with(|| block_on(async { start() }));
        answered(service, input);
    });
    read(input);
}

fn start() -> Service {
    let dir = tempfile::tempdir().expect("a directory");
    let front = Front::open(dir.path(), dir.path());
    let accounts = ACCOUNTS.map(|name| {
        (Name::new(name).expect("a name"), AccountStatus { account: name.to_owned(), ..AccountStatus::default() })
    });
    let board = Arc::new(Mutex::new(Board {
        accounts: accounts.into(),
        service: Status { running: true, ..Status::default() },
        ..Board::default()
    }));
    let (notes, mut heard) = mpsc::channel(8);
    let told = Arc::new(Mutex::new(Vec::new()));
    let store = Possession::take(&dir.path().join("state")).and_then(|possession| possession.open()).expect("open").0;
    tokio::spawn(front.serve(board, store, notes, std::future::pending()));
    let memory = Arc::clone(&told);
    tokio::spawn(async move {
        while let Some(note) = heard.recv().await {
            memory.lock().expect("nobody panics").push(obeyed(note));
        }
    });
    Service { dir, told }
}

/// What a note says; it is answered as the service would.
fn obeyed(note: Note) -> String {
    match note {
        Note::Poll { accounts, results, .. } => {
            for account in accounts.iter().take(3) {
                let summary = Summary { account: account.to_string(), ..Summary::default() };
                results.iter().for_each(|results| drop(results.send(summary.clone())));
            }
            let names: Vec<&str> = accounts.iter().map(Name::as_str).collect();
            format!("{} [{}]", if results.is_some() { "fetch" } else { "poll" }, names.join(", "))
        }
        Note::Reload(result) => {
            let _ = result.send(Err("it is wrong".to_owned()));
            "reload".to_owned()
        }
        Note::Stop => "stop".to_owned(),
    }
}

fn answered(service: &Service, input: &[u8]) {
    service.told.lock().expect("nobody panics").clear();
    let answers = block_on(async {
        let mut stream = UnixStream::connect(control::socket_path(service.dir.path())).await.expect("connected");
        // It may have had enough before all is said.
        let _ = stream.write_all(input).await;
        let _ = stream.shutdown().await;
        let mut answers = Vec::new();
        let _ = stream.read_to_end(&mut answers).await;
        answers
    });
    let line = input.split_inclusive(|&octet| octet == b'\n').next().unwrap_or_default();
    let request = serde_json::from_slice::<Request>(line).ok();
    let (note, last) = expected(request.as_ref());
    let told = service.told.lock().expect("nobody panics").clone();
    assert_eq!(told, note.into_iter().collect::<Vec<_>>(), "{request:?}");
    // What was not read of a request may take its answer away (unix(7)).
    if answers.is_empty() && input.len() > line.len() {
        return;
    }
    assert!(answers.ends_with(b"\n"));
    let replies = answers.split(|&octet| octet == b'\n').filter(|line| !line.is_empty());
    let replies: Vec<Reply> = replies.map(|line| serde_json::from_slice(line).expect("a reply")).collect();
    assert!(matches!(request, Some(Request::Fetch { .. })) || replies.len() == 1);
    let kind = match replies.last().expect("an answer") {
        Reply::Done => "done",
        Reply::Status(status) => {
            assert_eq!((status.accounts.len(), status.exit_code()), (ACCOUNTS.len(), 0));
            "status"
        }
        Reply::Failed { exit_code: 64, .. } => "unknown",
        Reply::Failed { exit_code: 76, .. } => "none",
        Reply::Failed { exit_code: 78, .. } => "wrong",
        other => panic!("{other:?}"),
    };
    assert_eq!(kind, last, "{request:?}");
}

/// The note for the service, and the last answer.
fn expected(request: Option<&Request>) -> (Option<String>, &'static str) {
    let poll = |verb: &str, accounts: &[String]| {
        let known = accounts.iter().all(|name| ACCOUNTS.contains(&name.as_str()));
        let names = accounts.join(", ");
        if known { (Some(format!("{verb} [{names}]")), "done") } else { (None, "unknown") }
    };
    match request {
        None => (None, "none"),
        Some(Request::Status) => (None, "status"),
        Some(Request::Poll { accounts }) => poll("poll", accounts),
        Some(Request::Fetch { accounts, .. }) => poll("fetch", accounts),
        Some(Request::Reload) => (Some("reload".to_owned()), "wrong"),
        Some(Request::Stop) => (Some("stop".to_owned()), "done"),
    }
}

/// A request and a reply are the same when they are written and read again.
fn read(line: &[u8]) {
    if let Ok(request) = serde_json::from_slice::<Request>(line) {
        let text = serde_json::to_string(&request).expect("text");
        assert!(!text.contains('\n'));
        assert_eq!(serde_json::from_str::<Request>(&text).expect("a request"), request);
    }
    if let Ok(reply) = serde_json::from_slice::<Reply>(line) {
        let text = serde_json::to_string(&reply).expect("text");
        assert!(!text.contains('\n'));
        assert_eq!(serde_json::from_str::<Reply>(&text).expect("a reply"), reply);
        match reply {
            Reply::Status(status) => assert!(matches!(status.exit_code(), 0 | 69 | 74..=78)),
            Reply::Progress { snapshot, .. } => {
                let progress = Progress::default();
                progress.mirror(&snapshot);
                assert_eq!(progress.snapshot(), snapshot);
            }
            _ => {}
        }
    }
}
