//! `Delivered-To` on its way to another server.
//!
//! Postfix, qmail, Courier and others put this field before what they deliver, and if a message already has one
//! with the address of the recipient, they take that for a loop.  So if the field was passed on, a message that
//! one server has delivered to an address would not be delivered to the same address by the next: the field is
//! renamed to `X-Original-Delivered-To`.

/// The field's name, in lower case.
const NAME: &[u8] = b"delivered-to";

/// What is put before it.
const BEFORE: &[u8] = b"X-Original-";

/// Octets up to a field's colon: with any more between name and colon it is not a field.
const NAME_LIMIT: usize = 998;

/// Renames the fields of one message, which may come in pieces of any size.
#[derive(Debug, Default)]
pub struct Renamer {
    place: Position,
    /// The beginning of a line that may become the field, and was not passed on yet.
    held: Vec<u8>,
    /// What is passed on, where it differs from what came.
    out: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Position {
    #[default]
    LineStart,
    Line,
    Body,
}

/// What a line of the header is, by its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Blank,
    DeliveredTo,
    Other,
    /// More of the line is needed.
    Unknown,
}

impl Renamer {
    /// Takes the next piece of the message; returns what is passed on.
    pub fn pass<'a>(&'a mut self, piece: &'a [u8]) -> &'a [u8] {
        if self.place == Position::Body {
            return piece;
        }
        if self.held.is_empty() {
            let (fields, end) = self.look(piece);
            self.held.extend_from_slice(&piece[end..]);
            if fields.is_empty() {
                return &piece[..end];
            }
            self.give_out(&piece[..end], &fields);
        } else {
            let mut text = std::mem::take(&mut self.held);
            text.extend_from_slice(piece);
            let (fields, end) = self.look(&text);
            self.held.extend_from_slice(&text[end..]);
            self.give_out(&text[..end], &fields);
        }
        &self.out
    }

    /// What is left at the message's end.
    pub fn finish(&mut self) -> &[u8] {
        &self.held
    }

    /// Where the fields to be renamed are in a part of the message, and up to where that is certain.
    fn look(&mut self, text: &[u8]) -> (Vec<usize>, usize) {
        let (mut fields, mut at) = (Vec::new(), 0);
        while at < text.len() {
            match self.place {
                Position::LineStart => match kind(&text[at..]) {
                    Line::Unknown => return (fields, at),
                    Line::Blank => self.place = Position::Body,
                    line => {
                        self.place = Position::Line;
                        fields.extend((line == Line::DeliveredTo).then_some(at));
                    }
                },
                Position::Line => match memchr::memchr(b'\n', &text[at..]) {
                    Some(end) => {
                        self.place = Position::LineStart;
                        at += end + 1;
                    }
                    None => at = text.len(),
                },
                Position::Body => at = text.len(),
            }
        }
        (fields, text.len())
    }

    fn give_out(&mut self, text: &[u8], fields: &[usize]) {
        self.out.clear();
        let mut start = 0;
        for &field in fields {
            self.out.extend_from_slice(&text[start..field]);
            self.out.extend_from_slice(BEFORE);
            start = field;
        }
        self.out.extend_from_slice(&text[start..]);
    }
}

