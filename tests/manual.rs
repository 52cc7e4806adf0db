//! The manual pages say what the program has, and nothing else: commands, options, exit codes,
//! keys and their defaults.  The program is asked by `-h` and by its public tables.
#![allow(
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    reason = "a failure here is a failure of the test"
)]

mod support;

use std::collections::BTreeSet;

use postrider::testing::config::{Absent, KEYS, Section};
use postrider::testing::failure::Class;
use postrider::testing::process::status::QUARANTINE;
use postrider::testing::sasl::Mechanism;
use support::Postrider;

const PROGRAM: &str = include_str!("../man/postrider.1");
const FILE: &str = include_str!("../man/postrider.toml.5");

/// The lines of a section of a page, from its `.Sh` to the next.
fn section<'p>(page: &'p str, name: &str) -> impl Iterator<Item = &'p str> {
    let head = format!(".Sh {name}");
    let mut lines = page.lines().skip_while(move |line| *line != head).peekable();
    assert!(lines.next().is_some(), "the page has no section {name}");
    lines.take_while(|line| !line.starts_with(".Sh "))
}

/// `-c` and `--config` of `.It Fl c , Fl -config Ar file`.
fn flags(item: &str) -> impl Iterator<Item = String> + '_ {
    let words = item.split(' ').collect::<Vec<_>>();
    let pairs: Vec<_> = words.windows(2).filter(|pair| pair[0] == "Fl").map(|pair| format!("-{}", pair[1])).collect();
    pairs.into_iter()
}

/// Commands and their options, "fetch --json" and "quarantine list"; what every command has stands
/// alone, as "--help".
fn documented() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for line in section(PROGRAM, "OPTIONS").filter(|line| line.starts_with(".It Fl ")) {
        found.extend(flags(line));
    }
    let mut command = "";
    for line in section(PROGRAM, "COMMANDS") {
        if let Some(name) = line.strip_prefix(".Ss ") {
            command = name;
            found.insert(command.to_owned());
        } else if line.starts_with(".It Fl ") {
            found.extend(flags(line).map(|flag| format!("{command} {flag}")));
        }
    }
    found
}

