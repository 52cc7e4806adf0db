//! Which boot of the machine this is, in a form that two processes can compare through a file.
//!
//! The kernel has a UUID for it (proc_sys_kernel(5)).  A sandbox may hide it (`ProcSubset=pid` in our unit);
//! then systemd provides it, in the variable that the unit sets.  Where both are missing, the clocks decide:
//! the time of the boot is the wall-clock time minus the uptime.  Setting the clock makes it look like another
//! boot, so that a mark is ignored once.

use std::time::{SystemTime, UNIX_EPOCH};

/// Octets of a UUID in its text form.
const ID_OCTETS: usize = 36;

/// Octets of a [`Boot`] in a file.
pub(super) const OCTETS: usize = ID_OCTETS + 2 * size_of::<i64>();

/// Where the kernel shows its UUID.
const KERNEL: &str = "/proc/sys/kernel/random/boot_id";

/// What our unit sets to systemd's `%b`.
const VARIABLE: &str = "POSTRIDER_BOOT_ID";

/// Seconds by which two readings of the same boot time may differ: both clocks are read in whole seconds,
/// one after the other.
const TOLERANCE: i64 = 5;

/// A boot of the machine, as a process has seen it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Boot {
    id: Option<[u8; ID_OCTETS]>,
    /// Seconds since the boot.
    up: i64,
    /// Seconds since 1970.
    wall: i64,
}

impl Boot {
    /// The current boot.
    pub(super) fn current() -> Self {
        let kernel = std::fs::read(KERNEL).ok().and_then(|text| id(&text));
        let variable = || id(std::env::var(VARIABLE).ok()?.as_bytes());
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        Self {
            id: kernel.or_else(variable),
            up: rustix::system::sysinfo().uptime,
            wall: i64::try_from(wall).unwrap_or(i64::MAX),
        }
    }

    /// Whether another process has seen the same boot.
    pub(super) fn is_same(&self, earlier: &Self) -> bool {
        match (self.id, earlier.id) {
            (Some(own), Some(other)) => own == other,
            _ => {
                let began = |boot: &Self| boot.wall.saturating_sub(boot.up);
                self.up >= earlier.up && began(self).abs_diff(began(earlier)) <= TOLERANCE.unsigned_abs()
            }
        }
    }

    /// Its form in a file.
    pub(super) fn encoded(&self) -> [u8; OCTETS] {
        let mut octets = [0; OCTETS];
        let (id, clocks) = octets.split_at_mut(ID_OCTETS);
        let (up, wall) = clocks.split_at_mut(size_of::<i64>());
        id.copy_from_slice(&self.id.unwrap_or([0; ID_OCTETS]));
        up.copy_from_slice(&self.up.to_be_bytes());
        wall.copy_from_slice(&self.wall.to_be_bytes());
        octets
    }

    /// Reads the form in a file.
    pub(super) fn decoded(octets: &[u8; OCTETS]) -> Option<Self> {
        let (id, clocks) = octets.split_first_chunk::<ID_OCTETS>()?;
        let (up, wall) = clocks.split_first_chunk()?;
        let is_known = id.iter().any(|&octet| octet != 0);
        Some(Self {
            id: is_known.then_some(*id),
            up: i64::from_be_bytes(*up),
            wall: i64::from_be_bytes(*wall.first_chunk()?),
        })
    }
}

/// A UUID, with the hyphens of the kernel or without them, as systemd writes it.
fn id(text: &[u8]) -> Option<[u8; ID_OCTETS]> {
    let digits: Vec<u8> = text.trim_ascii().iter().copied().filter(|&octet| octet != b'-').collect();
    let is_id =
        digits.len() == 32 && digits.iter().all(u8::is_ascii_hexdigit) && digits.iter().any(|&digit| digit != b'0');
    let mut id = [b'-'; ID_OCTETS];
    let places = (0..ID_OCTETS).filter(|place| ![8, 13, 18, 23].contains(place));
    places.zip(digits).for_each(|(place, digit)| id[place] = digit.to_ascii_lowercase());
    is_id.then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KERNELS: &[u8] = b"0c4d7a7e-95a4-4b0c-9d2f-0f0b3c1a5e6d\n";
    const SYSTEMDS: &[u8] = b"0c4d7a7e95a44b0c9d2f0f0b3c1a5e6d";

    fn boot(id: Option<&[u8]>, up: i64, wall: i64) -> Boot {
        Boot { id: id.and_then(super::id), up, wall }
    }

    #[test]
    fn the_kernel_and_systemd_write_one_word_differently() {
        assert!(id(KERNELS).is_some() && id(KERNELS) == id(SYSTEMDS));
        for none in [&b""[..], b"%b", b"0c4d7a7e", &[b'0'; 32], &[b'g'; 32], &[b'a'; 33]] {
            assert_eq!(id(none), None, "{none:?}");
        }
    }

    #[test]
    fn where_both_have_a_word_it_decides_and_else_the_clocks() {
        let other = b"ffffffff95a44b0c9d2f0f0b3c1a5e6d";
        for (earlier, now, want) in [
            (boot(Some(KERNELS), 100, 1_000_100), boot(Some(SYSTEMDS), 200, 9_000_000), true),
            (boot(Some(KERNELS), 100, 1_000_100), boot(Some(other), 200, 1_000_200), false),
            // The time has passed, ...
            (boot(None, 100, 1_000_100), boot(None, 200, 1_000_201), true),
            (boot(Some(KERNELS), 100, 1_000_100), boot(None, 200, 1_000_200), true),
            // ... the machine was rebooted, and its uptime is now shorter or longer than then, ...
            (boot(None, 100, 1_000_100), boot(None, 60, 1_000_200), false),
            (boot(None, 100, 1_000_100), boot(None, 200, 1_000_330), false),
            // ... or its clock was set.
            (boot(None, 100, 1_000_100), boot(None, 200, 1_003_800), false),
            (boot(None, 100, 1_000_100), boot(None, 200, 996_600), false),
        ] {
            assert_eq!(now.is_same(&earlier), want, "{earlier:?} and {now:?}");
        }
    }

    #[test]
    fn a_boot_is_read_as_it_was_written_and_this_one_is_itself() {
        for boot in [Boot::current(), boot(None, 1, -7), boot(Some(SYSTEMDS), i64::MAX, i64::MIN)] {
            assert_eq!(Boot::decoded(&boot.encoded()), Some(boot.clone()));
            assert!(boot.is_same(&boot));
        }
    }
}
