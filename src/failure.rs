//! What every error has besides its text: who has to act, and how the process ends.

/// Who has to act on a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Nobody: it is tried again later.
    Temporary,
    /// This message or request will not succeed however often it is tried.
    Permanent,
    /// The operator: a configuration, a password or a disk has to change.
    Operator,
}

/// The kind of a failure, as in sysexits(3).  Ordered by urgency, so that the process ends with
/// the greatest of several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// It is to be tried again later.
    TryLater,
    /// A server could not be reached: name, address, connection, TLS.
    Unreachable,
    /// A file or directory of this machine.
    LocalIo,
    /// A server broke its protocol.
    Protocol,
    /// A server refused the login.
    LoginRefused,
    /// The configuration has to change.
    Configuration,
}

impl Class {
    /// Who has to act.
    pub fn severity(self) -> Severity {
        match self {
            Class::TryLater | Class::Unreachable | Class::Protocol => Severity::Temporary,
            Class::LocalIo | Class::LoginRefused | Class::Configuration => Severity::Operator,
        }
    }

    /// The class that an exit code stands for.
    pub fn of_exit_code(code: u8) -> Option<Self> {
        use Class::{Configuration, LocalIo, LoginRefused, Protocol, TryLater, Unreachable};
        let all = [TryLater, Unreachable, LocalIo, Protocol, LoginRefused, Configuration];
        all.into_iter().find(|class| class.exit_code() == code)
    }

    /// The exit code of sysexits(3).
    pub fn exit_code(self) -> u8 {
        match self {
            Class::Unreachable => 69,
            Class::LocalIo => 74,
            Class::TryLater => 75,
            Class::Protocol => 76,
            Class::LoginRefused => 77,
            Class::Configuration => 78,
        }
    }
}

/// An error that knows its class and what the operator can do about it.
pub trait Failure: std::error::Error {
    /// The kind of failure.
    fn class(&self) -> Class;

    /// Whether this machine is short of a resource: no server, destination or message is to blame.
    fn is_shortage(&self) -> bool {
        false
    }

    /// What to do next, in one sentence; `None` where the cause says it all.
    fn advice(&self) -> Option<String> {
        None
    }
}

/// Advice for a shortage.
pub fn shortage() -> String {
    use rustix::process::{Resource, getrlimit};
    let files = getrlimit(Resource::Nofile).current.map_or("any number of".to_owned(), |files| files.to_string());
    format!(
        "This machine has no more threads, processes or open files to give just now; it is tried again.  If this \
         continues, raise the limits: TasksMax= of the unit, pids-limit of the container or `ulimit -u`; LimitNOFILE= or \
         `ulimit -n` ({files} files may be open); or lower `max-concurrent-polls`."
    )
}

/// Whether the system has refused something because there are too many already: threads,
/// processes, open files, pages of memory.
pub fn is_shortage(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    const SHORT: [Errno; 4] = [Errno::AGAIN, Errno::NOMEM, Errno::MFILE, Errno::NFILE];
    let is_short = |code: i32| SHORT.iter().any(|errno| errno.raw_os_error() == code);
    error.raw_os_error().map_or(error.kind() == std::io::ErrorKind::WouldBlock, is_short)
}

/// What went wrong and what to do next, as sentences: a server's text may or may not end with a full stop.
pub fn paragraph(cause: &str, advice: Option<&str>) -> String {
    let cause = cause.trim_end_matches(|c: char| c.is_whitespace() || matches!(c, '.' | ':' | ','));
    let stop = if cause.ends_with(['!', '?']) { "" } else { "." };
    let advice = advice.map_or(String::new(), |advice| format!("  {advice}"));
    format!("{cause}{stop}{advice}")
}

/// An error with its causes on one line, each said once.
pub fn describe(error: &(dyn std::error::Error + 'static)) -> String {
    let mut out = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !out.contains(&text) {
            out.push_str(": ");
            out.push_str(&text);
        }
        cause = error.source();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_ends_as_one_sentence() {
        for (cause, want) in [
            ("refused: [AUTH] no.", "refused: [AUTH] no.  Do."),
            ("refused: ", "refused.  Do."),
            ("what?", "what?  Do."),
            ("lost", "lost.  Do."),
        ] {
            assert_eq!(paragraph(cause, Some("Do.")), want);
        }
        assert_eq!(paragraph("lost", None), "lost.");
    }
}
