//! After a crash: what is staged according to the state is looked up in the Maildir.
//!
//! Only places of this machine are looked at: where another machine shares this state, the Maildir at the same path
//! here says nothing about the deliveries of that machine, and they stay staged until it looks itself.
//!
//! If `tmp/NAME` is there, the move is finished now.  If it is not, the message was delivered,
//! whatever a mail program has done with it since.  A Maildir that is missing (an unmounted disk)
//! proves nothing, and its deliveries stay staged.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use tokio::time::Instant;

use crate::clock::unix_now;
use crate::deliver::Destination;
use crate::deliver::maildir::{Maildir, MaildirError};
use crate::event::Event;
use crate::message::{Name, UnixTime};
use crate::store::{Change, Resolution, StagedDelivery, Store, StoreError};
use crate::{spool, threads};

/// Programs that clean up `tmp/` spare files younger than 36 hours (maildir(5)); an older one may
/// have been removed by them before it was moved.
const TMP_LIFETIME: i64 = 36 * 60 * 60;

/// Finishes what an earlier process or poll has staged, of one account or of all.  What cannot begin
/// before the deadline stays staged.  Returns why deliveries could not be finished, for the poll to
/// report: once for each Maildir and kind of error.
///
/// # Errors
/// The state cannot be read or written.
pub async fn recover(
    store: &Store,
    account: Option<&Name>,
    deadline: Instant,
) -> Result<Vec<MaildirError>, StoreError> {
    let staged = store.staged(account).await?;
    if staged.is_empty() {
        return Ok(Vec::new());
    }
    let (now, machine) = (unix_now(), store.local().instance().to_owned());
    let (looked, failed) = match threads::run_until(deadline, move || look(staged, &machine, now)).await {
        Ok(looked) => looked,
        Err(error) => {
            Event::RecoveryLate { cause: error.to_string() }.tell();
            return Ok(Vec::new());
        }
    };
    if !looked.is_empty() {
        Event::Recovered { messages: looked.len() as u64 }.tell();
        store.apply(vec![Change::Resolve(looked)], now).await?;
    }
    Ok(failed)
}

/// Removes drafts that are not on record from every Maildir of the configuration, and spools.
///
/// # Errors
/// The state cannot be read.
pub async fn remove_strays(
    store: &Store,
    destinations: impl IntoIterator<Item = &Destination>,
) -> Result<(), StoreError> {
    let known: BTreeSet<String> = store.staged(None).await?.into_iter().map(|delivery| delivery.name).collect();
    let maildirs = destinations.into_iter().filter_map(|destination| Maildir::open_existing(destination.maildir()?));
    let (maildirs, instance): (Vec<Maildir>, String) = (maildirs.collect(), store.local().instance().to_owned());
    let work = move || {
        for maildir in maildirs {
            match maildir.remove_strays(&instance, |name| known.contains(name)) {
                Ok(0) => {}
                Ok(files) => {
                    Event::DraftsRemoved { maildir: maildir.path().to_owned(), files: files as u64 }.tell();
                }
                Err(error) => Event::DraftsStay { cause: error.to_string() }.tell(),
            }
        }
    };
    let spools = store.local().spool();
    let work = move || {
        work();
        spool::remove_strays(&spools);
    };
    if let Err(error) = threads::run(work).await {
        Event::DraftsStay { cause: error.to_string() }.tell();
    }
    Ok(())
}

type Looked = (Vec<(StagedDelivery, Resolution)>, Vec<MaildirError>);

/// Looks for what is staged on this machine.
fn look(staged: Vec<StagedDelivery>, machine: &str, now: UnixTime) -> Looked {
    let mut by_maildir: BTreeMap<PathBuf, Vec<StagedDelivery>> = BTreeMap::new();
    for delivery in staged.into_iter().filter(|delivery| delivery.machine == machine) {
        by_maildir.entry(delivery.maildir.clone()).or_default().push(delivery);
    }
    let (mut looked, mut failed) = (Vec::new(), Vec::new());
    for (path, deliveries) in by_maildir {
        let Some(maildir) = Maildir::open_existing(&path) else {
            Event::MaildirMissing { maildir: path, deliveries: deliveries.len() as u64 }.tell();
            continue;
        };
        let resolutions: Vec<_> = deliveries.iter().map(|delivery| look_for(&maildir, delivery, now)).collect();
        if let Err(error) = maildir.sync_new() {
            Event::StaysStaged { account: None, file: None, cause: error.to_string() }.tell();
            failed.push(error);
            continue;
        }
        let first = failed.len();
        for (delivery, resolution) in deliveries.into_iter().zip(resolutions) {
            match resolution {
                Ok(resolution) => looked.push((delivery, resolution)),
                // It stays open, and delays no other.
                Err(error) => {
                    let (account, file) = (Some(delivery.account), Some(delivery.name));
                    Event::StaysStaged { account, file, cause: error.to_string() }.tell();
                    if failed[first..].iter().all(|known: &MaildirError| known.kind != error.kind) {
                        failed.push(error);
                    }
                }
            }
        }
    }
    (looked, failed)
}

