//! The sample is a valid configuration, shows the real defaults, and has every key.

use super::*;
use crate::config::{Absent, KEYS, Section};

const SAMPLE: &str = include_str!("../../../config/postrider.toml");

/// The key and the value of a line `#key = value`.
fn commented(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.strip_prefix('#')?.split_once('=')?;
    (!key.starts_with(' ')).then(|| (key.trim(), value.trim()))
}

#[test]
fn the_sample_is_sound() {
    let config = parse_with_mode(SAMPLE, 0o644).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((config.accounts.len(), config.destinations.len()), (2, 2));
    assert_eq!(config.warnings, Vec::<String>::new());
}

#[test]
fn what_the_sample_shows_as_a_default_is_the_default() {
    let mut section = Section::Top;
    for line in SAMPLE.lines() {
        section = match line {
            _ if line.starts_with("[accounts") || line.starts_with("[defaults") => Section::Account,
            "[destinations.home]" => Section::OfType("maildir"),
            "[destinations.hub]" => Section::OfType("smtp"),
            _ => section,
        };
        let Some((name, value)) = commented(line) else { continue };
        let key = KEYS.iter().find(|key| key.name == name && key.section == section).expect(line);
        assert!(key.absent.is_written(value), "{line}: {:?}", key.absent);
    }
    let bare: String = SAMPLE
        .lines()
        .map(|line| match commented(line) {
            Some((key, value)) => format!("{key} = {value}\n"),
            None => format!("{line}\n"),
        })
        .collect();
    assert_eq!(
        parse_text(&bare).map_err(|error| error.to_string()),
        parse_text(SAMPLE).map_err(|error| error.to_string())
    );
}

#[test]
fn the_sample_shows_every_key() {
    for key in KEYS {
        assert!(SAMPLE.contains(key.name), "{}", key.name);
    }
    let shown: Vec<&str> = SAMPLE.lines().filter_map(commented).map(|(name, _)| name).collect();
    for key in KEYS
        .iter()
        .filter(|key| !matches!(key.absent, Absent::Required | Absent::Text(_)) && key.section == Section::Account)
    {
        assert!(shown.contains(&key.name) || key.name == "interval", "{}", key.name);
    }
}
