//! After the loss of power: a plain fetch, and its outcome.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::thread;

use super::crash::Crash;
use super::recording::{MAILDIR, World};
use super::support::Manifest;

/// Fetches that run side by side.
const SIDE_BY_SIDE: usize = 2;

/// The most failures whose course is printed.
const STORIES: usize = 5;

/// The outcomes of many recoveries.
#[derive(Debug, Default)]
pub struct Tally {
    /// Recoveries.
    pub states: usize,
    /// With a message that is neither in the Maildir nor on the server.
    pub lost: usize,
    /// With a message that is there twice.
    pub twice: usize,
    /// With a damaged or foreign file, one left in `tmp`, or a message not deleted.
    pub wrong: usize,
    /// With a second run that failed too.
    pub stuck: usize,
    /// Exit codes of first runs that failed.
    pub refused: BTreeMap<i32, usize>,
    /// The first that went wrong.
    pub stories: Vec<String>,
}

impl Tally {
    /// Whether every plain fetch made everything right.
    pub fn is_clean(&self) -> bool {
        self.lost + self.twice + self.wrong + self.stuck == 0 && self.refused.is_empty()
    }

    /// Adds the recoveries from all of these.
    pub fn recover(&mut self, crashes: impl Iterator<Item = Crash> + Send) {
        let (crashes, tally) = (Mutex::new(crashes), Mutex::new(self));
        let next = || crashes.lock().expect("no panic while locked").next();
        thread::scope(|scope| {
            for _ in 0..SIDE_BY_SIDE {
                scope.spawn(|| {
                    while let Some(crash) = next() {
                        let verdict = recover(&crash.world, &crash.wanted);
                        tally.lock().expect("no panic while locked").add(&crash, verdict);
                    }
                });
            }
        });
    }

    fn add(&mut self, crash: &Crash, verdict: Verdict) {
        self.states += 1;
        self.lost += usize::from(verdict.lost);
        self.twice += usize::from(verdict.twice);
        self.wrong += usize::from(verdict.wrong);
        self.stuck += usize::from(verdict.stuck);
        if let Some(code) = verdict.refused {
            *self.refused.entry(code).or_default() += 1;
        }
        if !verdict.story.is_empty() && self.stories.len() < STORIES {
            self.stories.push(format!("{}\n{}", crash.story, verdict.story));
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { states, lost, twice, wrong, stuck, refused, stories } = self;
        write!(out, "of {states}: {lost} lost, {twice} twice, {wrong} wrong, {stuck} stuck, first exits {refused:?}")?;
        stories.iter().try_for_each(|story| write!(out, "\n\n{story}"))
    }
}

#[derive(Default)]
struct Verdict {
    lost: bool,
    twice: bool,
    wrong: bool,
    stuck: bool,
    refused: Option<i32>,
    story: String,
}

/// Fetches in a world, and once more if that failed.
fn recover(world: &World, wanted: &Manifest) -> Verdict {
    let (program, server) = world.home();
    let mut output = program.run(&["fetch"]);
    let refused = output.code.filter(|code| *code != 0).or(output.signal);
    let mut said = output.text();
    if refused.is_some() {
        output = program.run(&["fetch"]);
        said.push_str(&output.text());
    }
    let stuck = output.code != Some(0);
    let found = wanted.verify(&program.path(MAILDIR));
    let left = server.remaining();
    let left_wrong = if world.retention == "delete" { left > 0 } else { left != world.mail().len() };
    let (lost, twice) = (!found.missing.is_empty(), !found.duplicate.is_empty());
    let wrong = found.left_in_tmp > 0 || !found.corrupt.is_empty() || !found.unknown.is_empty() || left_wrong;
    let is_right = !lost && !twice && !wrong && !stuck && refused.is_none();
    let story = if is_right {
        String::new()
    } else {
        format!("  exit {refused:?}, {left} on the server, {found}  disk {:?}\n{said}", world.disk.paths())
    };
    Verdict { lost, twice, wrong, stuck, refused, story }
}
