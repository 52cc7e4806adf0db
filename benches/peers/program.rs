//! The programs: what they are called, and what they can do.

use std::process::Command;

use crate::workload::Task;

/// A program that fetches mail by POP3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Program {
    /// Ours.
    Postrider,
    /// Fetches in a pipeline where the server allows it.
    Mpop,
    /// Delivers by SMTP or through another program, which is our own small one here.
    Fetchmail,
    /// getmail6.
    Getmail,
    /// Runs its accounts side by side.
    Fdm,
}

impl Program {
    /// All of them; ours comes first.
    pub(crate) const ALL: [Self; 5] = [Self::Postrider, Self::Mpop, Self::Fetchmail, Self::Getmail, Self::Fdm];

    /// What it is called, here and on the disk.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Postrider => "postrider",
            Self::Mpop => "mpop",
            Self::Fetchmail => "fetchmail",
            Self::Getmail => "getmail",
            Self::Fdm => "fdm",
        }
    }

    /// Whether it can do this by itself.
    pub(crate) fn can(&self, task: Task) -> bool {
        task != Task::Smtp || !matches!(self, Self::Mpop | Self::Getmail)
    }

    /// Whether this is how it ends when all went well.
    pub(crate) fn is_success(&self, code: i32) -> bool {
        // fetchmail exits with 1 if there was no new mail.
        code == 0 || (*self == Self::Fetchmail && code == 1)
    }

    /// Its version, as far as it reports one; `None` if it is not installed.
    pub(crate) fn version(&self) -> Option<String> {
        // fdm reports its version only in its log.
        let argument = if *self == Self::Fdm { "-h" } else { "--version" };
        let output = Command::new(self.name()).arg(argument).output().ok()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let is_version = |word: &&str| word.contains('.') && word.starts_with(|c: char| c.is_ascii_digit());
        let version = text.split_whitespace().find(is_version).unwrap_or("");
        Some(version.split('+').next().unwrap_or("").to_owned())
    }
}
