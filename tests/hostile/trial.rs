//! A trial: ten accounts of hostile servers and one of an honest server, in one process; then the
//! same once more with every server honest.

use super::case::{Case, Expectation, Transport};
use super::certificates::Certificates;
use super::secrets;
use super::server::Server;
use super::support::{Output, Postrider, maildir, set_deferrals_due};
use std::path::Path;
use std::time::Duration;

/// Hostile accounts in a process.
pub(crate) const ACCOUNTS: usize = 10;

/// What the program may use at most (octets: 64 MiB).
const PEAK_KIB: u64 = 64 * 1024;

/// The accounts' `timeout`, short in cases that wait for it.
const TIMEOUT: Duration = Duration::from_secs(3);
const LONG_TIMEOUT: Duration = Duration::from_secs(30);

/// The accounts' `deadline`, which nothing may outlast ...
const DEADLINE: Duration = Duration::from_secs(10);
const LONG_DEADLINE: Duration = Duration::from_secs(45);
const HEAVY_DEADLINE: Duration = Duration::from_secs(180);
/// ... by more than this, on a machine that is busy.
const MARGIN: Duration = Duration::from_secs(30);

/// The honest account, and the number of its case.
const GOOD: &str = "good";

/// The outcome of one case over one transport.
pub(crate) struct Row {
    pub(crate) number: usize,
    pub(crate) transport: Transport,
    pub(crate) outcome: String,
    pub(crate) peak_kib: u64,
    pub(crate) longest: Duration,
    pub(crate) faults: Vec<String>,
}

impl Row {
    /// Whether something is wrong that no busy machine explains.
    pub(crate) fn is_grave(&self) -> bool {
        let grave = ["it panicked", "peak memory", "the password", "control characters", "DELE for"];
        self.faults.iter().any(|fault| grave.iter().any(|start| fault.starts_with(start)))
    }
}

/// An account with its server.
struct Account<'a> {
    name: String,
    case: &'a Case,
    transport: Transport,
    server: Server,
    /// How many times longer than usual everybody waits.
    patience: u32,
}

