//! The corpus: reads the cases of `tests/hostile/corpus/`, whose format `main.rs` describes.

use super::action::{self, Action};
use super::case::{Case, DOTTED, Expectation, Rule, Transport, message};
use super::support::checkout;
use std::collections::BTreeMap;

/// Every case, by its number.
pub(crate) fn read() -> Vec<Case> {
    let folder = checkout("tests/hostile/corpus");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("the corpus").map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    let mut cases = Vec::new();
    for path in files {
        let family = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).expect("UTF-8");
        for block in blocks(&text) {
            let read = expand(&block, &family);
            cases.extend(read.unwrap_or_else(|error| panic!("{family}: {}: {error}", block[0])));
        }
    }
    cases.sort_by_key(|case| case.number);
    if let Some(pair) = cases.windows(2).find(|pair| pair[0].number == pair[1].number) {
        panic!("two cases have number {}: {:?} and {:?}", pair[0].number, pair[0].name, pair[1].name);
    }
    cases
}

/// The lines of each case, its heading first.
fn blocks(text: &str) -> Vec<Vec<&str>> {
    let mut blocks: Vec<Vec<&str>> = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match (line.strip_prefix("== "), blocks.last_mut()) {
            (Some(heading), _) => blocks.push(vec![heading]),
            (None, Some(block)) => block.push(line),
            (None, None) => panic!("a line before the first case: {line}"),
        }
    }
    blocks
}

/// A case for each row of its table `each:`, or the one that it is.
fn expand(block: &[&str], family: &str) -> Result<Vec<Case>, String> {
    let (number, name) = block[0].split_once(' ').ok_or("the heading is a number and a name")?;
    let first: usize = number.parse().map_err(|_| "the heading begins with a number")?;
    let (rows, lines): (Vec<&str>, Vec<&str>) = block[1..].iter().partition(|line| line.starts_with("each: "));
    if rows.is_empty() {
        return Ok(vec![case(first, name, family, &lines)?]);
    }
    let mut cases = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        let cells: Vec<&str> = row["each: ".len()..].split(" | ").map(str::trim).collect();
        let fill = |text: &str| {
            let fill = |text: String, (cell, value): (usize, &&str)| text.replace(&format!("{{{cell}}}"), value);
            cells.iter().enumerate().fold(text.to_owned(), fill)
        };
        let lines: Vec<String> = lines.iter().map(|line| fill(line)).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        cases.push(case(first + index, &fill(name), family, &lines)?);
    }
    Ok(cases)
}

/// What is expected of all transports, or of one.
type Wanted<'a> = BTreeMap<(&'a str, Option<Transport>), Vec<&'a str>>;

