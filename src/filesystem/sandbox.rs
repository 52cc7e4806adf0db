//! The sandbox of the system's unit, which closes folders that their permissions leave open.
//!
//! What it refuses looks like any other refusal (EACCES, EROFS, ENOENT), so a service that was started by systemd
//! says where else to look, and `check` asks systemd.

use std::path::Path;

/// The unit.
pub(crate) const UNIT: &str = "postrider.service";

/// The properties that systemd is asked for.
pub(crate) const PROPERTIES: &str =
    "LoadState,User,ProtectHome,ProtectSystem,ReadWritePaths,ReadOnlyPaths,InaccessiblePaths,BindPaths,StateDirectory";

/// Advice about a folder that the sandbox closes.
pub(crate) const ADVICE: &str = "The unit's sandbox (ProtectHome=, ProtectSystem=, PrivateUsers=) lets the service write only its \
                          state: copy maildir.conf.example to /etc/systemd/system/postrider.service.d/maildir.conf and \
                          name the user and the folders there (postrider(8)).";

/// [`ADVICE`] for a process that was started as the system's service; `None` for any other.
pub(crate) fn advice() -> Option<&'static str> {
    is_service(&|name| std::env::var(name).ok(), std::process::id()).then_some(ADVICE)
}

/// Whether the system's systemd has started a process as a service.
fn is_service(environment: &dyn Fn(&str) -> Option<String>, pid: u32) -> bool {
    let has = |name: &str| environment(name).is_some();
    // A user's own manager, and what runs below it, has MANAGERPID.
    let started = environment("SYSTEMD_EXEC_PID").is_some_and(|started| started == pid.to_string());
    has("INVOCATION_ID") && !has("MANAGERPID") && (started || has("STATE_DIRECTORY") || has("RUNTIME_DIRECTORY"))
}

/// What a unit may write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sandbox {
    protect_home: String,
    protect_system: String,
    writable: Vec<String>,
    closed: Vec<String>,
    /// The user that it runs as.
    pub user: String,
}

impl Sandbox {
    /// Reads what `systemctl show` says; `None`: there is no such unit.
    pub(crate) fn parse(shown: &str) -> Option<Self> {
        let value = |name: &str| {
            let of = |line: &'_ str| Some(line.strip_prefix(name)?.strip_prefix('=')?.to_owned());
            shown.lines().find_map(of).unwrap_or_default()
        };
        let paths = |name: &str| -> Vec<String> {
            let bare = |word: &str| word.trim_start_matches(['-', '+']).to_owned();
            value(name).split_whitespace().map(bare).collect()
        };
        if value("LoadState") != "loaded" {
            return None;
        }
        let bound = |bind: String| bind.split(':').nth(1).or(Some(&bind)).map(str::to_owned);
        let state = paths("StateDirectory").into_iter().map(|name| format!("/var/lib/{name}"));
        let writable = paths("ReadWritePaths").into_iter().chain(paths("BindPaths").into_iter().filter_map(bound));
        Some(Self {
            protect_home: value("ProtectHome"),
            protect_system: value("ProtectSystem"),
            writable: writable.chain(state).collect(),
            closed: [paths("ReadOnlyPaths"), paths("InaccessiblePaths")].concat(),
            user: value("User"),
        })
    }

    /// The setting that forbids writing to a folder, if there is one.
    pub(crate) fn forbids(&self, folder: &Path) -> Option<String> {
        const HOMES: [&str; 3] = ["/home", "/root", "/run/user"];
        const OWN: [&str; 4] = ["/usr", "/boot", "/efi", "/etc"];
        let is_below = |parts: &[String]| parts.iter().any(|part| folder.starts_with(part));
        let is_in = |parts: &[&str]| parts.iter().any(|part| folder.starts_with(part));
        let Self { protect_home, protect_system, .. } = self;
        if is_below(&self.closed) {
            return Some("ReadOnlyPaths= or InaccessiblePaths=".to_owned());
        }
        if is_below(&self.writable) {
            return None;
        }
        match (protect_home.as_str(), protect_system.as_str()) {
            ("yes" | "true" | "tmpfs" | "read-only", _) if is_in(&HOMES) => Some(format!("ProtectHome={protect_home}")),
            (_, "strict") => Some("ProtectSystem=strict".to_owned()),
            (_, "full") if is_in(&OWN) => Some("ProtectSystem=full".to_owned()),
            (_, "yes" | "true") if is_in(&OWN[..3]) => Some(format!("ProtectSystem={protect_system}")),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_of_the_system_is_told_from_a_users_and_from_a_command() {
        let is = |set: &[(&str, &str)]| {
            is_service(&|name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()), 7)
        };
        assert!(is(&[("INVOCATION_ID", "x"), ("SYSTEMD_EXEC_PID", "7")]));
        assert!(is(&[("INVOCATION_ID", "x"), ("STATE_DIRECTORY", "/var/lib/postrider")]));
        assert!(!is(&[("INVOCATION_ID", "x"), ("SYSTEMD_EXEC_PID", "8")]), "a command in somebody's session");
        assert!(!is(&[("INVOCATION_ID", "x"), ("MANAGERPID", "5"), ("SYSTEMD_EXEC_PID", "7")]));
        assert!(!is(&[]));
    }

    #[test]
    fn what_the_unit_may_not_write_is_known_by_its_settings() {
        let shown =
            "LoadState=loaded\nUser=postrider\nProtectHome=yes\nProtectSystem=strict\nStateDirectory=postrider\n";
        let drop_in = "LoadState=loaded\nUser=alice\nProtectHome=tmpfs\nProtectSystem=strict\nReadWritePaths=-/srv/mail\n\
                       BindPaths=/home/alice/Maildir:/home/alice/Maildir:rbind\nStateDirectory=postrider\n";
        for (shown, path, want) in [
            (shown, "/var/lib/postrider/Maildir", None),
            (shown, "/home/alice/Maildir", Some("ProtectHome=yes")),
            (shown, "/root/Maildir", Some("ProtectHome=yes")),
            (shown, "/srv/mail/alice", Some("ProtectSystem=strict")),
            (drop_in, "/home/alice/Maildir", None),
            (drop_in, "/home/bob/Maildir", Some("ProtectHome=tmpfs")),
            (drop_in, "/srv/mail/alice", None),
            (drop_in, "/srv/mailbox", Some("ProtectSystem=strict")),
            ("LoadState=loaded\nProtectSystem=no\nProtectHome=no\n", "/home/a", None),
        ] {
            let sandbox = Sandbox::parse(shown).expect("a unit");
            assert_eq!(sandbox.forbids(Path::new(path)).as_deref(), want, "{path}");
        }
        assert_eq!(Sandbox::parse("LoadState=not-found\n"), None);
    }
}
