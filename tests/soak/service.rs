//! The service: its limits, its configuration, and what is seen of it.

use super::accounts::{ACCOUNTS, Accounts};
use super::support::{Manifest, Postrider, Running, Verdict, count_messages, mailbox, maildir, set_deferrals_due};
use fastrand::Rng;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// The user that the service runs as, if the test is root: nobody else has threads under this id.
const USER: u32 = 61_234;

/// Threads that the user may have.
const THREADS: u32 = 16;

/// Files that the service may have open.
const FILES: u32 = 96;

/// Accounts share a Maildir.
const MAILDIRS: usize = 4;

/// A start, an answer, an end.
const PROMPTLY: Duration = Duration::from_secs(60);

/// The time between two edits.
const EDITS: Duration = Duration::from_secs(3);

/// The time between two questions for polls: failures would keep accounts waiting for up to an hour.
const POLLS: Duration = Duration::from_secs(10);

/// What the configuration says of one account.
#[derive(Clone)]
struct Keys {
    is_there: bool,
    retention: &'static str,
    max_messages: Option<usize>,
}

/// The service under test.
pub(crate) struct Service {
    program: Postrider,
    running: Option<Running>,
    keys: Vec<Keys>,
    is_broken: bool,
    edited: Instant,
    asked: Instant,
    /// `postrider poll`, which waits until all accounts have been polled.
    polls: Option<Running>,
    log: String,
}

impl Service {
    pub(crate) fn start(accounts: &Accounts) -> Self {
        let now = Instant::now();
        let keys = vec![Keys { is_there: true, retention: "delete", max_messages: None }; ACCOUNTS];
        let program = Postrider::new();
        let (edited, asked, log) = (now, now, String::new());
        let mut service = Self { program, running: None, keys, is_broken: false, edited, asked, polls: None, log };
        service.write(accounts);
        if is_root() {
            for path in ["", "run"] {
                chown(service.program.path(path), Some(USER), Some(USER)).expect("the user's home");
            }
        }
        service.spawn();
        service
    }

    /// The process.
    pub(crate) fn pid(&self) -> u32 {
        self.running.as_ref().expect("it runs").pid()
    }

    pub(crate) fn home(&self) -> &Path {
        self.program.home()
    }

    fn spawn(&mut self) {
        let config = self.program.config_path();
        let mut command = self.command();
        command.arg("-c").arg(config).arg("run");
        let mut running = self.program.spawn_command(command);
        running.wait_until("the service to run", PROMPTLY, |running| running.stderr().contains("postrider is running"));
        self.running = Some(running);
    }

    /// `postrider` as the user, within the limits.
    fn command(&self) -> Command {
        let mut command = Command::new("prlimit");
        command.arg(format!("--nofile={FILES}:{FILES}"));
        if is_root() {
            command.arg(format!("--nproc={THREADS}:{THREADS}"));
            command.args(["setpriv", "--clear-groups"]);
            command.arg(format!("--reuid={USER}")).arg(format!("--regid={USER}"));
        }
        command.arg(env!("CARGO_BIN_EXE_postrider"));
        self.program.prepare(&mut command);
        command
    }

    /// SIGKILL, and the next service begins with what that one left; it would not with a broken file.
    pub(crate) fn kill_and_start(&mut self, accounts: &Accounts) {
        self.is_broken = false;
        self.write(accounts);
        let output = self.running.take().expect("it runs").kill();
        self.log += &output.text();
        self.spawn();
    }

    /// Now and then another configuration, some of them broken; and polls of all accounts.
    pub(crate) fn edit(&mut self, accounts: &Accounts, random: &mut Rng) {
        if self.asked.elapsed() >= POLLS {
            self.ask_for_polls();
        }
        if self.edited.elapsed() < EDITS {
            return;
        }
        self.edited = Instant::now();
        self.is_broken = random.u8(..8) == 0;
        for _ in 0..4 {
            self.keys[random.usize(..ACCOUNTS)] = Keys {
                is_there: random.u8(..4) != 0,
                retention: ["keep", "delete", "1d"][random.usize(..3)],
                max_messages: Some(random.usize(1..20)).filter(|_| random.bool()),
            };
        }
        self.write(accounts);
    }

