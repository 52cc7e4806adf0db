//! Encoded words (RFC 2047): `=?charset?B?...?=` and `=?charset?Q?...?=`.
//!
//! A word that cannot be decoded stays as it is.  Words of one charset that follow each other are decoded together:
//! many senders split a character between two of them, though §5 forbids it.  White space inside a word ends it.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use encoding_rs::Encoding;

/// Many senders leave the padding out, or do not clear the bits that are left over.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A text with its encoded words decoded.
pub(super) fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains("=?") {
        return Cow::Borrowed(text);
    }
    let (mut out, mut run) = (String::with_capacity(text.len()), None);
    let mut rest = text;
    while let Some(at) = rest.find("=?") {
        let (before, here) = rest.split_at(at);
        let word = Word::first(here);
        // White space between two words is not part of the text (§6.2).
        let is_joined = run.is_some() && word.is_some() && before.trim_ascii().is_empty();
        if !is_joined {
            finish(&mut run, &mut out);
            out.push_str(before);
        }
        rest = match word {
            Some((word, after)) => {
                append(word, &mut run, &mut out);
                after
            }
            None => {
                out.push_str("=?");
                &here[2..]
            }
        };
    }
    finish(&mut run, &mut out);
    out.push_str(rest);
    Cow::Owned(out)
}

/// A word, or several of one charset.
struct Word {
    charset: &'static Encoding,
    octets: Vec<u8>,
}

impl Word {
    /// The word that a text begins with, and what follows it.
    fn first(text: &str) -> Option<(Self, &str)> {
        let (charset, rest) = text.strip_prefix("=?")?.split_once('?')?;
        let (encoding, rest) = rest.split_once('?')?;
        let (content, after) = rest.split_once("?=")?;
        if content.contains(|c: char| c.is_ascii_whitespace()) {
            return None;
        }
        // A language may follow the charset (RFC 2231 §5).
        let charset = charset.split_once('*').map_or(charset, |(charset, _)| charset);
        let charset = Encoding::for_label_no_replacement(charset.as_bytes())?;
        let octets = match encoding {
            "B" | "b" => BASE64.decode(content).ok()?,
            "Q" | "q" => quoted(content)?,
            _ => return None,
        };
        Some((Self { charset, octets }, after))
    }
}

fn append(word: Word, run: &mut Option<Word>, out: &mut String) {
    match run {
        Some(run) if run.charset == word.charset => run.octets.extend(word.octets),
        _ => {
            finish(run, out);
            *run = Some(word);
        }
    }
}

fn finish(run: &mut Option<Word>, out: &mut String) {
    if let Some(Word { charset, octets }) = run.take() {
        out.push_str(&charset.decode_without_bom_handling(&octets).0);
    }
}

/// The octets of a Q encoding (§4.2).
fn quoted(content: &str) -> Option<Vec<u8>> {
    let mut octets = Vec::with_capacity(content.len());
    let mut rest = content.as_bytes();
    while let Some((&octet, after)) = rest.split_first() {
        rest = after;
        octets.push(match octet {
            b'_' => b' ',
            b'=' => {
                let (digits, after) = rest.split_at_checked(2)?;
                rest = after;
                let digit = |octet: u8| char::from(octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                digit(digits[0])? << 4 | digit(digits[1])?
            }
            octet => octet,
        });
    }
    Some(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_both_encodings_and_of_many_charsets_are_decoded() {
        for (text, want) in [
            ("=?utf-8?B?R3LDvMOfZQ==?= aus =?UTF-8?q?K=C3=B6ln?=", "Grüße aus Köln"),
            ("=?ISO-8859-1?Q?Keld_J=F8rn_Simonsen?= <keld@dkuug.dk>", "Keld Jørn Simonsen <keld@dkuug.dk>"),
            ("=?iso-8859-15?Q?=A4?=", "€"),
            ("=?windows-1252?Q?=80_=93x=94?=", "€ “x”"),
            ("=?windows-1251?B?z/Do4uXy?=", "Привет"),
            ("=?koi8-r?B?8NLJ18XU?=", "Привет"),
            ("=?iso-2022-jp?B?GyRCRnxLXBsoQg==?=", "日本"),
            ("=?gb2312?B?xOO6ww==?=", "你好"),
            ("=?us-ascii*en-GB?Q?a_b?=", "a b"),
            ("=?utf-8?B?R3LDvMOfZQ?=", "Grüße"),
            ("plain", "plain"),
        ] {
            assert_eq!(decoded(text), want, "{text:?}");
        }
    }

    #[test]
    fn white_space_between_words_is_none_and_elsewhere_it_stays() {
        for (text, want) in [
            ("=?utf-8?Q?a?= =?utf-8?Q?b?=", "ab"),
            ("=?utf-8?Q?a?= \t =?iso-8859-1?Q?=FC?=", "aü"),
            ("=?utf-8?Q?a?= b =?utf-8?Q?c?=", "a b c"),
            ("=?utf-8?Q?a_?= =?utf-8?Q?b?=", "a b"),
            ("\"=?utf-8?Q?a?=\" <a@b>", "\"a\" <a@b>"),
        ] {
            assert_eq!(decoded(text), want, "{text:?}");
        }
    }

    #[test]
    fn a_character_that_is_split_between_two_words_is_whole() {
        assert_eq!(decoded("=?utf-8?B?R3LD?= =?utf-8?B?vMOfZQ==?="), "Grüße");
        assert_eq!(decoded("=?utf-8?Q?=E6=97?= =?utf-8?Q?=A5?="), "日");
    }

    #[test]
    fn what_is_no_encoded_word_stays_as_it_is() {
        for text in [
            "=?",
            "=?=",
            "=??=",
            "=?utf-8?Q?",
            "=?utf-8?Q?a",
            "=?utf-8?X?a?=",
            "=?no-such-charset?Q?a?=",
            "=?iso-2022-kr?Q?a?=",
            "=?utf-8?B?!!?=",
            "=?utf-8?Q?=Z1?=",
            "=?utf-8?Q?=4?=",
            "=?utf-8?Q?a b?=",
            "1 =? 2 ?= 3",
            "=?utf-8?Q?=?=",
        ] {
            assert_eq!(decoded(text), text, "{text:?}");
        }
        assert_eq!(decoded("=?x?Q?a?= =?utf-8?Q?b?="), "=?x?Q?a?= b");
        assert_eq!(decoded("=?utf-8?Q?=FF?="), "\u{fffd}");
    }
}
