//! What a message that has come whole turns out to be: most are to be delivered, some were delivered before.
//!
//! A message with the same octets as a delivered message that the server no longer has is that message,
//! whatever unique-id it has now.

use std::collections::{HashMap, HashSet};

use super::Committer;
use crate::clock::unix_now;
use crate::event::Event;
use crate::message::{MessageKey, UnixTime};
use crate::plan::{self, DeliveryState, Identity, Likeness, Place, Standing, is_over};
use crate::poll::piece::{Job, Parcel, Received, Supposed};
use crate::store::{self, Change, Renamed, StoreError};

/// What is known of messages by their content.
#[derive(Debug, Default)]
pub(in crate::poll) struct Contents {
    /// Messages that may have another unique-id now.
    pub(in crate::poll) elsewhere: HashMap<[u8; 32], Vec<MessageKey>>,
    /// How many messages without unique-id have come in this session with each content.
    pub(in crate::poll) occurrences: HashMap<[u8; 32], u32>,
}

impl Contents {
    /// The former key of a message without unique-id, if it had a unique-id before.
    fn renamed(&mut self, received: &Received) -> Option<MessageKey> {
        received.contents().find_map(|(_, digest)| self.elsewhere.get_mut(&digest)?.pop())
    }

    /// The key of the next message with this content.
    fn next(&self, digest: &[u8; 32]) -> MessageKey {
        MessageKey::of_content(digest, self.occurrences.get(digest).copied().unwrap_or(0))
    }

    /// Counts a message with this content.
    fn count(&mut self, digest: [u8; 32]) {
        *self.occurrences.entry(digest).or_insert(0) += 1;
    }
}

/// What the state knows of a batch besides its unique-ids.
struct Known {
    /// For each message that may be new: messages with the same content that the server no longer has.
    alike: Vec<Vec<MessageKey>>,
    /// Those of them that messages of this batch have turned out to be.
    used: HashSet<MessageKey>,
    /// For each message that is on its way to some of its destinations: what identifies the one on record.
    identities: HashMap<MessageKey, Identity>,
}

impl Known {
    /// Takes the message on record that the one at `index` turns out to be, if there is one.
    fn take(&mut self, index: usize) -> Option<MessageKey> {
        let found = self.alike.get(index)?.iter().find(|key| !self.used.contains(*key))?.clone();
        self.used.insert(found.clone());
        Some(found)
    }

    /// What was known by one key is known by another one from now on.
    fn rename(&mut self, from: &MessageKey, to: &MessageKey) {
        for key in self.alike.iter_mut().flatten().filter(|key| *key == from) {
            *key = to.clone();
        }
    }
}

/// What is to be done with the messages that turn out to be known.
#[derive(Default)]
struct Recognised {
    changes: Vec<Change>,
    deletable: Vec<Job>,
}

