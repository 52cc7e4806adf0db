//! "Did you mean": the known word that was probably meant.

/// Names in other programs, with ours.
const ALIASES: [(&str, &str); 20] = [
    ("user", "username"),
    ("login", "username"),
    ("server", "host"),
    ("hostname", "host"),
    ("pass", "password"),
    ("passwd", "password"),
    ("pwd", "password"),
    ("password-cmd", "password-command"),
    ("passwordeval", "password-command"),
    ("ssl", "tls"),
    ("ssl", "implicit"),
    ("folder", "path"),
    ("maildir", "path"),
    ("to", "recipient"),
    ("from", "sender"),
    ("destination", "deliver"),
    ("on", "implicit"),
    ("tls", "implicit"),
    ("stls", "starttls"),
    ("off", "none"),
];

/// The word in `known` that `word` is a misspelling of, if any is near enough.
pub(super) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let word = word.to_lowercase().replace('_', "-");
    if let Some(same) = known.iter().find(|name| **name == word) {
        return Some(same);
    }
    let meant = ALIASES.iter().filter(|(alias, _)| *alias == word);
    if let Some(name) = meant.flat_map(|(_, meant)| known.iter().find(|name| *name == meant)).next() {
        return Some(name);
    }
    // One wrong letter in three is a misspelling; more is another word.
    let limit = (word.chars().count() / 3).clamp(1, 3);
    let close = known.iter().filter_map(|name| Some((distance_within(&word, name, limit)?, *name)));
    close.min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

/// How many letters of `word` are wrong, if no more than `limit` are.
pub(super) fn distance_within(word: &str, known: &str, limit: usize) -> Option<usize> {
    // Measuring is costly, and each word of a file is compared with every key: words of a different length, or with
    // other letters, are ruled out first.
    if known.len().abs_diff(word.len()) > limit {
        return None;
    }
    let letters = letters(word);
    if known.bytes().filter(|&octet| letters & bit(octet) == 0).count() > limit {
        return None;
    }
    Some(strsim::damerau_levenshtein(word, known)).filter(|&distance| distance <= limit)
}

/// The octets of a word, a bit for each.  Octets that share a bit only cost a measurement.
fn letters(word: &str) -> u64 {
    word.bytes().fold(0, |letters, octet| letters | bit(octet))
}

/// The bit of an octet.  Known words are made of small letters, digits and the hyphen; each has its own bit.
fn bit(octet: u8) -> u64 {
    let place = octet & 31;
    1 << if octet.is_ascii_lowercase() { place } else { place | 32 }
}

/// The end of a sentence that names the nearest word, or nothing.
pub(super) fn did_you_mean(word: &str, known: &[&str]) -> String {
    nearest(word, known).map_or_else(String::new, |name| format!("; did you mean `{name}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_that_is_near_enough_is_passed_over() {
        let known = ["host", "password-file", "xclient", "tls", "smtp1", "a-b"];
        for word in ["hots", "ho", "xclient9", "pass-wordfile", "tl\u{df}", "smtp2", "p1", "5mtp1", "-ab", "TLS", ""] {
            for (name, limit) in known.iter().flat_map(|name| (0..4).map(move |limit| (name, limit))) {
                let measured = Some(strsim::damerau_levenshtein(word, name)).filter(|&distance| distance <= limit);
                // Octets are counted before letters: a word in another script may be passed over.
                if word.is_ascii() || measured.is_none() {
                    assert_eq!(distance_within(word, name, limit), measured, "{word} {name} {limit}");
                }
            }
        }
    }

    #[test]
    fn a_misspelling_finds_its_word_and_another_word_finds_none() {
        let known = ["host", "username", "password", "password-file", "tls", "implicit", "starttls"];
        for (word, want) in [
            ("hots", Some("host")),
            ("password_file", Some("password-file")),
            ("Pasword-file", Some("password-file")),
            ("Password", Some("password")),
            ("user", Some("username")),
            ("SSL", Some("tls")),
            ("start-tls", Some("starttls")),
            ("colour", None),
            ("x", None),
        ] {
            assert_eq!(nearest(word, &known), want, "{word}");
        }
    }
}
