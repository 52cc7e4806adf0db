//! Delivery of one message into a Maildir, for fetchmail, which cannot do that itself.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::Fallible;

/// The argument that asks for it.
pub(crate) const VERB: &str = "--mda";

/// Writes what comes on standard input to `tmp`, and moves it to `new`.
pub(crate) fn deliver(mut args: impl Iterator<Item = OsString>) -> Fallible<()> {
    let maildir = PathBuf::from(args.next().ok_or("no Maildir is named")?);
    let name = format!("{}.P{}.bench", SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos(), std::process::id());
    let tmp = maildir.join("tmp").join(&name);
    let mut file = std::fs::File::create_new(&tmp)?;
    std::io::copy(&mut std::io::stdin().lock(), &mut file)?;
    std::fs::rename(tmp, maildir.join("new").join(name))?;
    Ok(())
}
