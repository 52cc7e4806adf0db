//! The service: an account whose permission has ended is left alone, says so, and goes on after a new
//! sign-in.

use super::*;

/// What `status` says of the account.
fn status(program: &Postrider) -> serde_json::Value {
    let text = program.run(&["status", "--json"]).stdout;
    let status: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    status["accounts"][0].clone()
}

#[test]
fn a_withdrawn_permission_latches_the_account_until_somebody_signs_in() {
    let withdrawn = Arc::new(Mutex::new(true));
    let is_withdrawn = Arc::clone(&withdrawn);
    let provider = AuthorizationServer::start(move |asked| match asked.form["grant_type"].as_str() {
        "refresh_token" if *is_withdrawn.lock().expect("no panic while locked") => {
            json(400, "{\"error\":\"invalid_grant\",\"error_description\":\"Token has been expired or revoked.\"}")
        }
        _ => tokens(ACCESS, Some(REFRESH), 100),
    });
    let mailbox = mailbox_for(&[ACCESS]);
    let program = program(&provider, mailbox.port());
    sign_in(&program);
    let mut service = program.start_service(LIMIT);
    service.wait_until("the refusal", LIMIT, |_| status(&program)["state"] == "login-refused");
    let shown = program.run(&["status"]);
    assert!(shown.stdout.contains("invalid_grant"), "{}", shown.text());
    assert!(shown.stdout.contains("postrider login a"), "{}", shown.text());
    assert!(service.stderr().contains("Run `postrider login a`"), "{}", service.stderr());
    // It is not tried again, and not after a restart either.
    program.run(&["poll"]);
    service.sigterm();
    assert_no_secret(&service.wait(LIMIT).assert_success());
    let mut service = program.start_service(LIMIT);
    assert_eq!(status(&program)["state"], "login-refused");
    assert_eq!(provider.grants("refresh_token").len(), 1);
    // Somebody signs in: the service notices by itself.
    *withdrawn.lock().expect("no panic while locked") = false;
    assert_no_secret(&sign_in(&program));
    service.wait_until("the mail", LIMIT, |_| count_messages(&program.path("mail")) == 2);
    assert_eq!(provider.grants("refresh_token").len(), 2);
    // A renewal is no change of the configuration.
    let reloads = service.stderr().matches(" reloaded: ").count();
    program.run(&["fetch"]).assert_success();
    program.run(&["fetch"]).assert_success();
    assert_eq!(service.stderr().matches(" reloaded: ").count(), reloads);
    service.sigterm();
    assert_no_secret(&service.wait(LIMIT).assert_success());
}

#[test]
fn a_service_waits_for_the_first_sign_in() {
    let (provider, mailbox) = (rotating(3600), mailbox_for(&[&format!("{ACCESS}-1")]));
    let program = program(&provider, mailbox.port());
    let mut service = program.start_service(LIMIT);
    service.wait_until("the refusal", LIMIT, |_| status(&program)["state"] == "login-refused");
    assert!(offered(&mailbox).is_empty());
    sign_in(&program);
    service.wait_until("the mail", LIMIT, |_| count_messages(&program.path("mail")) == 2);
    service.sigterm();
    assert_no_secret(&service.wait(LIMIT).assert_success());
}

#[test]
fn a_provider_with_a_fault_latches_nothing() {
    let provider = AuthorizationServer::start(move |asked| match asked.form["grant_type"].as_str() {
        "refresh_token" => json(503, "{\"error\":\"invalid_grant\"}"),
        _ => tokens(ACCESS, Some(REFRESH), 100),
    });
    let program = program(&provider, mailbox_for(&[ACCESS]).port());
    let mailbox = mailbox_for(&[ACCESS]);
    program.config(&format!("{}{}", account(mailbox.port(), ""), super::provider(provider.port)));
    sign_in(&program);
    let mut service = program.start_service(LIMIT);
    service.wait_until("the fault", LIMIT, |_| status(&program)["state"] == "backing-off");
    service.sigterm();
    service.wait(LIMIT).assert_success();
}