    /// Every account is there, without limits, and what was put off because of its server's trouble is due.
    pub(crate) fn come_to_peace(&mut self, accounts: &Accounts) {
        self.end();
        set_deferrals_due(&self.program);
        self.is_broken = false;
        self.keys.fill(Keys { is_there: true, retention: "delete", max_messages: None });
        self.write(accounts);
        self.spawn();
    }

    /// All accounts are polled now, whatever has failed before.
    pub(crate) fn ask_for_polls(&mut self) {
        self.asked = Instant::now();
        if self.polls.as_mut().is_none_or(|polls| !polls.is_running()) {
            let config = self.program.config_path();
            let mut command = self.command();
            command.arg("-c").arg(config).arg("poll");
            self.polls = Some(self.program.spawn_command(command));
        }
    }

    /// Puts a new file into the old one's place.
    fn write(&self, accounts: &Accounts) {
        let mut text = format!(
            "state-dir = \"{}\"\nruntime-dir = \"{}\"\nmax-polls-per-host = 20\n[defaults]\ninterval = \"10s\"\ntimeout = \"2s\"\n",
            self.program.state_dir().display(),
            self.program.path("run").display()
        );
        for (number, keys) in self.keys.iter().enumerate().filter(|(_, keys)| keys.is_there) {
            let most = keys.max_messages.map_or(String::new(), |most| format!("max-messages = {most}\n"));
            let lines = format!("retention = \"{}\"\ndeliver = \"home-{}\"\n{most}", keys.retention, number % MAILDIRS);
            text += &mailbox(accounts.port(number), &format!("account-{number}"), &lines);
        }
        (0..MAILDIRS).for_each(|number| text += &maildir(&format!("home-{number}")));
        if self.is_broken {
            text += "[accounts.broken\n";
        }
        let new = self.program.path("new.toml");
        std::fs::write(&new, text).expect("the configuration");
        std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o600)).expect("its mode");
        if is_root() {
            chown(&new, Some(USER), Some(USER)).expect("its owner");
        }
        std::fs::rename(new, self.program.config_path()).expect("in place");
    }

    /// Messages in the Maildirs.
    pub(crate) fn delivered(&self) -> usize {
        self.maildirs().map(|path| count_messages(&path)).sum()
    }

    fn maildirs(&self) -> impl Iterator<Item = std::path::PathBuf> {
        (0..MAILDIRS).map(|number| self.program.path(&format!("home-{number}")))
    }

    /// An orderly end.
    pub(crate) fn end(&mut self) {
        self.polls = None;
        let mut running = self.running.take().expect("it runs");
        running.sigterm();
        self.log += &running.wait(PROMPTLY).assert_success().text();
    }

    /// What has come, in all Maildirs together.
    pub(crate) fn verify(&self, wanted: Manifest) -> Verdict {
        let all = self.program.path("all");
        for sub in ["new", "cur", "tmp"] {
            std::fs::create_dir_all(all.join(sub)).expect("a folder");
            for entry in self.maildirs().filter_map(|path| std::fs::read_dir(path.join(sub)).ok()).flatten() {
                let entry = entry.expect("an entry");
                std::fs::rename(entry.path(), all.join(sub).join(entry.file_name())).expect("moved");
            }
        }
        wanted.verify(&all)
    }

    /// The last words about an account.
    pub(crate) fn words_of(&self, account: usize) -> Vec<&str> {
        let name = format!("account-{account}:");
        let is_of = |line: &&str| line.split(' ').any(|word| word == name);
        let mut words: Vec<&str> = self.log.lines().rev().filter(is_of).take(8).collect();
        words.reverse();
        words
    }

    /// What no trouble of others excuses.
    pub(crate) fn complaints(&self) -> Vec<String> {
        let is_bad = |line: &&str| {
            ["panicked", "state was lost", "older than it was", "Too many open files", "os error 24"]
                .iter()
                .any(|word| line.contains(word))
        };
        self.log.lines().filter(is_bad).take(20).map(str::to_owned).collect()
    }
}

/// The process's own user is that of its files.
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
