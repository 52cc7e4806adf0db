//! What is refused, and the messages.

use super::*;

/// The messages of a text, without places.
fn messages(text: &str) -> Vec<String> {
    let error = parse_text(text).expect_err(text);
    error.problems().iter().map(|problem| problem.message.clone()).collect()
}

#[test]
fn a_bad_account_key_is_one_problem_that_says_what_is_wanted() {
    for (lines, message) in [
        ("hots = \"x\"", "unknown key `hots`; did you mean `host`?"),
        ("password_file = \"x\"", "unknown key `password_file`; did you mean `password-file`?"),
        ("flavour = \"x\"", "unknown key `flavour`"),
        ("state-dir = \"x\"", "`state-dir` belongs at the top of the file, before the first table"),
        ("path = \"x\"", "`path` is a key of destinations with type = \"maildir\", not of accounts"),
        ("recipient = \"x\"", "`recipient` is a key of destinations with type = \"smtp\", not of accounts"),
        ("port = \"995\"", "`port` takes an integer from 1 to 65535, not a string"),
        ("port = 0", "`port` takes an integer from 1 to 65535"),
        ("enabled = \"yes\"", "`enabled` takes true or false, not a string"),
        ("host = \"\"", "`host` is empty"),
        ("host = \"pop.example:995\"", "`host`: the port has its own key: port = 995"),
        (
            "username = \"a\\nb\"",
            "`username` has a control character: in double quotes a backslash begins an escape: write the value in \
             single quotes, as in 'CORP\\user', or double each backslash",
        ),
        ("username = \"\"\"a\tb\nc\"\"\"", "`username` has a control character"),
        (
            "password = \"a\\nb\"",
            "`password` has a line end, which no login can send; in double quotes a backslash begins an escape: write \
             the value in single quotes, as in 'CORP\\user', or double each backslash",
        ),
        ("tls = true", "`tls` takes \"implicit\", \"starttls\" or \"none\", not true or false"),
        (
            "tls = \"starttsl\"",
            "`tls` takes \"implicit\", \"starttls\" or \"none\", not `starttsl`; did you mean `starttls`?",
        ),
        ("tls = \"ssl\"", "`tls` takes \"implicit\", \"starttls\" or \"none\", not `ssl`; did you mean `implicit`?"),
        ("tls-min = \"1.1\"", "`tls-min` takes \"1.2\" or \"1.3\", not `1.1`; did you mean `1.2`?"),
        ("tls-ca = \"/bad.pem\"", "`tls-ca`: /bad.pem: holds no certificate"),
        ("tls-client-cert = \"/x\"", "`tls-client-cert` needs `tls-client-key` too"),
        ("tls-client-key = \"/x\"", "`tls-client-key` needs `tls-client-cert` too"),
        ("proxy = \"http://gw\"", "`proxy`: write socks5://HOST:PORT"),
        (
            "proxy = \"socks5://a:b@gw\"",
            "`proxy`: the user name and the password have their own keys: `proxy-username`, `proxy-password-file`",
        ),
        ("proxy = \"socks5://gw\"\nproxy-username = \"a\"", "`proxy-username` needs `proxy-password-file` too"),
        (
            "proxy = \"socks5://gw\"\nconnect-command = [\"x\"]",
            "`proxy` and `connect-command` are both set; there is one way to a server",
        ),
        ("connect-command = [\"\"]", "`connect-command` has no program: its first string is empty"),
        ("proxy-username = \"a\"\nproxy-password-file = \"/p\"", "`proxy-username` needs `proxy` too"),
        ("source-address = \"eth0\"", "`source-address`: not an IP address such as 192.0.2.1 or 2001:db8::1"),
        (
            "password-file = \"/p\"\npassword = \"x\"",
            "`password-file` and `password` are both set; one password is enough",
        ),
        ("password = \"\"", "`password` is empty"),
        ("password = 1234", "`password` takes a string, not an integer"),
        ("password-command = \"pass show x\"", "`password-command` takes an array of strings, not a string"),
        ("password-command = []", "`password-command` is empty"),
        ("password-command = [\"\"]", "`password-command` has no program: its first string is empty"),
        ("password-command = [1]", "`password-command` takes an array of strings; this one is of type integer"),
        (
            "password-credential = \"a/b\"",
            "`password-credential`: takes the name of a systemd credential, not a path; for a path there is `password-file`",
        ),
        ("token-command = [\"x\"]\npassword = \"y\"", "a password and `token-command` are both set; one is enough"),
        ("token-command = []", "`token-command` is empty"),
        ("auth = \"oauthbearer\"", "`oauthbearer` and `xoauth2` need `oauth` or `token-command`"),
        ("auth = \"external\"", "`external` needs `tls-client-cert`, which is what it logs in with"),
        (
            "auth = \"digest-md5\"",
            "`auth`: `digest-md5` is not known; write `auto`, `scram-sha-256`, `scram-sha-1`, `cram-md5`, `plain`, \
             `login`, `user`, `oauthbearer`, `xoauth2`, `external` or `apop`",
        ),
        ("auth = [\"plain\", \"auto\"]", "`auto` stands alone, without other mechanisms"),
        ("interval = \"5s\"", "`interval` must be from 10s to 31d"),
        ("history = \"6d\"", "`history` must be from 7d to 36500d"),
        ("interval = 300", "`interval`: a bare number has no unit: write \"300s\" or the like"),
        ("interval = \"300\"", "`interval`: the number has no unit: write 90s, 5m, 2h or 14d"),
        ("retention = 14", "`retention`: a bare number has no unit: write \"14d\" or the like"),
        ("retention = \"0d\"", "`retention` must not be zero; write \"delete\" if that is meant"),
        (
            "retention = \"delte\"",
            "`retention` takes \"keep\", \"delete\" or a duration such as \"14d\", not `delte`; did you mean `delete`?",
        ),
        (
            "max-size = \"10\"",
            "`max-size`: the number has no unit: write 10MB or 10MiB (or an integer of octets without quotes)",
        ),
        ("max-size = 0", "`max-size`: must not be zero"),
        ("max-messages = 0", "`max-messages` takes an integer of at least 1"),
        ("deliver = [\"home\", \"hoem\"]", "there is no destination `hoem`; did you mean `home`?"),
        ("deliver = [\"home\", \"home\"]", "`deliver` has `home` twice"),
    ] {
        assert_eq!(messages(&with_account(lines)), [message], "{lines}");
    }
}

