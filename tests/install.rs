//! `make install` puts each file where systems look for it, and nothing else; `make uninstall` takes
//! the same away.
#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    reason = "a failure here is a failure of the test"
)]

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

const FILES: [&str; 13] = [
    "bin/postrider",
    "lib/systemd/system/postrider.service",
    "lib/systemd/user/postrider.service",
    "lib/sysusers.d/postrider.conf",
    "lib/tmpfiles.d/postrider.conf",
    "share/bash-completion/completions/postrider",
    "share/doc/postrider/examples/config.toml",
    "share/doc/postrider/examples/postrider.service.d/maildir.conf",
    "share/fish/vendor_completions.d/postrider.fish",
    "share/man/man1/postrider.1",
    "share/man/man5/postrider.toml.5",
    "share/man/man8/postrider.8",
    "share/zsh/site-functions/_postrider",
];

/// Runs `make` with nothing of a surrounding make, and with a umask that hides what is made.
fn make(arguments: &[&str]) -> Output {
    Command::new("sh")
        .args(["-c", "umask 077 && exec make \"$@\"", "make"])
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env_remove("MAKEFLAGS")
        .env_remove("MAKELEVEL")
        .output()
        .expect("make")
}

/// Runs `make TARGET` for a prefix below `root`, which must go well.
fn run(target: &str, root: &Path, prefix: &str) {
    let destination = format!("DESTDIR={}", root.display());
    let program = format!("BINARY={}", env!("CARGO_BIN_EXE_postrider"));
    let output = make(&[target, &destination, &format!("PREFIX={prefix}"), &program]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// All files below `folder`, by their names from there, after a look at each one's mode.
fn files(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).expect("a folder") {
            let path = entry.expect("an entry").path();
            let mode = path.metadata().expect("metadata").permissions().mode() & 0o777;
            if path.is_dir() {
                assert_eq!(mode, 0o755, "{}", path.display());
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(folder).expect("it is below").display().to_string();
            assert_eq!(mode, if name.contains("/bin/") { 0o755 } else { 0o644 }, "{name}");
            found.insert(name);
        }
    }
    found
}

#[test]
fn installs_below_its_prefix_and_takes_the_same_away() {
    for prefix in ["/usr/local", "/usr", "/opt/postrider"] {
        let root = tempfile::tempdir().expect("a root");
        run("install", root.path(), prefix);
        let below = |name: &&str| format!("{}/{name}", &prefix[1..]);
        assert_eq!(files(root.path()), FILES.iter().map(below).collect(), "{prefix}");

        for kind in ["system", "user"] {
            let unit = root.path().join(&prefix[1..]).join(format!("lib/systemd/{kind}/postrider.service"));
            let unit = std::fs::read_to_string(unit).expect("a unit");
            for key in ["ExecStart", "ExecReload"] {
                assert!(unit.contains(&format!("\n{key}={prefix}/bin/postrider ")), "{unit}");
            }
        }

        let own = root.path().join(&prefix[1..]).join("share/doc/postrider/own");
        std::fs::write(&own, "somebody's").expect("a file beside");
        run("uninstall", root.path(), prefix);
        std::fs::remove_file(own).expect("what is not of the installation stays");
        assert_eq!(files(root.path()), BTreeSet::new(), "{prefix}");
    }
}

#[test]
fn installs_again_over_itself_and_leaves_etc_alone() {
    let root = tempfile::tempdir().expect("a root");
    let etc = root.path().join("etc/postrider");
    std::fs::create_dir_all(&etc).expect("a folder");
    std::fs::write(etc.join("config.toml"), "mine").expect("a configuration");
    for target in ["install", "install", "uninstall"] {
        run(target, root.path(), "/usr");
        let entries: Vec<_> = std::fs::read_dir(&etc).expect("a folder").collect();
        assert_eq!(entries.len(), 1, "{target}: {entries:?}");
        assert_eq!(std::fs::read_to_string(etc.join("config.toml")).expect("a configuration"), "mine");
    }
}

#[test]
fn says_what_to_do_when_nothing_is_built() {
    let root = tempfile::tempdir().expect("a root");
    let output = make(&["install", &format!("DESTDIR={}", root.path().display()), "BINARY=/nonexistent/postrider"]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("run make first"));
    assert_eq!(files(root.path()), BTreeSet::new());
}

/// What a shell offers at the Tab key behind a line, by the script that is installed for it.
fn offered(shell: &str, line: &str, folder: &Path) -> Vec<String> {
    let script = Command::new(env!("CARGO_BIN_EXE_postrider")).args(["completions", shell]).output();
    let file = folder.join("_postrider");
    std::fs::write(&file, script.expect("postrider").stdout).expect("the script");
    let ask = match shell {
        "bash" => {
            ". ./_postrider; COMP_WORDS=($1); [[ $1 == *' ' ]] && COMP_WORDS+=('')
            COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMP_TYPE=9
            _clap_complete_postrider postrider \"${COMP_WORDS[COMP_CWORD]}\" ''; printf '%s\\n' \"${COMPREPLY[@]}\""
        }
        "fish" => "source ./_postrider; complete --do-complete $argv[1]",
        // A terminal would be needed for more than that.
        _ => {
            "compdef() { :; }; . ./_postrider; _describe() { printf '%s\\n' \"${(@P)3}\" }
            words=(${=1}); [[ $1 == *' ' ]] && words+=(''); CURRENT=$#words; _clap_dynamic_completer_postrider"
        }
    };
    let arguments = if shell == "fish" { vec!["-c", ask, line] } else { vec!["-c", ask, shell, line] };
    let output = Command::new(shell)
        .args(arguments)
        .current_dir(folder)
        .env(
            "PATH",
            format!(
                "{}:/usr/bin:/bin",
                Path::new(env!("CARGO_BIN_EXE_postrider")).parent().expect("a folder").display()
            ),
        )
        .env("HOME", folder)
        .env_remove("XDG_CONFIG_HOME")
        .output()
        .expect("a shell");
    let offered = String::from_utf8(output.stdout).expect("text");
    offered.lines().map(|line| line.split(['\t', ':']).next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn shells_complete_commands_options_and_the_names_of_accounts() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = "[accounts.work]\nhost = \"pop.example.org\"\nusername = \"a\"\npassword-command = [\"true\"]\n\
        deliver = \"home\"\n[accounts.wife]\nhost = \"pop.example.org\"\nusername = \"b\"\n\
        password-command = [\"true\"]\ndeliver = \"home\"\n[destinations.home]\ntype = \"maildir\"\npath = \"/m\"\n";
    std::fs::create_dir_all(folder.path().join(".config/postrider")).expect("a folder");
    std::fs::write(folder.path().join(".config/postrider/config.toml"), config).expect("a file");
    std::fs::write(folder.path().join("other.toml"), config.replace("work", "other")).expect("a file");
    std::fs::write(folder.path().join("broken.toml"), "[").expect("a file");
    let here = |shell: &str| Command::new(shell).args(["-c", "true"]).output().is_ok_and(|it| it.status.success());
    for shell in ["bash", "zsh", "fish"].into_iter().filter(|shell| here(shell)) {
        for (line, want) in [
            ("postrider fe", &["fetch"][..]),
            ("postrider quarantine re", &["retry"]),
            ("postrider check --con", &["--connect", "--config"]),
            ("postrider fetch wo", &["work"]),
            ("postrider list w", &["work", "wife"]),
            ("postrider history ", &["work", "wife"]),
            ("postrider quarantine list wi", &["wife"]),
            ("postrider login wi", &["wife"]),
            ("postrider poll work wi", &["wife"]),
            ("postrider -c other.toml fetch o", &["other"]),
            ("postrider fetch --config=other.toml o", &["other"]),
            ("postrider -c broken.toml fetch w", &[]),
        ] {
            let offered = offered(shell, line, folder.path());
            let names: Vec<&String> = offered.iter().filter(|it| !it.is_empty()).collect();
            let all = want.iter().all(|name| names.iter().any(|it| it == name));
            let no_other = line.ends_with(' ') || names.len() == want.len();
            assert!(all && no_other, "{shell}: {line}: {names:?}");
        }
    }
}

#[test]
fn completions_do_not_panic_when_nobody_reads_or_the_disk_is_full() {
    let program = env!("CARGO_BIN_EXE_postrider");
    for (sink, code) in [("/dev/full", "74"), ("/dev/null", "0")] {
        let script = format!("'{program}' completions bash >{sink} 2>&2; echo $?");
        let output = Command::new("sh").args(["-c", &script]).output().expect("sh");
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), code);
        assert!(!String::from_utf8_lossy(&output.stderr).contains("panicked"));
    }
    let script = format!("{{ '{program}' completions bash; echo $? >&2; }} | true");
    let output = Command::new("sh").args(["-c", &script]).output().expect("sh");
    assert_eq!(String::from_utf8_lossy(&output.stderr).trim(), "0");
}
