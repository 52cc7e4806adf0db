//! The sentences of events, without the account's name.

use std::time::Duration;

use super::{Counts, Event, LeftBehind, LockStep, NoQuit};
use crate::failure::paragraph;

/// The sentence of an event.  One flat match, however long: no event is without a sentence.
pub(super) fn of(event: &Event) -> String {
    match event {
        Event::Delivered { uid, destination, octets, .. } => {
            format!("delivered {uid} to {destination} ({octets} octets)")
        }
        Event::NotDelivered { uid, destination, cause: Some(cause), .. } => {
            format!("{uid} was not delivered to {destination}: {cause}")
        }
        Event::NotDelivered { uid, destination, cause: None, .. } => {
            format!("{uid} was not delivered to {destination}")
        }
        Event::Quarantined { uid, destination, cause, .. } => {
            format!("{uid} is in quarantine, not delivered to {destination}: {cause}")
        }
        Event::SessionEndedAt { uid, cause, .. } => {
            format!("the session ended at {uid}, which is tried last and alone from now on: {cause}")
        }
        Event::NotRetrieved { uid, cause, .. } => format!("{uid} was not retrieved: {cause}"),
        Event::DeletionRefused { uid, text, .. } => format!("the server refused to delete {uid}: {text}"),
        Event::KnownByContent { uid, .. } => {
            format!("{uid} was delivered before under another unique-id: it is known by its content")
        }
        Event::BatchKnown { messages, .. } => {
            format!("{} known by content", counted(*messages, "message is", "messages are"))
        }
        Event::Reappeared { uid, .. } => format!("the server had confirmed the deletion of {uid}, and lists it again"),
        Event::ContentDiffers { uid, .. } => format!("the content of {uid} differs from what was delivered"),
        Event::DiedAt { uid, .. } => format!("the program crashed while it handled {uid}"),
        Event::LeftOnServer { why, messages, named, .. } => {
            let messages = counted(*messages, "message", "messages");
            let why = match why {
                LeftBehind::TooLarge => "larger than `max-size`",
                LeftBehind::Nameless => "without a usable unique-id",
            };
            format!("{messages} {why}: left on the server, and not fetched ({named})")
        }
        Event::PollEnded { counts, time, stopped, .. } => polled(counts, *time, stopped.is_some()),
        Event::PollFailed { fault, .. } => format!("failed: {}", paragraph(&fault.text, fault.advice.as_deref())),
        Event::UniqueIdsChanged { messages, .. } => {
            format!(
                "the server has given its mail new unique-ids: {} recognised",
                counted(*messages, "message was", "messages were")
            )
        }
        Event::MailboxChanged { messages, .. } => format!(
            "the account's host, port, username or route has changed: its mail is compared with what is known of {}",
            counted(*messages, "message", "messages")
        ),
        Event::MailboxTakenOver { from, is_gone: true, .. } => format!(
            "it has the mailbox of account {from}, which is not polled any more: what is known of it was taken over"
        ),
        Event::MailboxTakenOver { from, is_gone: false, .. } => {
            format!("it has the mailbox that account {from} had: what is known of it was taken over")
        }
        Event::AnswersSayNothing { .. } => {
            "the server's answers about single messages (UIDL n, LIST n, STAT) say nothing: each message is \
             fetched by itself, and checked by its header, which takes longer"
                .to_owned()
        }
        Event::NoTop { .. } => {
            "the server has no TOP: before a deletion only the unique-id and the size can be compared".to_owned()
        }
        Event::DestinationAdded { destination, messages: 0, .. } => {
            format!("its mail goes to {destination} too from now on")
        }
        Event::DestinationAdded { destination, messages, .. } => format!(
            "{} delivered before the destination {destination} was added, and will not go there",
            counted(*messages, "message on the server was", "messages on the server were")
        ),
        Event::OneCommandAtATime { why: LockStep::OutOfStep, .. } => {
            "the server mixes up its answers to several commands: it gets one at a time".to_owned()
        }
        Event::OneCommandAtATime { why: LockStep::Unanswered, .. } => {
            "the server left several commands unanswered: it gets one at a time for a day".to_owned()
        }
        Event::NotQuit { why: NoQuit::Withheld, .. } => {
            "the session ended without QUIT: the server would delete what is not delivered".to_owned()
        }
        Event::NotQuit { why: NoQuit::Refused(text), .. } => format!("the server refused QUIT: {text}"),
        Event::NotQuit { why: NoQuit::Unanswered, .. } => {
            "the server did not answer QUIT: deletions are tried again".to_owned()
        }
        Event::LostStateMadeOut { found, total, .. } => {
            format!("after the loss of the state, {found} of {total} messages are known again")
        }
        Event::PerhapsDelivered { messages, .. } => format!(
            "{} in one destination and perhaps not in another: left in quarantine",
            counted(*messages, "message is", "messages are")
        ),
        Event::LoginRetried { .. } => "its settings or its password have changed: the login is tried again".to_owned(),
        Event::PollLost { cause } => format!("a poll ended without a result: {cause}"),
        Event::NotRecorded { cause, .. } => format!("a result could not be recorded: {cause}"),
        Event::NotMoved { cause, .. } => format!("a batch was not moved into new/: {cause}"),
        Event::StaysStaged { file: Some(file), cause, .. } => {
            format!("the delivery of {file} is not finished: {cause}")
        }
        Event::StaysStaged { file: None, cause, .. } => format!("deliveries are not finished: {cause}"),
        Event::RecoveryLate { cause } => format!("what an earlier run began is not finished yet: {cause}"),
        Event::Recovered { messages } => {
            format!("finished {} that an earlier run began", counted(*messages, "delivery", "deliveries"))
        }
        Event::MaildirMissing { maildir, deliveries } => format!(
            "the Maildir {} is not there; {} open",
            maildir.display(),
            counted(*deliveries, "delivery to it stays", "deliveries to it stay")
        ),
        Event::DraftsRemoved { maildir, files } => {
            format!("removed {} that a crash left in {}/tmp", counted(*files, "file", "files"), maildir.display())
        }
        Event::DraftsStay { cause } => format!("files that a crash left in tmp/ cannot be removed: {cause}"),
        Event::Reloaded { cause, new, changed, removed, same } => {
            format!("reloaded: {cause}; accounts: {new} new, {changed} changed, {removed} removed, {same} as before")
        }
        Event::NotReloaded { cause, .. } => {
            format!("the configuration was not reloaded ({cause}): it is broken, and the running one is kept")
        }
        Event::ConfigurationFault { text } => format!("the configuration is broken: {text}"),
        Event::ConfigurationWarning { text } | Event::StateRebuilt { text } | Event::SocketTrouble { text } => {
            text.clone()
        }
        Event::RestartNeeded => "`state-dir` and `runtime-dir` change only with a restart".to_owned(),
        Event::Started { accounts } => {
            format!("postrider is running with {}", counted(*accounts, "account", "accounts"))
        }
        Event::Stopping { cause } => format!("{cause}: finishing what is in flight"),
        Event::PollsDropped => "polls that did not end in time are dropped; nothing is lost".to_owned(),
        Event::Ended => "postrider has ended".to_owned(),
        Event::StateMisplaced { folder, mend } => format!(
            "the state, with all tokens, lies beside the configuration in {}, because systemd has made a link; stop \
             the service, and move it: {mend}",
            folder.display()
        ),
        Event::StateUnsealed { cause } => format!("the next start has to check the state: {cause}"),
        Event::TooFewFiles { limit, least } => {
            format!("only {limit} files may be open (LimitNOFILE=, `ulimit -n`); it takes {least} to poll one mailbox")
        }
        Event::PollsLimited { polls, limit } => format!(
            "at most {polls} accounts are polled at a time: only {limit} files may be open (LimitNOFILE=, `ulimit -n`)"
        ),
        Event::ThreadsLimited { threads, cause } => format!(
            "the system allows no more than {threads} threads for file access and name lookups ({cause}): work waits \
             its turn"
        ),
        Event::FilesNotWatched { folder: Some(folder), cause, every } => {
            format!("{} cannot be watched ({cause}); files are read every {} s", folder.display(), every.as_secs())
        }
        Event::FilesNotWatched { folder: None, cause, every } => {
            format!("files cannot be watched ({cause}); they are read every {} s", every.as_secs())
        }
        Event::SocketBack { path } => format!("the control socket is at {} again", path.display()),
    }
}

fn polled(counts: &Counts, time: Duration, was_stopped: bool) -> String {
    let Counts { delivered, octets, deleted, .. } = counts;
    let seconds = time.as_secs_f64();
    if was_stopped {
        return format!("polled: {delivered} delivered, {octets} octets, then stopped after {seconds:.1} s");
    }
    if delivered + deleted == 0 {
        return format!("polled: nothing new, in {seconds:.1} s");
    }
    format!("polled: {delivered} delivered, {deleted} deleted, {octets} octets in {seconds:.1} s")
}

fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}
