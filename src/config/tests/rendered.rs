//! The exact text of problems.

use super::*;

fn rendered(text: &str) -> String {
    parse_text(text).expect_err(text).to_string()
}

#[test]
fn all_problems_are_shown_at_once_in_the_order_of_the_file() {
    let text = "[defaults]\ninterval = 5\n\n[accounts.work]\nhots = \"pop.example.org\"\nusername = \"alice\"\n\
                pasword = \"hunter2\"\nport = \"995\"\ndeliver = [\"home\", \"archiv\"]\n\n\
                [destinations.home]\ntype = \"maildir\"\npath = \"~/Maildir\"\n\
                [destinations.archive]\ntype = \"maildir\"\npath = \"/a\"\n";
    assert_eq!(
        rendered(text),
        r#"error: `interval`: a bare number has no unit: write "5s" or the like
 --> config.toml:2:12
  |
2 | interval = 5
  |            ^

error: account `work` needs `host`
 --> config.toml:4:11
  |
4 | [accounts.work]
  |           ^^^^

error: account `work` needs a password: one of `password-command`, `password-file`, `password-credential` or `password`, or `oauth`
 --> config.toml:4:11
  |
4 | [accounts.work]
  |           ^^^^

error: unknown key `hots`; did you mean `host`?
 --> config.toml:5:1
  |
5 | hots = "pop.example.org"
  | ^^^^

error: unknown key `pasword`; did you mean `password`?
--> config.toml:7:1
 = note: the line is not shown because it may hold a password

error: `port` takes an integer from 1 to 65535, not a string
 --> config.toml:8:8
  |
8 | port = "995"
  |        ^^^^^

error: there is no destination `archiv`; did you mean `archive`?
 --> config.toml:9:20
  |
9 | deliver = ["home", "archiv"]
  |                    ^^^^^^^^

warning: no account delivers to `archive`
  --> config.toml:14:15
   |
14 | [destinations.archive]
   |               ^^^^^^^

7 problems and 1 warning in config.toml"#
    );
}

#[test]
fn a_broken_syntax_is_shown_with_its_line_and_what_follows_is_still_judged() {
    let text = "[accounts.work]\nhost = pop.example.org\ntls = \"implict\"\nusername = \"alice\n";
    assert_eq!(
        rendered(text),
        r#"error: string values must be quoted, expected literal string
 --> config.toml:2:8
  |
2 | host = pop.example.org
  |        ^^^^^^^^^^^^^^^

error: `tls` takes "implicit", "starttls" or "none", not `implict`; did you mean `implicit`?
 --> config.toml:3:7
  |
3 | tls = "implict"
  |       ^^^^^^^^^

error: invalid basic string, expected `"`; a value ends at the next quote of its kind: put a value that holds one between quotes of the other kind
 --> config.toml:4:18
  |
4 | username = "alice
  |                  ^

3 problems in config.toml"#
    );
}

#[test]
fn a_line_that_may_hold_a_password_is_not_shown() {
    assert_eq!(
        rendered("[accounts.work]\npassword = \"hunter2\nhost = 1\n"),
        r#"error: invalid basic string, expected `"`; a value ends at the next quote of its kind: put a value that holds one between quotes of the other kind
--> config.toml:2:20
 = note: the line is not shown because it may hold a password

error: `host` takes a host name or an address, not an integer
--> config.toml:3:8
 = note: the line is not shown because it may hold a password

2 problems in config.toml"#
    );
}

#[test]
fn a_caret_stands_under_its_character_in_a_line_with_others_than_ascii() {
    assert_eq!(
        rendered(&with_account("username = \"Jürgen\"\tx")),
        r#"error: unexpected key or value, expected newline, `#`
 --> config.toml:2:21
  |
2 | username = "Jürgen"    x
  |                        ^

1 problem in config.toml"#
    );
}

#[test]
fn what_concerns_the_whole_file_has_no_line() {
    assert_eq!(
        rendered(""),
        r#"error: there is no account: write a table [accounts.NAME]
--> config.toml

error: there is no destination: write a table [destinations.NAME]
--> config.toml

2 problems in config.toml"#
    );
}

#[test]
fn the_number_of_shown_problems_is_bounded() {
    let text: String = (0..150).map(|n| format!("z{n} = 1\n")).collect();
    let shown = rendered(&text);
    assert!(shown.ends_with("... and 52 more\n\n152 problems in config.toml"), "{shown}");
}

#[test]
fn no_control_character_of_a_line_reaches_the_terminal() {
    for c in ('\0'..'\u{100}').filter(|c| c.is_control() && *c != '\n') {
        let shown = rendered(&format!("username = \"a\"{c}\"ü\nhost = {c}ü{c}\n"));
        assert!(!shown.contains(|c: char| c.is_control() && c != '\n'), "{shown:?}");
    }
}
