//! What `list`, `history` and `--json` show of it.

use serde_json::Value;

use super::support::*;
use super::{HOME, one_account};

fn json(output: &Output) -> Value {
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", output.stdout))
}

fn rows(value: &Value) -> &[Value] {
    value.as_array().expect("a list")
}

/// Every file below a directory with its size and content's time.
fn snapshot(directory: &std::path::Path) -> Vec<String> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        let metadata = path.metadata().expect("there");
        if metadata.is_dir() {
            out.extend(snapshot(&path))
        } else {
            out.push(format!("{} {}", path.display(), metadata.len()))
        }
    }
    out.sort();
    out
}

#[test]
fn list_shows_what_would_be_done_and_why_and_changes_nothing() {
    let server = Dovecot::start();
    let wanted = server.fill("user1", &Fill::new(4, Mix::Tiny));
    let program = one_account(&server, "max-size = \"20kB\"\nretention = \"delete\"\nmax-messages = 6");
    let before = snapshot(program.home());
    let listed = json(&program.run(&["list", "a", "--json"]).assert_success());
    assert_eq!(rows(&listed).len(), 4);
    for row in rows(&listed) {
        assert_eq!((row["action"].as_str(), row["reason"].as_str()), (Some("fetch"), Some("new")), "{row}");
    }
    let after: Vec<String> = snapshot(program.home()).into_iter().filter(|line| !line.contains("/std")).collect();
    assert_eq!(after, before, "nothing is written");
    assert_eq!(server.messages_on_server("user1"), 4);

    let config = std::fs::read_to_string(program.config_path()).expect("the configuration");
    program.raw_config(&config.replace("\"delete\"", "\"keep\""), 0o600);
    program.run(&["fetch"]).assert_success();
    server.fill("user1", &Fill::new(1, Mix::Fixed(50_000)).from(5));
    server.fill("user1", &Fill::new(1, Mix::Tiny).from(6));
    program.raw_config(&config, 0o600);
    let home = snapshot(&program.path("home"));
    let table = program.run(&["list", "a"]).assert_success().stdout;
    let counts = ["delete", "fetch", "leave"]
        .map(|action| table.lines().filter(|line| line.split_whitespace().nth(3) == Some(action)).count());
    assert_eq!(counts, [4, 1, 1], "{table}");
    for reason in ["delivered, and its retention is over", "new", "above max-size (20000)"] {
        assert!(table.contains(reason), "{reason}: {table}");
    }
    assert_eq!(snapshot(&program.path("home")), home);
    assert_eq!(server.messages_on_server("user1"), 6, "list deletes nothing");
    wanted.verify(&program.path("home")).assert_exactly_once();
}

#[test]
fn history_names_every_file_of_the_maildir() {
    let server = Dovecot::start();
    server.fill("user1", &Fill::new(60, Mix::Tiny));
    let program = one_account(&server, "retention = \"delete\"");
    let empty = program.run(&["history", "--json"]).assert_success();
    assert_eq!(rows(&json(&empty)).len(), 0);
    program.run(&["fetch"]).assert_success();
    let history = json(&program.run(&["history", "--json", "-n", "0"]).assert_success());
    let mut named: Vec<String> = Vec::new();
    for row in rows(&history) {
        assert_eq!((row["account"].as_str(), row["destination"].as_str()), (Some("a"), Some("home")), "{row}");
        assert_eq!(row["state"].as_str(), Some("delivered"), "{row}");
        assert_eq!(row["location"].as_str(), program.path("home").to_str(), "{row}");
        assert!(row["deleted-at"].is_i64() && row["message-id"].is_string(), "{row}");
        named.push(row["detail"].as_str().expect("the file's name").to_owned());
    }
    let files = std::fs::read_dir(program.path("home/new")).expect("new/");
    let mut files: Vec<String> =
        files.map(|entry| entry.expect("an entry").file_name().into_string().expect("ASCII")).collect();
    named.sort();
    files.sort();
    assert_eq!(named, files);

    let newest = json(&program.run(&["history", "--json", "-n", "5"]).assert_success());
    assert_eq!(rows(&newest).len(), 5);
    let found = json(&program.run(&["history", "--json", "--search", "<1.17@example.org>"]).assert_success());
    assert_eq!(rows(&found).len(), 1, "{found}");
}

#[test]
fn fetch_as_json_tells_each_account_and_its_error() {
    let server = Dovecot::start();
    server.fill("user1", &Fill::new(7, Mix::Tiny));
    let refused = pop3s(&server, "b", 2, HOME).replace("pass2", "wrong");
    let program = Postrider::with_config(&[pop3s(&server, "a", 1, HOME), refused, maildir("home")].concat());
    let output = program.run(&["fetch", "--json"]).assert_code(77);
    let document = json(&output);
    assert_eq!(document["exit-code"].as_i64(), Some(77));
    let accounts = rows(&document["accounts"]);
    let [good, bad] = accounts else { panic!("{document}") };
    assert_eq!(
        (good["account"].as_str(), good["listed"].as_i64(), good["delivered"].as_i64()),
        (Some("a"), Some(7), Some(7))
    );
    assert!(good["error"].is_null() && good["octets"].as_i64() > Some(7 * 400), "{good}");
    assert_eq!((bad["account"].as_str(), bad["exit-code"].as_i64()), (Some("b"), Some(77)));
    assert!(bad["error"].is_string() && bad["advice"].is_string(), "{bad}");
    assert!(!output.text().contains("wrong"), "no password is shown");
}
