//! The journal: events with their fields, sent by a separate thread.
//!
//! tracing-journald sends on the thread of the event, and its socket blocks when journald is slow.
//! So events are recorded here, and emitted again on a thread whose only subscriber is
//! tracing-journald's.  That is possible because our events have few and known fields.

use std::fmt::{self, Write as _};
use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::sync::{Arc, OnceLock};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt};

use super::queue::{DRAIN_LIMIT, LINES};

static RECORDS: OnceLock<SyncSender<Item>> = OnceLock::new();

enum Item {
    Record(Record),
    Drained(SyncSender<()>),
}

/// A recorded event.
#[derive(Default)]
struct Record {
    level: Option<Level>,
    message: String,
    account: Option<String>,
    uid: Option<String>,
    octets: Option<u64>,
    destination: Option<String>,
    /// The MESSAGE_ID, if this is an event of [`crate::event`].
    id: Option<String>,
    /// Other fields, to be appended to the message; an event's sentence has them already.
    others: String,
    /// The number of lines that were dropped before this one.
    dropped: u64,
}

/// Whether standard error leads to the journal: systemd passes the device and inode of that stream.
pub(super) fn is_stderr() -> bool {
    let Some(stream) = std::env::var("JOURNAL_STREAM").ok() else { return false };
    // Not by /proc/self, which a process that is not dumpable may not read.
    let Ok(stderr) = rustix::fs::fstat(io::stderr()) else { return false };
    stream == format!("{}:{}", stderr.st_dev, stderr.st_ino)
}

/// Records events for the thread.
pub(super) struct Recorder {
    records: SyncSender<Item>,
    dropped: Arc<AtomicU64>,
}

impl Recorder {
    /// Connects to the journal.
    ///
    /// # Errors
    /// There is no journal, or the thread cannot be started.
    pub(super) fn start() -> io::Result<Self> {
        let mappings = PriorityMappings {
            error: Priority::Error,
            warn: Priority::Warning,
            info: Priority::Informational,
            debug: Priority::Debug,
            trace: Priority::Debug,
        };
        let layer = tracing_journald::layer()?
            .with_syslog_identifier("postrider".into())
            .with_field_prefix(None)
            .with_priority_mappings(mappings);
        let (records, inbox) = mpsc::sync_channel(LINES);
        let subscriber = tracing_subscriber::registry().with(layer);
        let work = move || tracing::subscriber::with_default(subscriber, || send(&inbox));
        std::thread::Builder::new().name("log".into()).spawn(work)?;
        let _ = RECORDS.set(records.clone());
        Ok(Self { records, dropped: Arc::new(AtomicU64::new(0)) })
    }
}

/// Waits until what is queued now is sent.
pub(super) fn drain() {
    let (done, wait) = mpsc::sync_channel(1);
    if RECORDS.get().is_some_and(|records| records.try_send(Item::Drained(done)).is_ok()) {
        let _ = wait.recv_timeout(DRAIN_LIMIT);
    }
}

impl<S: Subscriber> Layer<S> for Recorder {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut record = Record { level: Some(*event.metadata().level()), ..Record::default() };
        event.record(&mut record);
        record.dropped = self.dropped.swap(0, Relaxed);
        if self.records.try_send(Item::Record(record)).is_err() {
            self.dropped.fetch_add(1, Relaxed);
        }
    }
}

impl Visit for Record {
    fn record_u64(&mut self, field: &Field, value: u64) {
        match field.name() {
            "octets" => self.octets = Some(value),
            name => self.append(name, &value),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let text = format!("{value:?}");
        match field.name() {
            "message" => self.message = text,
            "journal_id" => self.id = Some(text),
            "account" => self.account = Some(text),
            "uid" => self.uid = Some(text),
            "destination" => self.destination = Some(text),
            name => self.append(name, &text),
        }
    }
}

impl Record {
    fn append(&mut self, name: &str, value: &dyn fmt::Display) {
        let _ = write!(self.others, " {name}={value}");
    }

    /// The text that the journal shows.
    fn text(&self) -> String {
        let others = if self.id.is_some() { "" } else { &self.others };
        format!("{}{others}", self.message)
    }
}

fn send(inbox: &Receiver<Item>) {
    for item in inbox {
        match item {
            Item::Record(record) => {
                if record.dropped > 0 {
                    tracing::warn!("{} lines of the log were dropped: the journal is too slow", record.dropped);
                }
                emit(&record);
            }
            Item::Drained(done) => {
                let _ = done.send(());
            }
        }
    }
}

/// Emits a record on this thread; a field without a value is not sent.
fn emit(record: &Record) {
    macro_rules! emit {
        ($level:expr) => {
            tracing::event!(
                $level,
                account = record.account.as_deref(),
                uid = record.uid.as_deref(),
                octets = record.octets,
                destination = record.destination.as_deref(),
                message_id = record.id.as_deref(),
                "{}",
                record.text()
            )
        };
    }
    match record.level {
        Some(Level::ERROR) => emit!(Level::ERROR),
        Some(Level::WARN) => emit!(Level::WARN),
        Some(Level::DEBUG) => emit!(Level::DEBUG),
        Some(Level::TRACE) => emit!(Level::TRACE),
        _ => emit!(Level::INFO),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event;
    use crate::message::{MessageKey, Name};

    /// The record of the event that `work` emits.
    fn taken_down(work: impl FnOnce()) -> Record {
        let (records, inbox) = mpsc::sync_channel(LINES);
        let recorder = Recorder { records, dropped: Arc::default() };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(recorder), work);
        match inbox.try_recv() {
            Ok(Item::Record(record)) => record,
            _ => panic!("nothing was taken down"),
        }
    }

    #[test]
    fn an_event_has_its_fields_its_id_and_a_text_without_them() {
        let name = |name: &str| Name::new(name).expect("a name");
        let uid = MessageKey::new(b"17", 0).expect("a unique-id");
        let delivered = event::Event::Delivered { account: name("bert"), uid, destination: name("home"), octets: 2048 };
        let record = taken_down(|| delivered.tell());
        assert_eq!(record.text(), "bert: delivered 17 to home (2048 octets)");
        assert_eq!(record.id.as_deref(), Some(delivered.journal_id()));
        let fields = (record.account.as_deref(), record.uid.as_deref(), record.destination.as_deref(), record.octets);
        assert_eq!(fields, (Some("bert"), Some("17"), Some("home"), Some(2048)));
        assert_eq!(record.level, Some(Level::INFO));
    }

    #[test]
    fn what_is_no_event_has_no_id_whatever_its_first_word_and_all_of_its_fields_in_the_text() {
        let record = taken_down(|| tracing::debug!(account = "bert", server = "pop", "delivered"));
        assert_eq!((record.text().as_str(), record.id), ("delivered server=pop", None));
        assert_eq!(record.account.as_deref(), Some("bert"));
    }
}
