//! Several files: `conf.d/*.toml` beside the main one.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::*;
use crate::config::{files_of, folder_of};

/// An account without a destination of its own.
fn account(name: &str, lines: &str) -> String {
    format!("[accounts.{name}]\nhost = \"h\"\nusername = \"{name}\"\ndeliver = \"home\"\n{lines}\n")
}

/// `FILE:LINE:COLUMN: MESSAGE` of everything that is wrong.
fn problems(files: &[File<'_>]) -> Vec<String> {
    let error = parse_files(files).expect_err("refused");
    error.problems().iter().map(crate::config::Problem::on_one_line).collect()
}

fn names<T>(items: &[std::sync::Arc<T>], name: impl Fn(&T) -> &str) -> Vec<String> {
    items.iter().map(|item| name(item).to_owned()).collect()
}

#[test]
fn the_files_make_one_configuration_and_the_main_files_defaults_hold_for_all() {
    let (z, a) = (account("z", ""), account("a", "interval = \"2h\""));
    let main = format!("log-level = \"warn\"\n[defaults]\npassword-file = \"pw\"\ninterval = \"1h\"\n{z}");
    let files = [file("config.toml", &main), file("conf.d/10.toml", &a), file("conf.d/20.toml", HOME)];
    let config = parse_files(&files).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(names(&config.accounts, |account| account.name.as_str()), ["z", "a"]);
    assert_eq!(names(&config.destinations, |destination| destination.name.as_str()), ["home"]);
    let intervals: Vec<u64> = config.accounts.iter().map(|account| account.interval.as_secs()).collect();
    assert_eq!((intervals, config.log_level), (vec![3600, 7200], tracing::Level::WARN));
    let secret = crate::credential::SecretSource::File("/etc/postrider/pw".into());
    assert!(config.accounts.iter().all(|account| account.credential.source() == Some(&secret)));
    assert_eq!(config.file, Path::new("config.toml"));
    assert_eq!(config.folder, Path::new("/etc/postrider/conf.d"));
    let read = ["config.toml", "conf.d/10.toml", "conf.d/20.toml"];
    assert_eq!(config.files, read.map(|name| Path::new("/etc/postrider").join(name)));
}

#[test]
fn a_warning_names_the_file_that_it_is_about() {
    let main = format!("[defaults]\npassword-file = \"/p\"\ntls = \"none\"\n{}", account("b", "tls = \"implicit\""));
    let more = format!("{}{HOME}[destinations.spare]\ntype = \"maildir\"\npath = \"/n\"\n", account("a", ""));
    let config = parse_files(&[file("config.toml", &main), file("conf.d/a.toml", &more)]).expect("sound");
    let want = [
        "config.toml:3:7: [defaults]: with tls = \"none\" the password and the mail can be read on the way",
        "conf.d/a.toml:9:15: no account delivers to `spare`",
    ];
    assert_eq!(config.warnings, want);
}

#[test]
fn what_only_the_main_file_may_hold_is_refused_in_others() {
    let main = with_account("");
    for (more, want) in [
        ("state-dir = \"/s\"", "1:1: `state-dir` can only be in the main file, config.toml"),
        ("[defaults]\nport = 0", "1:2: `defaults` can only be in the main file, config.toml"),
        (
            "accounts.b.log-level = \"info\"\naccounts.b.deliver = \"home\"",
            "1:12: `log-level` can only be in the main file, config.toml",
        ),
        ("interval = \"5m\"", "1:1: `interval` is a key of accounts: put it into [defaults] or [accounts.NAME]"),
        ("acounts = 1", "1:1: unknown key `acounts`; did you mean `accounts`?"),
    ] {
        let found = problems(&[file("config.toml", &main), file("conf.d/a.toml", more)]);
        let found: Vec<&String> = found.iter().filter(|problem| !problem.contains("needs")).collect();
        assert_eq!(found, [&format!("conf.d/a.toml:{want}")], "{more}");
    }
}

#[test]
fn a_name_that_two_files_define_is_an_error_that_names_both_places() {
    let main = format!("{}{HOME}", account("a", "password-file = \"/p\""));
    let found = problems(&[file("config.toml", ""), file("conf.d/1.toml", &main), file("conf.d/2.toml", &main)]);
    let want = [
        "conf.d/2.toml:1:11: account `a` is already defined at conf.d/1.toml:1:11",
        "conf.d/2.toml:6:15: destination `home` is already defined at conf.d/1.toml:6:15",
    ];
    assert_eq!(found, want);
}

#[test]
fn that_there_is_an_account_and_a_destination_holds_for_the_sum() {
    let one = format!("{}{HOME}", account("a", "password-file = \"/p\""));
    assert!(parse_files(&[file("config.toml", ""), file("conf.d/a.toml", &one)]).is_ok());
    assert!(parse_files(&[file("config.toml", &one), file("conf.d/a.toml", "[accounts]\n")]).is_ok());
    let found = problems(&[file("config.toml", ""), file("conf.d/a.toml", "[accounts]\n")]);
    let want = [
        "config.toml: there is no destination: write a table [destinations.NAME]",
        "conf.d/a.toml:1:2: there is no account: write a table [accounts.NAME]",
    ];
    assert_eq!(found, want);
}

#[test]
fn all_problems_of_all_files_are_shown_at_once() {
    let main = format!("[defaults]\ninterval = 5\n{HOME}");
    let more = account("a", "password = \"hunter2\"\nport = 0\ndeliver2 = \"home\"");
    let found = [file("config.toml", &main), file("conf.d/a.toml", &more), file("conf.d/b.toml", "[accounts.b\n")];
    let shown = parse_files(&found).expect_err("refused").to_string();
    let want = r#"error: `interval`: a bare number has no unit: write "5s" or the like
 --> config.toml:2:12
  |
2 | interval = 5
  |            ^

error: `port` takes an integer from 1 to 65535
 --> conf.d/a.toml:6:8
  |
6 | port = 0
  |        ^

error: unknown key `deliver2`; did you mean `deliver`?
 --> conf.d/a.toml:7:1
  |
7 | deliver2 = "home"
  | ^^^^^^^^

error: unclosed table, expected `]`
 --> conf.d/b.toml:1:12
  |
1 | [accounts.b
  |            ^

4 problems in 3 files"#;
    assert_eq!(shown, want);
}

#[test]
fn a_file_that_may_hold_the_missing_part_but_is_broken_is_the_only_problem() {
    let main = account("a", "password-file = \"/p\"");
    let unreadable = |name| File { text: Err("cannot be read: gone".into()), ..file(name, "") };
    for (files, want) in [
        (
            // The destination may be in the file that is lost.
            [file("config.toml", &main), unreadable("conf.d/b.toml")],
            &["conf.d/b.toml: cannot be read: gone"][..],
        ),
        // The password may be in the main file's [defaults].
        (
            [unreadable("config.toml"), file("conf.d/a.toml", "[accounts.a]\nport = 0\n")],
            &["config.toml: cannot be read: gone", "conf.d/a.toml:2:8: `port` takes an integer from 1 to 65535"],
        ),
        // A key that a sound file lacks cannot be in another file.
        (
            [file("config.toml", "[accounts.a]\n"), unreadable("conf.d/b.toml")],
            &[
                "config.toml:1:11: account `a` needs `host`",
                "config.toml:1:11: account `a` needs `username`",
                "config.toml:1:11: account `a` needs a password: one of `password-command`, `password-file`, `password-credential` or `password`, or `oauth`",
                "config.toml:1:11: account `a` needs `deliver`: the name of a destination",
                "conf.d/b.toml: cannot be read: gone",
            ],
        ),
    ] {
        assert_eq!(problems(&files), want);
    }
}

#[test]
fn each_file_with_a_password_must_be_closed_to_others() {
    let (main, more) = (with_account("password-file = \"/p\""), account("b", "password = \"hunter2\""));
    let open = |name, text| File { access: Access { mode: 0o100_644, owner: 1000 }, ..file(name, text) };
    assert!(parse_files(&[open("config.toml", &main), file("conf.d/b.toml", &more)]).is_ok());
    let want =
        "conf.d/b.toml:5:1: the file holds a password, but is open to others (mode 0644): chmod 600 conf.d/b.toml";
    assert_eq!(problems(&[file("config.toml", &main), open("conf.d/b.toml", &more)]), [want]);
}

#[test]
fn a_password_of_one_file_is_not_shown_in_another_ones_problem() {
    let main = with_account("password = \"hunter2\"");
    for more in ["hunter2 = 1", "[accounts.hunter2]\n", "[accounts.b]\ntls = \"hunter2\"", "accounts.b = 1 # hunter2"] {
        for more in [more.to_owned(), format!("{more}\n[")] {
            for files in [
                [file("config.toml", &main), file("conf.d/a.toml", &more)],
                [file("config.toml", &more), file("conf.d/a.toml", &main)],
            ] {
                let error = parse_files(&files).expect_err("refused");
                // An account's name is not a secret, so it is shown even if it equals a password.
                let shown = error.to_string().replace("account `hunter2`", "");
                assert!(!shown.contains("hunter2"), "{more}\n{shown}");
            }
        }
    }
}

/// A folder with a main file, and `conf.d` with these files.
fn on_disk(files: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a directory");
    let main = dir.path().join("config.toml");
    fs::write(&main, format!("state-dir = \"state\"\n{}", with_account(""))).expect("written");
    fs::create_dir(dir.path().join("conf.d")).expect("created");
    for (name, text) in files {
        fs::write(dir.path().join("conf.d").join(name), text).expect("written");
    }
    (dir, main)
}

#[test]
fn of_the_folder_those_that_end_in_toml_and_are_not_hidden_are_read_sorted_by_octets() {
    let bad = "not a configuration";
    let b = account("b", "password-file = \"pw/b\"");
    let others = [(".hidden.toml", bad), ("note.txt", bad), ("x.toml~", bad), ("#x.toml#", bad), ("x.toml.bak", bad)];
    let (dir, main) = on_disk(&[&[("b.toml", b.as_str()), ("Z.toml", ""), ("é.toml", "")], &others[..]].concat());
    let linked = dir.path().join("elsewhere");
    fs::write(&linked, account("l", "password-file = \"pw/l\"")).expect("written");
    std::os::unix::fs::symlink(&linked, dir.path().join("conf.d/a.toml")).expect("linked");
    let config = Config::load(&main).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(names(&config.accounts, |account| account.name.as_str()), ["work", "l", "b"]);
    let read = ["config.toml", "conf.d/Z.toml", "conf.d/a.toml", "conf.d/b.toml", "conf.d/é.toml"];
    assert_eq!(config.files, read.map(|name| dir.path().join(name)));
    assert_eq!((files_of(&main), folder_of(&main)), (config.files.clone(), config.folder.clone()));
    assert_eq!(config.folder, dir.path().join("conf.d"));
    let read = read.map(|name| dir.path().join(name)).into_iter();
    // Relative paths begin at the main file's folder, wherever they are written.
    let passwords = [dir.path().join("pw/b"), dir.path().join("pw/l"), PathBuf::from("/p")];
    assert_eq!(config.watched(), read.chain(passwords).collect::<BTreeSet<_>>());
}

#[test]
fn a_file_of_the_folder_that_cannot_be_read_is_an_error_and_the_others_are_judged() {
    let (dir, main) = on_disk(&[("a.toml", "[accounts.a]\nport = 0"), ("d.toml", "x = \"")]);
    let at = |name: &str| dir.path().join("conf.d").join(name);
    std::os::unix::fs::symlink("/nowhere", at("b.toml")).expect("linked");
    fs::create_dir(at("c.toml")).expect("created");
    fs::write(at("e.toml"), b"\xff").expect("written");
    let fifo = std::process::Command::new("mkfifo").arg(at("f.toml")).status().expect("run");
    assert!(fifo.success());
    let error = Config::load(&main).expect_err("refused");
    let found: Vec<String> = error.problems().iter().map(crate::config::Problem::on_one_line).collect();
    for (name, message) in [
        ("a.toml:2:8", "`port` takes"),
        ("b.toml", "cannot be read: No such file"),
        ("c.toml", "is a folder, not a file"),
        ("d.toml:1:6", "invalid basic string"),
        ("e.toml", "is not in UTF-8: line 1, column 1"),
        ("f.toml", "is a FIFO, not a file"),
    ] {
        let start = format!("{}: {message}", at(name).display());
        assert!(found.iter().any(|problem| problem.starts_with(&start)), "{start}\n{error}");
    }
    assert_eq!(files_of(&main).len(), 7);
}

#[test]
fn a_folder_that_is_none_is_an_error_and_one_that_is_missing_is_not() {
    let (dir, main) = on_disk(&[]);
    fs::remove_dir(dir.path().join("conf.d")).expect("removed");
    let config = Config::load(&main).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((config.files, config.folder), (vec![main.clone()], dir.path().join("conf.d")));
    fs::write(dir.path().join("conf.d"), "").expect("written");
    let error = Config::load(&main).expect_err("refused");
    assert!(error.problems()[0].on_one_line().ends_with("conf.d: cannot be read: Not a directory (os error 20)"));
    assert_eq!(files_of(&main), [main]);
}

#[test]
fn the_mode_is_that_of_each_file_on_the_disk() {
    let more = account("b", "password = \"hunter2\"");
    let (dir, main) = on_disk(&[("b.toml", &more)]);
    for (mode, good) in [(0o600, true), (0o644, false)] {
        let permissions = fs::Permissions::from_mode(mode);
        fs::set_permissions(dir.path().join("conf.d/b.toml"), permissions).expect("changed");
        assert_eq!(Config::load(&main).is_ok(), good, "{mode:o}");
    }
}

#[test]
fn all_files_together_have_a_limit() {
    let filler = format!("#{}", "x".repeat((4 << 20) - 1));
    let files = ["a.toml", "b.toml", "c.toml", "d.toml", "e.toml"].map(|name| (name, filler.as_str()));
    let (_dir, main) = on_disk(&files);
    let error = Config::load(&main).expect_err("refused");
    let found: Vec<String> = error.problems().iter().map(crate::config::Problem::on_one_line).collect();
    let [d, e] = &found[..] else { panic!("{error}") };
    assert!(d.ends_with("d.toml: all files together are longer than 16 MiB"), "{d}");
    assert!(e.ends_with("e.toml: all files together are longer than 16 MiB"), "{e}");
}

#[test]
fn every_file_that_the_service_depends_on_is_watched() {
    let text = with_account(
        "deliver = [\"home\", \"hub\"]\npassword-file = \"/p1\"\ntls-ca = \"/ca\"\ntls-client-cert = \"/c\"\n\
         tls-client-key = \"/k\"\nproxy = \"socks5://gw\"\nproxy-username = \"u\"\nproxy-password-file = \"/p3\"",
    );
    let smtp = "[destinations.hub]\ntype = \"smtp\"\nhost = \"mx\"\nrecipient = \"a@b.example\"\nusername = \"u\"\n\
                password-file = \"/p2\"\ntls-ca = \"/ca2\"\ntls-client-cert = \"/c2\"\ntls-client-key = \"/k2\"\n";
    let main = format!("{text}{smtp}");
    let config = parse_files(&[file("config.toml", &main)]).unwrap_or_else(|error| panic!("{error}"));
    let want = ["/etc/postrider/config.toml", "/p1", "/ca", "/c", "/k", "/p3", "/p2", "/ca2", "/c2", "/k2"];
    assert_eq!(config.watched(), want.map(PathBuf::from).into());
}
