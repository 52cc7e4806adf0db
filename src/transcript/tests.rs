use super::*;

fn talk() -> Talk {
    Talk::default()
}

fn sent(talk: &mut Talk, line: &str) -> String {
    let masked = talk.masked(line.as_bytes()).into_owned();
    talk.shown(&masked)
}

#[test]
fn what_logs_in_is_masked_and_the_rest_is_shown() {
    for (line, shown) in [
        ("USER alice", "USER alice"),
        ("PASS a b c", "PASS ***"),
        ("pass x", "PASS ***"),
        ("APOP alice c4c9334bac560ecc979e58001b3e22fb", "APOP alice ***"),
        ("AUTH PLAIN AGFsaWNlAHNla3JpdA==", "AUTH PLAIN ***"),
        ("AUTH SCRAM-SHA-256", "AUTH SCRAM-SHA-256"),
        ("RETR 1", "RETR 1"),
        ("EHLO a.example", "EHLO a.example"),
    ] {
        assert_eq!(sent(&mut talk(), line), shown);
    }
}

#[test]
fn every_continuation_of_auth_is_masked_until_the_last_answer() {
    let mut talk = talk();
    sent(&mut talk, "AUTH LOGIN");
    for (challenge, line) in [("+ VXNlcm5hbWU6", "USER"), ("+", "c2Vrcml0"), ("334 x", "CAPA")] {
        talk.answer(challenge.as_bytes());
        assert!(talk.exchanging);
        assert_eq!(sent(&mut talk, line), "***");
    }
    assert_eq!(sent(&mut talk, "*"), "*");
    talk.answer(b"-ERR no");
    assert_eq!(sent(&mut talk, "CAPA"), "CAPA");
}

#[test]
fn a_server_that_repeats_a_secret_is_not_shown_however_it_encodes_it() {
    let secret = "S3kr\u{e9}t&pass word/42";
    let hex = |upper: bool| {
        let digits = secret.bytes().map(|octet| format!("{octet:02x}")).collect::<String>();
        if upper { digits.to_uppercase() } else { digits }
    };
    let base64 = |text: &str| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, text);
    let percent = secret.bytes().map(|octet| format!("%{octet:02X}")).collect::<String>();
    let form = "S3kr%C3%A9t%26pass+word%2F42".to_owned();
    for echo in [
        secret.to_owned(),
        secret.to_uppercase(),
        hex(false),
        hex(true),
        base64(secret),
        base64(&format!("\0alice\0{secret}")),
        base64(&format!("x{secret}y")),
        base64(&format!("xy{secret}yz")),
        percent,
        form,
        secret[..12].to_owned(),
    ] {
        let mut talk = talk();
        sent(&mut talk, &format!("PASS {secret}"));
        let shown = talk.shown(format!("-ERR unknown: {echo}.").as_bytes());
        assert_eq!(shown, "-ERR *** (repeats the login)", "{echo}");
        assert_eq!(talk.shown(b"-ERR [AUTH] no"), "-ERR [AUTH] no");
    }
}

#[test]
fn what_an_exchange_has_proved_is_not_shown_decoded() {
    let mut talk = talk();
    let encode = |text: &str| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, text);
    sent(&mut talk, "AUTH CRAM-MD5");
    talk.answer(b"+ PDE+");
    sent(&mut talk, &encode("alice b913a602c7eda7a495b4e6e7334d3890"));
    talk.answer(b"-ERR no");
    assert!(talk.shown(b"-ERR digest b913a602c7eda7a495b4e6e7334d3890").contains("***"));
    assert!(!talk.shown(b"-ERR alice may not").contains("***"));
    sent(&mut talk, &format!("AUTH XOAUTH2 {}", encode("user=alice\x01auth=Bearer ya29.a0Af\x01\x01")));
    assert!(talk.shown(b"535-5.7.8 ya29.a0Af").starts_with("535 ***"));
}

#[test]
fn lines_are_whole_whatever_pieces_they_come_in_and_bounded() {
    let mut kept = Zeroizing::default();
    assert!(whole_lines(&mut kept, b"EHL").is_empty());
    let lines = whole_lines(&mut kept, b"O x\r\nMAIL\nR");
    assert_eq!(lines.iter().map(|line| &line[..]).collect::<Vec<_>>(), [&b"EHLO x"[..], b"MAIL"]);
    assert!(whole_lines(&mut kept, &[b'x'; 2 * PART_LIMIT]).is_empty());
    assert_eq!(kept.len(), PART_LIMIT);
    assert_eq!(talk().shown(&[b'x'; 600]).len(), SHOWN + 3);
    assert_eq!(talk().shown(b"+OK \x1b[2J\xff"), "+OK \\x1b[2J\\xff");
}

proptest::proptest! {
    #[test]
    fn no_secret_is_shown_in_what_a_server_makes_of_it(
        secret in "[ -~]{6,60}",
        before in "[ -~]{0,7}",
        after in "[ -~]{0,7}",
        way in 0..4,
    ) {
        let mut talk = talk();
        sent(&mut talk, &format!("PASS {secret}"));
        let whole = format!("{before}{secret}{after}");
        let echo = match way {
            0 => whole,
            1 => base64::Engine::encode(&base64::engine::general_purpose::STANDARD, whole),
            2 => whole.bytes().map(|octet| format!("{octet:02X}")).collect(),
            _ => whole.bytes().map(|octet| format!("%{octet:02x}")).collect(),
        };
        proptest::prop_assert!(talk.shown(echo.as_bytes()).contains(MASK), "{}", echo);
    }
}
