//! What a server's answers to questions about one message look like.
//!
//! RFC 1939 (§5 LIST, §7 UIDL) wants `+OK n answer`.  Some servers leave out the number, others answer with a listing
//! of one line.  The shape of a server is learnt once, in lock-step with a NOOP behind each question, and expected from
//! then on: an answer of another shape counts as a reply out of place.

use std::fmt;
use std::str::FromStr;

use crate::message::MessageNumber;
use crate::pop3::reply;

/// Where an answer is, and whether the number of its message stands before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// What comes after the status line.
    pub behind: Behind,
    /// The number is left out.
    pub is_bare: bool,
}

/// What comes after the status line of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behind {
    /// Nothing: the answer is in the status line.
    Nothing,
    /// A final dot: the answer is in the status line.
    Dot,
    /// The answer in a line of its own, and a final dot.
    Listing,
}

impl Form {
    /// As RFC 1939 has it.
    pub const STANDARD: Self = Self { behind: Behind::Nothing, is_bare: false };
}

/// The shapes of a server's answers.  `None`: the answer says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Of the answer to `UIDL n`.
    pub uidl: Option<Form>,
    /// Of the answer to `LIST n`.
    pub list: Option<Form>,
    /// Whether the answer to STAT has the two numbers.
    pub stat: bool,
}

impl Default for Shape {
    /// As RFC 1939 has it.
    fn default() -> Self {
        Self { uidl: Some(Form::STANDARD), list: Some(Form::STANDARD), stat: true }
    }
}

/// What a server sent for a question, up to its reply to a NOOP behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// The octets after `+OK`; `None`: the question was refused.
    pub text: Option<Vec<u8>>,
    /// The lines after the status line.
    pub lines: Vec<Vec<u8>>,
}

impl Shape {
    /// Of a server whose answers say nothing.
    pub const NOTHING: Self = Self { uidl: None, list: None, stat: false };
}

impl Sample {
    /// The form of an answer of which `is_answer` knows the octets, with the number (`false`) or without it (`true`).
    pub fn form(&self, is_answer: impl Fn(&[u8], bool) -> bool) -> Option<Form> {
        let text = self.text.as_deref()?;
        let (line, behind) = match self.lines.as_slice() {
            [] => (text, Behind::Nothing),
            [dot] if dot == b"." => (text, Behind::Dot),
            [line, dot] if dot == b"." => (line.as_slice(), Behind::Listing),
            _ => return None,
        };
        let is_bare = [false, true].into_iter().find(|&is_bare| is_answer(line, is_bare))?;
        Some(Form { behind, is_bare })
    }
}

/// Whether a line has this unique-id, behind the number of its message or alone.
pub fn is_uid(line: &[u8], number: MessageNumber, uid: &[u8], is_bare: bool) -> bool {
    if is_bare {
        return line.trim_ascii() == uid;
    }
    reply::uidl_line(line).is_some_and(|(said, unique_id)| said == number && unique_id == Some(uid))
}

/// The size that a line has, if it is about this message; without the number it may be about any.
pub fn size_of(line: &[u8], number: MessageNumber, is_bare: bool) -> Option<u64> {
    if is_bare {
        let word = line.trim_ascii().split(u8::is_ascii_whitespace).next()?;
        return std::str::from_utf8(word).ok()?.parse().ok();
    }
    reply::list_line(line).filter(|(said, _)| *said == number).map(|(_, size)| size)
}

/// As it is kept in the state: `uidl=FORM list=FORM stat=yes`.
impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stat = if self.stat { "yes" } else { "-" };
        write!(f, "uidl={} list={} stat={stat}", word(self.uidl), word(self.list))
    }
}

/// The words of all forms.
const WORDS: [(&str, Option<Form>); 7] = [
    ("-", None),
    ("line", Some(Form::STANDARD)),
    ("bare", Some(Form { behind: Behind::Nothing, is_bare: true })),
    ("line-dot", Some(Form { behind: Behind::Dot, is_bare: false })),
    ("bare-dot", Some(Form { behind: Behind::Dot, is_bare: true })),
    ("listing", Some(Form { behind: Behind::Listing, is_bare: false })),
    ("bare-listing", Some(Form { behind: Behind::Listing, is_bare: true })),
];

fn word(form: Option<Form>) -> &'static str {
    WORDS.iter().find(|(_, known)| *known == form).map_or("-", |(word, _)| word)
}

/// A text that is not a [`Shape`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoShape;

impl FromStr for Shape {
    type Err = NoShape;

    fn from_str(text: &str) -> Result<Self, NoShape> {
        let mut shape = Self::NOTHING;
        for part in text.split(' ') {
            let (name, value) = part.split_once('=').ok_or(NoShape)?;
            let form = || WORDS.iter().find(|(word, _)| *word == value).map(|(_, form)| *form).ok_or(NoShape);
            match name {
                "uidl" => shape.uidl = form()?,
                "list" => shape.list = form()?,
                "stat" => shape.stat = value == "yes",
                _ => return Err(NoShape),
            }
        }
        Ok(shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number() -> MessageNumber {
        MessageNumber::new(7).expect("not zero")
    }

    fn sample(text: &str, lines: &[&str]) -> Sample {
        Sample { text: Some(text.into()), lines: lines.iter().map(|line| line.as_bytes().to_vec()).collect() }
    }

    #[test]
    fn a_shape_is_told_by_where_the_known_unique_id_stands() {
        for (text, lines, want) in [
            (" 7 u7", &[][..], "line"),
            ("u7", &[], "bare"),
            ("unique-id listing follows", &["7 u7", "."], "listing"),
            ("", &["u7", "."], "bare-listing"),
            ("7 u7", &["."], "line-dot"),
            ("u7", &["."], "bare-dot"),
            // Neither the number nor another unique-id is an answer.
            ("", &[], "-"),
            ("7", &[], "-"),
            ("7 u8", &[], "-"),
            ("8 u7", &[], "-"),
            ("x", &["7 u7"], "-"),
            ("x", &["7 u7", "8 u8", "."], "-"),
        ] {
            let form = sample(text, lines).form(|line, is_bare| is_uid(line, number(), b"u7", is_bare));
            assert_eq!(word(form), want, "{text:?} {lines:?}");
        }
        assert_eq!(Sample::default().form(|_, _| true), None);
    }

    #[test]
    fn a_size_is_read_with_and_without_the_number() {
        for (line, is_bare, want) in [
            ("7 120", false, Some(120)),
            ("7 120 octets", false, Some(120)),
            ("8 120", false, None),
            ("120", true, Some(120)),
            ("120 octets", true, Some(120)),
            ("octets", true, None),
        ] {
            assert_eq!(size_of(line.as_bytes(), number(), is_bare), want, "{line}");
        }
    }

    #[test]
    fn what_is_kept_is_read_again() {
        for (_, uidl) in WORDS {
            for (_, list) in WORDS {
                for stat in [false, true] {
                    let shape = Shape { uidl, list, stat };
                    assert_eq!(shape.to_string().parse(), Ok(shape));
                }
            }
        }
        for text in ["", "?", "uidl", "uidl=x list=line stat=yes", "uidl=line more=1"] {
            assert_eq!(text.parse::<Shape>(), Err(NoShape), "{text:?}");
        }
    }
}
