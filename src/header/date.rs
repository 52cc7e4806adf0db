//! Dates as mail has them: RFC 5322 §3.3, with the comments and slips of real senders.

use jiff::fmt::rfc2822::DateTimeParser;

use crate::message::UnixTime;

/// A wrong weekday does not make the rest wrong.
const PARSER: DateTimeParser = DateTimeParser::new().relaxed_weekday(true);

/// Octets that a date may have; nothing sensible is longer.
const DATE_LIMIT: usize = 256;

/// The date of a Received field's value: what stands after the last semicolon.
pub(super) fn of_received(value: &str) -> Option<UnixTime> {
    parse(value.rsplit_once(';')?.1)
}

/// A date-time, with or without comments.
pub(super) fn parse(value: &str) -> Option<UnixTime> {
    let value = value.trim();
    if value.len() > DATE_LIMIT {
        return None;
    }
    let text = without_comments(value);
    // Some write the zone's name after, or instead of, its offset.
    let timestamp = PARSER.parse_timestamp(text.trim()).or_else(|_| {
        let (shorter, _) = text.trim().rsplit_once(' ').ok_or(())?;
        PARSER.parse_timestamp(shorter).map_err(drop)
    });
    Some(timestamp.ok()?.as_second())
}

fn without_comments(value: &str) -> String {
    let mut depth = 0_usize;
    let mut text = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ if depth == 0 => text.push(c),
            _ => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_senders_write_them() {
        for text in [
            "Mon, 02 Jan 2023 03:04:05 +0000",
            "Mon, 2 Jan 2023 03:04:05 +0000 (UTC)",
            "Tue, 2 Jan 2023 04:04:05 +0100",
            "2 Jan 2023 03:04:05 GMT",
            "  Mon,  2 Jan 2023 03:04:05 +0000 (a (nested) comment)",
            "Mon, 02 Jan 2023 03:04:05 +0000 UTC",
            "Mon, 2 Jan 23 03:04:05 UT",
            "Sun, 1 Jan 2023 22:04:05 EST",
            "Fri, 2 Jan 2023 03 : 04 : 05 -0000",
        ] {
            assert_eq!(parse(text), Some(1_672_628_645), "{text:?}");
        }
        for text in ["", "(", "()", "never", "Mon, 99 Jan 2023 03:04:05 +0000", &"9".repeat(4000)] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
