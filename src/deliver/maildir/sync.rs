//! How the drafts of a batch become durable: file by file, or with everything on their file system.
//!
//! One syncfs(2) commits the file system's journal once, and costs a quarter less CPU time; but it
//! also writes out what all other programs have left there.  So it is used for many files at once,
//! while little else waits to be written, and only where it is reliable: FUSE does nothing and
//! reports success, and before Linux 5.17 some errors were not reported.

use std::os::fd::OwnedFd;

/// Fewest files for which it pays.
const MANY: usize = 16;

/// Octets of other programs, and of the next batches, that may wait to be written: a second of a slow disk.
const OTHERS_OCTETS: u64 = 64 << 20;

/// Magic numbers of statfs(2): ext4 and XFS.
const PROVEN: [i64; 2] = [0xef53, 0x5846_5342];

/// The first Linux in which syncfs reports every failed write, those of the journal too.
const LINUX: (u32, u32) = (5, 17);

/// Makes everything durable that was written to a directory's file system, if that is better for this
/// many files and octets than syncing one after the other.  `false`: it is not, or it failed, perhaps
/// for a file of another program; then the sync of each file will show it.
pub(super) fn whole(dir: &OwnedFd, files: usize, octets: u64) -> bool {
    pays(files, octets, waiting_octets()) && keeps_its_promise(dir) && rustix::fs::syncfs(dir).is_ok()
}

fn pays(files: usize, octets: u64, waiting: Option<u64>) -> bool {
    files >= MANY && waiting.is_some_and(|waiting| waiting <= octets.saturating_add(OTHERS_OCTETS))
}

fn keeps_its_promise(dir: &OwnedFd) -> bool {
    let release = rustix::system::uname();
    let is_new = linux(&release.release().to_string_lossy()).is_some_and(|version| version >= LINUX);
    #[allow(clippy::allow_attributes, clippy::unnecessary_cast, reason = "the field's type differs between platforms")]
    let is_proven = |stat: rustix::fs::StatFs| PROVEN.contains(&(stat.f_type as i64));
    is_new && rustix::fs::fstatfs(dir).is_ok_and(is_proven)
}

/// The first two numbers of a release as uname(2) returns it.
fn linux(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Octets of all file systems that wait to be written or are being written, by proc_meminfo(5) or,
/// where a sandbox hides that, by the same of each memory node; `None` if neither can be read.
fn waiting_octets() -> Option<u64> {
    if let Ok(text) = std::fs::read_to_string("/proc/meminfo") {
        return waiting_of(&text);
    }
    let mut sum = None;
    for node in std::fs::read_dir("/sys/devices/system/node").ok()?.flatten() {
        if let Ok(text) = std::fs::read_to_string(node.path().join("meminfo")) {
            sum = Some(waiting_of(&text)?.saturating_add(sum.unwrap_or(0)));
        }
    }
    sum
}

/// The same from a text with lines such as `Dirty: 12 kB` or `Node 0 Dirty: 12 kB`.
fn waiting_of(meminfo: &str) -> Option<u64> {
    let octets = |name: &str| -> Option<u64> {
        let (_, value) = meminfo.lines().find_map(|line| line.split_once(name))?;
        value.trim().strip_suffix("kB")?.trim_end().parse::<u64>().ok()?.checked_mul(1024)
    };
    octets("Dirty:")?.checked_add(octets("Writeback:")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_pays_for_many_files_while_little_else_waits() {
        for (files, octets, waiting, want) in [
            (MANY, 0, Some(OTHERS_OCTETS), true),
            (MANY - 1, 0, Some(0), false),
            (MANY, 0, Some(OTHERS_OCTETS + 1), false),
            (MANY, 1, Some(OTHERS_OCTETS + 1), true),
            (MANY, u64::MAX, Some(u64::MAX), true),
            (1000, 0, None, false),
        ] {
            assert_eq!(pays(files, octets, waiting), want, "{files} {octets} {waiting:?}");
        }
    }

    #[test]
    fn what_waits_is_what_is_dirty_and_what_is_on_its_way() {
        let text = "MemTotal:       24000000 kB\nDirty:              1200 kB\nWriteback:             3 kB\nWritebackTmp:   7 kB\n";
        assert_eq!(waiting_of(text), Some(1203 * 1024));
        let node = "Node 0 Dirty:   5 kB\nNode 0 Writeback:   2 kB\nNode 0 WritebackTmp:   0 kB\n";
        assert_eq!(waiting_of(node), Some(7 * 1024));
        for text in ["", "Dirty: 1 kB\n", "Dirty: x kB\nWriteback: 1 kB\n", "Dirty: 1\nWriteback: 1\n"] {
            assert_eq!(waiting_of(text), None, "{text:?}");
        }
        assert!(waiting_octets().is_some(), "every Linux reports it");
    }

    #[test]
    fn releases_are_compared_by_their_numbers() {
        for (release, version) in [
            ("6.1.0-13-amd64", Some((6, 1))),
            ("5.8", Some((5, 8))),
            ("5.10-rc1", Some((5, 10))),
            ("4.19.0", Some((4, 19))),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(linux(release), version, "{release}");
        }
        assert!(Some((6, 1)) >= Some(LINUX) && Some((5, 9)) < Some(LINUX));
    }
}