/// The same of the program, from the help of `command` and of those below it.
fn offered(program: &Postrider, command: &[&str], found: &mut BTreeSet<String>) {
    let help = program.run(&[command, &["-h"]].concat()).assert_success().stdout;
    let part = |head: &str| {
        let lines = help.lines().skip_while(|line| *line != head).skip(1).collect::<Vec<_>>();
        lines.into_iter().take_while(|line| !line.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    for line in part("Options:") {
        let words = line.trim_start().split([' ', ',']).take_while(|word| word.is_empty() || word.starts_with('-'));
        for flag in words.filter(|word| !word.is_empty()) {
            // Of an option that may be given twice.
            let flag = flag.trim_end_matches("...");
            // Of one whose value may be left out.
            let flag = flag.split_once('[').map_or(flag, |(flag, _)| flag);
            let everywhere = ["-c", "--config", "-h", "--help", "-V", "--version"].contains(&flag);
            found.insert(if everywhere { flag.to_owned() } else { format!("{} {flag}", command.join(" ")) });
        }
    }
    let below = part("Commands:");
    // A command that only leads to others is documented with each of them.
    if below.is_empty() {
        found.insert(command.join(" "));
    }
    for line in below.iter().filter(|line| !line.starts_with("   ")) {
        let name = line.split_whitespace().next().expect("a command's name");
        offered(program, &[command, &[name]].concat(), found);
    }
}

/// Fails with what only one of the two has.
#[track_caller]
fn assert_same(what: &str, program: &BTreeSet<String>, manual: &BTreeSet<String>) {
    let only = |a: &BTreeSet<String>, b: &BTreeSet<String>| a.difference(b).cloned().collect::<Vec<_>>();
    let (program, manual) = (only(program, manual), only(manual, program));
    assert!(
        program.is_empty() && manual.is_empty(),
        "{what}: only in the program {program:?}, only in the manual {manual:?}"
    );
}

#[test]
fn every_command_and_option_is_in_the_manual_and_the_reverse() {
    let mut program = BTreeSet::new();
    offered(&Postrider::new(), &[], &mut program);
    assert!(program.contains("fetch --quiet") && program.contains("quarantine retry"), "{program:?}");
    assert_same("commands and options", &program, &documented());
}

/// The codes of [`Class`], of the command line itself, and of a process without threads.
fn exit_codes() -> BTreeSet<String> {
    // A new class does not compile here until it is listed below.
    let listed = |class: Class| match class {
        Class::TryLater
        | Class::Unreachable
        | Class::LocalIo
        | Class::Protocol
        | Class::LoginRefused
        | Class::Configuration => class.exit_code().to_string(),
    };
    let classes = [
        Class::TryLater,
        Class::Unreachable,
        Class::LocalIo,
        Class::Protocol,
        Class::LoginRefused,
        Class::Configuration,
    ];
    let mut codes: BTreeSet<String> = classes.into_iter().map(listed).collect();
    codes.extend(["0", "64", "66"].map(str::to_owned));
    codes.insert(QUARANTINE.to_string());
    // Codes that are written out where the process ends.
    let files = std::fs::read_dir("src/cli").expect("the sources").map(|entry| entry.expect("an entry").path());
    for file in files.filter(|path| path.is_file()) {
        let text = std::fs::read_to_string(file).expect("a source");
        for rest in text.split("process::exit(").skip(1) {
            let code: String = rest.chars().take_while(char::is_ascii_digit).collect();
            codes.extend((!code.is_empty()).then_some(code));
        }
    }
    codes
}

#[test]
fn every_exit_code_is_in_the_manual_and_the_reverse() {
    let number = |text: &str| text.bytes().all(|octet| octet.is_ascii_digit()).then(|| text.to_owned());
    let manual = section(PROGRAM, "EXIT STATUS").filter_map(|line| number(line.strip_prefix(".It ")?)).collect();
    assert_same("exit codes of postrider(1)", &exit_codes(), &manual);
}

fn title(section: Section) -> String {
    match section {
        Section::Top => "TOP LEVEL".to_owned(),
        Section::Account => "ACCOUNTS".to_owned(),
        Section::Destination => "DESTINATIONS".to_owned(),
        Section::OfType(of) => format!("{} DESTINATIONS", of.to_uppercase()),
        Section::OAuth => "OAUTH PROVIDERS".to_owned(),
    }
}

/// The key of `.It Cm host No = Ar string`.
fn key_of(line: &str) -> Option<&str> {
    line.strip_prefix(".It Cm ")?.split(' ').next()
}

#[test]
fn every_key_is_in_the_manual_with_its_default_and_the_reverse() {
    let keys = KEYS.iter().map(|key| format!("{} {}", title(key.section), key.name)).collect();
    let titles: BTreeSet<String> = KEYS.iter().map(|key| title(key.section)).collect();
    let of = |title: &String| -> Vec<String> {
        section(FILE, title).filter_map(|line| Some(format!("{title} {}", key_of(line)?))).collect()
    };
    assert_same("keys", &keys, &titles.iter().flat_map(of).collect());

    for key in KEYS {
        let title = title(key.section);
        let entry = section(FILE, &title).skip_while(|line| key_of(line) != Some(key.name)).skip(1);
        let entry: Vec<&str> = entry.take_while(|line| !line.starts_with(".It ")).collect();
        let says = |line: &str| entry.contains(&line);
        let good = match key.absent {
            Absent::Required => says("Required."),
            // Where the state is, in the same words.
            Absent::Text(text) if key.section == Section::Top && text != "none" => {
                let entry = entry.join(" ").replace(".Pa ", "");
                entry.contains(&format!("Default: {}", text.split(';').next().unwrap_or(text)))
            }
            Absent::Text(_) => entry.iter().any(|line| line.starts_with("Default: ")),
            value => entry.iter().any(|line| {
                let told = line.strip_prefix("Default: ").and_then(|told| told.strip_suffix('.'));
                told.is_some_and(|told| value.is_written(told) || value.is_written(&format!("\"{told}\"")))
            }),
        };
        assert!(good, "{} `{}`: the manual must say {:?}", title, key.name, key.absent);
    }
}

#[test]
fn every_mechanism_is_in_the_manual_and_the_reverse() {
    let items = section(FILE, "ACCOUNTS").skip_while(|line| *line != ".Ss Mechanisms");
    let manual = items.filter_map(|line| line.strip_prefix(".It Ql ")).map(str::to_owned).collect();
    assert_same("mechanisms", &Mechanism::ALL.map(|one| one.name().to_owned()).into(), &manual);
}

/// The pages as a reader sees them, by each formatter that is here.
fn rendered() -> Vec<(String, String)> {
    let mut all = Vec::new();
    for (formatter, arguments) in [("mandoc", &["-T", "utf8"][..]), ("groff", &["-mdoc", "-Tutf8", "-P", "-cbou"])] {
        for page in ["postrider.1", "postrider.toml.5", "postrider.8"] {
            let made = std::process::Command::new(formatter).args(arguments).arg(format!("man/{page}")).output();
            let Ok(made) = made else { continue };
            // Bold and underlined letters are letters with a backspace between.
            let text = String::from_utf8_lossy(&made.stdout).into_owned();
            let mut plain = String::new();
            for letter in text.chars() {
                if letter == '\u{8}' {
                    plain.pop();
                } else {
                    plain.push(letter);
                }
            }
            all.push((format!("{page} by {formatter}"), plain.split_whitespace().collect::<Vec<_>>().join(" ")));
        }
    }
    all
}

#[test]
fn quotation_marks_are_neither_lost_nor_nested() {
    // A quotation mark of the source that is an argument's is not shown.
    for (name, page) in [("1", PROGRAM), ("5", FILE), ("8", include_str!("../man/postrider.8"))] {
        for line in page.lines().filter(|line| line.starts_with('.') && !line.starts_with(".\\\"")) {
            assert!(!line.contains('"'), "{name}: {line}");
            let words: Vec<&str> = line.split(' ').collect();
            let is_called = |word: &&&str| ["In", "At", "Bx", "Ux", "Ex", "Rv", "St", "An", "Tn"].contains(*word);
            assert_eq!(words.iter().skip(1).find(is_called), None, "{name}: a word that is a macro: {line}");
        }
    }
    for (name, text) in rendered() {
        for (open, close) in [('\u{2018}', '\u{2019}'), ('\u{201c}', '\u{201d}')] {
            for quoted in text.split(open).skip(1) {
                // An apostrophe is the same sign as a closing mark.
                let inside = quoted.split(close).next().unwrap_or_default();
                assert!(quoted.contains(close) && inside.len() < 120, "{name}: {open}{inside}");
            }
        }
        assert!(!text.contains("\u{2019}\u{2019}"), "{name}: nested quotation marks");
        for wanted in ["host = \"pop.gmail.com\"", "oauth = \"microsoft\"", "\u{201c}In production\u{201d}"] {
            assert!(!name.starts_with("postrider.1 ") || text.contains(wanted), "{name}: {wanted}");
        }
    }
}

#[test]
fn the_json_of_every_command_is_in_the_manual() {
    let summary = serde_json::to_value(postrider::testing::poll::Summary::default()).expect("JSON");
    let status = serde_json::to_value(postrider::testing::process::status::Status::default()).expect("JSON");
    let account = serde_json::to_value(postrider::testing::process::status::AccountStatus::default()).expect("JSON");
    for value in [summary, status, account] {
        for key in value.as_object().expect("an object").keys() {
            let is_told = |line: &str| line.split([' ', ',']).any(|word| word == key);
            assert!(section(PROGRAM, "COMMANDS").any(is_told), "{key} is not in the manual");
        }
    }
}

/// The literal blocks of a page that are whole configurations.
fn examples(page: &str) -> Vec<String> {
    let blocks = page.split(".Bd -literal").skip(1).filter_map(|rest| rest.split_once(".Ed")?.0.split_once('\n'));
    let blocks = blocks.map(|(_, text)| text.replace("\\(dq", "\"").replace("\\&", ""));
    blocks.filter(|text| text.contains("[accounts.")).collect()
}

#[test]
fn every_example_is_a_good_configuration_without_warnings() {
    let readme = include_str!("../README.md");
    // The README's own is indented in its list.
    let from = readme.find("[accounts.work]").expect("the README has an example");
    let until = readme[from..].find("`config/").expect("and goes on");
    let mut all = examples(FILE);
    assert_eq!(all.len(), 4, "the manual's examples");
    all.push(readme[from..from + until].to_owned());
    for text in all {
        let program = Postrider::with_config(&text);
        let output = program.run(&["check"]).assert_success();
        assert!(!output.text().contains("warning"), "{text}\n{}", output.text());
    }
}
