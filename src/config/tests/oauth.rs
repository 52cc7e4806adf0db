//! Providers of OAuth 2.0, and the accounts that sign in there.

use super::*;
use crate::account::Credential;
use crate::credential::SecretSource;
use crate::oauth::{Grant, Provider};

/// The keys that a provider without a preset needs.
const OWN: &str = "[oauth.own]\nauthorization-endpoint = \"https://p.example/a\"\n\
                   token-endpoint = \"https://p.example/t\"\nscopes = [\"mail\"]\nclient-id = \"c\"\n";

fn grant(text: &str) -> Grant {
    let config = parse_text(text).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.warnings, Vec::<String>::new(), "{text}");
    match &config.accounts[0].credential {
        Credential::OAuth(grant) => grant.as_ref().clone(),
        other => panic!("{other:?}"),
    }
}

fn provider(account: &str, tables: &str) -> Provider {
    grant(&format!("{}{tables}", with_account(account))).provider.as_ref().clone()
}

#[test]
fn a_known_provider_needs_a_client_id_and_its_table_may_change_it() {
    let google = provider("oauth = \"google\"", "[oauth.google]\nclient-id = \"c\"\nclient-secret-file = \"s\"\n");
    assert_eq!(google.token.as_str(), "https://oauth2.googleapis.com/token");
    assert_eq!((google.device.as_ref(), google.redirect.as_str()), (None, "http://127.0.0.1"));
    assert_eq!(google.scopes, ["https://mail.google.com/"]);
    assert!(google.parameters.contains(&("access_type", "offline")));
    assert_eq!(google.client_secret, Some(SecretSource::File("/etc/postrider/s".into())));

    let keys = "preset = \"microsoft\"\ntenant = \"example.org\"\nclient-id = \"c\"\nscopes = \"x\"\n";
    let work = provider("oauth = \"work\"", &format!("[oauth.work]\n{keys}"));
    let base = "https://login.microsoftonline.com/example.org/oauth2/v2.0";
    assert_eq!(work.authorization.as_str(), format!("{base}/authorize"));
    assert_eq!(work.token.as_str(), format!("{base}/token"));
    assert_eq!(work.device.as_ref().map(|url| url.as_str().to_owned()), Some(format!("{base}/devicecode")));
    assert_eq!((work.scopes, work.redirect.as_str()), (vec!["x".to_owned()], "http://localhost"));
}

#[test]
fn an_account_signs_in_by_its_own_key_or_an_inherited_one() {
    let lines = "oauth = \"own\"\nauth = \"xoauth2\"\nproxy = \"socks5://gw\"";
    let own = grant(&format!("{}{OWN}", with_account(lines)));
    assert_eq!((own.account.as_str(), own.username.as_str()), ("work", "alice"));
    assert!(matches!(own.route, crate::net::Route::Proxy { .. }));
    let account = "[accounts.work]\nhost = \"h\"\nusername = \"u\"\n";
    let with =
        |defaults: &str, own: &str| format!("[defaults]\n{defaults}\ndeliver = \"home\"\n{account}{own}\n{HOME}{OWN}");
    grant(&with("oauth = \"own\"", ""));
    // The account's own key replaces an inherited one of any kind.
    grant(&with("password-file = \"p\"", "oauth = \"own\""));
    grant(&with("token-command = [\"t\"]", "oauth = \"own\""));
    let text = with("oauth = \"own\"", "password-file = \"p\"");
    let config = parse_text(&text).unwrap_or_else(|error| panic!("{error}"));
    assert!(matches!(config.accounts[0].credential, Credential::Password(_)));
    let text = with("oauth = \"own\"", "token-command = [\"t\"]");
    let config = parse_text(&text).unwrap_or_else(|error| panic!("{error}"));
    assert!(matches!(config.accounts[0].credential, Credential::Token(_)));
}

