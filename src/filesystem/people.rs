//! The users of this machine, as the system knows them: names, groups, and who is hidden by a namespace.

use std::fmt;

use nix::unistd::{Gid, Group, Uid, User};

/// A user, shown by name where there is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Person(pub u32);

impl Person {
    /// The user that this process runs as.
    pub fn me() -> Self {
        Self(Uid::effective().as_raw())
    }

    /// Whether it is the superuser.
    pub fn is_root(self) -> bool {
        self.0 == 0
    }

    /// The name; `None` where the system knows none.
    pub fn name(self) -> Option<String> {
        User::from_uid(Uid::from_raw(self.0)).ok().flatten().map(|user| user.name)
    }
}

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(&name),
            None => write!(f, "user {}", self.0),
        }
    }
}

/// The known members of a group, by user id.
pub(super) fn members(gid: u32) -> Vec<u32> {
    let named = Group::from_gid(Gid::from_raw(gid)).ok().flatten().map(|group| group.mem).unwrap_or_default();
    let named = named.iter().map(|name| match User::from_name(name) {
        Ok(Some(user)) => user.uid.as_raw(),
        // A name without a user id may be given to anybody.
        _ => u32::MAX,
    });
    // User directories cannot be listed in general; the machine's own file can.
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let own = (Gid::effective().as_raw() == gid).then(|| Uid::effective().as_raw());
    named.chain(with_primary_group(&passwd, gid)).chain(own).collect()
}

/// The users of passwd(5) whose primary group it is.
fn with_primary_group(passwd: &str, gid: u32) -> Vec<u32> {
    let user = |line: &str| {
        let mut fields = line.split(':').skip(2);
        let uid: u32 = fields.next()?.parse().ok()?;
        (fields.next()?.parse() == Ok(gid)).then_some(uid)
    };
    passwd.lines().filter_map(user).collect()
}

/// Whether an owner may be root, hidden by the user namespace of this process
/// (user_namespaces(7)), for example by `PrivateUsers=` in a user's own systemd manager.
pub(super) fn may_be_hidden_root(uid: u32) -> bool {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let overflow = read("/proc/sys/kernel/overflowuid").trim().parse().unwrap_or(65534);
    uid == overflow && hides_root(&read("/proc/self/uid_map"), uid)
}

/// Each line of a map has the first id inside, the first id outside, and the count.
fn hides_root(uid_map: &str, overflow: u32) -> bool {
    let numbers = |line: &str| -> Option<[u64; 3]> {
        let numbers: Vec<u64> = line.split_ascii_whitespace().map_while(|number| number.parse().ok()).collect();
        numbers.try_into().ok()
    };
    let lines: Vec<[u64; 3]> = uid_map.lines().filter_map(numbers).collect();
    let is_somebody = |&[inside, _, count]: &[u64; 3]| (inside..inside + count).contains(&u64::from(overflow));
    let shows_root = |&[_, outside, count]: &[u64; 3]| outside == 0 && count > 0;
    !lines.is_empty() && !lines.iter().any(|line| is_somebody(line) || shows_root(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_has_the_name_of_the_system_or_a_number() {
        assert_eq!(Person(0).to_string(), "root");
        assert_eq!(Person(3_999_999_999).to_string(), "user 3999999999");
    }

    #[test]
    fn whose_own_group_it_is_stands_in_passwd() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\na:x:1000:1000::/:\nbroken\nb:x:1001:1000::/:\nc:x:x:1000::/:\n";
        assert_eq!(with_primary_group(passwd, 1000), [1000, 1001]);
        assert_eq!(with_primary_group(passwd, 7), [0; 0]);
        assert!(members(0).contains(&0));
    }

    #[test]
    fn root_is_hidden_only_where_no_line_leads_to_it() {
        for (map, hidden) in [
            ("         0          0 4294967295\n", false),
            ("0 0 1\n998 998 1\n", false),
            ("1000 1000 1\n", true),
            ("0 1000 1\n", true),
            ("0 100000 65536\n", false),
            ("", false),
            ("x\n", false),
        ] {
            assert_eq!(hides_root(map, 65534), hidden, "{map}");
        }
    }
}