#[test]
fn a_bad_destination_key_is_one_problem_that_says_what_is_wanted() {
    for (lines, message) in [
        ("path = \"/x\"", "`path` is a key of destinations with type = \"maildir\", not of one with type = \"smtp\""),
        ("interval = \"5m\"", "`interval` is a key of accounts, not of one with type = \"smtp\""),
        (
            "username = \"a\"",
            "`username` needs a password too: one of `password-command`, `password-file`, `password-credential` or `password`",
        ),
        ("password-file = \"/p\"", "`password-file` needs `username` too"),
        ("recipient = \"alice\"", "`recipient`: `alice` is not an address such as alice@example.org"),
        ("recipient = []", "`recipient` is empty"),
        ("sender = \"x\"", "`sender`: `x` is not an address such as alice@example.org"),
        ("delivered-to = \"drop\"", "`delivered-to` takes \"rename\" or \"keep\", not `drop`"),
        ("hello = \"a b\"", "`hello`: not a host name"),
        (
            "host = \"mx.example\"\ntls = \"none\"\nusername = \"a\"\npassword-file = \"/p\"",
            "a login needs TLS: with tls = \"none\" the password could be read on the way",
        ),
    ] {
        assert_eq!(messages(&with_smtp(lines)), [message], "{lines}");
    }
}

