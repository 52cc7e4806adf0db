//! Where the programs run: directories on the disk that is measured, and the user that they run as.

use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::Fallible;
use crate::configuration::{Account, Tools};
use crate::settings::Settings;

/// `nobody`: some programs refuse to deliver as root.
const NOBODY: u32 = 65_534;

/// The directories of one benchmark.  Removed when dropped, and not before.
#[derive(Debug)]
pub(crate) struct Ground {
    disk: TempDir,
    memory: TempDir,
    /// The programs, where the user that runs them can reach them.
    pub(crate) tools: Tools,
    /// The user that the programs run as, if it is not our own.
    pub(crate) user: Option<u32>,
    runs: usize,
    /// The number of runs whose files are emptied.
    emptied: usize,
}

impl Ground {
    /// Makes the directories.
    pub(crate) fn prepare(settings: &Settings) -> Fallible<Self> {
        let user = rustix::process::getuid().is_root().then_some(NOBODY);
        let disk = tempfile::Builder::new().prefix("bench-").tempdir_in(settings.disk.canonicalize()?)?;
        let memory = tempfile::Builder::new().prefix("bench-").tempdir_in(memory())?;
        for dir in [&disk, &memory] {
            set_mode(dir.path(), 0o755)?;
        }
        let passable = |dir: &Path| dir.metadata().is_ok_and(|found| found.permissions().mode() & 0o001 != 0);
        if let Some(closed) = disk.path().ancestors().find(|dir| !passable(dir)).filter(|_| user.is_some()) {
            let closed = closed.display();
            return Err(format!("the programs run as nobody, who cannot enter {closed}: set BENCH_DIR").into());
        }
        let bin = disk.path().join("bin");
        std::fs::create_dir(&bin)?;
        set_mode(&bin, 0o755)?;
        let tools = Tools { postrider: bin.join("postrider"), own: bin.join("peers") };
        for (from, to) in [(&settings.postrider, &tools.postrider), (&std::env::current_exe()?, &tools.own)] {
            std::fs::copy(from, to)?;
            set_mode(to, 0o755)?;
        }
        Ok(Self { disk, memory, tools, user, runs: 0, emptied: 0 })
    }

    /// A new directory on the disk, for one run.
    pub(crate) fn place(&mut self) -> Fallible<PathBuf> {
        self.runs += 1;
        self.make(self.disk.path().join(self.runs.to_string()))
    }

    /// A new directory in memory, for what is not measured.
    pub(crate) fn place_in_memory(&mut self) -> Fallible<PathBuf> {
        self.runs += 1;
        self.make(self.memory.path().join(self.runs.to_string()))
    }

    fn make(&self, dir: PathBuf) -> Fallible<PathBuf> {
        std::fs::create_dir(&dir)?;
        std::fs::create_dir(dir.join("home"))?;
        std::fs::create_dir(dir.join("mail"))?;
        Ok(dir)
    }

    /// Users of the server, each with an empty Maildir in this directory.
    pub(crate) fn accounts(&self, place: &Path, users: &[usize]) -> Fallible<Vec<Account>> {
        let account = |user: &usize| -> Fallible<Account> {
            let (name, password) = (format!("user{user}"), format!("pass{user}"));
            let maildir = place.join("mail").join(&name);
            for sub in ["tmp", "new", "cur"] {
                std::fs::DirBuilder::new().recursive(true).mode(0o700).create(maildir.join(sub))?;
            }
            Ok(Account { user: name, password, maildir })
        };
        users.iter().map(account).collect()
    }

    /// Gives a directory to the user that the programs run as.
    pub(crate) fn give(&self, dir: &Path) -> Fallible<()> {
        let Some(user) = self.user else { return Ok(()) };
        each(dir, &|path| chown(path, Some(user), Some(user)))?;
        Ok(())
    }

    /// Frees the space that runs have filled, but leaves the files.
    pub(crate) fn empty(&mut self) -> Fallible<()> {
        for run in self.emptied + 1..=self.runs {
            let mail = self.disk.path().join(run.to_string()).join("mail");
            if mail.is_dir() {
                each(&mail, &|path| {
                    if path.is_file() { std::fs::OpenOptions::new().write(true).open(path)?.set_len(0) } else { Ok(()) }
                })?;
            }
        }
        self.emptied = self.runs;
        Ok(())
    }
}

/// The directory for mailboxes and other things that do not belong on the disk.
pub(crate) fn memory() -> PathBuf {
    let shared = Path::new("/dev/shm");
    if shared.is_dir() { shared.to_owned() } else { std::env::temp_dir() }
}

fn each(path: &Path, act: &dyn Fn(&Path) -> std::io::Result<()>) -> std::io::Result<()> {
    act(path)?;
    if path.is_dir() {
        for entry in std::fs::read_dir(path)? {
            each(&entry?.path(), act)?;
        }
    }
    Ok(())
}

fn set_mode(path: &Path, mode: u32) -> std::io::Result<()> {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}