#[test]
fn what_is_wrong_with_an_accounts_key_is_said() {
    for (account, tables, words) in [
        ("oauth = \"google\"", "", "`google` needs your client id: write a table [oauth.google] with `client-id`"),
        ("oauth = \"gogle\"", "", "there is no provider `gogle`; write a table [oauth.gogle]; did you mean `google`?"),
        ("oauth = \"oen\"", OWN, "there is no provider `oen`; write a table [oauth.oen]; did you mean `own`?"),
        ("oauth = \"own\"\ntoken-command = [\"x\"]", OWN, "`oauth` and `token-command` are both set; one is enough"),
        ("oauth = \"own\"\npassword-file = \"x\"", OWN, "a password and `oauth` are both set; one is enough"),
        ("oauth = \"own\"\nauth = \"plain\"", OWN, "`plain` needs a password, but `oauth` is set"),
        ("oauth = 5", OWN, "`oauth` takes the name of a provider, not an integer"),
        ("", "oauth = 5\n", "`oauth` is a key of accounts, not of one with type = \"maildir\""),
    ] {
        let error = parse_text(&format!("{}{tables}", with_account(account))).expect_err(words).to_string();
        assert!(error.contains(words), "{words}: {error}");
    }
}

#[test]
fn what_is_wrong_with_a_provider_is_said() {
    let google = "[oauth.google]\n";
    for (name, table, words) in [
        ("own", "[oauth.own]\nclient-id = \"c\"\n".to_owned(), "provider `own` needs `token-endpoint`"),
        ("google", google.to_owned(), "provider `google` needs `client-id`"),
        ("google", format!("{google}client_id = \"c\"\n"), "unknown key `client_id`; did you mean `client-id`?"),
        ("own", OWN.replace("[\"mail\"]", "[\"a b\"]"), "one scope in each string, without spaces"),
        ("own", format!("{OWN}preset = \"yahoo\"\n"), "`preset` takes \"google\" or \"microsoft\", not `yahoo`"),
        ("own", format!("{OWN}redirect-uri = \"http://p.example/\"\n"), "`redirect-uri`: must be https"),
        ("own", format!("{OWN}redirect-uri = \"http://127.0.0.1/?x\"\n"), "must not have a query"),
        ("own", format!("{OWN}device-authorization-endpoint = \"http://p.example/\"\n"), "must be https: what is sent"),
        (
            "own",
            format!("{OWN}client-secret = \"x\"\nclient-secret-file = \"y\"\n"),
            "are both set; one client secret is enough",
        ),
        ("own", format!("{OWN}client-secret-credential = \"a/b\"\n"), "for a path there is `client-secret-file`"),
        ("own", format!("{OWN}tls-ca = \"/bad.pem\"\n"), "/bad.pem: holds no certificate"),
        ("own", format!("{OWN}interval = \"5m\"\n"), "`interval` is a key of accounts, not of [oauth.NAME]"),
    ] {
        let account = with_account(&format!("oauth = \"{name}\""));
        let error = parse_text(&format!("{account}{table}")).expect_err(words).to_string();
        assert!(error.contains(words), "{words}: {error}");
    }
}

#[test]
fn what_is_useless_is_warned_of_and_a_secret_is_not_for_everybody() {
    for (account, tables, words) in [
        ("", OWN.to_owned(), "no account signs in at `own`"),
        ("oauth = \"own\"", format!("{OWN}tenant = \"x\"\n"), "`tenant` has no effect"),
    ] {
        let text = format!("{}{tables}", with_account(account));
        let config = parse_text(&text).unwrap_or_else(|error| panic!("{error}"));
        assert!(config.warnings.len() == 1 && config.warnings[0].contains(words), "{:?}", config.warnings);
    }
    let text = format!("{}{OWN}client-secret = \"x\"\n", with_account("oauth = \"own\""));
    let error = parse_with_mode(&text, 0o644).expect_err("open to others").to_string();
    assert!(error.contains("holds a password, but is open to others"), "{error}");
    // Any of several files may hold providers.
    let main = with_account("oauth = \"own\"");
    assert!(parse_files(&[file("config.toml", &main), file("conf.d/p.toml", OWN)]).is_ok());
}