fn case(number: usize, name: &str, family: &str, lines: &[&str]) -> Result<Case, String> {
    let mut case = Case {
        number,
        name: name.to_owned(),
        family: family.to_owned(),
        rules: Vec::new(),
        expected: BTreeMap::new(),
        keys: Vec::new(),
        capabilities: Vec::new(),
        messages: (1..=3).map(|message_number| message(message_number, number)).collect(),
        stored: BTreeMap::new(),
        unstuffed: false,
        slow: false,
        open: None,
        never: Vec::new(),
        heavy: false,
        no_login: false,
        certificate: "good".to_owned(),
    };
    let mut wanted = Wanted::new();
    let mut transports = Transport::ALL.to_vec();
    for line in lines {
        let (key, value) = line.split_once(':').map_or((*line, ""), |(key, value)| (key, value.trim()));
        match key.split_once(' ').unwrap_or((key, "")) {
            ("on", trigger) => case.rules.push(rule(trigger, value)?),
            ("message", at) => *slot(&mut case.messages, at)? = octets(value)?,
            ("stored", at) => drop(case.stored.insert(at.parse().map_err(|_| "no message")?, octets(value)?)),
            ("messages", "") => {
                let count: usize = value.parse().map_err(|_| "a count of messages")?;
                case.messages = (1..=count).map(|message_number| message(message_number, number)).collect();
            }
            ("keys", "") => case.keys.push(value.to_owned()),
            ("capa", "") => case.capabilities.push(value.to_owned()),
            ("unstuffed", "") => case.unstuffed = true,
            ("slow", "") => case.slow = true,
            ("open", "") => case.open = Some(value.to_owned()),
            ("never", "") => case.never.push(value.to_owned()),
            ("heavy", "") => case.heavy = true,
            ("no-login", "") => case.no_login = true,
            ("certificate", "") => case.certificate = value.to_owned(),
            ("transports", "") => {
                let named = |name| Transport::named(name).ok_or(format!("no transport: {name}"));
                transports = value.split(' ').map(named).collect::<Result<_, _>>()?;
            }
            (key @ ("code" | "says" | "delivered" | "deleted" | "then"), of) => {
                let of = match of {
                    "" => None,
                    of => Some(Transport::named(of).ok_or(format!("no transport: {of}"))?),
                };
                wanted.entry((key, of)).or_default().push(value);
            }
            _ => return Err(format!("not a line of a case: {line}")),
        }
    }
    if case.unstuffed {
        // What such a server does to dots belongs to another case.
        case.messages.iter_mut().filter(|octets| octets.ends_with(DOTTED)).for_each(|octets| {
            octets.truncate(octets.len() - DOTTED.len());
        });
    }
    for transport in transports {
        case.expected.insert(transport, expectation(&wanted, transport, case.messages.len())?);
    }
    Ok(case)
}

fn slot<'a>(messages: &'a mut [Vec<u8>], at: &str) -> Result<&'a mut Vec<u8>, String> {
    let at: usize = at.parse().map_err(|_| "no message")?;
    messages.get_mut(at - 1).ok_or_else(|| format!("no message {at}"))
}

fn rule(trigger: &str, actions: &str) -> Result<Rule, String> {
    let (in_clear, trigger) = match trigger.strip_prefix("clear ") {
        Some(trigger) => (true, trigger),
        None => (trigger == "STLS", trigger),
    };
    let (trigger, time) = match trigger.split_once(" #") {
        Some((trigger, time)) => (trigger, Some(time.parse().map_err(|_| "how many times?")?)),
        None => (trigger, None),
    };
    Ok(Rule { trigger: trigger.to_owned(), in_clear, time, actions: action::read_all(actions)? })
}

/// Octets that are written as actions that send.
fn octets(value: &str) -> Result<Vec<u8>, String> {
    let mut all = Vec::new();
    for action in action::read_all(value)? {
        match action {
            Action::Send { octets, times: Some(times), .. } => {
                (0..times).for_each(|_| all.extend_from_slice(&octets));
            }
            _ => return Err(format!("octets only: {value}")),
        }
    }
    Ok(all)
}

fn expectation(wanted: &Wanted<'_>, transport: Transport, messages: usize) -> Result<Expectation, String> {
    let values = |key| wanted.get(&(key, Some(transport))).or_else(|| wanted.get(&(key, None)));
    let list = |key, default: &str| -> Result<Vec<usize>, String> {
        match values(key).and_then(|values| values.first().copied()).unwrap_or(default) {
            "all" => Ok((1..=messages).collect()),
            "none" => Ok(Vec::new()),
            some => some.split(' ').map(|one| one.parse().map_err(|_| format!("{key}: {some}"))).collect(),
        }
    };
    let code = values("code").and_then(|values| values.first()?.parse().ok()).ok_or("it has no code")?;
    let says: Vec<String> = values("says").into_iter().flatten().map(|&says| says.to_owned()).collect();
    if code != 0 && says.is_empty() {
        return Err("an error is expected, but not what it says".to_owned());
    }
    let delivered = list("delivered", "none")?;
    Ok(Expectation { code, says, delivered, deleted: list("deleted", "none")?, then: list("then", "all")? })
}
