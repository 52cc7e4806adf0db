//! What is recorded at the end of a poll: a function of what happened, and of nothing else.
//!
//! Each record here lets a later poll skip, forget or delete something.  So each is made only under the conditions
//! that [`Facts`] names, and the tests have a row for each condition.

use super::destination::OpenDestination;
use super::listing::Inventory;
use super::receive::Transacted;
use super::report::{Report, Tally};
use crate::account::Account;
use crate::message::{MessageKey, UnixTime};
use crate::plan::{self, Listed, Place, Standing};
use crate::store::{Change, Settled};

/// How the steps of a poll ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// The session answered everything that it was asked, up to the last message.
    pub(super) received: bool,
    /// Everything that came whole is on record.
    pub(super) committed: bool,
    /// Messages were left that should have been retrieved.
    pub(super) stopped: bool,
    /// Messages that the server began to hand out.
    pub(super) retrieved: u64,
    /// Messages that the server listed and did not hand out.
    pub(super) not_retrieved: usize,
    /// Messages delivered everywhere they should go.
    pub(super) delivered: u64,
    /// Messages whose deletion had been confirmed and that were there again.
    pub(super) reappeared: u64,
    /// Messages that turned out to be delivered already.
    pub(super) recognised: u64,
    /// Messages that failed somewhere.
    pub(super) failures: usize,
    /// Messages that wait for the next poll.
    pub(super) waiting: u64,
    /// No destination failed.
    pub(super) destinations_work: bool,
    /// Deletions that the server agreed to.
    pub(super) marked: usize,
    /// What was due was asked to be deleted, and the session was ended, after a transfer that went well.
    pub(super) ended: bool,
    /// Deletions that the answer to QUIT confirmed.
    pub(super) deleted: u64,
}

impl Facts {
    /// How the transfer ended.
    pub(super) fn of(received: bool, committed: bool, transacted: &Transacted, tally: &Tally) -> Self {
        Self {
            received,
            committed,
            stopped: transacted.stopped,
            retrieved: transacted.retrieved,
            not_retrieved: transacted.not_retrieved.len(),
            delivered: tally.delivered,
            reappeared: tally.reappeared,
            recognised: tally.recognised,
            ..Self::default()
        }
    }

    /// Adds how the rest of the poll ended; `ended`: nothing went wrong at all.
    pub(super) fn end(
        &mut self,
        ended: bool,
        report: &Report,
        transacted: &Transacted,
        destinations: &[OpenDestination],
    ) {
        self.ended = ended;
        self.failures = report.failures.len();
        self.waiting = report.waiting;
        self.destinations_work = destinations.iter().all(OpenDestination::is_up);
        self.marked = transacted.marked.len();
    }

    /// Every message that was wanted was retrieved, and is on record.
    pub(super) fn is_whole(&self) -> bool {
        self.received && self.committed && !self.stopped && self.not_retrieved == 0
    }

    /// Nothing of what was retrieved is still to be delivered: QUIT may be sent to a server that deletes at QUIT
    /// what was retrieved (RFC 2449 §6.7, EXPIRE 0).
    pub(super) fn is_settled(&self) -> bool {
        self.delivered + self.reappeared + self.recognised == self.retrieved
    }

    /// Whether the session may go on to delete what is due.
    pub(super) fn may_delete(&self) -> bool {
        self.received && self.committed
    }

    /// Whether the mailbox was left with nothing to do: what was to be fetched is delivered, and no deletion is open.
    fn leaves_nothing(&self, fetches: u64) -> bool {
        let is_delivered = self.is_whole() && self.delivered == fetches && self.failures == 0;
        is_delivered && self.ended && self.marked == 0 && self.deleted == 0 && self.destinations_work
    }
}

/// What the steps of a poll hand over to be recorded.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// Deliveries whose record is still to be made.
    pub(super) moved: Vec<Settled>,
    /// Deliveries of messages that the server listed and did not hand out.
    pub(super) not_retrieved: Vec<Settled>,
    /// Messages without a unique-id that came, by their content.
    pub(super) contents: Vec<MessageKey>,
    /// Messages whose deletion the server agreed to.
    pub(super) marked: Vec<MessageKey>,
    /// What was learnt about the server.
    pub(super) server_note: Option<Change>,
    /// Messages at which the session ended.
    pub(super) ended: Option<Change>,
}

