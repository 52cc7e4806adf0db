//! `postrider quarantine export`: messages as the server has them, to find out what is wrong with them.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::choice::Choice;
use super::output;
use crate::config::Config;
use crate::deliver::maildir;
use crate::filesystem::make_unique;
use crate::message::{MessageKey, Name, Origin};
use crate::poll::{self, Exported};
use crate::process::log;
use crate::store::Reader;
use crate::transcript;

pub(super) fn run(choice: &Choice, folder: Option<&Path>, config: &Config) -> u8 {
    let accounts = match super::accounts::choose(config, &[choice.account.to_string()]) {
        Ok(accounts) => accounts,
        Err(code) => return code,
    };
    let Some(account) = accounts.first() else { return 0 };
    let keys = Reader::open(&config.state_dir)
        .and_then(|reader| reader.quarantined_keys(&choice.account, &choice.uids))
        .map(|keys| keys.into_iter().collect::<HashSet<_>>());
    let wanted = match keys {
        Ok(keys) => keys,
        Err(error) => return output::complain_code(None, &error),
    };
    let code = choice.check(wanted.len());
    if code != 0 || wanted.is_empty() {
        return code;
    }
    if wanted.len() > 1 && folder.is_none() {
        output::say("postrider: several messages need a folder to be written to: --output FOLDER");
        return super::USAGE;
    }
    log::start_command(tracing::Level::WARN, false, io::stderr);
    let mut files = Files { account: &choice.account, folder, open: None };
    let export = transcript::of(account.name.as_str(), poll::export(account, &wanted, &mut files));
    match super::runtime::block_on_until_signal(export) {
        Err(error) => output::complain_code(Some(&account.name), &error),
        Ok(exported) if exported.len() < wanted.len() => {
            let missing = wanted.difference(&exported).map(MessageKey::to_string).collect::<Vec<_>>().join(", ");
            output::say(&format!("postrider: not on the server any more: {missing}"));
            super::NO_INPUT
        }
        Ok(_) => 0,
    }
}

/// Writes exported messages to files, or to standard output.
struct Files<'a> {
    account: &'a Name,
    folder: Option<&'a Path>,
    open: Option<(File, PathBuf, PathBuf)>,
}

impl Exported for Files<'_> {
    fn begin(&mut self, key: &MessageKey) -> io::Result<()> {
        let Some(folder) = self.folder else { return Ok(()) };
        // A unique-id may hold any character, so it cannot be a file name.
        let path = folder.join(format!("{}-{}.eml", self.account, maildir::token(&Origin::of(self.account), key)));
        let (file, part) = make_unique(|word| {
            let part = path.with_extension(format!("{word}.part"));
            Ok((OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?, part))
        })?;
        self.open = Some((file, part, path));
        Ok(())
    }

    fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        match &mut self.open {
            Some((file, ..)) => file.write_all(octets),
            None => output::put(octets),
        }
    }

    fn end(&mut self) -> io::Result<()> {
        let Some((file, part, path)) = self.open.take() else { return Ok(()) };
        file.sync_all()?;
        std::fs::rename(part, &path)?;
        output::print(&path.display().to_string());
        Ok(())
    }
}

impl Drop for Files<'_> {
    fn drop(&mut self) {
        if let Some((_, part, _)) = &self.open {
            let _ = std::fs::remove_file(part);
        }
    }
}
