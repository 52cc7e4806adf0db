//! The program under test, with a home directory of its own.

use super::{POLL_INTERVAL, private_dir};
use std::ffi::OsString;
use std::fs::{File, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A run that takes longer has failed.
const TIME_LIMIT: Duration = Duration::from_secs(120);

/// `postrider` with a private home, configuration, state and runtime directory.
pub struct Postrider {
    home: TempDir,
    environment: Vec<(OsString, OsString)>,
    runs: AtomicUsize,
}

impl Postrider {
    /// A home without a configuration.
    pub fn new() -> Self {
        let home = private_dir();
        std::fs::create_dir(home.path().join("run")).expect("runtime directory");
        let only_owner = Permissions::from_mode(0o700);
        std::fs::set_permissions(home.path().join("run"), only_owner).expect("its mode");
        Self { home, environment: Vec::new(), runs: AtomicUsize::new(0) }
    }

    /// A home with a configuration: `text` after the lines that keep state in this home.
    pub fn with_config(text: &str) -> Self {
        let program = Self::new();
        program.config(text);
        program
    }

    /// Writes the configuration, mode 0600: `text` after the top-level lines that
    /// keep the state in this home.
    pub fn config(&self, text: &str) {
        let text = format!(
            "state-dir = \"{}\"\nruntime-dir = \"{}\"\n{text}",
            self.state_dir().display(),
            self.home.path().join("run").display()
        );
        self.raw_config(&text, 0o600);
    }

    /// Writes exactly `text` as the configuration, with a file mode.
    pub fn raw_config(&self, text: &str, mode: u32) {
        let path = self.config_path();
        let _ = std::fs::remove_file(&path);
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&path).expect("configuration");
        file.write_all(text.as_bytes()).expect("write the configuration");
        std::fs::set_permissions(path, Permissions::from_mode(mode)).expect("its mode");
    }

    /// Sets a variable for the runs that follow.
    pub fn env(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        self.environment.push((name.into(), value.into()));
    }

    /// The home directory.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// A path in the home directory, as `path("Maildir")`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// The configuration file, `config.toml` in the home directory.
    pub fn config_path(&self) -> PathBuf {
        self.path("config.toml")
    }

    /// The `state-dir` that [`Postrider::config`] writes.
    pub fn state_dir(&self) -> PathBuf {
        self.path("state")
    }

    /// Runs `postrider -c CONFIG ARGS...` to its end, for at most two minutes.
    pub fn run(&self, args: &[&str]) -> Output {
        self.spawn(args).wait(TIME_LIMIT)
    }

    /// The same with a text as its input.
    pub fn run_with_input(&self, args: &[&str], text: &str) -> Output {
        let input = self.path("input");
        std::fs::write(&input, text).expect("the input");
        let mut command = self.command();
        command.arg("-c").arg(self.config_path()).args(args);
        self.spawn_from(command, File::open(input).expect("the input").into()).wait(TIME_LIMIT)
    }

    /// Starts `postrider -c CONFIG ARGS...`.
    pub fn spawn(&self, args: &[&str]) -> Running {
        let mut command = self.command();
        command.arg("-c").arg(self.config_path()).args(args);
        self.spawn_command(command)
    }

    /// Starts `postrider -c CONFIG run` and waits until it says that it runs.  Panics after `limit`.
    pub fn start_service(&self, limit: Duration) -> Running {
        let mut service = self.spawn(&["run"]);
        service.wait_until("the service to run", limit, |service| service.stderr().contains("postrider is running"));
        service
    }

    /// The program with its private environment and no arguments yet.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_postrider"));
        self.prepare(&mut command);
        command
    }

    /// Gives any command (`strace ... postrider`) the private environment.
    pub fn prepare(&self, command: &mut Command) {
        command
            .env_clear()
            .env("HOME", self.home.path())
            .env("XDG_RUNTIME_DIR", self.home.path().join("run"))
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("RUST_BACKTRACE", "1")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.home.path());
    }

    /// Starts a command with its output in files, so that no pipe can fill up.
    pub fn spawn_command(&self, command: Command) -> Running {
        self.spawn_from(command, Stdio::null())
    }

    /// The same with an input.
    pub fn spawn_from(&self, mut command: Command, input: Stdio) -> Running {
        let run = self.runs.fetch_add(1, Ordering::Relaxed);
        let stdout = self.path(&format!("stdout-{run}"));
        let stderr = self.path(&format!("stderr-{run}"));
        let child = command
            .stdin(input)
            .stdout(File::create(&stdout).expect("output file"))
            .stderr(File::create(&stderr).expect("output file"))
            .spawn()
            .expect("start the program");
        let what = format!("{command:?}");
        Running { child, what, stdout, stderr, started: Instant::now(), peak_kib: 0 }
    }
}