#[test]
fn a_bad_key_of_the_whole_program_is_one_problem_that_says_what_is_wanted() {
    let levels = "`log-level` takes \"error\", \"warn\", \"info\", \"debug\" or \"trace\"";
    for (line, message) in [
        ("max-concurrent-polls = 0", "`max-concurrent-polls` takes an integer from 1 to 10000".to_owned()),
        ("max-polls-per-host = 0", "`max-polls-per-host` takes an integer from 1 to 1000".to_owned()),
        ("max-polls-per-host = 1001", "`max-polls-per-host` takes an integer from 1 to 1000".to_owned()),
        ("log-level = \"inf\"", format!("{levels}, not `inf`; did you mean `info`?")),
        ("log-level = 3", format!("{levels}, not an integer")),
        ("log_level = \"info\"", "unknown key `log_level`; did you mean `log-level`?".to_owned()),
    ] {
        assert_eq!(messages(&format!("{line}\n{}", with_account(""))), [message], "{line}");
    }
}

#[test]
fn a_bad_structure_is_told_in_plain_words() {
    let account = "[accounts.a]\nhost = \"h\"\nusername = \"u\"\npassword-file = \"/p\"\n";
    for (text, wanted) in [
        (
            String::new(),
            &[
                "there is no account: write a table [accounts.NAME]",
                "there is no destination: write a table [destinations.NAME]",
            ][..],
        ),
        (
            format!("accounts = 1\n{HOME}"),
            &["`accounts` must hold tables: [accounts.NAME]", "no account delivers to `home`"],
        ),
        (
            format!("[accounts]\nhost = \"x\"\n{HOME}"),
            &["`host` belongs in a table [accounts.NAME]", "no account delivers to `home`"],
        ),
        (
            format!("[account.a]\n{HOME}"),
            &[
                "there is no account: write a table [accounts.NAME]",
                "unknown key `account`; did you mean `accounts`?",
                "no account delivers to `home`",
            ],
        ),
        (
            format!("{account}{HOME}"),
            &["account `a` needs `deliver`: write deliver = \"home\"", "no account delivers to `home`"],
        ),
        (
            format!("interval = \"5m\"\n{account}deliver = \"home\"\n{HOME}"),
            &["`interval` is a key of accounts: put it into [defaults] or [accounts.NAME]"],
        ),
        (
            format!("[accounts.\"a b\"]\n{account}deliver = \"home\"\n{HOME}"),
            &[
                "`a b` cannot be the name of the account: a name has 1 to 64 letters, digits or . _ @ + - and begins with neither . nor -",
            ],
        ),
        (
            format!("{account}deliver = \"home\"\n[destinations.home]\npath = \"/m\"\n"),
            &["destination `home` needs `type`"],
        ),
        (
            format!(
                "{account}deliver = [\"home\", \"b\"]\n{HOME}[destinations.b]\ntype = \"maildir\"\npath = \"/x/../m/\"\n[destinations.c]\ntype = \"maildir\"\npath = \"/m/.\"\n"
            ),
            &["no account delivers to `c`", "`c` and `home` are the same folder; one destination is enough"],
        ),
        (
            format!("[accounts.a]\ndeliver = \"home\"\n{HOME}"),
            &[
                "account `a` needs `host`",
                "account `a` needs `username`",
                "account `a` needs a password: one of `password-command`, `password-file`, `password-credential` or `password`, or `oauth`",
            ],
        ),
        (
            format!("{account}deliver = \"home\"\n{HOME}[defaults]\nintervall = \"1m\"\ntimeout = \"x\"\n"),
            &[
                "unknown key `intervall`; did you mean `interval`?",
                "`timeout`: not a duration: write an integer and a unit, such as 90s, 5m, 2h or 14d",
            ],
        ),
    ] {
        assert_eq!(messages(&text), wanted, "{text}");
    }
}