/// Finishes one delivery.
fn look_for(maildir: &Maildir, delivery: &StagedDelivery, now: UnixTime) -> Result<Resolution, MaildirError> {
    if maildir.has_draft(&delivery.name)? {
        maildir.finish_move(&delivery.name)?;
        return Ok(Resolution::Delivered);
    }
    let is_old = delivery.at.saturating_add(TMP_LIFETIME) < now;
    let lost = is_old && !maildir.has_message(&delivery.name)?;
    Ok(if lost { Resolution::Lost } else { Resolution::Delivered })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliver::maildir::Settings;

    fn staged(maildir: &Maildir, names: &[&str]) -> Vec<StagedDelivery> {
        let staged = |name: &&str| {
            let mut draft = maildir.create(|_| (*name).to_owned()).expect("made");
            draft.write(b"text\n").expect("written");
            let account = Name::new("a").expect("a name");
            let maildir = maildir.path().to_owned();
            let machine = "machine".to_owned();
            StagedDelivery { message: 1, place: 1, account, maildir, machine, name: draft.keep(), at: 1000 }
        };
        names.iter().map(staged).collect()
    }

    #[test]
    fn a_move_that_was_half_made_is_finished_and_not_made_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("Maildir");
        let maildir = Maildir::open(&Settings::private(path.clone()), false).expect("made");
        let deliveries = staged(&maildir, &["linked", "read", "plain"]);
        // The file system has no rename that never replaces, and the machine crashed after the link.
        std::fs::hard_link(path.join("tmp/linked"), path.join("new/linked")).expect("linked");
        std::fs::hard_link(path.join("tmp/read"), path.join("cur/read:2,S")).expect("linked");
        let (looked, failed) = look(deliveries, "machine", 2000);
        assert!(failed.is_empty() && looked.iter().all(|(_, resolution)| *resolution == Resolution::Delivered));
        let names = |sub: &str| std::fs::read_dir(path.join(sub)).expect("a directory").count();
        assert_eq!((looked.len(), names("tmp"), names("new"), names("cur")), (3, 0, 2, 1));
    }

    #[test]
    fn a_maildir_of_another_machine_at_the_same_path_is_not_asked() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("Maildir");
        let maildir = Maildir::open(&Settings::private(path.clone()), false).expect("made");
        let mut deliveries = staged(&maildir, &["there", "elsewhere"]);
        for delivery in &mut deliveries {
            delivery.machine = "laptop".to_owned();
        }
        // That machine has its draft in a `tmp/` of its own.
        std::fs::remove_file(path.join("tmp/elsewhere")).expect("removed");
        for now in [2000, UnixTime::MAX] {
            assert_eq!(look(deliveries.clone(), "server", now).0, []);
        }
        assert!(path.join("tmp/there").exists());
        assert_eq!(look(deliveries, "laptop", 2000).0.len(), 2);
    }

    #[test]
    fn one_file_that_cannot_be_moved_holds_up_no_other() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("Maildir");
        let maildir = Maildir::open(&Settings::private(path.clone()), false).expect("made");
        let deliveries = staged(&maildir, &["taken", "free"]);
        std::fs::write(path.join("new/taken"), "another").expect("written");
        let (looked, failed) = look(deliveries, "machine", 2000);
        assert_eq!(failed.iter().map(|error| error.kind).collect::<Vec<_>>(), [std::io::ErrorKind::AlreadyExists]);
        assert_eq!(looked.iter().map(|(delivery, _)| delivery.name.as_str()).collect::<Vec<_>>(), ["free"]);
        assert!(path.join("new/free").exists() && path.join("tmp/taken").exists());
    }

    #[test]
    fn what_is_not_in_tmp_was_delivered_unless_a_cleaner_may_have_been_there() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("Maildir");
        let maildir = Maildir::open(&Settings::private(path.clone()), false).expect("made");
        for (file, now, want) in [
            ("tmp", 1000 + TMP_LIFETIME, Resolution::Delivered),
            ("tmp", 1001 + TMP_LIFETIME, Resolution::Lost),
            ("cur", UnixTime::MAX, Resolution::Delivered),
        ] {
            let deliveries = staged(&maildir, &["n"]);
            match file {
                "tmp" => std::fs::remove_file(path.join("tmp/n")).expect("removed"),
                _ => std::fs::rename(path.join("tmp/n"), path.join("cur/n:2,S")).expect("moved"),
            }
            assert_eq!(look(deliveries, "machine", now).0[0].1, want);
        }
    }
}