impl Account<'_> {
    fn expected(&self) -> &Expectation {
        &self.case.expected[&self.transport]
    }

    fn deadline(&self) -> Duration {
        match (self.case.slow, self.case.heavy) {
            (_, true) => HEAVY_DEADLINE,
            (true, _) => DEADLINE * self.patience,
            _ => LONG_DEADLINE,
        }
    }

    fn timeout(&self) -> Duration {
        if self.case.slow { TIMEOUT * self.patience } else { LONG_TIMEOUT }
    }

    /// Its part of the configuration; once the server is honest, any login will do.
    fn section(&self, certificates: &Certificates, honest: bool) -> String {
        let (timeout, deadline) =
            if honest { (LONG_TIMEOUT, HEAVY_DEADLINE) } else { (self.timeout(), self.deadline()) };
        let mut lines = vec![
            format!("[accounts.{}]", self.name),
            "host = \"127.0.0.1\"".to_owned(),
            format!("port = {}", self.server.port()),
            format!("tls = \"{}\"", self.transport.key()),
            format!("username = \"{}\"", secrets::USER),
            format!("password = \"{}\"", secrets::password(&self.name)),
            format!("deliver = \"{}\"", self.name),
            format!("timeout = \"{}s\"", timeout.as_secs()),
            format!("deadline = \"{}s\"", deadline.as_secs()),
            "received-header = false".to_owned(),
        ];
        if self.transport != Transport::Clear {
            lines.push(format!("tls-ca = \"{}\"", certificates.ca().display()));
        }
        if !self.case.keys.iter().any(|key| key.starts_with("retention")) {
            lines.push("retention = \"delete\"".to_owned());
        }
        lines.extend(self.case.keys.iter().filter(|key| !honest || !key.starts_with("auth ")).cloned());
        lines.join("\n") + "\n" + &maildir(&self.name)
    }

    /// Whether the Maildir holds these messages whole, once each, and nothing else.
    fn check_maildir(&self, folder: &Path, wanted: &[usize], when: &str, faults: &mut Vec<String>) {
        let mut missing: Vec<(usize, Vec<u8>)> =
            wanted.iter().map(|&message| (message, self.case.stored(message))).collect();
        for file in files(&folder.join("new")) {
            match missing.iter().position(|(_, octets)| *octets == file) {
                Some(at) => drop(missing.remove(at)),
                None => faults.push(format!("{when}: it holds {:?}", clipped(&file))),
            }
        }
        if !missing.is_empty() {
            let numbers: Vec<usize> = missing.iter().map(|(number, _)| *number).collect();
            faults.push(format!("{when}: messages {numbers:?} are not there"));
        }
        if !files(&folder.join("tmp")).is_empty() {
            faults.push(format!("{when}: something is left in tmp/"));
        }
    }

    fn check_record(&self, faults: &mut Vec<String>) {
        let (record, expected) = (self.server.record(), self.expected());
        if !record.deleted.iter().eq(&expected.deleted) {
            faults.push(format!("{:?} are deleted, not {:?}", record.deleted, expected.deleted));
        }
        if !record.too_early.is_empty() {
            faults.push(format!("DELE for {:?}, which were not delivered", record.too_early));
        }
        if record.longest > self.deadline() + MARGIN {
            faults.push(format!("a connection of {:?}", record.longest));
        }
        let wire = self.server.wire.lock().expect("no panic while locked");
        let is_clear = self.transport == Transport::Clear;
        if !is_clear && secrets::is_in(&wire, &self.name) {
            faults.push("the password was sent in clear".to_owned());
        }
        let login = ["PASS ", "AUTH "];
        let said: Vec<&String> =
            record.lines.iter().filter(|line| secrets::is_in(line.as_bytes(), &self.name)).collect();
        if self.case.no_login && !said.is_empty() {
            faults.push("the password was sent".to_owned());
        }
        let never = |line: &&String| self.case.never.iter().any(|start| line.starts_with(start.as_str()));
        if let Some(line) = record.lines.iter().find(never) {
            faults.push(format!("it said {line:?}"));
        }
        let after_auth = record.lines.iter().any(|line| line.starts_with("AUTH "));
        if !after_auth && said.iter().any(|line| !login.iter().any(|verb| line.starts_with(verb))) {
            faults.push("the password was sent elsewhere than in a login".to_owned());
        }
    }

    fn check_summary(&self, summary: Option<&serde_json::Value>, faults: &mut Vec<String>) -> String {
        let expected = self.expected();
        let Some(summary) = summary else {
            faults.push("it has no result".to_owned());
            return "none".to_owned();
        };
        let code = summary["exit-code"].as_u64().unwrap_or(u64::MAX);
        let error = summary["error"].as_str().unwrap_or_default();
        if code != u64::from(expected.code) {
            faults.push(format!("code {code}, not {}: {error:?}", expected.code));
        }
        if let Some(missing) = expected.says.iter().find(|words| !error.contains(words.as_str())) {
            faults.push(format!("it does not say {missing:?}: {error:?}"));
        }
        let number = |key: &str| summary[key].as_u64().unwrap_or(0);
        let told = (number("delivered"), number("deleted"));
        match error {
            "" => format!("{} delivered, {} deleted", told.0, told.1),
            error if told.0 > 0 => format!("{} delivered; {error}", told.0),
            error => error.to_owned(),
        }
    }
}

