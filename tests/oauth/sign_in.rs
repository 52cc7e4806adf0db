//! Signing in by a browser that comes back, and by pasting where it ended.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Stdio};

use sha2::{Digest as _, Sha256};

use super::*;

/// Starts `postrider login a` without a browser; returns the address to open.
pub(super) fn begin(program: &Postrider) -> (Running, String) {
    let mut run = program.spawn(&["login", "a", "--no-browser"]);
    run.wait_until("an address", LIMIT, |run| run.stdout().lines().any(|line| line.starts_with("http")));
    let address = run.stdout().lines().find(|line| line.starts_with("http")).expect("an address").to_owned();
    (run, address)
}

/// Where the browser is sent after somebody has signed in.
pub(super) fn redirect(address: &str, answer: &str) -> String {
    let parameters = parameters(address);
    format!("{}/?{answer}&state={}", parameters["redirect_uri"], parameters["state"])
}

/// The challenge of the address is that of the verifier that was sent (RFC 7636 §4.6).
#[track_caller]
fn assert_proves_its_key(address: &str, form: &BTreeMap<String, String>) {
    let challenge = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(Sha256::digest(&form["code_verifier"]));
    assert_eq!(parameters(address)["code_challenge"], challenge);
    assert_eq!(parameters(address)["code_challenge_method"], "S256");
}

#[test]
fn a_browser_comes_back_with_a_code_and_mail_is_fetched() {
    let (provider, mailbox) = (rotating(3600), mailbox_for(&[&format!("{ACCESS}-1")]));
    let program = program(&provider, mailbox.port());
    let (run, address) = begin(&program);
    let asked = parameters(&address);
    let want = [("response_type", "code"), ("client_id", "client-1"), ("scope", "mail offline")];
    assert!(want.iter().all(|(key, value)| asked[*key] == *value), "{asked:?}");
    assert!(asked["redirect_uri"].starts_with("http://127.0.0.1:"), "{asked:?}");
    let (status, page) = browse(&redirect(&address, &format!("code={CODE}"))).expect("a page");
    assert!(status == 200 && page.contains("You can close this page") && !page.contains(CODE), "{page}");
    let run = run.wait(LIMIT).assert_success();
    assert!(run.stdout.contains("account a: signed in"), "{}", run.text());
    let grants = provider.grants("authorization_code");
    assert_eq!((grants.len(), &grants[0]["code"]), (1, &CODE.to_owned()));
    assert_eq!(grants[0]["redirect_uri"], asked["redirect_uri"]);
    assert_proves_its_key(&address, &grants[0]);
    assert!(!run.text().contains(&grants[0]["code_verifier"]), "{}", run.text());
    let basic = format!("Basic {}", STANDARD.encode(format!("client-1:{SECRET}")));
    assert!(provider.asked()[0].head.contains(&basic), "{}", provider.asked()[0].head);
    assert_no_secret(&run);
    let fetched = program.run(&["fetch"]).assert_success();
    assert_eq!(count_messages(&program.path("mail")), 2);
    assert_no_secret(&fetched);
    // The token is good for an hour.
    program.run(&["fetch"]).assert_success();
    assert_eq!((offered(&mailbox).len(), provider.asked().len()), (2, 1));
}

#[test]
fn what_does_not_belong_to_the_attempt_changes_nothing() {
    let provider = rotating(3600);
    let program = program(&provider, 1);
    let (mut run, address) = begin(&program);
    let back = parameters(&address)["redirect_uri"].clone();
    let state = parameters(&address)["state"].clone();
    for (path, status) in [
        ("/?code=x&state=forged".to_owned(), 400),
        ("/?code=x".to_owned(), 400),
        (format!("/?state={state}"), 400),
        (format!("/?code=x&code=y&state={state}"), 400),
        (format!("/other?code=x&state={state}"), 404),
        ("/favicon.ico".to_owned(), 404),
        (format!("/?code={}", "x".repeat(100_000)), 414),
    ] {
        // A response that is too large is aborted, perhaps before its end is read.
        let answer = browse(&format!("{back}{path}")).map(|(status, _)| status).unwrap_or(414);
        assert_eq!(answer, status, "{}", &path[..path.len().min(50)]);
    }
    assert!(run.is_running() && provider.asked().is_empty());
    browse(&redirect(&address, &format!("code={CODE}"))).expect("a page");
    run.wait(LIMIT).assert_success();
    assert_eq!(provider.grants("authorization_code")[0]["code"], CODE);
}

