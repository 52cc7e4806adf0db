//! What a valid file is read as.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::account::{Account, Credential};
use crate::credential::SecretSource;
use crate::deliver::Kind;
use crate::deliver::smtp::{self, DeliveredTo};
use crate::net::{Proxy, Route, TlsMode, TlsVersion};
use crate::plan::{Initial, Oversize, Policy, Retention};
use crate::sasl::Mechanism;
use crate::secret::Secret;

fn account(lines: &str) -> Account {
    let config = parse_text(&with_account(lines)).unwrap_or_else(|error| panic!("{lines}\n{error}"));
    Account::clone(&config.accounts[0])
}

fn smtp(lines: &str) -> smtp::Settings {
    let config = parse_text(&with_smtp(lines)).unwrap_or_else(|error| panic!("{lines}\n{error}"));
    let Kind::Smtp(settings) = &config.destinations[1].kind else { panic!("not SMTP") };
    settings.as_ref().clone()
}

#[test]
fn the_defaults_are_those_of_the_manual() {
    let account = account("");
    assert!(account.enabled && account.received_header && account.auth.is_empty());
    assert_eq!((account.endpoint.tls, account.endpoint.port), (TlsMode::Implicit, 995));
    assert_eq!(account.endpoint.trust, crate::net::Trust::default());
    assert_eq!(account.endpoint.route, Route::Direct { source: None });
    assert_eq!(account.policy, Policy::default());
    assert_eq!((account.interval, account.timeout, account.deadline), (secs(300), secs(60), secs(3600)));
    assert_eq!(account.history, secs(180 * 86_400));
    let config = parse_text(&with_account("")).expect("sound");
    assert_eq!((config.max_concurrent_polls, config.max_polls_per_host), (100, 10));
    assert_eq!(config.log_level, tracing::Level::INFO);
    // The tests' file is the system's; the tests of `paths` show the defaults of others.
    assert_eq!(
        (config.state_dir.as_path(), config.runtime_dir.as_path()),
        (Path::new("/var/lib/postrider"), Path::new("/run/postrider"))
    );
    assert_eq!(config.warnings, Vec::<String>::new());
    let smtp = smtp("");
    assert_eq!((smtp.endpoint.tls, smtp.endpoint.port, smtp.timeout), (TlsMode::None, 25, secs(60)));
    assert_eq!((smtp.sender, smtp.hello, smtp.login), (None, None, None));
    assert_eq!(smtp.delivered_to, DeliveredTo::Rename);
}