/// A run of the program.  Killed when dropped.
pub struct Running {
    child: Child,
    what: String,
    stdout: PathBuf,
    stderr: PathBuf,
    started: Instant,
    peak_kib: u64,
}

impl Running {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// How often the service has said that it took a changed configuration.
    pub fn reloads(&self) -> usize {
        self.stderr().matches(" reloaded: ").count()
    }

    /// Whether it has not ended yet.
    pub fn is_running(&mut self) -> bool {
        self.ended().is_none()
    }

    /// What it has written to stdout so far.
    pub fn stdout(&self) -> String {
        read(&self.stdout)
    }

    /// What it has written to stderr so far.
    pub fn stderr(&self) -> String {
        read(&self.stderr)
    }

    /// Sends a signal by name, as `TERM` or `HUP`, unless it has ended.
    pub fn signal(&mut self, name: &str) {
        if self.is_running() {
            let pid = self.pid().to_string();
            let sent = Command::new("kill").args(["-s", name, &pid]).status();
            assert!(sent.is_ok_and(|status| status.success()), "kill -s {name} {pid}");
        }
    }

    /// Asks it to end.
    pub fn sigterm(&mut self) {
        self.signal("TERM");
    }

    /// Kills it at once (SIGKILL) and waits until it is gone.
    pub fn kill(mut self) -> Output {
        let _ = self.child.kill();
        self.wait(TIME_LIMIT)
    }

    /// Looks at `condition` until it holds; panics with all output when the
    /// program ends first or `limit` is over.
    #[track_caller]
    pub fn wait_until(&mut self, what: &str, limit: Duration, mut condition: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + limit;
        while !condition(self) {
            let ended = self.ended();
            // It may have come true just before the end.
            if ended.is_some() && condition(self) {
                return;
            }
            if ended.is_some() || Instant::now() > deadline {
                panic!("{what}: not within {limit:?}, exit {ended:?}\n{}", self.report());
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }

    /// Waits for the end; after `limit` kills it and panics with all output.
    #[track_caller]
    pub fn wait(mut self, limit: Duration) -> Output {
        let deadline = Instant::now() + limit;
        let status = loop {
            if let Some(status) = self.ended() {
                break status;
            }
            if Instant::now() > deadline {
                let _ = self.child.kill();
                panic!("still running after {limit:?}\n{}", self.report());
            }
            std::thread::sleep(POLL_INTERVAL);
        };
        Output {
            code: status.code(),
            signal: status.signal(),
            stdout: self.stdout(),
            stderr: self.stderr(),
            elapsed: self.started.elapsed(),
            peak_kib: self.peak_kib,
            what: self.what.clone(),
        }
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.peak_kib = self.peak_kib.max(peak_kib(self.pid()));
        self.child.try_wait().expect("the program's state")
    }

    fn report(&self) -> String {
        format!("{}\n--- stdout\n{}--- stderr\n{}", self.what, self.stdout(), self.stderr())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The outcome of a run.
#[derive(Clone, Debug)]
pub struct Output {
    /// The exit code, if it exited.
    pub code: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
    /// Everything on stdout.
    pub stdout: String,
    /// Everything on stderr.
    pub stderr: String,
    /// How long it took.
    pub elapsed: Duration,
    /// Its peak memory (VmHWM) in KiB as last seen, some milliseconds before its end.
    pub peak_kib: u64,
    what: String,
}

impl Output {
    /// Panics with all output unless the exit code is this; returns itself.
    #[track_caller]
    pub fn assert_code(self, code: i32) -> Self {
        assert!(
            self.code == Some(code),
            "{}\nexit code {:?}, signal {:?}, not {code}\n--- stdout\n{}--- stderr\n{}",
            self.what,
            self.code,
            self.signal,
            self.stdout,
            self.stderr
        );
        self
    }

    /// The same for success.
    #[track_caller]
    pub fn assert_success(self) -> Self {
        self.assert_code(0)
    }

    /// Both streams, for searching.
    pub fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}

fn peak_kib(pid: u32) -> u64 {
    std::fs::read_to_string(format!("/proc/{pid}/status"))
        .ok()
        .and_then(|status| {
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
            line.trim().trim_end_matches(" kB").parse().ok()
        })
        .unwrap_or(0)
}
