use super::*;

fn status(line: &str) -> Option<Status> {
    Status::parse(line.as_bytes())
}

#[test]
fn a_status_line_begins_with_ok_or_err_and_nothing_else() {
    assert!(status("+OK").expect("status").ok);
    assert!(status("+ok  ready").expect("status").ok);
    assert_eq!(status("-ERR no").expect("status").text, "no");
    for other in ["", "+OKAY", "OK", "From: x", "-ER", "+ ", ".", "-ERRATUM", "+OK\0", "+OK\u{e9}"] {
        assert_eq!(status(other), None, "{other:?}");
    }
    let odd = status("+OK3 messages").expect("status");
    assert!(odd.ok && odd.text == "3 messages");
    assert_eq!(behind_status(b"+OK1 u1"), b"1 u1");
    assert_eq!(behind_status(b"-ERR"), b"");
}

#[test]
fn a_login_is_refused_by_whatever_begins_with_err() {
    for (line, text) in [
        ("-ERR no", "no"),
        ("-ERR, wrong password", "wrong password"),
        ("-ERR: no", "no"),
        ("-ERR[AUTH] no", "[AUTH] no"),
        ("-err.", ""),
        ("-ERROR: no", "no"),
        ("-ERR(5) no", "(5) no"),
    ] {
        let status = Status::parse_login(line.as_bytes()).expect("a refusal");
        assert!(!status.ok && status.text == text, "{line}: {status:?}");
    }
    assert_eq!(Status::parse_login(b"-ERR[AUTH] no").and_then(|status| status.code), Some(ResponseCode::Auth));
    assert!(Status::parse_login(b"+OK[X]").is_some_and(|status| status.ok));
    for other in ["-ERRATUM", "+OKAY", "-ER", "-ERRORS"] {
        assert_eq!(Status::parse_login(other.as_bytes()), None, "{other}");
    }
}

#[test]
fn without_its_own_text_a_refusal_means_what_it_did() {
    let hidden = |line: &str| status(line).expect("a status").with_text("(not shown)");
    assert_eq!(hidden("-ERR secret: maildrop already locked").meaning(), Some(ResponseCode::InUse));
    assert_eq!(hidden("-ERR [SYS/TEMP] secret").meaning(), Some(ResponseCode::SysTemp));
    assert_eq!(hidden("-ERR secret").meaning(), None);
    assert!(hidden("-ERR unknown command: PASS secret").is_about_the_command());
    assert_eq!(hidden("-ERR secret").text, "(not shown)");
}

#[test]
fn response_codes_are_read_in_any_case() {
    for (line, code) in [
        ("-ERR [IN-USE] locked", ResponseCode::InUse),
        ("-ERR [auth] no", ResponseCode::Auth),
        ("-ERR [Sys/Temp] later", ResponseCode::SysTemp),
        ("-ERR [SYS/PERM]", ResponseCode::SysPerm),
        ("-ERR [LOGIN-DELAY] wait", ResponseCode::LoginDelay),
        ("+OK [UTF8]", ResponseCode::Utf8),
        ("-ERR [x-y] z", ResponseCode::Other("X-Y".to_owned())),
    ] {
        assert_eq!(status(line).expect("status").code, Some(code), "{line}");
    }
    assert_eq!(status("-ERR no [AUTH]").expect("status").code, None);
    assert_eq!(status("-ERR [AUTH").expect("status").code, None);
}

#[test]
fn server_text_is_escaped() {
    assert_eq!(status("-ERR \x1b[2J").expect("status").text, "\\x1b[2J");
}

#[test]
fn capabilities_of_rfc_2449_are_understood() {
    let mut all = Capabilities::default();
    for line in [
        "TOP",
        "USER",
        "SASL CRAM-MD5 KERBEROS_V4",
        "RESP-CODES",
        "LOGIN-DELAY 900",
        "PIPELINING",
        "EXPIRE 60",
        "UIDL",
        "IMPLEMENTATION Shlemazle-Plotz-v302",
    ] {
        all.add_line(line.as_bytes());
    }
    assert!(all.announced && all.top && all.user && all.pipelining && all.uidl && !all.stls);
    assert_eq!(all.sasl, ["CRAM-MD5", "KERBEROS_V4"]);
    assert_eq!(all.login_delay, Some(Duration::from_secs(900)));
    assert_eq!(all.expire_days, Some(60));
    assert_eq!(all.implementation.as_deref(), Some("Shlemazle-Plotz-v302"));
    let mut never = Capabilities::default();
    never.add_line(b"EXPIRE NEVER");
    assert_eq!(never.expire_days, None);
}

#[test]
fn listings_tolerate_spaces_and_extra_fields() {
    let number = |n| MessageNumber::new(n).expect("not zero");
    assert_eq!(list_line(b"1 120"), Some((number(1), 120)));
    assert_eq!(list_line(b" 2   200 extra"), Some((number(2), 200)));
    for bad in ["", "x", "0 1", "1", "1 x", "-1 5", "99999999999 1", "1 99999999999999999999"] {
        assert_eq!(list_line(bad.as_bytes()), None, "{bad}");
    }
    assert_eq!(uidl_line(b"1 whqtswO00WBw418f9t5JxYwZ"), Some((number(1), Some(&b"whqtswO00WBw418f9t5JxYwZ"[..]))));
    assert_eq!(uidl_line(b"2  a b\xff"), Some((number(2), Some(&b"a b\xff"[..]))));
    assert_eq!(uidl_line(b"3"), Some((number(3), None)));
    let long = [b"4 ", [b'u'; UNIQUE_ID_LIMIT + 1].as_slice()].concat();
    assert_eq!(uidl_line(&long), Some((number(4), None)));
}

#[test]
fn stat_gives_count_and_octets() {
    assert_eq!(stat("2 320"), Some((2, 320)));
    assert_eq!(stat("0 0 extra"), Some((0, 0)));
    assert_eq!(stat("2"), Some((2, 0)));
    assert_eq!(stat("many"), None);
}

#[test]
fn what_is_announced_again_after_the_login_holds_if_it_is_worse_for_us() {
    let capabilities = |lines: &[&str]| {
        let mut capabilities = Capabilities::default();
        lines.iter().for_each(|line| capabilities.add_line(line.as_bytes()));
        capabilities
    };
    let before = capabilities(&["EXPIRE 30 USER", "LOGIN-DELAY 60 USER", "UIDL"]);
    assert!(before.per_user && !capabilities(&["EXPIRE 30", "LOGIN-DELAY 60"]).per_user);
    for (lines, expire, delay) in [
        (&["EXPIRE 0", "LOGIN-DELAY 900"][..], Some(0), 900),
        (&["EXPIRE NEVER", "LOGIN-DELAY 10"], Some(30), 60),
        (&[], Some(30), 60),
    ] {
        let mut after = capabilities(lines);
        after.merge(&before);
        assert_eq!((after.expire_days, after.login_delay), (expire, Some(Duration::from_secs(delay))), "{lines:?}");
        assert!(after.uidl);
    }
}
