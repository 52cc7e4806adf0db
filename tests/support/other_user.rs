//! The program between two users: root, who runs the tests, and `nobody`.

use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::program::{Output, Postrider};

/// A user and a group that every machine has and nobody is in.
pub const NOBODY: u32 = 65534;

const TIME_LIMIT: Duration = Duration::from_secs(120);

impl Postrider {
    /// Lets `nobody` pass through the home and read the configuration, as a service's user may, and
    /// makes these folders of the home its own.  `false`: this is not root, who alone can.
    pub fn share_with_nobody(&self, folders: &[&str]) -> bool {
        if !rustix::process::geteuid().is_root() {
            return false;
        }
        set_mode(self.home(), 0o755);
        if self.config_path().exists() {
            chown(self.config_path(), Some(0), Some(NOBODY)).expect("its group");
            set_mode(&self.config_path(), 0o640);
        }
        for folder in folders {
            let path = self.path(folder);
            std::fs::create_dir_all(&path).expect("a folder");
            set_mode(&path, 0o700);
            self.give_to_nobody(&path);
        }
        true
    }

    /// Makes a file or folder `nobody`'s; a link itself, and not what it leads to.
    pub fn give_to_nobody(&self, path: &Path) {
        std::os::unix::fs::lchown(path, Some(NOBODY), Some(NOBODY)).expect("another owner");
    }

    /// Runs `postrider -c CONFIG ARGS...` as `nobody`.
    pub fn run_as_nobody(&self, args: &[&str]) -> Output {
        let mut command = Command::new("setpriv");
        self.prepare(&mut command);
        command.args([format!("--reuid={NOBODY}"), format!("--regid={NOBODY}"), "--clear-groups".to_owned()]);
        command.arg(env!("CARGO_BIN_EXE_postrider")).arg("-c").arg(self.config_path()).args(args);
        self.spawn_command(command).wait(TIME_LIMIT)
    }
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("its mode");
}
