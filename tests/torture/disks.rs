//! Disks that are full, read-only or not there.  A real one each time: a small tmpfs, which only
//! root can mount.

use std::path::PathBuf;
use std::process::Command;

use super::ground::Trial;
use super::scale;
use super::support::*;
use super::trials::Trials;

const MESSAGES: usize = 20;

/// In the short run, one in this many sizes.
const STEP: usize = 25;

const NOT_ROOT: &str = "nothing can be mounted; that needs root";

/// A tmpfs.  Unmounted when dropped.
struct Disk {
    at: PathBuf,
}

impl Disk {
    /// Mounts one, if that is permitted.
    fn mount(at: PathBuf, options: &str) -> Option<Self> {
        std::fs::create_dir(&at).expect("a mount point");
        let disk = Self { at };
        disk.mounts(&format!("mode=700,{options}"), &["-t", "tmpfs", "torture"]).then_some(disk)
    }

    /// Changes its size, or whether it may be written.
    fn change(&self, options: &str) {
        assert!(self.mounts(&format!("remount,{options}"), &[]), "remount with {options}");
    }

    fn mounts(&self, options: &str, what: &[&str]) -> bool {
        let mut mount = Command::new("mount");
        let output = mount.args(["-o", options]).args(what).arg(&self.at).output();
        output.is_ok_and(|output| output.status.success())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.at).output();
    }
}

fn can_mount() -> bool {
    let dir = private_dir();
    Disk::mount(dir.path().join("disk"), "size=4k").is_some()
}

/// Fetches to a disk of each size, from the smallest, until all has room; then once more with room.
fn fill_up(fault: &'static str, place: &str, option: &str, unit: &str) {
    let mut trials = Trials::of(fault);
    if !can_mount() {
        return trials.give_up(NOT_ROOT);
    }
    for size in scale::points(fault, STEP) {
        let was_full = trials.run(size, || {
            let trial = Trial::scripted(MESSAGES, "delete", Behaviour::default());
            let disk = Disk::mount(trial.program.path(place), &format!("{option}={size}{unit}")).expect("a disk");
            let output = trial.program.run(&["fetch"]);
            trial.check_words(&output);
            disk.change(&format!("{option}=1000000{unit}"));
            trial.check_rerun();
            output.code != Some(0)
        });
        if !was_full || trials.is_single() && size > 10_000 {
            break;
        }
    }
    trials.finish();
}

#[test]
fn a_disk_of_any_size_that_fills_up_loses_nothing_and_needs_only_room() {
    fill_up("Maildir on a disk that fills up", "home", "size", "k");
}

#[test]
fn a_disk_that_runs_out_of_inodes_loses_nothing_and_needs_only_room() {
    fill_up("Maildir on a disk that runs out of inodes", "home", "nr_inodes", "");
}

#[test]
fn a_disk_that_fills_up_below_the_state_loses_nothing_and_needs_only_room() {
    fill_up("state on a disk that fills up", "state", "size", "k");
}

/// Fetches with something in the way, and then without; says that it was in the way.
fn fetch_hindered(trial: &Trial<'_>, hinder: impl FnOnce(), free: impl FnOnce()) -> bool {
    hinder();
    let output = trial.program.run(&["fetch"]);
    assert_ne!(output.code, Some(0), "{}", output.text());
    free();
    trial.check_words(&output);
    trial.check_rerun();
    true
}

#[test]
fn a_maildir_or_a_state_that_cannot_be_written_is_told_and_loses_nothing() {
    let mut trials = Trials::of("Maildir or state read-only");
    if !can_mount() {
        return trials.give_up(NOT_ROOT);
    }
    for retention in ["keep", "delete"] {
        for (place, used) in [("home", true), ("home", false), ("state", true), ("state", false)] {
            let name = format!("{retention} {place} {}", if used { "used" } else { "new" });
            trials.run(name, || {
                let trial = Trial::scripted(MESSAGES, retention, Behaviour::default());
                let disk = Disk::mount(trial.program.path(place), "size=10m").expect("a disk");
                if used {
                    trial.fetch_half();
                }
                fetch_hindered(&trial, || disk.change("ro"), || disk.change("rw"))
            });
        }
    }
    trials.finish();
}

#[test]
fn a_maildir_that_is_missing_whole_or_in_part_is_told_and_loses_nothing() {
    let mut trials = Trials::of("Maildir missing");
    for retention in ["keep", "delete"] {
        for part in ["home", "home/tmp", "home/new", "home/cur"] {
            trials.run(format!("{retention} {part}"), || {
                let trial = Trial::scripted(MESSAGES, retention, Behaviour::default());
                trial.fetch_half();
                let (place, away) = (trial.program.path(part), trial.program.path("away"));
                let take = || std::fs::rename(&place, &away).expect("moved away");
                fetch_hindered(&trial, take, || std::fs::rename(&away, &place).expect("moved back"))
            });
        }
        trials.run(format!("{retention} file"), || {
            let trial = Trial::scripted(MESSAGES, retention, Behaviour::default());
            let home = trial.program.path("home");
            let make = || std::fs::write(&home, "").expect("a file in its place");
            fetch_hindered(&trial, make, || std::fs::remove_file(&home).expect("removed"))
        });
    }
    trials.finish();
}
