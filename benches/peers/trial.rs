//! A workload, done by each program in turn.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use crate::configuration::{Job, configure};
use crate::ground::{self, Ground};
use crate::mailboxes::{self, Mailboxes};
use crate::measure::{self, Usage};
use crate::outcome::{Outcome, Row, Sample};
use crate::program::Program;
use crate::settings::Settings;
use crate::sink::Sink;
use crate::workload::{Mail, Task, Workload};
use crate::{Fallible, relay, seen};

/// All that the runs need.
pub(crate) struct Bench<'s> {
    settings: &'s Settings,
    ground: Ground,
    mailboxes: Mailboxes,
    sink: Sink,
    /// By the server's port and the milliseconds of a round trip.
    relays: HashMap<(u16, u64), u16>,
    /// Our program's states after it has fetched all mail of a user.
    primed: HashMap<usize, PathBuf>,
    interrupted: Arc<AtomicBool>,
}

impl<'s> Bench<'s> {
    /// Starts the servers.
    pub(crate) fn prepare(settings: &'s Settings) -> Fallible<Self> {
        let interrupted = watch_for_interrupt()?;
        let ground = Ground::prepare(settings)?;
        let mailboxes = Mailboxes::start(&ground::memory(), users(settings))?;
        let sink = Sink::start()?;
        Ok(Self { settings, ground, mailboxes, sink, relays: HashMap::new(), primed: HashMap::new(), interrupted })
    }

    /// Has every program do a workload, several times, one after the other.
    pub(crate) fn run(&mut self, workload: &Workload) -> Fallible<Outcome> {
        let users = self.mailboxes.users(&workload.mail)?;
        let able = self.settings.programs.iter().filter(|program| program.can(workload.task));
        let mut rows: Vec<Row> = able.map(|&program| Row::new(program)).collect();
        let count = rows.len();
        for round in 0..self.settings.runs {
            for turn in 0..count {
                let row = &mut rows[(round + turn) % count];
                if row.is_slow() {
                    continue;
                }
                let sample = self.once(row.program, workload, &users);
                if self.interrupted.load(Ordering::SeqCst) {
                    return Err("interrupted".into());
                }
                row.samples.push(sample?);
            }
        }
        self.ground.empty()?;
        Ok(Outcome { workload: workload.clone(), rows })
    }

    /// One run of one program.
    fn once(&mut self, program: Program, workload: &Workload, users: &[usize]) -> Fallible<Sample> {
        let users = match workload.task {
            Task::Delete => users.iter().map(|&user| self.mailboxes.copy(user)).collect::<Fallible<Vec<_>>>()?,
            _ => users.to_vec(),
        };
        let place = self.ground.place()?;
        let mut job = Job {
            home: place.join("home"),
            state: None,
            port: self.port(workload)?,
            ca: workload.tls.then(|| self.mailboxes.ca()),
            delete: workload.task == Task::Delete,
            accounts: self.ground.accounts(&place, &users)?,
            smtp: (workload.task == Task::Smtp).then_some(self.sink.port),
        };
        if workload.task == Task::Seen {
            match program {
                Program::Postrider => job.state = Some(self.primed(users[0])?),
                _ => seen::write(program, &job, &self.mailboxes.unique_ids(users[0])?)?,
            }
        }
        let usage = self.start(program, &job)?;
        let fault = self.fault(program, workload, &job, &users, usage.code);
        Ok(Sample { wall: usage.wall, cpu: usage.cpu, peak_mib: usage.peak_mib, fault })
    }

    fn start(&self, program: Program, job: &Job) -> Fallible<Usage> {
        let command = configure(program, job, &self.ground.tools)?;
        let place = job.home.parent().unwrap_or(&job.home);
        self.ground.give(place)?;
        // What was written before must not count for this run.
        rustix::fs::sync();
        self.sink.taken();
        measure::run(&self.ground.tools.own, &command, &job.home, &place.join("log"), self.ground.user)
    }

    /// What a program has done wrong.
    fn fault(&self, program: Program, workload: &Workload, job: &Job, users: &[usize], code: i32) -> Option<String> {
        let total = workload.mail.total();
        let delivered = match workload.task {
            Task::Smtp => self.sink.taken(),
            _ => job.accounts.iter().map(|account| mailboxes::count(&account.maildir)).sum(),
        };
        let left: usize = users.iter().map(|&user| self.mailboxes.count(user)).sum();
        match workload.task {
            _ if !program.is_success(code) => Some(format!("exit code {code}, {delivered} delivered")),
            Task::Seen if delivered > 0 => Some(format!("{delivered} fetched again")),
            Task::Seen => None,
            _ if delivered != total => Some(format!("{delivered} of {total} delivered")),
            Task::Delete if left > 0 => Some(format!("{left} not deleted")),
            Task::Fetch | Task::Smtp if left != total => Some(format!("{left} of {total} left on the server")),
            _ => None,
        }
    }

    /// The state of our program after it has fetched all mail of a user.
    fn primed(&mut self, user: usize) -> Fallible<PathBuf> {
        if let Some(state) = self.primed.get(&user) {
            return Ok(state.clone());
        }
        let (place, memory) = (self.ground.place()?, self.ground.place_in_memory()?);
        let job = Job {
            home: place.join("home"),
            state: None,
            port: self.mailboxes.port,
            ca: None,
            delete: false,
            accounts: self.ground.accounts(&memory, &[user])?,
            smtp: None,
        };
        self.ground.give(&memory)?;
        let usage = self.start(Program::Postrider, &job)?;
        if usage.code != 0 {
            return Err(format!("the first fetch failed: exit code {}", usage.code).into());
        }
        let state = job.home.join("state");
        self.primed.insert(user, state.clone());
        Ok(state)
    }

    /// The port to connect to for a workload.
    fn port(&mut self, workload: &Workload) -> Fallible<u16> {
        let port = if workload.tls { self.mailboxes.tls_port } else { self.mailboxes.port };
        if workload.rtt_ms == 0 {
            return Ok(port);
        }
        let key = (port, workload.rtt_ms);
        if let Some(&relay) = self.relays.get(&key) {
            return Ok(relay);
        }
        let relay = relay::start(port, Duration::from_millis(workload.rtt_ms))?;
        self.relays.insert(key, relay);
        Ok(relay)
    }
}

/// Users that the server must have: those of each kind of mail, and one for each run that deletes.
fn users(settings: &Settings) -> usize {
    let mut mails: Vec<&Mail> = Vec::new();
    for workload in &settings.workloads {
        if !mails.contains(&&workload.mail) {
            mails.push(&workload.mail);
        }
    }
    let deleting = settings.workloads.iter().filter(|workload| workload.task == Task::Delete);
    let copies: usize = deleting.map(|workload| workload.mail.accounts).sum();
    mails.iter().map(|mail| mail.accounts).sum::<usize>() + copies * settings.runs * settings.programs.len()
}

/// The benchmark ends after the run that is interrupted, and cleans up.
fn watch_for_interrupt() -> Fallible<Arc<AtomicBool>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let noted = Arc::clone(&interrupted);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        let heard = runtime.block_on(async {
            let mut ended = signal(SignalKind::terminate())?;
            tokio::select! {
                _ = ended.recv() => Ok(()),
                interrupted = tokio::signal::ctrl_c() => interrupted,
            }
        });
        noted.store(heard.is_ok(), Ordering::SeqCst);
    });
    Ok(interrupted)
}