impl Committer<'_> {
    /// Returns what is to be delivered; what was delivered before is recorded as such.
    pub(super) async fn identify(&mut self, batch: Vec<Received>) -> Result<Vec<Received>, StoreError> {
        let mut known = self.look_up(&batch).await?;
        let mut wanted = Vec::with_capacity(batch.len());
        let mut recognised = Recognised::default();
        for (index, received) in batch.into_iter().enumerate() {
            wanted.extend(self.identify_one(index, received, &mut known, &mut recognised).await?);
        }
        let Recognised { changes, deletable } = recognised;
        if !changes.is_empty() {
            Event::BatchKnown { account: self.account.clone(), messages: changes.len() as u64 }.tell();
            self.store.apply(changes, unix_now()).await?;
        }
        for job in deletable {
            // The session may have ended, and its receiver with it; then nothing can be deleted.
            let _ = self.deletable.send((job.number, job.key));
        }
        Ok(wanted)
    }

    async fn look_up(&self, batch: &[Received]) -> Result<Known, StoreError> {
        let begun = batch.iter().filter(|received| received.job.supposed == Supposed::Listed);
        let begun: Vec<MessageKey> = begun.map(|received| received.job.key.clone()).collect();
        let identities = match begun.is_empty() {
            true => Vec::new(),
            false => self.store.identities(self.account, begun.clone()).await?,
        };
        let identities = begun.into_iter().zip(identities).filter_map(|(key, identity)| Some((key, identity?)));
        let identities: HashMap<MessageKey, Identity> = identities.collect();
        // Whatever else is on record: this content was not delivered under its unique-id.
        let may_be_new = |received: &Received| match received.job.supposed {
            Supposed::New | Supposed::Deleted(_) => true,
            Supposed::Listed => identities.get(&received.job.key).is_none_or(|identity| {
                identity.digest.is_none() || (identity.header_only && !received.job.header_only)
            }),
            Supposed::Delivered(_) | Supposed::Nameless => false,
        };
        let contents = batch.iter().filter(|received| may_be_new(received)).flat_map(|received| {
            let header_only = received.job.header_only;
            received.contents().map(move |(octets, digest)| store::Content { octets, digest, header_only })
        });
        let contents: Vec<store::Content> = contents.collect();
        let mut found = match contents.is_empty() {
            true => Vec::new(),
            false => self.store.by_content(self.account, contents).await?,
        }
        .into_iter();
        let alike = batch.iter().map(|received| match may_be_new(received) {
            true => found.by_ref().take(received.contents().count()).flatten().collect(),
            false => Vec::new(),
        });
        Ok(Known { alike: alike.collect(), used: HashSet::new(), identities })
    }

    /// Returns the message if it is to be delivered.
    async fn identify_one(
        &mut self,
        index: usize,
        mut received: Received,
        known: &mut Known,
        recognised: &mut Recognised,
    ) -> Result<Option<Received>, StoreError> {
        let account = self.account;
        let keys = vec![received.job.key.clone()];
        match received.job.supposed {
            Supposed::Listed => self.on_its_way(index, received, known, recognised).await,
            Supposed::New => match known.take(index) {
                Some(from) => self.rename(from, received, recognised).await,
                None => Ok(Some(received)),
            },
            Supposed::Deleted(digest) if received.has_digest(&digest) && !received.job.header_only => {
                Event::Reappeared { account: account.clone(), uid: received.job.key.clone() }.tell();
                recognised.changes.push(Change::Reappear { account: account.clone(), keys });
                self.tally.reappeared += 1;
                recognised.deletable.extend(Some(received.job).filter(|job| job.completes));
                Ok(None)
            }
            Supposed::Deleted(_) => {
                // The message that was deleted stays known by its content.
                self.set_apart(&received.job.key, known).await?;
                match known.take(index) {
                    Some(from) => self.rename(from, received, recognised).await,
                    None => Ok(Some(received)),
                }
            }
            Supposed::Delivered(digest) => {
                self.prove(received.has_digest(&digest), received, recognised);
                Ok(None)
            }
            Supposed::Nameless => {
                received.job.key = self.name(&received).await?;
                self.tally.contents.push(received.job.key.clone());
                self.known_by(received, recognised).await
            }
        }
    }

    /// The key of a message without a unique-id.
    async fn name(&mut self, received: &Received) -> Result<MessageKey, StoreError> {
        if let Some(key) = self.contents.renamed(received) {
            return Ok(key);
        }
        if let Some((_, digest)) = received.as_sent {
            let key = self.contents.next(&digest);
            if self.store.standing(self.account, key.clone()).await?.is_some() {
                self.contents.count(digest);
                return Ok(key);
            }
        }
        let key = self.contents.next(&received.digest);
        self.contents.count(received.digest);
        Ok(key)
    }

    /// A message that some destinations have, or of which less is on record.
    async fn on_its_way(
        &mut self,
        index: usize,
        received: Received,
        known: &mut Known,
        recognised: &mut Recognised,
    ) -> Result<Option<Received>, StoreError> {
        if let Some(from) = known.take(index) {
            self.set_apart(&received.job.key, known).await?;
            return self.rename(from, received, recognised).await;
        }
        let identity = known.identities.get(&received.job.key);
        if identity.is_none_or(|identity| !is_another(identity, &received)) {
            return Ok(Some(received));
        }
        self.set_apart(&received.job.key, known).await?;
        let why = "the server has given its unique-id to another message, which the next poll fetches";
        self.tally.fail(&received.job.key, why.to_owned());
        Ok(None)
    }

    /// A message that was matched by its header: `same` if its content is that of what was delivered.
    fn prove(&mut self, same: bool, received: Received, recognised: &mut Recognised) {
        let (account, key) = (self.account.clone(), received.job.key.clone());
        recognised.changes.push(Change::Confirm { account: account.clone(), keys: vec![key.clone()], same });
        self.tally.recognised += 1;
        if same {
            recognised.deletable.extend(Some(received.job).filter(|job| job.due));
            return;
        }
        // Another message with the same header: the next poll fetches it.
        Event::ContentDiffers { account: account.clone(), uid: key.clone() }.tell();
        let apart = key.apart(fastrand::u64(..));
        recognised.changes.push(Change::SetApart { account, keys: vec![(key, apart)] });
    }

    /// Frees a unique-id.
    async fn set_apart(&self, key: &MessageKey, known: &mut Known) -> Result<(), StoreError> {
        let apart = key.apart(fastrand::u64(..));
        known.rename(key, &apart);
        let keys = vec![(key.clone(), apart)];
        self.store.apply(vec![Change::SetApart { account: self.account.clone(), keys }], unix_now()).await.map(|_| ())
    }

    /// A message that had another unique-id before: after that it is handled as any that is known by its content.
    async fn rename(
        &mut self,
        from: MessageKey,
        received: Received,
        recognised: &mut Recognised,
    ) -> Result<Option<Received>, StoreError> {
        let (account, to) = (self.account.clone(), received.job.key.clone());
        let renamed = vec![Renamed { from, to: to.clone(), proven: true }];
        let sizes = received.job.octets.map(|octets| (to.clone(), octets)).into_iter().collect();
        let changes = vec![
            Change::Rename { account: account.clone(), renamed },
            Change::Listed { account: account.clone(), sizes },
            Change::Reappear { account, keys: vec![to] },
        ];
        Event::KnownByContent { account: self.account.clone(), uid: received.job.key.clone() }.tell();
        self.store.apply(changes, unix_now()).await?;
        self.known_by(received, recognised).await
    }

    /// Looks up a message that is known by its content, and keeps only the parcels that are still wanted.
    async fn known_by(
        &mut self,
        mut received: Received,
        recognised: &mut Recognised,
    ) -> Result<Option<Received>, StoreError> {
        match self.by_content(&mut received).await? {
            Content::Wanted => return Ok(Some(received)),
            Content::Delivered(at) => {
                self.tally.recognised += 1;
                // Its own age counts, not that of the message that had its unique-id.
                let is_due = at.is_some_and(|at| plan::is_due(self.policy, at, unix_now()));
                recognised.deletable.extend(Some(received.job).filter(|job| job.completes || (job.due && is_due)));
            }
            Content::Left => self.tally.fail(&received.job.key, "it waits for the operator".into()),
        }
        Ok(None)
    }

    async fn by_content(&self, received: &mut Received) -> Result<Content, StoreError> {
        let standing = self.store.standing(self.account, received.job.key.clone()).await?;
        let deliveries = match standing {
            Some(Standing::Done(at) | Standing::Matched { at, .. }) => return Ok(Content::Delivered(Some(at))),
            Some(Standing::Open(deliveries) | Standing::HeaderOnly(deliveries)) => deliveries,
            _ => return Ok(Content::Wanted),
        };
        let destinations = self.destinations;
        let places: Vec<Place> = destinations.iter().map(|destination| destination.place.clone()).collect();
        let progress = |parcel: &Parcel| {
            let of_it = plan::at_place(&deliveries, &destinations[parcel.target].place, &places);
            let over = of_it.iter().find(|delivery| is_over(&delivery.state));
            over.or(of_it.first()).map(|delivery| &delivery.state)
        };
        let left = received.parcels.iter().filter_map(progress).any(|progress| {
            !is_over(progress) && !matches!(progress, DeliveryState::Deferred(_) | DeliveryState::Sending)
        });
        received.parcels.retain(|parcel| match progress(parcel) {
            Some(progress) => matches!(progress, DeliveryState::Deferred(_) | DeliveryState::Sending),
            None => true,
        });
        let parcels = &received.parcels;
        let has_it = |(index, place): (usize, &Place)| {
            parcels.iter().any(|parcel| parcel.target == index) || plan::has_it(&deliveries, place, &places)
        };
        received.job.completes &= !left && places.iter().enumerate().all(has_it);
        Ok(match received.parcels.is_empty() {
            // Only its header was ever wanted.
            true if received.job.header_only => Content::Delivered(None),
            true => Content::Left,
            false => Content::Wanted,
        })
    }
}

/// Whether what has come is not the message of which some destinations have a copy.  The server may have changed
/// its octets since, but not its header; a header and a whole message can be compared only by the header.
fn is_another(identity: &Identity, received: &Received) -> bool {
    let likeness = identity.compare(received.head.message_id.as_deref(), received.head.fingerprint);
    match identity.header_only == received.job.header_only {
        true => identity.digest.is_some_and(|digest| !received.has_digest(&digest)) && likeness != Likeness::Same,
        false => likeness == Likeness::Other,
    }
}

/// What is to be done with a message that is known by its content.
enum Content {
    /// It is delivered, to all destinations or to some.
    Wanted,
    /// It was delivered everywhere, at this time; `None`: its header was.
    Delivered(Option<UnixTime>),
    /// Only the operator can tell.
    Left,
}
