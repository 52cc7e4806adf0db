//! The states of the other programs that say that all mail was fetched before.
//!
//! They are written here, because some programs would need many minutes to fetch the mail.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::Fallible;
use crate::configuration::{self, HOST, Job};
use crate::program::Program;

/// Writes the state of a program that has fetched these messages; ours makes its own by fetching.
pub(crate) fn write(program: Program, job: &Job, ids: &[String]) -> Fallible<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    for account in &job.accounts {
        let user = &account.user;
        let mut text = String::new();
        let file = match program {
            Program::Postrider => return Ok(()),
            Program::Mpop => {
                let mut ascending = ids.to_vec();
                ascending.sort_unstable();
                writeln!(text, " {} {HOST} {user}", ids.len())?;
                ascending.iter().try_for_each(|id| writeln!(text, "{id}"))?;
                format!("uidls-{user}")
            }
            Program::Fetchmail => {
                ids.iter().try_for_each(|id| writeln!(text, "{user}@{HOST} {id}"))?;
                "fetchids".to_owned()
            }
            Program::Getmail => {
                ids.iter().try_for_each(|id| writeln!(text, "{id}\0{now}"))?;
                format!("oldmail-{HOST}-{}-{user}", job.port)
            }
            Program::Fdm => {
                ids.iter().try_for_each(|id| writeln!(text, "{} {id}", id.len()))?;
                format!("cache-{user}")
            }
        };
        configuration::write(&job.home.join(file), &text)?;
    }
    Ok(())
}
