//! A second sandbox: what the service may not do even if an attacker takes it over (Landlock).
//!
//! Everything may be read; nothing below the system's own folders may be written, neither by us
//! nor by password commands.  Homes, `/var`, `/srv`, `/mnt`, `/media`, `/run` and `/tmp` stay
//! writable, because a reload may name a Maildir there.  systemd's sandbox is the first one, and
//! stricter.

use landlock::{
    ABI, AccessFs, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr,
    RulesetStatus,
};

/// Folders at the root that the service never writes to.
const SYSTEM: [&str; 12] =
    ["bin", "boot", "etc", "lib", "lib32", "lib64", "libx32", "lost+found", "proc", "sbin", "sys", "usr"];

/// Gives up the right to write to the system's folders.  Returns whether the kernel enforces it.
pub fn confine() -> bool {
    restrict().is_ok_and(|status| status != RulesetStatus::NotEnforced)
}

fn restrict() -> Result<RulesetStatus, Box<dyn std::error::Error>> {
    let writing = AccessFs::from_write(ABI::V3);
    let mut ruleset = Ruleset::default().set_compatibility(CompatLevel::BestEffort).handle_access(writing)?.create()?;
    for entry in std::fs::read_dir("/")?.flatten() {
        let name = entry.file_name();
        if SYSTEM.iter().any(|system| name == *system) {
            continue;
        }
        // A folder that cannot be opened cannot be written to either.
        if let Ok(folder) = PathFd::new(entry.path()) {
            ruleset = ruleset.add_rule(PathBeneath::new(folder, writing))?;
        }
    }
    Ok(ruleset.restrict_self()?.ruleset)
}
