//! Renewing tokens: before they expire, once after a refusal, durable before use, and by one process.

use super::*;

#[test]
fn a_token_that_is_about_to_expire_is_renewed_before_the_login() {
    let (provider, mailbox) = (rotating(100), mailbox_for(&[&format!("{ACCESS}-2"), &format!("{ACCESS}-3")]));
    let program = program(&provider, mailbox.port());
    sign_in(&program);
    for number in [2, 3] {
        let run = program.run(&["fetch"]).assert_success();
        assert_no_secret(&run);
        // What is asked for is in the log, and no value that is a secret.
        assert_says(&run, &["C: POST /token ", "grant_type=refresh_token", "refresh_token=***", "S: HTTP status 200"]);
        assert_eq!(offered(&mailbox).last(), Some(&format!("{ACCESS}-{number}")));
        assert_eq!(kept(&program)["refresh-token"], format!("{REFRESH}-{number}"));
    }
    let spent: Vec<String> =
        provider.grants("refresh_token").into_iter().map(|form| form["refresh_token"].clone()).collect();
    assert_eq!(spent, [format!("{REFRESH}-1"), format!("{REFRESH}-2")]);
}

#[test]
fn a_refused_token_is_renewed_once_and_the_new_one_tried_once() {
    for (good, code, mails) in [(2, 0, 2), (3, 77, 0)] {
        let (provider, mailbox) = (rotating(3600), mailbox_for(&[&format!("{ACCESS}-{good}")]));
        let program = program(&provider, mailbox.port());
        sign_in(&program);
        let run = program.run(&["fetch"]).assert_code(code);
        assert_no_secret(&run);
        assert_eq!(offered(&mailbox), [format!("{ACCESS}-1"), format!("{ACCESS}-2")]);
        assert_eq!(count_messages(&program.path("mail")), mails);
        if code != 0 {
            let words = "login as \"user1\" by xoauth2: the server refused: [AUTH] no such token (the token is invalid";
            assert_says(&run, &[words, "Run `postrider login a` and sign in as its `username`"]);
        }
    }
}

#[test]
fn a_token_that_is_new_and_refused_is_not_renewed_again() {
    let (provider, mailbox) = (rotating(100), mailbox_for(&[]));
    let program = program(&provider, mailbox.port());
    sign_in(&program);
    program.run(&["fetch"]).assert_code(77);
    assert_eq!(offered(&mailbox), [format!("{ACCESS}-2")]);
}

#[test]
fn a_server_that_is_only_busy_costs_no_renewal() {
    let (provider, mailbox) = (rotating(3600), mailbox_for(&[]));
    mailbox.change(|behaviour| behaviour.answers = vec![("AUTH".into(), "-ERR [IN-USE] later".into())]);
    let program = program(&provider, mailbox.port());
    sign_in(&program);
    program.run(&["fetch"]).assert_code(75);
    assert_eq!(provider.grants("refresh_token").len(), 0);
}

#[test]
fn a_refresh_token_that_is_not_replaced_stays() {
    let number = Mutex::new(0);
    let provider = AuthorizationServer::start(move |asked| {
        let mut number = number.lock().expect("no panic while locked");
        *number += 1;
        let first = asked.form["grant_type"] == "authorization_code";
        tokens(&format!("{ACCESS}-{number}"), first.then_some(REFRESH), 100)
    });
    let mailbox = mailbox_for(&[&format!("{ACCESS}-2"), &format!("{ACCESS}-3")]);
    let program = program(&provider, mailbox.port());
    sign_in(&program);
    program.run(&["fetch"]).assert_success();
    program.run(&["fetch"]).assert_success();
    let grants = provider.grants("refresh_token");
    assert!(grants.len() == 2 && grants.iter().all(|form| form["refresh_token"] == REFRESH), "{grants:?}");
}

#[test]
fn a_rotated_refresh_token_is_on_the_disk_before_the_login_and_survives_a_kill() {
    let (provider, mailbox) = (rotating(100), mailbox_for(&[&format!("{ACCESS}-3")]));
    let program = program(&provider, mailbox.port());
    sign_in(&program);
    let (file, seen) = (program.state_dir().join("tokens/a"), Arc::new(Mutex::new(None)));
    let for_watcher = Arc::clone(&seen);
    mailbox.watch(move |line| {
        if line.starts_with("AUTH") {
            *for_watcher.lock().expect("no panic while locked") = std::fs::read_to_string(&file).ok();
        }
    });
    mailbox.change(|behaviour| behaviour.hang_at = Some("AUTH".into()));
    let mut run = program.spawn(&["fetch"]);
    run.wait_until("the login", LIMIT, |_| seen.lock().expect("no panic while locked").is_some());
    let text = seen.lock().expect("no panic while locked").take().expect("tokens");
    assert!(text.contains(&format!("{REFRESH}-2")), "the old one is still there");
    run.kill();
    mailbox.change(|behaviour| behaviour.hang_at = None);
    program.run(&["fetch"]).assert_success();
    assert_eq!(provider.grants("refresh_token")[1]["refresh_token"], format!("{REFRESH}-2"));
}

#[test]
fn two_processes_spend_a_refresh_token_once() {
    const PROCESSES: usize = 6;
    let provider = AuthorizationServer::start(|asked| {
        match asked.form.get("refresh_token").map(String::as_str) {
            None => tokens("acc3ss.canary-1", Some("r3fresh.canary-1"), 1),
            // As a provider that takes a token back that is used twice.
            Some("r3fresh.canary-1") => tokens("acc3ss.canary-2", Some("r3fresh.canary-2"), 3600),
            Some(_) => json(400, "{\"error\":\"invalid_grant\"}"),
        }
    });
    let mailbox = mailbox_for(&["acc3ss.canary-2"]);
    let program = program(&provider, mailbox.port());
    sign_in(&program);
    let runs: Vec<Running> = (0..PROCESSES).map(|_| program.spawn(&["check", "--connect"])).collect();
    for run in runs {
        assert_no_secret(&run.wait(LIMIT).assert_success());
    }
    assert_eq!(provider.grants("refresh_token").len(), 1);
    assert_eq!(offered(&mailbox).len(), PROCESSES);
}

#[test]
fn a_token_command_is_asked_once_more_after_a_refusal() {
    for (second, code, want) in [("good.t0ken", 0, 2), ("bad.t0ken", 77, 1), ("worse.t0ken", 77, 2)] {
        let mailbox = mailbox_for(&["good.t0ken"]);
        let keys = "token-command = [\"sh\", \"-c\", \"cat tokens; cp next tokens\"]";
        let text = account(mailbox.port(), keys).replace("oauth = \"p\"\n", "");
        let program = Postrider::with_config(&text);
        std::fs::write(program.path("tokens"), "bad.t0ken\n").expect("written");
        std::fs::write(program.path("next"), second).expect("written");
        program.run(&["fetch"]).assert_code(code);
        assert_eq!(offered(&mailbox).len(), want, "{second}");
    }
}
