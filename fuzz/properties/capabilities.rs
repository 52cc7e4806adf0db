//! The answer to CAPA, line by line, and two of them taken together.

use postrider::testing::pop3::reply::Capabilities;

use super::assert_fit_to_be_shown;

pub(super) fn holds(input: &[u8]) {
    let lines: Vec<&[u8]> = input.split(|&octet| octet == b'\n').collect();
    let all = read(lines.iter().copied());
    assert_eq!(all.lines.len(), lines.len());
    assert!(all.announced);
    all.lines.iter().chain(&all.sasl).chain(&all.implementation).for_each(|text| assert_fit_to_be_shown(text));
    offered(&all);
    // What is shown says the same.
    if lines.iter().all(|line| line.len() <= 40) {
        assert_eq!(read(all.lines.iter().map(String::as_bytes)), all);
    }
    let (first, second) = lines.split_at(lines.len() / 2);
    merged(&read(first.iter().copied()), &read(second.iter().copied()));
}

fn read<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Capabilities {
    let mut capabilities = Capabilities::default();
    lines.for_each(|line| capabilities.add_line(line));
    capabilities
}

/// A flag is up if one of the lines begins with its word.
fn offered(all: &Capabilities) {
    let has = |word: &str| {
        all.lines.iter().any(|line| line.split_ascii_whitespace().next().is_some_and(|w| w.eq_ignore_ascii_case(word)))
    };
    for (word, flag) in [
        ("STLS", all.stls),
        ("UIDL", all.uidl),
        ("TOP", all.top),
        ("USER", all.user),
        ("PIPELINING", all.pipelining),
        ("IMPLEMENTATION", all.implementation.is_some()),
    ] {
        assert_eq!(has(word), flag, "{word}");
    }
    assert!(all.sasl.is_empty() || has("SASL"));
    assert!(all.sasl.iter().all(|name| !name.contains(|c: char| c.is_ascii_lowercase() || c.is_ascii_whitespace())));
    assert!(all.login_delay.is_none() || has("LOGIN-DELAY"));
    assert!(all.expire_days.is_none() || has("EXPIRE"));
}

/// Of what is announced twice, the worse for us counts, in either order.
fn merged(before: &Capabilities, after: &Capabilities) {
    let merge = |into: &Capabilities, with: &Capabilities| {
        let mut merged = into.clone();
        merged.merge(with);
        merged
    };
    let both = merge(after, before);
    assert_eq!(merge(&both, before), both, "once is enough");
    assert_eq!(merge(after, after), *after);
    let turned = merge(before, after);
    assert_eq!((both.login_delay, both.expire_days), (turned.login_delay, turned.expire_days));
    for part in [before, after] {
        assert!(both.login_delay >= part.login_delay);
        assert!(part.expire_days.is_none_or(|days| both.expire_days.is_some_and(|both| both <= days)));
        assert!(both.top >= part.top && both.uidl >= part.uidl && both.pipelining >= part.pipelining);
    }
    // STLS, and how to log in, are never taken from the earlier answer.
    assert_eq!((both.stls, both.user, &both.sasl), (after.stls, after.user, &after.sasl));
}
