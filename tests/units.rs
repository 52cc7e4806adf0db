//! The systemd units say what is promised of them, and systemd understands them.
//!
//! What asks systemd itself needs `systemd-analyze`; a machine without it passes, and says so.
#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a failure here is a failure of the test"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

/// The exposure that the system's unit may have, of 10, in tenths: `--threshold` takes such.
const EXPOSURE_TENTHS: &str = "15";

const SYSTEM: &str = "systemd/postrider.service";
const USER: &str = "systemd/user/postrider.service";
const DROP_IN: &str = "systemd/postrider.service.d/maildir.conf.example";

fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(source(path)).expect("a file of the source")
}

/// All values of a key, in their order.
fn values<'u>(unit: &'u str, key: &str) -> Vec<&'u str> {
    let pairs = unit.lines().filter_map(|line| line.split_once('='));
    pairs.filter(|(found, _)| *found == key).map(|(_, value)| value).collect()
}

/// The version of the systemd here, if `systemd-analyze` is here.
fn systemd_version() -> Option<u32> {
    let Ok(output) = Command::new("systemd-analyze").arg("--version").output() else {
        eprintln!("skipped: there is no systemd-analyze on this machine");
        return None;
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Some(text.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("systemd 252 (...)"))
}

/// What `systemd-analyze verify` has to say of the files together.
fn verify(kind: &str, files: &[&Path]) -> Vec<String> {
    let runtime = tempfile::tempdir().expect("a runtime directory");
    let output = Command::new("systemd-analyze")
        .args(["verify", kind, "--man=no"])
        .args(files)
        .env("XDG_RUNTIME_DIR", runtime.path())
        .env("LC_ALL", "C")
        .output()
        .expect("systemd-analyze");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    text.lines().map(str::to_owned).collect()
}

/// A unit in `folder` that starts a program that is there.
fn with_program(folder: &Path, path: &str) -> PathBuf {
    let program = env!("CARGO_BIN_EXE_postrider");
    let unit = folder.join("postrider.service");
    std::fs::write(&unit, read(path).replace("/usr/bin/postrider", program)).expect("a copy of the unit");
    unit
}

#[test]
fn both_units_are_understood_by_systemd() {
    let Some(version) = systemd_version() else { return };
    for (kind, path) in [("--system", SYSTEM), ("--user", USER)] {
        let folder = tempfile::tempdir().expect("a folder");
        let complaints = verify(kind, &[&with_program(folder.path(), path)]);
        // systemd 253 brought notify-reload; for older ones the unit has "notify" before it.
        let (old, other): (Vec<_>, Vec<_>) = complaints
            .into_iter()
            .partition(|line| line.ends_with("Failed to parse service type, ignoring: notify-reload"));
        assert_eq!(old.len(), usize::from(version < 253), "{path}: {old:?}");
        assert!(other.is_empty(), "{path}: {other:#?}");
    }
}

#[test]
fn the_drop_in_for_homes_is_understood_by_systemd() {
    if systemd_version().is_none() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let unit = with_program(folder.path(), SYSTEM);
    let drop_in = folder.path().join("postrider.service.d");
    std::fs::create_dir(&drop_in).expect("a folder");
    std::fs::copy(source(DROP_IN), drop_in.join("maildir.conf")).expect("a copy of the drop-in");
    let complaints = verify("--system", &[&unit]);
    let other: Vec<_> = complaints.iter().filter(|line| !line.contains("notify-reload")).collect();
    assert!(other.is_empty(), "{other:#?}");
}

#[test]
fn the_system_unit_is_hardly_exposed() {
    if systemd_version().is_none() {
        return;
    }
    let output = Command::new("systemd-analyze")
        .args(["security", "--offline=yes", "--no-pager", "--threshold", EXPOSURE_TENTHS])
        .arg(source(SYSTEM))
        .output()
        .expect("systemd-analyze");
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(report.contains("Overall exposure level"), "{report}{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{report}");
}

#[test]
fn both_restart_on_failure_but_not_for_a_wrong_configuration() {
    for path in [SYSTEM, USER] {
        let unit = read(path);
        assert_eq!(values(&unit, "Restart"), ["on-failure"], "{path}");
        assert_eq!(values(&unit, "RestartPreventExitStatus"), ["64 78"], "{path}");
    }
}

#[test]
fn both_tell_systemd_of_readiness_reload_and_life() {
    for path in [SYSTEM, USER] {
        let unit = read(path);
        assert_eq!(values(&unit, "Type"), ["notify", "notify-reload"], "{path}");
        // The reload of those that know "notify" alone; the same program and the same configuration.
        let start = values(&unit, "ExecStart");
        let reload: Vec<_> = start.iter().filter_map(|line| line.strip_suffix(" run")).collect();
        assert_eq!(values(&unit, "ExecReload"), [format!("{} reload", reload[0])], "{path}");
        assert_eq!(values(&unit, "NotifyAccess"), ["main"], "{path}");
        assert_eq!(values(&unit, "WatchdogSec"), ["60s"], "{path}");
    }
}

#[test]
fn both_keep_state_and_sockets_where_the_program_looks() {
    for path in [SYSTEM, USER] {
        let unit = read(path);
        // Before systemd 254 a user's would be the folder of the configuration.
        let wanted: &[&str] = if path == SYSTEM { &["postrider"] } else { &[] };
        assert_eq!(values(&unit, "StateDirectory"), wanted, "{path}");
        assert_eq!(values(&unit, "RuntimeDirectory"), ["postrider"], "{path}");
        assert_eq!(values(&unit, "UMask"), ["0077"], "{path}");
    }
    let unit = read(SYSTEM);
    assert_eq!(values(&unit, "StateDirectoryMode"), ["0700"]);
    assert_eq!(values(&unit, "ConfigurationDirectoryMode"), ["0750"]);
}

#[test]
fn the_system_unit_waits_for_its_configuration_and_shows_a_credential() {
    let unit = read(SYSTEM);
    let start = values(&unit, "ExecStart");
    let configuration = values(&unit, "ConditionPathExists");
    assert_eq!(configuration, ["/etc/postrider/config.toml"]);
    assert_eq!(start, [format!("/usr/bin/postrider --config {} run", configuration[0])]);
    assert!(!values(&unit, "#LoadCredential").is_empty(), "an example of LoadCredential=");
}

/// The kernel's own word is in /proc/sys; `tests/quarantine/boot.rs` shows what it is for.
#[test]
fn the_system_unit_tells_which_boot_it_is_as_it_hides_what_does() {
    let unit = read(SYSTEM);
    assert_eq!(values(&unit, "ProcSubset"), ["pid"]);
    assert!(values(&unit, "Environment").contains(&"POSTRIDER_BOOT_ID=%b"));
}

/// `make install`, sysusers.d and the Debian package make the user that the unit names.
#[test]
fn the_user_of_the_unit_is_made() {
    let unit = read(SYSTEM);
    let (user, group) = (values(&unit, "User"), values(&unit, "Group"));
    assert_eq!((user.as_slice(), group.as_slice()), (["postrider"].as_slice(), ["postrider"].as_slice()));
    assert!(read("packaging/sysusers.conf").lines().any(|line| line.starts_with("u postrider ")));
    assert!(read("packaging/tmpfiles.conf").lines().any(|line| line.starts_with("d /etc/postrider :0750 ")));
}

#[test]
fn the_units_name_manual_pages_that_exist() {
    for path in [SYSTEM, USER] {
        let unit = read(path);
        for page in values(&unit, "Documentation").join(" ").split(' ') {
            let page = page.strip_prefix("man:").and_then(|page| page.strip_suffix(')')).expect("man:NAME(SECTION)");
            let file = format!("man/{}", page.replace('(', "."));
            assert!(source(&file).exists(), "{path} names {file}");
        }
    }
}