/// What is recorded at the end of a poll that began at `began`; `places` are the account's destinations.
pub(super) fn ledger(
    account: &Account,
    places: &[Place],
    inventory: &mut Inventory,
    facts: &Facts,
    records: Records,
    (began, now): (UnixTime, UnixTime),
) -> Vec<Change> {
    let name = || account.name.clone();
    let Records { moved, not_retrieved, contents, marked, server_note, ended } = records;
    let mut changes = Vec::new();
    for outcomes in [moved, not_retrieved] {
        if !outcomes.is_empty() {
            changes.push(Change::Settle { account: name(), outcomes });
        }
    }
    if facts.is_whole() && has_all_nameless(inventory, &contents) {
        changes.push(Change::Retrieved { account: name(), keys: contents });
    }
    changes.extend(server_note);
    changes.extend(ended);
    if inventory.recognised.migrating && facts.is_whole() && facts.failures == 0 && facts.waiting == 0 {
        changes.push(Change::Migrate { account: name(), migrating: false });
    }
    if facts.deleted > 0 {
        changes.push(Change::Delete { account: name(), keys: marked });
    }
    if facts.leaves_nothing(inventory.fetches() as u64) {
        // A later poll that finds the same listing need not look at it.
        let quiet = inventory.quiet(account, places, began);
        changes.extend(quiet.map(|quiet| Change::Quiet { account: name(), quiet }));
    }
    if facts.may_delete() && facts.ended {
        changes.extend(forgotten(account, inventory, now));
    }
    changes
}

/// Whether every message of a server without unique-ids has come.
fn has_all_nameless(inventory: &Inventory, contents: &[MessageKey]) -> bool {
    let nameless = inventory.listing().iter().filter(|listed| listed.key.is_none()).count();
    (inventory.nameless || nameless > 0) && contents.len() == nameless
}