#[test]
fn every_key_of_the_whole_program_has_its_effect() {
    type Check = fn(&Config) -> bool;
    let rules: &[(&str, Check)] = &[
        ("state-dir = \"s\"", |c| c.state_dir == Path::new("/etc/postrider/s")),
        ("runtime-dir = \"/r\"", |c| c.runtime_dir == Path::new("/r")),
        ("max-concurrent-polls = 10000", |c| c.max_concurrent_polls == 10_000),
        ("max-polls-per-host = 1", |c| c.max_polls_per_host == 1),
        ("", |c| c.record_headers),
        ("record-headers = false", |c| !c.record_headers),
        ("log-level = \"error\"", |c| c.log_level == tracing::Level::ERROR),
        ("log-level = \"trace\"", |c| c.log_level == tracing::Level::TRACE),
    ];
    for (line, holds) in rules {
        let config = parse_text(&format!("{line}\n{}", with_account(""))).unwrap_or_else(|error| panic!("{error}"));
        assert!(holds(&config), "{line}");
    }
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn every_account_key_has_its_effect() {
    type Check = fn(&Account) -> bool;
    let rules: &[(&str, Check)] = &[
        ("enabled = false", |a| !a.enabled),
        ("host = \"[::1]\"", |a| a.endpoint.host == "::1"),
        ("tls = \"starttls\"", |a| a.endpoint.tls == TlsMode::StartTls && a.endpoint.port == 110),
        ("tls = \"none\"", |a| a.endpoint.tls == TlsMode::None && a.endpoint.port == 110),
        ("port = 1995", |a| a.endpoint.port == 1995),
        ("tls-ca = \"ca.pem\"", |a| a.endpoint.trust.ca_file.as_deref() == Some(Path::new("/etc/postrider/ca.pem"))),
        ("tls-server-name = \"x.example\"", |a| a.endpoint.server_name() == "x.example"),
        ("tls-min = \"1.3\"", |a| a.endpoint.trust.min_version == TlsVersion::V1_3),
        ("tls-client-cert = \"~/c\"\ntls-client-key = \"/k\"", |a| {
            a.endpoint.trust.client_certificate == Some(("/home/a/c".into(), "/k".into()))
        }),
        ("source-address = \"::1\"", |a| a.endpoint.route == Route::Direct { source: "::1".parse().ok() }),
        ("proxy = \"none\"", |a| a.endpoint.route == Route::default()),
        ("proxy = \"socks5://gw\"\nsource-address = \"::1\"", |a| {
            let proxy = Proxy { host: "gw".into(), port: 1080, login: None };
            a.endpoint.route == Route::Proxy { proxy, source: "::1".parse().ok() }
        }),
        ("proxy = \"socks5://gw:9\"\nproxy-username = \"a\"\nproxy-password-file = \"p\"", |a| {
            let login = Some(("a".into(), "/etc/postrider/p".into()));
            a.endpoint.route == Route::Proxy { proxy: Proxy { host: "gw".into(), port: 9, login }, source: None }
        }),
        ("connect-command = [\"ssh\", \"gw\"]\nproxy = \"none\"", |a| {
            a.endpoint.route == Route::Command(vec!["ssh".into(), "gw".into()])
        }),
        ("password = \"hunter2\"", |a| {
            a.credential == Credential::Password(SecretSource::Inline(Secret::new(b"hunter2".to_vec())))
        }),
        ("password-file = \"~/p\"", |a| a.credential == Credential::Password(SecretSource::File("/home/a/p".into()))),
        ("password-command = [\"pass\", \"x\"]", |a| {
            a.credential == Credential::Password(SecretSource::Command(vec!["pass".into(), "x".into()]))
        }),
        ("password-credential = \"c\"", |a| a.credential == Credential::Password(SecretSource::Credential("c".into()))),
        ("token-command = [\"oauth\"]\nauth = \"xoauth2\"", |a| {
            a.credential == Credential::Token(SecretSource::Command(vec!["oauth".into()]))
        }),
        ("auth = [\"scram-sha-256\", \"APOP\"]", |a| a.auth == [Mechanism::ScramSha256, Mechanism::Apop]),
        ("auth = \"external\"\ntls-client-cert = \"/c\"\ntls-client-key = \"/k\"", |a| {
            a.credential == Credential::Certificate
        }),
        ("auth = \"auto\"", |a| a.auth.is_empty()),
        ("auth = \"PLAIN\"", |a| a.auth == [Mechanism::Plain]),
        ("auth = [\"user\", \"plain\"]", |a| a.auth == [Mechanism::UserPass, Mechanism::Plain]),
        ("interval = \"10s\"", |a| a.interval == secs(10)),
        ("retention = \"delete\"", |a| a.policy.retention == Retention::Delete),
        ("retention = \"14d\"", |a| a.policy.retention == Retention::After(secs(14 * 86_400))),
        ("initial = \"none\"\nretention = \"delete\"", |a| a.policy.initial == Initial::None),
        ("initial = \"30d\"", |a| a.policy.initial == Initial::Since(secs(30 * 86_400))),
        ("max-size = \"10MB\"\noversize = \"headers\"", |a| {
            (a.policy.max_size, a.policy.oversize) == (Some(10_000_000), Oversize::Headers)
        }),
        ("max-size = 1_000", |a| a.policy.max_size == Some(1000)),
        ("max-messages = 1", |a| a.policy.max_messages == Some(1)),
        ("history = \"7d\"", |a| a.history == secs(7 * 86_400)),
        ("timeout = \"2m\"", |a| a.timeout == secs(120)),
        ("deadline = \"2h\"", |a| a.deadline == secs(7200)),
        ("received-header = false", |a| !a.received_header),
        ("deliver = [\"home\"]", |a| a.deliver.len() == 1),
    ];
    for (lines, holds) in rules {
        assert!(holds(&account(lines)), "{lines}");
    }
}

#[test]
fn every_smtp_key_has_its_effect() {
    type Check = fn(&smtp::Settings) -> bool;
    let rules: &[(&str, Check)] = &[
        ("host = \"mx.example\"", |s| (s.endpoint.tls, s.endpoint.port) == (TlsMode::StartTls, 25)),
        ("tls = \"implicit\"", |s| (s.endpoint.tls, s.endpoint.port) == (TlsMode::Implicit, 465)),
        ("tls = \"starttls\"\nport = 587", |s| (s.endpoint.tls, s.endpoint.port) == (TlsMode::StartTls, 587)),
        ("source-address = \"10.0.0.1\"", |s| s.endpoint.route == Route::Direct { source: "10.0.0.1".parse().ok() }),
        ("username = \"a\"\npassword-file = \"/p\"", |s| {
            s.login == Some(("a".into(), SecretSource::File("/p".into())))
        }),
        ("recipient = [\"a@b.example\", \"c@d.example\"]", |s| s.recipients == ["a@b.example", "c@d.example"]),
        ("sender = \"a@b.example\"", |s| s.sender.as_deref() == Some("a@b.example")),
        ("sender = \"\"", |s| s.sender.as_deref() == Some("")),
        ("sender = \"<>\"", |s| s.sender.as_deref() == Some("")),
        ("recipient = \"a..b@example.org\"", |s| s.recipients == ["a..b@example.org"]),
        ("delivered-to = \"rename\"", |s| s.delivered_to == DeliveredTo::Rename),
        ("delivered-to = \"keep\"", |s| s.delivered_to == DeliveredTo::Keep),
        ("hello = \"x.example\"", |s| s.hello.as_deref() == Some("x.example")),
        ("timeout = \"5m\"", |s| s.timeout == secs(300)),
    ];
    for (lines, holds) in rules {
        assert!(holds(&smtp(lines)), "{lines}");
    }
}

#[test]
fn an_account_inherits_what_it_does_not_say_and_its_own_password_key_replaces_any() {
    let text = format!(
        "[defaults]\nhost = \"pop.example\"\npassword-file = \"/p\"\ndeliver = \"home\"\ninterval = \"1h\"\n\
         [accounts.z]\nusername = \"z\"\n[accounts.b]\nusername = \"b\"\npassword-command = [\"x\"]\ninterval = \"2h\"\n{HOME}"
    );
    let config = parse_text(&text).unwrap_or_else(|error| panic!("{error}"));
    let [z, b] = &config.accounts[..] else { panic!("two accounts") };
    assert_eq!(
        (z.name.as_str(), z.credential.source(), z.interval),
        ("z", Some(&SecretSource::File("/p".into())), secs(3600))
    );
    assert_eq!(
        (b.name.as_str(), b.credential.source(), b.interval),
        ("b", Some(&SecretSource::Command(vec!["x".into()])), secs(7200))
    );
}

#[test]
fn clear_text_by_the_operators_own_command_and_one_name_by_two_ways_are_no_cause_for_a_warning() {
    let login = "host = \"pop.example\"\nusername = \"alice\"\npassword-file = \"/p\"\ndeliver = \"home\"\n";
    let by = |gateway| format!("[accounts.{gateway}]\n{login}tls = \"none\"\nconnect-command = [\"{gateway}\"]\n");
    let config = parse_text(&(by("a") + &by("b") + HOME)).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.warnings, Vec::<String>::new());
}

