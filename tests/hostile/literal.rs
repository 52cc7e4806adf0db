//! Octets as a script writes them: `'a line'` ends in CRLF, `"octets"` are as they stand.
//!
//! Escapes are `\r \n \0 \t \e \\ \' \"` and `\xNN`.  Other text is its UTF-8.

use std::str::Chars;

/// Reads a literal from `text`; returns its octets and what follows.
pub(crate) fn read(text: &str) -> Result<(Vec<u8>, &str), String> {
    let mut rest = text.chars();
    let quote = match rest.next() {
        Some(quote @ ('\'' | '"')) => quote,
        _ => return Err(format!("a literal in quotes is missing: {text}")),
    };
    let mut octets = Vec::new();
    loop {
        match rest.next() {
            None => return Err(format!("a literal without an end: {text}")),
            Some(c) if c == quote => break,
            Some('\\') => octets.push(escaped(&mut rest).ok_or_else(|| format!("a wrong escape in {text}"))?),
            Some(c) => octets.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    if quote == '\'' {
        octets.extend_from_slice(b"\r\n");
    }
    Ok((octets, rest.as_str()))
}

fn escaped(rest: &mut Chars<'_>) -> Option<u8> {
    Some(match rest.next()? {
        'r' => b'\r',
        'n' => b'\n',
        '0' => 0,
        't' => b'\t',
        'e' => 0x1b,
        c @ ('\\' | '\'' | '"') => c as u8,
        'x' => {
            let digits: String = rest.by_ref().take(2).collect();
            u8::from_str_radix(&digits, 16).ok()?
        }
        _ => return None,
    })
}

#[test]
fn a_literal_may_hold_any_octet() {
    let read = |text| read(text).expect("a literal");
    assert_eq!(read(r"'+OK' close"), (b"+OK\r\n".to_vec(), " close"));
    assert_eq!(read(r#""\r\n\0\e\xfF\\\"ü""#), (b"\r\n\0\x1b\xff\\\"\xc3\xbc".to_vec(), ""));
}