#[test]
fn somebody_who_says_no_ends_it_and_leaves_what_was_there() {
    let provider = rotating(3600);
    let program = program(&provider, 1);
    sign_in(&program);
    let before = kept(&program);
    let (run, address) = begin(&program);
    let (_, page) = browse(&redirect(&address, "error=access_denied&error_description=Not+now%1b")).expect("a page");
    assert!(page.contains("has refused"), "{page}");
    let run = run.wait(LIMIT).assert_code(77);
    assert_says(&run, &["account a: signing in: the provider p refused: access_denied (Not now\\x1b)"]);
    assert_eq!(kept(&program), before);
}

#[test]
fn a_code_that_is_refused_says_so() {
    let provider = AuthorizationServer::start(|asked| {
        let body = format!("{{\"error\":\"invalid_grant\",\"error_description\":\"no: {}\"}}", asked.form["code"]);
        json(400, &body)
    });
    let program = program(&provider, 1);
    let run = program.run_with_input(&["login", "a", "--paste"], CODE).assert_code(77);
    assert_says(&run, &["asking for tokens: the provider p refused: invalid_grant.", "Run `postrider login a`"]);
    assert_no_secret(&run);
    assert!(!program.state_dir().join("tokens/a").exists());
}

#[test]
fn tokens_without_a_refresh_token_are_not_kept() {
    let provider = AuthorizationServer::start(|_| tokens(ACCESS, None, 3600));
    let program = program(&provider, 1);
    let run = program.run_with_input(&["login", "a", "--paste"], CODE).assert_code(77);
    assert_says(&run, &["gave no refresh token", "offline_access"]);
    assert!(!program.state_dir().join("tokens/a").exists());
}

/// `postrider login a --paste` with input from the test.
struct Pasting {
    child: Child,
    address: String,
}

