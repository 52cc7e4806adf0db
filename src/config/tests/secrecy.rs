//! No password is ever in an error, however broken the file is.

use proptest::prelude::*;

use super::*;

/// A password that is nowhere else in the files.
const CANARY: &str = "Zq7xKw9";

/// What a typing error leaves in a file.
const SLIPS: [&str; 14] = ["", "\"", "'", "\"\"\"", "'''", "\n", "=", "[", "]", "{", "#", "\\", "x", "."];

/// Files without syntax errors, each with the canary in a different place.
fn files() -> Vec<String> {
    let bodies = [
        format!("password = \"{CANARY}\""),
        format!("password = '{CANARY}'"),
        format!("password = \"it's {CANARY}\" # a comment"),
        format!("password = \"\"\"\n{CANARY}\"\"\""),
        format!("password = '''{CANARY}'''"),
        format!("  password=\"{CANARY}\""),
        format!("\"password\" = \"{CANARY}\""),
        format!("pasword = \"{CANARY}\""),
        format!("Password = \"{CANARY}\""),
        format!("pass = \"{CANARY}\""),
        format!("passwd = [\"{CANARY}\"]"),
        format!("secret = {{ value = \"{CANARY}\" }}"),
        format!("password = [\n  \"{CANARY}\",\n]"),
        format!("password.value = \"{CANARY}\""),
        format!("kennwort = \"{CANARY}\""),
        format!("proxy = \"socks5://alice:{CANARY}@gw.example\""),
        format!("proxy = 'socks5://{CANARY}'"),
    ];
    let mut files: Vec<String> = bodies
        .iter()
        .map(|body| {
            format!(
                "[defaults]\nretention = \"kep\"\n[accounts.work]\nhost = \"pop.example\"\ntls = 'implicit'\n{body}\n\
             username = \"alice\"\ndeliver = [\"home\"]\n{HOME}"
            )
        })
        .collect();
    files.push(format!("accounts.work = {{ host = \"x y\", password = \"{CANARY}\", username = \"u\" }}\n{HOME}"));
    for body in [
        format!("client-secret = \"{CANARY}\""),
        format!("client-secret = '''\n{CANARY}'''"),
        format!("client_secret = \"{CANARY}\""),
        format!("client-secert = \"{CANARY}\""),
        format!("token = \"{CANARY}\""),
    ] {
        let account = with_account("oauth = \"google\"");
        files.push(format!("{account}[oauth.google]\nclient-id = 5\n{body}\ntenant = \"x\"\n"));
    }
    files.push(format!("[accounts]\npassword = \"{CANARY}\"\n[destinations]\n"));
    files
}

fn assert_silent(text: &str) {
    let (shown, debugged) = match parse_with_mode(text, 0o644) {
        Ok(config) => (config.warnings.concat(), format!("{config:?}")),
        Err(error) => (error.to_string(), format!("{error:?}")),
    };
    for part in [CANARY, &CANARY[..4], &CANARY[3..]] {
        assert!(!shown.contains(part) && !debugged.contains(part), "{text}\n----\n{shown}\n{debugged}");
    }
}

#[test]
fn a_password_is_never_shown_in_a_file_that_is_cut_off() {
    for file in files() {
        for cut in (0..=file.len()).filter(|&cut| file.is_char_boundary(cut)) {
            assert_silent(&file[..cut]);
        }
    }
}

#[test]
fn a_password_is_never_shown_when_one_octet_is_lost_or_wrong() {
    for file in files() {
        // From the line before the password to the one after it; the rest is left to chance below.
        let start = file.find(CANARY).map_or(0, |at| at.saturating_sub(40));
        for at in start..(start + 90).min(file.len()) {
            if in_canary(&file, at) {
                continue;
            }
            for instead in SLIPS {
                assert_silent(&format!("{}{instead}{}", &file[..at], &file[at + 1..]));
            }
        }
    }
}

/// Within the password itself a change makes another password, which these tests do not know.
fn in_canary(file: &str, at: usize) -> bool {
    file.match_indices(CANARY).any(|(start, _)| (start..start + CANARY.len()).contains(&at))
}

fn in_key(file: &str, at: usize) -> bool {
    let keys = [
        "password", "pasword", "Password", "passwd", "pass", "secret", "secert", "client", "token", "kennwort", "proxy",
    ];
    keys.iter().any(|key| file.match_indices(key).any(|(start, _)| (start..=start + key.len()).contains(&at)))
}

#[test]
fn a_password_is_never_shown_when_two_quotes_are_wrong() {
    for file in files() {
        let quotes: Vec<usize> = file.match_indices(['"', '\'']).map(|(at, _)| at).collect();
        for (n, &first) in quotes.iter().enumerate() {
            for &second in &quotes[n + 1..] {
                let mut bytes = file.clone().into_bytes();
                for at in [first, second] {
                    bytes[at] = if bytes[at] == b'"' { b'\'' } else { b'"' };
                }
                assert_silent(&String::from_utf8(bytes).expect("ASCII"));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_password_is_never_shown_after_several_slips_of_the_hand(
        which in any::<prop::sample::Index>(),
        slips in prop::collection::vec((any::<prop::sample::Index>(), 0..SLIPS.len(), any::<bool>()), 1..4),
    ) {
        let mut file = which.get(&files()).clone();
        for (at, slip, instead) in slips {
            let at = at.index(file.len());
            // A change within the password would make another password, and two within its key another key.
            if !in_canary(&file, at) && !in_key(&file, at) {
                file.replace_range(at..at + usize::from(instead), SLIPS[slip]);
            }
        }
        assert_silent(&file);
    }

    #[test]
    fn no_text_makes_it_panic(text in "(?s).{0,200}") {
        let _ = parse_text(&text).map_err(|error| error.to_string());
    }

    #[test]
    fn no_mixture_of_real_words_makes_it_panic(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "[accounts.a]", "\n", "[defaults]", "[[accounts]]", "host", " = ", "\"", "'", "\"\"\"", "{", "}", "[", "]",
                ",", "password", "ü", "\t", "1979-05-27", "inf", "0x", "auth", "deliver", "port", "1_0", "#", ".", "\r\n", "\\u00",
                "[destinations.a]", "type", "smtp", "maildir",
            ]),
            0..40,
        )
    ) {
        let _ = parse_text(&words.concat()).map_err(|error| error.to_string());
    }
}