/// Runs some cases in one process, with an honest account beside them.  Those that wait do so
/// `patience` times as long as usual.
pub(crate) fn run(cases: &[(&Case, Transport)], good: &Case, certificates: &Certificates, patience: u32) -> Vec<Row> {
    let mut program = Postrider::new();
    program.env("POSTRIDER_LOG", "trace");
    let start = |name: String, case, transport| {
        let case: &Case = case;
        let folder = program.path(&name);
        let acceptors = [certificates.acceptor(&case.certificate), certificates.acceptor("good")];
        let server = Server::start(case, transport, acceptors, folder);
        Account { name, case, transport, server, patience }
    };
    let mut accounts: Vec<Account<'_>> = cases
        .iter()
        .map(|&(case, transport)| start(format!("c{}-{}", case.number, transport.name()), case, transport))
        .collect();
    accounts.push(start(GOOD.to_owned(), good, Transport::Tls));
    let configure = |honest| {
        let sections: Vec<String> = accounts.iter().map(|account| account.section(certificates, honest)).collect();
        program.config(&sections.concat());
    };
    configure(false);

    let first = program.spawn(&["fetch", "--json"]).wait(HEAVY_DEADLINE + MARGIN);
    let mut rows = Vec::new();
    let summaries = summaries(&first);
    for account in &accounts {
        let mut faults = Vec::new();
        let outcome = account.check_summary(summaries.get(&account.name), &mut faults);
        // Ports are others in each run.
        let outcome = outcome.replace(&format!(":{}", account.server.port()), ":PORT");
        account.check_maildir(&program.path(&account.name), &account.expected().delivered, "at first", &mut faults);
        account.check_record(&mut faults);
        check_output(account, &first, &mut faults);
        let longest = account.server.record().longest;
        let (number, transport) = (account.case.number, account.transport);
        rows.push(Row { number, transport, outcome, peak_kib: first.peak_kib, longest, faults });
    }

    for account in &accounts {
        account.server.record().honest = true;
    }
    configure(true);
    set_deferrals_due(&program);
    let then = program.spawn(&["fetch", "--json"]).wait(HEAVY_DEADLINE + MARGIN);
    for (account, row) in accounts.iter().zip(&mut rows) {
        let wanted = &account.expected().then;
        account.check_maildir(&program.path(&account.name), wanted, "once honest", &mut row.faults);
        if !row.faults.is_empty() {
            row.faults.push(transcript(account, &first, &then));
        }
    }
    rows
}

/// What the program says of one account, and of everything.
fn check_output(account: &Account<'_>, output: &Output, faults: &mut Vec<String>) {
    let text = output.text();
    if output.signal.is_some() || text.contains("panicked") || text.contains("by a bug") {
        faults.push(format!("it panicked or was killed: signal {:?}", output.signal));
    }
    if output.peak_kib >= PEAK_KIB {
        faults.push(format!("peak memory {} KiB", output.peak_kib));
    }
    if secrets::is_in(text.as_bytes(), &account.name) {
        faults.push("the password is in the log".to_owned());
    }
    if text.chars().any(|c| c.is_control() && c != '\n') {
        let line = text.lines().find(|line| line.chars().any(char::is_control)).unwrap_or_default();
        faults.push(format!("control characters are shown: {line:?}"));
    }
    let code = account.expected().code;
    if code != 0 && !output.stderr.contains(&format!("account {}: ", account.name)) {
        faults.push("the error does not name the account".to_owned());
    }
}

fn summaries(output: &Output) -> std::collections::BTreeMap<String, serde_json::Value> {
    let document: serde_json::Value = serde_json::from_str(&output.stdout).unwrap_or_default();
    let accounts = document["accounts"].as_array().cloned().unwrap_or_default();
    accounts.into_iter().map(|account| (account["account"].as_str().unwrap_or_default().to_owned(), account)).collect()
}

fn transcript(account: &Account<'_>, first: &Output, then: &Output) -> String {
    let heard: Vec<String> =
        account.server.record().lines.iter().take(40).map(|line| clipped(line.as_bytes())).collect();
    let told = |output: &Output| {
        let name = format!("account {}: ", account.name);
        let at = output.stderr.find(&name).map(|at| output.stderr[at..].lines().next().unwrap_or_default().to_owned());
        format!("exit {:?}: {}", output.code, at.unwrap_or_default())
    };
    format!("heard {heard:?}\n      first {}\n      then {}", told(first), told(then))
}

fn clipped(octets: &[u8]) -> String {
    String::from_utf8_lossy(&octets[..octets.len().min(160)]).into_owned()
}

fn files(folder: &Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.into_iter().filter_map(|entry| std::fs::read(entry.path()).ok()).collect()
}