#[test]
fn an_accounts_own_way_takes_the_place_of_an_inherited_one_of_any_kind() {
    let (proxy, command) = ("proxy = \"socks5://gw\"", "connect-command = [\"x\"]");
    let through = Route::Proxy { proxy: Proxy { host: "gw".into(), port: 1080, login: None }, source: None };
    let by = Route::Command(vec!["x".into()]);
    for (inherited, own, want) in [
        (proxy, "", &through),
        (command, "", &by),
        (proxy, command, &by),
        (command, proxy, &through),
        (proxy, "proxy = \"none\"", &Route::default()),
        (command, "proxy = \"none\"", &Route::default()),
    ] {
        let text = format!("[defaults]\n{inherited}\n{}", with_account(own));
        let config = parse_text(&text).unwrap_or_else(|error| panic!("{text}\n{error}"));
        assert_eq!((&config.accounts[0].endpoint.route, config.warnings.len()), (want, 0), "{text}");
    }
}

#[test]
fn a_file_of_another_program_that_writes_each_table_by_turns_is_read() {
    let text = "state-dir = \"/w/state\"\nruntime-dir = \"/w/run.d\"\nmax-concurrent-polls = 8\n[defaults]\n\
                host = \"127.0.0.1\"\nport = 1110\ntls = \"none\"\nretention = \"delete\"\ntimeout = \"120s\"\n\
                [accounts.u1]\nusername = \"u1\"\npassword = \"x y\"\ndeliver = \"u1\"\n\
                [destinations.u1]\ntype = \"maildir\"\npath = \"/w/u1/\"\n\
                [accounts.u2]\nusername = \"u2\"\npassword = \"x y\"\ndeliver = \"u2\"\n\
                [destinations.u2]\ntype = \"maildir\"\npath = \"/w/u2\"\n";
    let config = parse_text(text).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.warnings, Vec::<String>::new());
    assert_eq!((config.accounts.len(), config.destinations.len(), config.max_concurrent_polls), (2, 2, 8));
    assert_eq!(
        (config.state_dir.as_path(), config.runtime_dir.as_path()),
        (Path::new("/w/state"), Path::new("/w/run.d"))
    );
}

