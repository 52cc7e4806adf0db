//! What the process takes, over time.

use super::accounts::Accounts;
use super::service::Service;
use std::path::Path;
use std::time::Duration;

/// How much more the second half may take than the first: a share, and something beside it.
const GROWTH: (f64, f64) = (1.10, 4.0);

/// A shorter life says nothing about growth: threads and buffers come when they are first needed.
const ENOUGH: Duration = Duration::from_secs(600);

/// One moment's figures.
struct Sample {
    at: Duration,
    /// Which process it is of.
    life: usize,
    arrived: usize,
    delivered: usize,
    logins: usize,
    resident_kib: usize,
    threads: usize,
    files: usize,
    state_kib: usize,
}

/// All figures.
#[derive(Default)]
pub(crate) struct Figures {
    samples: Vec<Sample>,
    life: usize,
}

impl Figures {
    /// How many were taken.
    pub(crate) fn taken(&self) -> u32 {
        u32::try_from(self.samples.len()).expect("few")
    }

    /// There is another process.
    pub(crate) fn begin_again(&mut self) {
        self.life += 1;
    }

    /// Takes them.
    pub(crate) fn take(&mut self, at: Duration, service: &mut Service, accounts: &Accounts) {
        let process = Path::new("/proc").join(service.pid().to_string());
        let status = std::fs::read_to_string(process.join("status")).expect("the process");
        let of = |name: &str| -> usize {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a figure");
            line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().expect("a number")
        };
        self.samples.push(Sample {
            at,
            life: self.life,
            arrived: accounts.arrived(),
            delivered: service.delivered(),
            logins: accounts.logins(),
            resident_kib: of("VmRSS"),
            threads: of("Threads"),
            files: std::fs::read_dir(process.join("fd")).expect("its files").count(),
            state_kib: octets(&service.home().join("state")) / 1024,
        });
    }

    /// The table.
    pub(crate) fn print(&self) {
        println!(
            "{:>8} {:>8} {:>9} {:>9} {:>8} {:>9} {:>8} {:>6} {:>10}",
            "time", "process", "arrived", "delivered", "logins", "RSS MiB", "threads", "files", "state KiB"
        );
        for sample in &self.samples {
            println!(
                "{:>6} s {:>8} {:>9} {:>9} {:>8} {:>9.1} {:>8} {:>6} {:>10}",
                sample.at.as_secs(),
                sample.life + 1,
                sample.arrived,
                sample.delivered,
                sample.logins,
                sample.resident_kib as f64 / 1024.0,
                sample.threads,
                sample.files,
                sample.state_kib
            );
        }
    }

    /// In the second half of the last process's life nothing is more than in the first.
    pub(crate) fn assert_flat(&self) {
        let last: Vec<&Sample> = self.samples.iter().filter(|sample| sample.life == self.life).collect();
        let lived = |samples: &[&Sample]| Some(samples.last()?.at - samples.first()?.at);
        if lived(&last).is_none_or(|time| time < ENOUGH) {
            println!("soak: too short to tell of growth");
            return;
        }
        let (before, after) = last.split_at(last.len() / 2);
        let most = |samples: &[&Sample], of: &dyn Fn(&Sample) -> f64| {
            samples.iter().map(|sample| of(sample)).fold(0.0, f64::max)
        };
        type Figure = (&'static str, fn(&Sample) -> f64);
        let kinds: [Figure; 4] = [
            ("memory, MiB", |sample| sample.resident_kib as f64 / 1024.0),
            ("threads", |sample| sample.threads as f64),
            ("open files", |sample| sample.files as f64),
            // What was seen is remembered: it may grow with the mail, and with nothing else.
            ("state, octets for each message", |sample| {
                sample.state_kib as f64 * 1024.0 / sample.arrived.max(1) as f64
            }),
        ];
        for (what, of) in kinds {
            let (first, second) = (most(before, &of), most(after, &of));
            println!("soak: {what}: at most {first:.1} in the first half, {second:.1} in the second");
            assert!(second <= first * GROWTH.0 + GROWTH.1, "{what}: it grows");
        }
    }
}

/// The octets of a folder's files, however deep.
fn octets(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => octets(&entry.path()),
            Ok(metadata) => usize::try_from(metadata.len()).unwrap_or(usize::MAX),
            // It is gone by now.
            Err(_) => 0,
        })
        .sum()
}