/// What is to be forgotten of the messages that the server no longer has.
fn forgotten(account: &Account, inventory: &Inventory, now: UnixTime) -> Option<Change> {
    // New messages are compared with the missing ones, and one without a unique-id may be any of them.
    if inventory.recognised.migrating || inventory.listing().iter().any(|listed| listed.key.is_none()) {
        return None;
    }
    let prune = plan::prune(inventory.gone, account.history, now)?;
    let is_deleted = |listed: &&Listed| matches!(listed.standing, Some(Standing::Deleted(_)));
    let listed = inventory.listing().iter().filter(is_deleted).filter_map(|listed| listed.key.clone()).collect();
    Some(Change::Prune { account: account.name.clone(), prune, listed })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{MessageNumber, Name};
    use crate::plan::{Action, Reason};
    use crate::plan::{Gone, Step, Targets};
    use crate::poll::tests::account;
    use crate::store::Ending;

    const NOW: UnixTime = 1_800_000_000;

    /// How a case differs from a poll that went well, in words and as a change.
    type Row<F> = (&'static str, F);
    type OfListing = fn(&mut Facts, &mut Inventory);
    type OfRecords = fn(&mut Facts, &mut Records);

    fn key(uid: &str) -> MessageKey {
        MessageKey::new(uid.as_bytes(), 0).expect("a key")
    }

    fn place() -> Place {
        Place::maildir(Name::new("home").expect("a name"), "/m", "here")
    }

    fn outcome(uid: &str) -> Settled {
        Settled { key: key(uid), place: place(), ending: Ending::Delivered("1.a".into()) }
    }

    /// A listing of one new message, which the state can recognise when it is seen again.
    fn inventory() -> Inventory {
        let mut inventory = Inventory::default();
        let number = MessageNumber::new(1).expect("one");
        inventory.recognised.listing =
            vec![Listed { number, key: Some(key("new")), shared: false, octets: Some(1), standing: None }];
        inventory.steps = vec![Step { index: 0, action: Action::Fetch(Targets::All), reason: Reason::New }];
        inventory.gone = Gone { messages: 1, since: Some(0) };
        inventory.look = Some(([7; 32], 1));
        inventory
    }

    /// A poll that delivered it and asked for no deletion.
    fn well() -> Facts {
        Facts {
            received: true,
            committed: true,
            retrieved: 1,
            delivered: 1,
            destinations_work: true,
            ended: true,
            ..Facts::default()
        }
    }

    fn records() -> Records {
        Records { moved: vec![outcome("new")], marked: vec![key("old")], ..Records::default() }
    }

    fn kinds(changes: &[Change]) -> Vec<&'static str> {
        changes
            .iter()
            .map(|change| match change {
                Change::Settle { .. } => "settle",
                Change::Retrieved { .. } => "retrieved",
                Change::Migrate { migrating: false, .. } => "migrated",
                Change::Delete { .. } => "delete",
                Change::Quiet { .. } => "quiet",
                Change::Prune { .. } => "prune",
                _ => "another",
            })
            .collect()
    }

    fn written(change: impl FnOnce(&mut Facts, &mut Inventory, &mut Records)) -> Vec<&'static str> {
        let (mut facts, mut inventory, mut records) = (well(), inventory(), records());
        change(&mut facts, &mut inventory, &mut records);
        kinds(&ledger(&account(), &[place()], &mut inventory, &facts, records, (NOW - 9, NOW)))
    }

    #[test]
    fn a_poll_that_did_all_leaves_nothing_to_the_next() {
        assert_eq!(written(|_, _, _| {}), ["settle", "quiet", "prune"]);
    }

    #[test]
    fn a_mailbox_is_looked_at_again_unless_every_step_went_well() {
        let rows: [Row<fn(&mut Facts)>; 10] = [
            ("the session broke", |facts| facts.received = false),
            ("a batch is not on record", |facts| facts.committed = false),
            ("messages were left", |facts| facts.stopped = true),
            ("a message was not handed out", |facts| facts.not_retrieved = 1),
            ("a message was not delivered", |facts| facts.delivered = 0),
            ("a delivery failed", |facts| facts.failures = 1),
            ("a destination failed", |facts| facts.destinations_work = false),
            ("QUIT went wrong", |facts| facts.ended = false),
            ("a deletion is open", |facts| facts.marked = 1),
            ("a deletion was confirmed", |facts| facts.deleted = 1),
        ];
        for (why, change) in rows {
            assert!(!written(|facts, _, _| change(facts)).contains(&"quiet"), "{why}");
        }
        assert!(!written(|_, inventory, _| inventory.look = None).contains(&"quiet"), "no digest");
    }

    #[test]
    fn a_deletion_is_on_record_only_when_quit_was_answered() {
        assert_eq!(written(|facts, _, _| facts.marked = 1), ["settle", "prune"]);
        let confirmed = |facts: &mut Facts, _: &mut Inventory, _: &mut Records| (facts.marked, facts.deleted) = (1, 1);
        assert_eq!(written(confirmed), ["settle", "delete", "prune"]);
    }

    #[test]
    fn nothing_is_forgotten_after_a_session_that_went_wrong() {
        let rows: [Row<OfListing>; 5] = [
            ("the session broke", |facts, _| facts.received = false),
            ("a batch is not on record", |facts, _| facts.committed = false),
            ("QUIT went wrong", |facts, _| facts.ended = false),
            ("unique-ids change", |_, inventory| inventory.recognised.migrating = true),
            ("a message has no unique-id", |_, inventory| inventory.recognised.listing[0].key = None),
        ];
        for (why, change) in rows {
            assert!(!written(|facts, inventory, _| change(facts, inventory)).contains(&"prune"), "{why}");
        }
    }

    #[test]
    fn unique_ids_count_as_settled_only_after_a_whole_poll() {
        let migrated = |change: fn(&mut Facts)| {
            written(|facts, inventory, _| {
                inventory.recognised.migrating = true;
                change(facts);
            })
            .contains(&"migrated")
        };
        assert!(migrated(|_| {}));
        let rows: [Row<fn(&mut Facts)>; 6] = [
            ("the session broke", |facts| facts.received = false),
            ("a batch is not on record", |facts| facts.committed = false),
            ("messages were left", |facts| facts.stopped = true),
            ("a message was not handed out", |facts| facts.not_retrieved = 1),
            ("a delivery failed", |facts| facts.failures = 1),
            ("messages wait", |facts| facts.waiting = 1),
        ];
        for (why, change) in rows {
            assert!(!migrated(change), "{why}");
        }
        assert!(!written(|_, _, _| {}).contains(&"migrated"), "they do not change");
    }

    #[test]
    fn a_mailbox_without_unique_ids_is_known_only_when_all_of_it_came() {
        let retrieved = |change: fn(&mut Facts, &mut Records)| {
            written(|facts, inventory, records| {
                inventory.nameless = true;
                inventory.recognised.listing[0].key = None;
                records.contents = vec![key("content")];
                change(facts, records);
            })
            .contains(&"retrieved")
        };
        assert!(retrieved(|_, _| {}));
        let rows: [Row<OfRecords>; 5] = [
            ("the session broke", |facts, _| facts.received = false),
            ("a batch is not on record", |facts, _| facts.committed = false),
            ("messages were left", |facts, _| facts.stopped = true),
            ("a message was not handed out", |facts, _| facts.not_retrieved = 1),
            ("one is missing", |_, records| records.contents.clear()),
        ];
        for (why, change) in rows {
            assert!(!retrieved(change), "{why}");
        }
        assert!(!written(|_, _, _| {}).contains(&"retrieved"), "it has unique-ids");
    }

    #[test]
    fn a_server_that_deletes_at_quit_is_left_without_it_while_anything_is_open() {
        assert!(well().is_settled() && well().may_delete());
        assert!(!Facts { retrieved: 2, ..well() }.is_settled());
        assert!(Facts { retrieved: 3, reappeared: 1, recognised: 1, ..well() }.is_settled());
        assert!(!Facts { received: false, ..well() }.may_delete());
        assert!(!Facts { committed: false, ..well() }.may_delete());
    }

    #[test]
    fn what_moved_is_on_record_however_the_poll_ended() {
        let nothing_else = |facts: &mut Facts, _: &mut Inventory, records: &mut Records| {
            *facts = Facts::default();
            records.not_retrieved = vec![outcome("refused")];
        };
        assert_eq!(written(nothing_else), ["settle", "settle"]);
    }
}
