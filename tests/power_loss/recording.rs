//! A real fetch by the real program, recorded call by call.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use super::image::Image;
use super::operation::{CALLS, Interpreter, Operation};
use super::support::{MailboxServer, Manifest, Message, Mix, Postrider, mailbox};
use super::trace::{self, Moment};

/// The Maildir's name in the program's home.
pub const MAILDIR: &str = "home";

/// How long the server is silent in the middle of a fetch: until a batch is about to close.
const PAUSE: Duration = Duration::from_millis(235);

/// It is so slow from there on: the program gets turns to say something while it makes the batch
/// durable.
const PACE: Duration = Duration::from_millis(8);

/// The first messages are peculiar, one of them so large that it is written in pieces.
const PECULIAR: usize = 8;

/// How the world is before a run: the disk, the mailbox, and what the account's mail is to become.
#[derive(Clone, Debug)]
pub struct World {
    /// The disk, in so far as it is the program's.
    pub disk: Image,
    /// Messages 1 to this one have come to the mailbox.
    pub arrived: usize,
    /// Those that are not on the server any more.
    pub gone: BTreeSet<usize>,
    /// The account's `retention`.
    pub retention: &'static str,
}

/// A run of the program.
pub struct Run {
    /// Messages that had come before.
    pub arrived: usize,
    /// What the Maildir must hold in the end.
    pub wanted: Arc<Manifest>,
    /// What the server listed.
    pub listing: Vec<usize>,
    /// What was done.
    pub operations: Vec<Operation>,
    /// When each of it began and had ended.
    pub moments: Vec<Moment>,
}

impl World {
    /// Nothing has happened yet.
    pub fn new(retention: &'static str) -> Self {
        Self { disk: Image::default(), arrived: 0, gone: BTreeSet::new(), retention }
    }

    /// Tells worlds apart.
    pub fn digest(&self) -> u64 {
        let mut hash = DefaultHasher::new();
        (self.arrived, &self.gone, self.retention).hash(&mut hash);
        self.disk.hash(&mut hash);
        hash.finish()
    }

    /// The messages on the server.
    pub fn mail(&self) -> Vec<Message> {
        (1..=self.arrived).filter(|index| !self.gone.contains(index)).map(message).collect()
    }

    /// The names in `tmp/`.
    pub fn drafts(&self) -> Vec<OsString> {
        let tmp = Path::new(MAILDIR).join("tmp");
        let drafts = self.disk.paths().into_iter().filter(|path| path.parent() == Some(&tmp));
        drafts.filter_map(|path| path.file_name().map(OsString::from)).collect()
    }

    /// Whether a name is in `new/`.
    pub fn has_moved(&self, name: &OsStr) -> bool {
        self.disk.names.contains_key(&*Path::new(MAILDIR).join("new").join(name))
    }

    /// What the Maildir must hold in the end: whatever has ever come.
    fn wanted(&self) -> Manifest {
        let mut manifest = Manifest::default();
        for (mark, sha256) in (1..=self.arrived).filter_map(|index| message(index).expectation()) {
            manifest.add_hash(mark, sha256);
        }
        manifest
    }

    /// A home in which the program finds this world, and the server of it.
    ///
    /// The state's directory is to be made with the one above it.  All paths lead through the working directory, so
    /// that the state's absolute paths are right in another home too.
    pub fn home(&self) -> (Postrider, MailboxServer) {
        let server = MailboxServer::start(self.mail());
        let lines = format!("deliver = \"home\"\nretention = \"{}\"", self.retention);
        let program = Postrider::new();
        let config = format!(
            "state-dir = \"/proc/self/cwd/state/postrider\"\nruntime-dir = \"/proc/self/cwd/run\"\n{}\
             [destinations.home]\ntype = \"maildir\"\npath = \"/proc/self/cwd/{MAILDIR}\"\n",
            mailbox(server.port(), "a", &lines)
        );
        program.raw_config(&config, 0o600);
        self.disk.write(program.home());
        start_the_machine(&program.path("state/postrider/attempts"));
        (program, server)
    }

    /// Records one run for each number of messages that come before it.  From the `slow_from`th
    /// message of a run on the server is slow.
    pub fn record(&self, arrivals: &[usize], slow_from: usize) -> Vec<Run> {
        let (program, server) = self.home();
        server.watch(move |command| {
            let number = command.strip_prefix("RETR ").and_then(|number| number.parse().ok()).unwrap_or(0);
            match number.cmp(&slow_from) {
                Ordering::Less => {}
                Ordering::Equal => std::thread::sleep(PAUSE),
                Ordering::Greater => std::thread::sleep(PACE),
            }
        });
        let mut interpreter = Interpreter::new(program.home(), self.disk.paths());
        let mut arrived = self.arrived;
        let mut runs = Vec::new();
        for more in arrivals {
            (arrived + 1..=arrived + more).for_each(|index| server.add(message(index)));
            arrived += more;
            let listing = server.remaining_uids().iter().map(|uid| index(uid)).collect();
            let (operations, moments) = interpret(&trace(&program), &mut interpreter);
            let wanted = Arc::new(World { arrived, ..self.clone() }.wanted());
            runs.push(Run { arrived, wanted, listing, operations, moments });
        }
        runs
    }
}

/// Power has come back: files that name the boot they are of name another than this one.
fn start_the_machine(files: &Path) {
    let boot = std::fs::read("/proc/sys/kernel/random/boot_id").expect("the boot's name");
    for entry in std::fs::read_dir(files).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        let mut content = std::fs::read(&path).expect("a file");
        if content.starts_with(boot.trim_ascii()) {
            content[..8].fill(b'0');
            std::fs::write(path, content).expect("written");
        }
    }
}

/// All kinds of peculiar messages, and then small ones.
fn message(index: usize) -> Message {
    Message::generated(1, index, if index <= PECULIAR { Mix::Edge } else { Mix::Tiny })
}

/// The index in a generated unique-id, `uid-SEED-INDEX`.
fn index(uid: &str) -> usize {
    uid.rsplit('-').next().and_then(|index| index.parse().ok()).expect("a generated unique-id")
}

/// What strace says of a fetch.
fn trace(program: &Postrider) -> String {
    let file = program.path("trace");
    // Not every architecture has them all.
    let calls: Vec<String> = CALLS.split(',').map(|call| format!("?{}", call.trim())).collect();
    let mut command = Command::new("strace");
    command
        .args(["-f", "-y", "-xx", "-s", "16777216", "-e", "signal=none", "-e"])
        .arg(format!("trace={}", calls.join(",")))
        .arg("-o")
        .arg(&file)
        .arg(env!("CARGO_BIN_EXE_postrider"))
        .arg("-c")
        .arg(program.config_path())
        .arg("fetch");
    program.prepare(&mut command);
    program.spawn_command(command).wait(Duration::from_secs(120)).assert_success();
    std::fs::read_to_string(file).expect("a trace")
}

/// What calls do, with the moments of each thing.
fn interpret(text: &str, interpreter: &mut Interpreter) -> (Vec<Operation>, Vec<Moment>) {
    let (calls, of_calls) = trace::parse(text);
    let (mut operations, mut moments) = (Vec::new(), Vec::new());
    let mut places = vec![0..0; calls.len()];
    for moment in of_calls {
        match moment {
            Moment::Begin(call) => {
                let begin = operations.len();
                operations.extend(interpreter.understand(&calls[call]));
                places[call] = begin..operations.len();
                moments.extend(places[call].clone().map(Moment::Begin));
            }
            Moment::End(call) => moments.extend(places[call].clone().map(Moment::End)),
        }
    }
    (operations, moments)
}
