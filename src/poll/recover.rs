//! After a crash: what the state calls staged is looked up in the Maildir.
//!
//! `tmp/NAME` there: the move is finished now.  Not there: it was delivered, whatever a mail
//! program has done with it since.  A Maildir that is not there (an unmounted disk) tells
//! nothing, and its deliveries stay staged.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use tracing::{info, warn};

use super::unix_now;
use crate::deliver::maildir::{Maildir, MaildirError};
use crate::deliver::{Destination, Kind};
use crate::message::{Name, UnixTime};
use crate::store::{Change, Resolution, StagedDelivery, Store, StoreError};

/// Cleaners of `tmp/` spare files younger than 36 hours (maildir(5)); an older one may have been
/// removed by them before it was moved.
const TMP_LIFETIME: i64 = 36 * 60 * 60;

/// Finishes what an earlier process or poll has staged, of one account or of all.
///
/// # Errors
/// The state cannot be read or written.
pub async fn recover(store: &Store, account: Option<&Name>) -> Result<(), StoreError> {
    let staged = store.staged(account).await?;
    if staged.is_empty() {
        return Ok(());
    }
    let now = unix_now();
    let looked = tokio::task::spawn_blocking(move || look(staged, now)).await.unwrap_or_default();
    info!(messages = looked.len(), "finished deliveries that an earlier run had begun");
    store.apply(vec![Change::Resolve(looked)], now).await.map(|_| ())
}

/// Removes drafts that no record knows, from every Maildir of the configuration.
///
/// # Errors
/// The state cannot be read.
pub async fn remove_strays(
    store: &Store,
    destinations: impl IntoIterator<Item = &Destination>,
) -> Result<(), StoreError> {
    let known: BTreeSet<String> = store.staged(None).await?.into_iter().map(|delivery| delivery.name).collect();
    let maildirs = destinations.into_iter().filter_map(|destination| match &destination.kind {
        Kind::Maildir(settings) => Maildir::open_existing(&settings.path),
        Kind::Smtp(_) => None,
    });
    let (maildirs, instance): (Vec<Maildir>, String) = (maildirs.collect(), store.instance().to_owned());
    let work = move || {
        for maildir in maildirs {
            match maildir.remove_strays(&instance, |name| known.contains(name)) {
                Ok(0) => {}
                Ok(files) => info!(maildir = %maildir.path().display(), files, "removed what a crash had left in tmp/"),
                Err(error) => warn!("{error}"),
            }
        }
    };
    let _ = tokio::task::spawn_blocking(work).await;
    Ok(())
}

fn look(staged: Vec<StagedDelivery>, now: UnixTime) -> Vec<(StagedDelivery, Resolution)> {
    let mut by_maildir: BTreeMap<PathBuf, Vec<StagedDelivery>> = BTreeMap::new();
    for delivery in staged {
        by_maildir.entry(delivery.maildir.clone()).or_default().push(delivery);
    }
    let mut looked = Vec::new();
    for (path, deliveries) in by_maildir {
        let Some(maildir) = Maildir::open_existing(&path) else {
            warn!(maildir = %path.display(), "is not there; {} deliveries to it stay open", deliveries.len());
            continue;
        };
        match look_into(&maildir, &deliveries, now) {
            Ok(resolutions) => looked.extend(deliveries.into_iter().zip(resolutions)),
            Err(error) => warn!("{error}"),
        }
    }
    looked
}

fn look_into(maildir: &Maildir, deliveries: &[StagedDelivery], now: UnixTime) -> Result<Vec<Resolution>, MaildirError> {
    let mut resolutions = Vec::with_capacity(deliveries.len());
    for delivery in deliveries {
        let in_tmp = maildir.has_draft(&delivery.name)?;
        if in_tmp {
            maildir.publish(&delivery.name)?;
        }
        let is_old = delivery.at.saturating_add(TMP_LIFETIME) < now;
        let lost = !in_tmp && is_old && !maildir.has_message(&delivery.name)?;
        resolutions.push(if lost { Resolution::Lost } else { Resolution::Delivered });
    }
    maildir.sync_new()?;
    Ok(resolutions)
}