#[test]
fn what_is_allowed_but_odd_is_a_warning_with_its_place() {
    for (text, warning) in [
        (
            with_account("tls = \"none\""),
            "config.toml:2:7: account `work`: with tls = \"none\" the password and the mail can be read on the way",
        ),
        // Behind the proxy, the name is another machine's.
        (
            with_account("tls = \"none\"\nhost = \"localhost\"\nproxy = \"socks5://gw\""),
            "config.toml:2:7: account `work`: with tls = \"none\" the password and the mail can be read on the way",
        ),
        (
            with_account("tls = \"none\"\nhost = \"::1\"\ntls-ca = \"/x\""),
            "config.toml:4:1: `tls-ca` has no effect without TLS (tls = \"none\")",
        ),
        (
            format!("{}[destinations.spare]\ntype = \"maildir\"\npath = \"/n\"\n", with_account("")),
            "config.toml:10:15: no account delivers to `spare`",
        ),
        (
            with_smtp("host = \"mx.example\"\ntls = \"none\""),
            "config.toml:13:7: destination `hub`: with tls = \"none\" the mail can be read on the way",
        ),
        (
            format!(
                "[accounts.twin]\nhost = \"POP.example\"\nusername = \"alice\"\npassword-file = \"/p\"\ndeliver = \"home\"\n{}",
                with_account("")
            ),
            "config.toml:6:11: `work` and `twin` are the same mailbox, which is fetched twice",
        ),
        (
            with_account("connect-command = [\"x\"]\nsource-address = \"::1\""),
            "config.toml:3:1: `source-address` has no effect with `connect-command`",
        ),
        (
            with_account("port = 110"),
            "config.toml:2:8: account `work`: a server does not speak TLS at once on port 110: write tls = \"starttls\", \
             or port = 995",
        ),
        (
            with_account("tls = \"starttls\"\nport = 995"),
            "config.toml:3:8: account `work`: a server speaks TLS at once on port 995: write tls = \"implicit\", or \
             another port",
        ),
        (
            with_smtp("tls = \"implicit\"\nport = 587"),
            "config.toml:14:8: destination `hub`: a server does not speak TLS at once on port 587: write tls = \
             \"starttls\", or port = 465",
        ),
        (
            with_account("tls-ca = \"/etc/$NAME/ca.pem\""),
            "config.toml:2:10: `tls-ca`: variables are not expanded; `$` is taken as it is",
        ),
        (
            with_account("password = \"se\\brit\""),
            "config.toml:2:1: `password` has a control character: in double quotes a backslash begins an escape: write \
             the value in single quotes, as in 'CORP\\user', or double each backslash",
        ),
        (with_account("oversize = \"headers\""), "config.toml:2:1: `oversize` has no effect without `max-size`"),
        (
            with_account("deadline = \"30s\""),
            "config.toml:2:1: `deadline` is shorter than `timeout`, which then never ends a poll",
        ),
    ] {
        let config = parse_text(&text).unwrap_or_else(|error| panic!("{text}\n{error}"));
        assert_eq!(config.warnings, [warning], "{text}");
    }
}

#[test]
fn ten_thousand_accounts_are_read_without_a_rule_that_compares_each_with_each() {
    let one = |n: usize| {
        format!(
            "[accounts.u{n}]\nusername = \"u{n}\"\npassword = \"secret{n}\"\ndeliver = \"u{n}\"\n\
             [destinations.u{n}]\ntype = \"maildir\"\npath = \"/m/u{n}\"\n"
        )
    };
    let text = format!("[defaults]\nhost = \"pop.example\"\n{}", (0..10_000).map(one).collect::<String>());
    assert_eq!(parse_text(&text).map(|config| config.accounts.len()).ok(), Some(10_000));
    // The worst cases: each account is wrong.
    for (right, wrong) in [("username", "usernam"), ("deliver = \"u", "deliver = \"v")] {
        let broken = text.replace(right, wrong);
        assert_eq!(parse_text(&broken).expect_err("refused").problems().len(), 20_000);
    }
}