#[test]
fn a_type_that_is_planned_is_refused_with_those_that_there_are() {
    let found = messages(&with_account("").replace("\"maildir\"", "\"lmtp\""));
    assert!(found.len() == 1 && found[0].starts_with("`type`: `lmtp` is not supported; write `maildir`"), "{found:?}");
}

#[test]
fn a_fault_that_many_accounts_inherit_is_said_once() {
    let accounts: String = (0..50).map(|n| format!("[accounts.a{n}]\nusername = \"u{n}\"\n")).collect();
    let text = format!(
        "[defaults]\nhost = \"h\"\npassword-file = \"/p\"\ndeliver = \"hoem\"\nport = 0\ntls-ca = \"/bad.pem\"\n{accounts}{HOME}"
    );
    let want = [
        "there is no destination `hoem`; did you mean `home`?",
        "`port` takes an integer from 1 to 65535",
        "`tls-ca`: /bad.pem: holds no certificate",
        "no account delivers to `home`",
    ];
    assert_eq!(messages(&text), want);
}

#[test]
fn a_password_in_a_file_that_others_may_read_is_refused() {
    let text = with_account("password = \"hunter2\"");
    for (mode, owner, good) in [
        (0o600, 1000, true),
        (0o400, 1000, true),
        (0o640, 0, true),
        (0o640, 1000, false),
        (0o660, 0, false),
        (0o604, 0, false),
        (0o644, 1000, false),
    ] {
        let found = parse_as(&text, mode, owner);
        assert_eq!(found.is_ok(), good, "{mode:o} {owner}");
    }
    assert!(parse_with_mode(&with_account("password-file = \"/p\""), 0o644).is_ok());
    let inherited = format!("[defaults]\npassword = \"hunter2\"\n{}", with_account(""));
    let error = parse_with_mode(&inherited, 0o644).expect_err("open");
    assert_eq!(
        error.problems()[0].on_one_line(),
        "config.toml:2:1: the file holds a password, but is open to others (mode 0644): chmod 600 config.toml"
    );
    // The advice does not lock the system's service out of its own file.
    let access = Access { mode: 0o100_644, owner: 0 };
    let system = File { shown: "/etc/postrider/config.toml".into(), access, ..file("config.toml", &text) };
    let error = parse_files(&[system]).expect_err("open");
    let advice = "or for the system's service: chgrp postrider /etc/postrider/config.toml; chmod 640 /etc";
    assert!(error.to_string().contains(advice), "{error}");
}

#[test]
fn the_mode_is_that_of_the_file_and_relative_paths_begin_at_its_folder() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("c.toml");
    let text = with_account("password = \"hunter2\"").replace("\"/m\"", "\"m\"");
    std::fs::write(&path, format!("state-dir = \"state\"\n{text}")).expect("written");
    for (mode, good) in [(0o600, true), (0o644, false)] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("changed");
        let loaded = Config::load(&path);
        assert_eq!(loaded.is_ok(), good, "{mode:o}");
        if let Ok(config) = loaded {
            assert_eq!(config.state_dir, dir.path().join("state"));
        }
    }
}

#[test]
fn files_that_are_no_configuration_are_told_apart() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("c.toml");
    for (content, message) in [
        (b"a = 1\nb = \"caf\xe9\"".to_vec(), "is not in UTF-8: line 2, column 9"),
        (vec![b'#'; (4 << 20) + 1], "is longer than 4 MiB"),
    ] {
        std::fs::write(&path, content).expect("written");
        assert_eq!(Config::load(&path).expect_err("refused").problems()[0].message, message);
    }
    assert_eq!(Config::load(dir.path()).expect_err("refused").problems()[0].message, "is a folder, not a file");
    let missing = Config::load(&dir.path().join("x")).expect_err("refused");
    assert!(missing.problems()[0].message.starts_with("cannot be read: No such file"), "{missing}");
}
