//! A guard for SCRAM (RFC 5802): the server's first message is checked before anything is
//! computed from it.

/// Fewer iterations give a password away to an eavesdropper (RFC 7677 §4).
const LEAST_ITERATIONS: u32 = 4096;
/// More would be a way to keep a client busy.
const MOST_ITERATIONS: u32 = 1_000_000;
/// Most octets of the message.
const LIMIT: usize = 2048;

/// Whether a server's first message is `r=NONCE,s=SALT,i=COUNT` within limits, and nothing that
/// demands more (`m=`).  The nonce must add something to the client's.
pub(super) fn check(message: &[u8], nonce: &str) -> Result<(), &'static str> {
    if message.len() > LIMIT {
        return Err("its first message is too long");
    }
    let text = std::str::from_utf8(message).map_err(|_| "its first message is not text")?;
    let mut fields = text.split(',');
    let mut field = |name| fields.next().and_then(|field| field.strip_prefix(name));
    let theirs = field("r=").ok_or("its first message does not begin with a nonce")?;
    let added = theirs.strip_prefix(nonce).ok_or("its nonce does not begin with ours")?;
    if added.is_empty() || !theirs.bytes().all(|octet| octet.is_ascii_graphic()) {
        return Err("its nonce adds nothing to ours, or contains what a nonce may not");
    }
    if field("s=").is_none_or(str::is_empty) {
        return Err("its first message has no salt");
    }
    let count = field("i=").ok_or("its first message has no iteration count")?;
    let plain = !count.is_empty() && count.bytes().all(|octet| octet.is_ascii_digit());
    match count.parse::<u32>() {
        Ok(LEAST_ITERATIONS..=MOST_ITERATIONS) if plain => Ok(()),
        _ => Err("its iteration count is not between 4096 and 1000000"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_sane_first_message_is_computed_with() {
        assert_eq!(check(b"r=abcX,s=QQ==,i=4096", "abc"), Ok(()));
        assert_eq!(check(b"r=abcX,s=QQ==,i=1000000,x=unknown", "abc"), Ok(()));
        let long = [&b"r=abcX,s="[..], &[b'A'; LIMIT], b",i=4096"].concat();
        for bad in [
            &b""[..],
            b"m=ext,r=abcX,s=QQ==,i=4096",
            b"r=abc,s=QQ==,i=4096",
            b"r=abX,s=QQ==,i=4096",
            b"r=abcX\x01,s=QQ==,i=4096",
            b"r=abcX,s=,i=4096",
            b"r=abcX,i=4096,s=QQ==",
            b"r=abcX,s=QQ==,i=4095",
            b"r=abcX,s=QQ==,i=1000001",
            b"r=abcX,s=QQ==,i=99999999999",
            b"r=abcX,s=QQ==,i=+4096",
            b"r=abcX,s=QQ==,i=",
            b"r=abcX,s=QQ==",
            b"\xff",
            &long,
        ] {
            assert!(check(bad, "abc").is_err(), "{}", String::from_utf8_lossy(bad));
        }
    }
}