impl Pasting {
    fn begin(program: &Postrider) -> Self {
        let mut command = program.command();
        command.arg("-c").arg(program.config_path()).args(["login", "a", "--paste"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("start the program");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines().map_while(Result::ok);
        let address = lines.find(|line| line.starts_with("http")).expect("an address");
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }

    /// Types lines and ends the input; returns the exit code and the output.
    fn paste(mut self, lines: &[&str]) -> (Option<i32>, String) {
        let mut input = self.child.stdin.take().expect("piped");
        lines.iter().for_each(|line| writeln!(input, "{line}").expect("written"));
        drop(input);
        let output = self.child.wait_with_output().expect("its end");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

#[test]
fn an_address_is_pasted_and_what_is_none_is_asked_for_again() {
    let provider = rotating(3600);
    let program = program(&provider, 1);
    let attempt = Pasting::begin(&program);
    let good = redirect(&attempt.address, &format!("code={CODE}"));
    let foreign = good.replace("state=", "state=x");
    let address = attempt.address.clone();
    let (code, said) = attempt.paste(&["", "no such thing", &foreign, &good, "more"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("neither the address of such a page nor a code"), "{said}");
    assert!(said.contains("belongs to another attempt"), "{said}");
    let grants = provider.grants("authorization_code");
    assert_eq!((grants.len(), &grants[0]["code"]), (1, &CODE.to_owned()));
    assert_proves_its_key(&address, &grants[0]);
    assert_eq!(grants[0]["redirect_uri"], "http://127.0.0.1");

    let attempt = Pasting::begin(&program);
    let denied = redirect(&attempt.address, "error=access_denied");
    assert_eq!(attempt.paste(&[&denied]).0, Some(77));
    assert_eq!(Pasting::begin(&program).paste(&[]).0, Some(75));
    assert_eq!(provider.asked().len(), 1);
}

#[test]
fn without_a_screen_an_address_is_asked_for_where_there_is_no_device_flow() {
    let provider = rotating(3600);
    let program = program(&provider, 1);
    let run = program.run_with_input(&["login", "a"], CODE).assert_success();
    assert!(run.stdout.contains("in any browser") && run.stdout.contains("Paste the address"), "{}", run.stdout);
}

#[test]
fn on_a_screen_the_browser_is_started() {
    use std::os::unix::fs::PermissionsExt;
    let provider = rotating(3600);
    let mut program = program(&provider, 1);
    let opener = program.path("bin/xdg-open");
    std::fs::create_dir(program.path("bin")).expect("made");
    std::fs::write(&opener, "#!/bin/sh\nprintf '%s' \"$1\" > opened.new\nmv opened.new opened\n").expect("written");
    std::fs::set_permissions(&opener, PermissionsExt::from_mode(0o755)).expect("its mode");
    let path = std::env::var("PATH").expect("a PATH");
    program.env("PATH", format!("{}:{path}", program.path("bin").display()));
    program.env("DISPLAY", ":7");
    let mut run = program.spawn(&["login", "a"]);
    run.wait_until("the browser", LIMIT, |_| program.path("opened").exists());
    let address = std::fs::read_to_string(program.path("opened")).expect("an address");
    browse(&redirect(&address, &format!("code={CODE}"))).expect("a page");
    run.wait(LIMIT).assert_success();
}

#[test]
fn an_interrupt_ends_it_and_leaves_nothing() {
    let provider = rotating(3600);
    let program = program(&provider, 1);
    let (mut run, _) = begin(&program);
    run.signal("INT");
    let run = run.wait(LIMIT).assert_code(75);
    assert_says(&run, &["SIGINT: not signed in"]);
    assert!(!program.state_dir().join("tokens/a").exists());
}

#[test]
fn an_account_that_does_not_sign_in_says_what_is_missing() {
    let program = Postrider::with_config(&format!("{}deliver = \"mail\"\n{}", mailbox(1, "a", ""), maildir("mail")));
    let run = program.run(&["login", "a"]).assert_code(78);
    assert_says(&run, &["account a: it does not use postrider's own OAuth 2.0", "Set `oauth`"]);
    assert_says(&program.run(&["login", "b"]).assert_code(64), &["no account \"b\""]);
    program.run(&["login"]).assert_code(64);
}

#[test]
fn an_endpoint_by_tls_is_verified() {
    let pop3 = Dovecot::start_with(&["--mechanisms", "plain"]);
    let provider_ =
        AuthorizationServer::start_tls(&pop3.certificate(), &pop3.key(), |_| tokens(ACCESS, Some(REFRESH), 3600));
    let keys = provider(provider_.port).replace("http://127.0.0.1", "https://localhost");
    let program = Postrider::with_config(&format!("{}{keys}", account(1, "")));
    let run = program.run_with_input(&["login", "a", "--paste"], CODE).assert_code(69);
    assert_says(&run, &["asking for tokens: TLS handshake", "does not know the authority", "`tls-ca` in [oauth.p]"]);
    assert!(provider_.asked().is_empty());
    let ca = format!("tls-ca = \"{}\"\n", pop3.ca().display());
    program.config(&format!("{}{keys}{ca}", account(1, "")));
    sign_in(&program);
    assert_eq!(provider_.grants("authorization_code").len(), 1);
    // By the account's proxy; what is in clear stays on this machine.
    let proxy = SocksProxy::start(provider_.port, SocksBehaviour::default());
    let way = format!("proxy = \"socks5://127.0.0.1:{}\"", proxy.port());
    program.config(&format!("{}{keys}{ca}", account(1, &way)));
    sign_in(&program);
    assert_eq!(proxy.asked(), [format!("name localhost:{}", provider_.port)]);
    let clear = rotating(3600);
    program.config(&format!("{}{}", account(1, &way), provider(clear.port)));
    sign_in(&program);
    assert_eq!(proxy.asked().len(), 1);
    // The system's authorities may be chosen as for every other connection.
    let mut program = Postrider::with_config(&format!("{}{keys}", account(1, "")));
    program.env("SSL_CERT_FILE", pop3.ca());
    sign_in(&program);
}
