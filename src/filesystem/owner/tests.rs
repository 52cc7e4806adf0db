//! The rules by which somebody's file is obeyed or left alone.

use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

const FOLDER: Part = Part { owner: 0, group: 0, mode: 0o755, is_link: false, is_folder: true };

#[test]
fn the_first_part_of_a_path_that_is_not_roots_is_told() {
    let alice = Part { owner: 1000, group: 1000, ..FOLDER };
    let open = Part { mode: 0o777, ..FOLDER };
    let sticky = Part { mode: 0o1777, ..FOLDER };
    let parts = [("/", FOLDER), ("/home", FOLDER), ("/home/alice", alice), ("/home/alice/root", FOLDER)];
    let more = [("/tmp", sticky), ("/tmp/a", alice), ("/tmp/r", FOLDER), ("/open", open), ("/open/r", FOLDER)];
    let look = |path: &Path| {
        let found = parts.iter().chain(&more).find(|(name, _)| Path::new(name) == path);
        found.map(|(_, part)| *part).ok_or_else(|| io::ErrorKind::NotFound.into())
    };
    for (path, want) in [
        ("/home", None),
        ("/home/bob/state", None),
        ("/home/alice", Some(("/home/alice", 1000))),
        ("/home/alice/root", Some(("/home/alice", 1000))),
        ("/home/alice/new/state", Some(("/home/alice", 1000))),
        ("/tmp/r/../a", Some(("/tmp/a", 1000))),
        ("/tmp/r", None),
        ("/tmp/new", None),
        ("/open/r", Some(("/open", 0))),
    ] {
        let found = walk(Path::new(path), &look).expect("looked at");
        let found = found.map(|found| (found.path, found.owner.0));
        assert_eq!(found, want.map(|(path, owner)| (PathBuf::from(path), owner)), "{path}");
    }
}

#[test]
fn a_link_is_followed_part_by_part_and_a_circle_ends() {
    let dir = tempfile::tempdir().expect("a directory");
    let at = |name: &str| dir.path().join(name);
    std::fs::create_dir_all(at("theirs/state")).expect("made");
    symlink("theirs/state", at("near")).expect("linked");
    symlink(at("theirs/state"), at("far")).expect("linked");
    symlink("circle", at("circle")).expect("linked");
    // Whichever user runs the test: what is below `theirs` counts as another's, all above as root's.
    let theirs = at("theirs");
    let look = |path: &Path| {
        let part = Part::of(&path.symlink_metadata()?);
        let owner = if path.starts_with(&theirs) { 1000 } else { 0 };
        Ok(Part { owner, mode: 0o755, ..part })
    };
    for name in ["near", "far", "near/x/y", "theirs/../far"] {
        let found = walk(&at(name), &look).expect("looked at").expect("another's");
        assert_eq!((found.path, found.owner), (theirs.clone(), Person(1000)), "{name}");
    }
    assert_eq!(walk(&at("x/y"), &look).expect("looked at"), None);
    walk(&at("circle"), &look).expect_err("a circle");
}

#[test]
fn a_file_is_obeyed_that_is_roots_or_ones_own_and_nobody_elses_to_write() {
    const ME: u32 = 1000;
    let members = |gid: u32| match gid {
        0 => vec![0],
        1000 => vec![ME],
        50 => vec![0, ME],
        100 => vec![ME, 1001],
        _ => Vec::new(),
    };
    let file = |owner, group, mode| Part { owner, group, mode, is_link: false, is_folder: false };
    for (part, good) in [
        (file(ME, 1000, 0o600), true),
        (file(ME, 100, 0o644), true),
        (file(0, 0, 0o644), true),
        (file(0, 1000, 0o640), true),
        // A group of one's own, as Debian's and Red Hat's umask 002 takes for granted.
        (file(ME, 1000, 0o664), true),
        (file(0, 0, 0o664), true),
        (file(0, 50, 0o660), true),
        (file(ME, 100, 0o664), false),
        (file(0, 100, 0o620), false),
        // A group that nobody is known to be in may have anybody in it.
        (file(ME, 7, 0o620), false),
        (file(ME, 1000, 0o666), false),
        (file(0, 0, 0o602), false),
        (file(1001, 1001, 0o600), false),
        (file(65534, 65534, 0o644), false),
    ] {
        let found = judge(part, Person(ME), &|_| false, &members);
        assert_eq!(found.is_none(), good, "{part:?} {found:?}");
    }
    // Root obeys nobody, and a namespace may hide who root is.
    assert!(judge(file(ME, 1000, 0o600), Person(0), &|_| false, &members).is_some());
    assert!(judge(file(65534, 65534, 0o644), Person(ME), &|uid| uid == 65534, &members).is_none());
    assert!(judge(file(65534, 65534, 0o646), Person(ME), &|uid| uid == 65534, &members).is_some());
}

#[test]
fn a_fault_names_the_mode_or_the_owner_and_the_way_out() {
    let path = Path::new("/etc/x.toml");
    let told = Fault::Writable { mode: 0o666 }.told(path);
    assert_eq!(told, "may be written by others (mode 0666): chmod go-w /etc/x.toml");
    let told = Fault::Owner { owner: Person(3_999_999_999), group: 7, mode: 0o644 }.told(path);
    assert!(told.starts_with("belongs to user 3999999999 (mode 0644): "), "{told}");
}

#[test]
fn what_is_closed_is_told_and_not_the_folder_that_it_is_in() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("file");
    std::fs::write(&file, "").expect("written");
    assert_eq!(obstacle(&file), None);
    if Person::me().is_root() {
        // Nothing is closed to root.
        return;
    }
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o400)).expect("its mode");
    let found = obstacle(&file).expect("closed");
    assert_eq!((&found.path, found.mode), (&file, 0o400));
    assert!(found.told(&file).starts_with("it belongs to "));
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o600)).expect("its mode");
    assert_eq!(obstacle(&file).expect("closed").path, dir.path());
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o500)).expect("its mode");
    assert_eq!(obstacle(&dir.path().join("new")).expect("closed").path, dir.path());
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o700)).expect("its mode");
}

#[test]
fn a_command_line_can_be_pasted_into_a_shell() {
    for (word, want) in [("-c", "-c"), ("", "''"), ("a b", "'a b'"), ("it's", r"'it'\''s'"), ("$x", "'$x'")] {
        assert_eq!(quoted(word), want, "{word}");
    }
    assert!(command_as(Person(0), 0).starts_with("runuser -u root -- "));
    assert!(command_as(Person(3_999_999_999), 7).starts_with("setpriv --reuid=3999999999 --regid=7 --clear-groups "));
}
