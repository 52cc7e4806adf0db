//! What is on record where no service runs, as under cron.

use super::*;

#[test]
fn without_a_service_status_tells_how_the_last_fetch_ended() {
    let (good, bad) = (MailboxServer::start(Message::several(2, Mix::Tiny)), MailboxServer::start(Vec::new()));
    bad.change(|behaviour| behaviour.refuse_login = Some("-ERR [AUTH] no".into()));
    let program = Postrider::new();
    let of = |server: &MailboxServer, name: &str| mailbox(server.port(), name, "deliver = \"home\"");
    program.config(&format!("{}{}{}", of(&good, "good"), of(&bad, "bad"), maildir("home")));
    let before = program.run(&["status"]).assert_code(69);
    assert!(before.stdout.contains("never"), "{}", before.text());
    program.run(&["fetch"]).assert_code(77);
    let status = program.run(&["status"]).assert_code(77);
    for word in ["No service runs", "good ", "idle", "bad ", "login refused", "\nbad: login as"] {
        assert!(status.stdout.contains(word), "{word}: {}", status.text());
    }
    assert!(status.stderr.contains("the service is not running"), "{}", status.text());
    let shown = json(&program.run(&["status", "--json"]).assert_code(77));
    assert_eq!((&shown["schema"], &shown["running"]), (&1.into(), &false.into()));
    let [bad_one, good_one] = [&shown["accounts"][0], &shown["accounts"][1]];
    assert_eq!((&bad_one["exit-code"], &bad_one["last-success"]), (&77.into(), &Value::Null));
    assert!(bad_one["error"].is_string() && bad_one["advice"].is_string(), "{shown}");
    assert!(good_one["last-success"].is_i64() && good_one["error"].is_null(), "{shown}");
    assert_eq!(good_one["new-today"], 2);
    bad.change(|behaviour| behaviour.refuse_login = None);
    // Other settings: what was refused before does not wait.
    let of_bad = mailbox(bad.port(), "bad", "deliver = \"home\"\nauth = \"user\"");
    program.config(&format!("{}{of_bad}{}", of(&good, "good"), maildir("home")));
    program.run(&["fetch"]).assert_success();
    program.run(&["status"]).assert_code(69);
}

#[test]
fn a_record_that_cannot_be_read_is_a_failure_of_its_own() {
    let server = MailboxServer::start(Vec::new());
    let newer = |program: &Postrider| {
        let state = rusqlite::Connection::open(program.state_dir().join("state.db")).expect("opened");
        state.pragma_update(None, "user_version", 9999).expect("changed");
    };
    let damaged = |program: &Postrider| {
        std::fs::write(program.state_dir().join("state.db"), [b'x'; 5000]).expect("written");
    };
    let a_folder = |program: &Postrider| {
        std::fs::remove_file(program.state_dir().join("state.db")).expect("removed");
        std::fs::create_dir(program.state_dir().join("state.db")).expect("made");
    };
    for break_it in [newer as fn(&Postrider), damaged, a_folder] {
        let program = Postrider::with_config(&account(&server));
        program.run(&["fetch"]).assert_success();
        program.run(&["status"]).assert_code(69);
        break_it(&program);
        let status = program.run(&["status"]).assert_code(74);
        assert!(status.stderr.contains("state.db"), "{}", status.text());
        let shown = json(&program.run(&["status", "--json"]).assert_code(74));
        assert_eq!(shown["running"], false);
    }
}

#[test]
fn what_waits_and_what_is_in_quarantine_is_counted_without_a_service() {
    let server = MailboxServer::start(Message::several(3, Mix::Tiny));
    let hub = ScriptedSmtp::start();
    let replies = [(1, "554 5.6.0 no"), (2, "451 4.3.0 later")];
    hub.change(|behaviour| {
        behaviour.replies = replies.map(|(number, reply)| (Stage::Dot, Some(number), reply.to_owned())).to_vec();
    });
    let program = Postrider::new();
    let account = mailbox(server.port(), "one", "deliver = \"hub\"");
    program.config(&format!("{account}{}", smtp("hub", hub.port())));
    program.run(&["fetch"]);
    let shown = json(&program.run(&["status", "--json"]));
    let account = &shown["accounts"][0];
    assert_eq!(
        (&account["waiting"], &account["quarantined"], &account["new-today"]),
        (&1.into(), &1.into(), &1.into())
    );
}

#[test]
fn after_a_restart_the_advice_is_told_with_the_error() {
    let server = MailboxServer::start(Vec::new());
    server.change(|behaviour| behaviour.refuse_login = Some("-ERR [AUTH] no".into()));
    let program = Postrider::with_config(&account(&server));
    let failed = |program: &Postrider| json(&program.run(&["status", "--json"]))["accounts"][0]["advice"].clone();
    let mut service = program.start_service(LIMIT);
    wait_until("the refusal", LIMIT, || failed(&program).is_string());
    let before = failed(&program);
    service.sigterm();
    service.wait(LIMIT).assert_success();
    assert_eq!(failed(&program), before);
    let _service = program.start_service(LIMIT);
    assert_eq!(failed(&program), before);
}
