//! The arguments that choose messages of the quarantine.

use super::output;
use crate::message::Name;

/// The chosen messages.
#[derive(Debug, clap::Args)]
pub(super) struct Choice {
    /// The account
    #[arg(value_name = "ACCOUNT", value_parser = super::accounts::name_of, add = super::completions::accounts())]
    pub(super) account: Name,
    /// Unique-ids, as `list` shows them
    #[arg(value_name = "UNIQUE-ID", required_unless_present = "all")]
    pub(super) uids: Vec<String>,
    /// All of the account
    #[arg(long, conflicts_with = "uids")]
    pub(super) all: bool,
}

impl Choice {
    /// Reports it if there are fewer messages than unique-ids; returns the exit code.
    pub(super) fn check(&self, found: usize) -> u8 {
        if self.all || found >= self.uids.len() {
            return 0;
        }
        output::say("postrider: not all of the unique-ids are in quarantine; `postrider quarantine list` shows them");
        super::USAGE
    }
}
