//! A writer that never blocks: lines go through a bounded queue to a thread that writes them.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc::{self, SyncSender};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// How many lines may wait; a burst of a thousand deliveries fits.
pub(super) const LINES: usize = 4096;

/// How long the last lines of a process may take.
pub(super) const DRAIN_LIMIT: Duration = Duration::from_secs(1);

enum Item {
    Line(Vec<u8>),
    Drained(SyncSender<()>),
}

/// The queue's end for writers.
#[derive(Clone)]
pub(super) struct Queue {
    items: SyncSender<Item>,
    dropped: Arc<AtomicU64>,
}

impl Queue {
    /// Starts the thread that writes to `out`.
    pub(super) fn start(mut out: impl Write + Send + 'static) -> Self {
        let (items, inbox) = mpsc::sync_channel(LINES);
        let dropped = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&dropped);
        let work = move || {
            for item in inbox {
                match item {
                    Item::Line(line) => {
                        let _ = out.write_all(&line);
                        let lost = counter.swap(0, Relaxed);
                        if lost > 0 {
                            let _ =
                                writeln!(out, "postrider: {lost} lines of the log were dropped: it is read too slowly");
                        }
                    }
                    Item::Drained(done) => {
                        let _ = done.send(());
                    }
                }
            }
        };
        // Without a thread every line is dropped, which is better than no service.
        let _ = std::thread::Builder::new().name("log".into()).spawn(work);
        Self { items, dropped }
    }

    /// Waits until what is queued now is written.
    pub(super) fn drain(&self) {
        let (done, wait) = mpsc::sync_channel(1);
        if self.items.try_send(Item::Drained(done)).is_ok() {
            let _ = wait.recv_timeout(DRAIN_LIMIT);
        }
    }
}

/// Collects one line.
pub(super) struct Line<'a> {
    queue: &'a Queue,
    octets: Vec<u8>,
}

impl<'a> MakeWriter<'a> for Queue {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { queue: self, octets: Vec::new() }
    }
}

impl Write for Line<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.octets.extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        let line = std::mem::take(&mut self.octets);
        if !line.is_empty() && self.queue.items.try_send(Item::Line(line)).is_err() {
            self.queue.dropped.fetch_add(1, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// Blocks until the gate is released.
    struct Gate {
        gate: Arc<Mutex<()>>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Gate {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            let _wait = self.gate.lock().expect("not poisoned");
            self.written.lock().expect("not poisoned").extend_from_slice(octets);
            Ok(octets.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_hangs_costs_lines_and_no_time() {
        let (gate, written) = (Arc::new(Mutex::new(())), Arc::new(Mutex::new(Vec::new())));
        let closed = gate.lock().expect("not poisoned");
        let queue = Queue::start(Gate { gate: Arc::clone(&gate), written: Arc::clone(&written) });
        for number in 0..LINES + 100 {
            writeln!(queue.make_writer(), "line {number}").expect("queued");
        }
        drop(closed);
        while queue.dropped.load(Relaxed) > 0
            || !String::from_utf8_lossy(&written.lock().expect("fine")).contains("dropped")
        {
            queue.drain();
            writeln!(queue.make_writer(), "more").expect("queued");
        }
        assert!(written.lock().expect("not poisoned").starts_with(b"line 0\n"));
    }
}
