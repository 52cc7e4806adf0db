//! The rules of a delivery into a Maildir, one test each.

use super::*;
use crate::failure::{Class, Failure};
use crate::message::{MessageKey, Origin};
use std::os::unix::fs::PermissionsExt;

fn maildir() -> (tempfile::TempDir, Maildir) {
    let dir = tempfile::tempdir().expect("a directory");
    let maildir = Maildir::open(&Settings::private(dir.path().join("Maildir")), false).expect("made");
    (dir, maildir)
}

fn names(maildir: &Maildir, sub: &str) -> Vec<String> {
    let entries = std::fs::read_dir(maildir.path().join(sub)).expect("a directory");
    entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("ASCII")).collect()
}

#[test]
fn a_message_appears_in_new_with_mode_0600() {
    let (_dir, maildir) = maildir();
    let mut draft = maildir.create(|_| "1.a.host".into()).expect("made");
    draft.write(b"text\n").expect("written");
    draft.sync().expect("synced");
    assert_eq!(names(&maildir, "new"), [""; 0]);
    let name = draft.keep();
    maildir.publish(&name).expect("moved");
    assert_eq!((names(&maildir, "new"), names(&maildir, "tmp")), (vec!["1.a.host".to_owned()], vec![]));
    let mode = maildir.path().join("new/1.a.host").metadata().expect("there").permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
}

#[test]
fn no_file_is_ever_replaced() {
    let (_dir, maildir) = maildir();
    std::fs::write(maildir.path().join("new/n"), "old").expect("written");
    let to = format!("{NEW}/n");
    let ways = [
        |maildir: &Maildir, to: &str| moving::rename(&maildir.tmp, "n", &maildir.root, to).map(|_| ()),
        |maildir: &Maildir, to: &str| moving::link_and_unlink(&maildir.tmp, "n", &maildir.root, to),
        |maildir: &Maildir, to: &str| moving::look_and_rename(&maildir.tmp, "n", &maildir.root, to),
    ];
    for way in ways {
        maildir.create(|_| "n".into()).expect("made").keep();
        assert_eq!(way(&maildir, &to).expect_err("refused"), rustix::io::Errno::EXIST);
        assert_eq!(std::fs::read(maildir.path().join("new/n")).expect("read"), b"old");
        std::fs::remove_file(maildir.path().join("tmp/n")).expect("still there");
    }
}

#[test]
fn a_folder_that_was_put_in_the_place_of_new_is_noticed_and_gets_the_mail() {
    let (_dir, maildir) = maildir();
    maildir.create(|_| "n".into()).expect("made").keep();
    maildir.sync_new().expect("the folder that was opened");
    std::fs::rename(maildir.path().join("new"), maildir.path().join("old")).expect("moved");
    std::fs::create_dir(maildir.path().join("new")).expect("made");
    maildir.publish("n").expect("moved");
    let error = maildir.sync_new().expect_err("another folder was synced").to_string();
    assert!(error.contains("it is another folder now"), "{error}");
    assert_eq!(names(&maildir, "new"), ["n"]);
}

#[test]
fn an_abandoned_draft_leaves_nothing() {
    let (_dir, maildir) = maildir();
    drop(maildir.create(|_| "n".into()).expect("made"));
    assert_eq!(names(&maildir, "tmp"), [""; 0]);
}

#[test]
fn only_unknown_drafts_of_this_instance_are_removed() {
    let (_dir, maildir) = maildir();
    let origin = Origin::new("a").expect("an origin");
    let key = |uid: &[u8]| MessageKey::new(uid, 0).expect("a key");
    let stray = file_name("P1Q2", "mine", &origin, &key(b"1"));
    let known = file_name("P1Q2", "mine", &origin, &key(b"2"));
    let foreign = file_name("P1Q2", "theirs", &origin, &key(b"1"));
    for name in [&stray, &known, &foreign, &"1.M2P3.host".to_owned()] {
        maildir.create(|_| name.clone()).expect("made").keep();
    }
    assert_eq!(maildir.remove_strays("mine", |name| name == known).expect("read"), 1);
    assert_eq!(names(&maildir, "tmp").len(), 3);
    assert!(!maildir.has_draft(&stray).expect("read"));
}

#[test]
fn a_probe_that_a_crash_has_left_is_removed() {
    let (_dir, maildir) = maildir();
    maildir.create(|_| format!("1.{PROBE}7")).expect("made").keep();
    maildir.create(|_| "1.probe7".to_owned()).expect("made").keep();
    assert_eq!(maildir.remove_strays("mine", |_| false).expect("read"), 1);
    assert_eq!(names(&maildir, "tmp"), ["1.probe7"]);
}

/// Does the same in many threads at one instant.
fn at_once<T: Send>(work: impl Fn() -> T + Sync) -> Vec<T> {
    const THREADS: usize = 16;
    let gate = std::sync::Barrier::new(THREADS);
    std::thread::scope(|scope| {
        let started: Vec<_> = (0..THREADS)
            .map(|_| {
                scope.spawn(|| {
                    gate.wait();
                    work()
                })
            })
            .collect();
        started.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    })
}

#[test]
fn probes_of_one_instant_do_not_meet() {
    let (_dir, maildir) = maildir();
    for probed in at_once(|| (0..20).try_for_each(|_| maildir.probe())) {
        probed.expect("it can be written");
    }
    assert_eq!(names(&maildir, "tmp"), [""; 0]);
}

#[test]
fn messages_of_one_instant_have_files_of_their_own_whoever_has_taken_a_name() {
    let (_dir, maildir) = maildir();
    // A process in another container may have our process id, at the same time.
    for number in 0..10 {
        maildir.create(|_| format!("1.{number}")).expect("made").keep();
    }
    let number = std::sync::atomic::AtomicUsize::new(0);
    let name = |_: &str| format!("1.{}", number.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
    let mut made = at_once(|| maildir.create(name).expect("made").keep());
    made.sort();
    made.dedup();
    assert_eq!((made.len(), names(&maildir, "tmp").len()), (16, 26));
}

#[test]
fn a_name_that_is_taken_for_good_is_a_failure() {
    let (_dir, maildir) = maildir();
    maildir.create(|_| "n".into()).expect("made").keep();
    assert_eq!(maildir.create(|_| "n".into()).expect_err("taken").kind, io::ErrorKind::AlreadyExists);
}

#[test]
fn a_maildir_is_not_made_where_its_parent_is_missing() {
    let dir = tempfile::tempdir().expect("a directory");
    let settings = Settings::private(dir.path().join("not/there"));
    let error = Maildir::open(&settings, false).expect_err("refused");
    assert_eq!((error.class(), error.kind), (Class::LocalIo, io::ErrorKind::NotFound));
}

#[test]
fn a_maildir_that_was_there_is_not_made_again() {
    let (_dir, maildir) = maildir();
    let settings = Settings::private(maildir.path().to_owned());
    Maildir::open(&settings, true).expect("there");
    std::fs::remove_dir(maildir.path().join("tmp")).expect("empty");
    assert!(Maildir::open(&settings, true).expect_err("refused").matter == Matter::Gone);
    std::fs::remove_dir_all(maildir.path()).expect("removed");
    assert!(Maildir::open(&settings, true).expect_err("refused").matter == Matter::Gone);
    assert!(!maildir.path().exists());
    Maildir::open(&settings, false).expect("made");
}