/// Reads a line as it will be on the wire, where a CR before the line's end is dropped, and any other becomes a space.
fn kind(text: &[u8]) -> Line {
    let returns = text.iter().take_while(|&&octet| octet == b'\r').count();
    match text.get(returns) {
        None if returns < NAME_LIMIT => return Line::Unknown,
        Some(b'\n') => return Line::Blank,
        _ if returns > 0 => return Line::Other,
        _ => {}
    }
    let name = &text[..text.len().min(NAME.len())];
    if !name.eq_ignore_ascii_case(&NAME[..name.len()]) {
        return Line::Other;
    }
    let after = text[name.len()..].iter().find(|octet| !matches!(octet, b' ' | b'\t' | b'\r'));
    match after {
        Some(b':') => Line::DeliveredTo,
        None if text.len() < NAME_LIMIT => Line::Unknown,
        _ => Line::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renamed(pieces: &[&[u8]]) -> Vec<u8> {
        let (mut renamer, mut out) = (Renamer::default(), Vec::new());
        pieces.iter().for_each(|piece| out.extend_from_slice(renamer.pass(piece)));
        out.extend_from_slice(renamer.finish());
        out
    }

    #[test]
    fn the_field_is_renamed_wherever_it_stands_in_the_header_and_nothing_else_is() {
        for (message, want) in [
            ("Delivered-To: a@x\nSubject: y\n\n", "X-Original-Delivered-To: a@x\nSubject: y\n\n"),
            ("A: b\nDELIVERED-to :a@x\n\n", "A: b\nX-Original-DELIVERED-to :a@x\n\n"),
            ("delivered-to \t :\n a@x\n\n", "X-Original-delivered-to \t :\n a@x\n\n"),
            ("Delivered-To: a\nDelivered-To: b\n", "X-Original-Delivered-To: a\nX-Original-Delivered-To: b\n"),
            ("Delivered-To: a\r\n\r\nDelivered-To: b\r\n", "X-Original-Delivered-To: a\r\n\r\nDelivered-To: b\r\n"),
            ("Delivered-To\r: a\n", "X-Original-Delivered-To\r: a\n"),
            ("A: b\n\nDelivered-To: a@x\n", "A: b\n\nDelivered-To: a@x\n"),
            ("A: b\n\r\r\nDelivered-To: a@x\n", "A: b\n\r\r\nDelivered-To: a@x\n"),
            ("\nDelivered-To: a@x\n", "\nDelivered-To: a@x\n"),
            ("A: b\n Delivered-To: a@x\n\n", "A: b\n Delivered-To: a@x\n\n"),
            ("X-Original-Delivered-To: a\nDelivered-Too: b\n", "X-Original-Delivered-To: a\nDelivered-Too: b\n"),
            ("Delivered-To\n: a\n\n", "Delivered-To\n: a\n\n"),
            ("A: b\nDelivered-To", "A: b\nDelivered-To"),
            ("A: b\nDeli", "A: b\nDeli"),
            ("\r", "\r"),
            ("", ""),
        ] {
            let message = message.as_bytes();
            assert_eq!(renamed(&[message]), want.as_bytes());
            let octets: Vec<&[u8]> = message.chunks(1).collect();
            assert_eq!(renamed(&octets), want.as_bytes());
            for cut in 0..=message.len() {
                for second in cut..=message.len() {
                    let pieces = [&message[..cut], &message[cut..second], &message[second..]];
                    assert_eq!(renamed(&pieces), want.as_bytes(), "{pieces:?}");
                }
            }
        }
    }

    #[test]
    fn a_name_that_does_not_end_is_none_and_takes_no_memory() {
        for filler in ["Delivered-To ", "\r"] {
            let message = format!("{filler}{}", filler[filler.len() - 1..].repeat(100_000));
            let (mut renamer, mut octets) = (Renamer::default(), 0);
            for piece in message.as_bytes().chunks(100) {
                octets += renamer.pass(piece).len();
                assert!(renamer.held.len() < NAME_LIMIT);
            }
            assert_eq!(octets + renamer.finish().len(), message.len());
        }
    }

    #[test]
    fn what_holds_no_such_field_is_given_on_without_a_copy() {
        let mut renamer = Renamer::default();
        let piece = b"A: b\nDe";
        assert!(std::ptr::eq(renamer.pass(piece).as_ptr(), piece.as_ptr()));
        assert_eq!(renamer.pass(b"al: x\n\n"), b"Deal: x\n\n");
        let body = [b'x'; 1000];
        assert!(std::ptr::eq(renamer.pass(&body).as_ptr(), body.as_ptr()));
    }
}
