//! From, Subject and Date: in the record, on the server, and nowhere if they are not wanted.

use super::*;

/// A message with these two fields.
fn saying(uid: &str, from: &str, subject: &str) -> Message {
    let text = format!(
        "Message-ID: <{uid}@example.org>\nFrom: {from}\nSubject: {subject}\nDate: Mon, 2 Jan 2023 03:04:05 +0000\n\nbody\n"
    );
    Message::text(uid, text.as_bytes())
}

fn mailbox_of_three() -> Vec<Message> {
    vec![
        saying("u1", "Alice Liddell <alice@example.org>", "100% of_the Markword"),
        saying("u2", "=?utf-8?B?5pel5pys6Kqe?= <jp@example.jp>", &format!("=?utf-8?B?{}?=", "5pel5pys6Kqe".repeat(20))),
        saying(
            "u3",
            "=?utf-8?Q?=1B]0;Evilword=07?= <e@example.org>",
            "=?iso-8859-1?Q?Gr=FC=DFe?= \x1b[2J\u{9b}1m\u{202e}x",
        ),
    ]
}

/// The columns of a line, in which Japanese characters take two.
fn columns(line: &str) -> usize {
    line.chars().map(|c| if ('\u{2e80}'..='\u{ffef}').contains(&c) { 2 } else { 1 }).sum()
}

/// The files of the state directory that hold one of these words.
fn holding(program: &Postrider, words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![program.state_dir()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(octets) = std::fs::read(&path) {
                let holds = |word: &&&str| octets.windows(word.len()).any(|part| part == word.as_bytes());
                found.extend(words.iter().find(holds).map(|word| format!("{}: {word}", path.display())));
            }
        }
    }
    found
}

#[track_caller]
fn assert_harmless(text: &str) {
    let is_harmful = |c: &char| (c.is_control() && *c != '\n') || *c == '\u{202e}';
    assert_eq!(text.chars().find(is_harmful), None, "{text:?}");
}

#[test]
fn history_shows_who_wrote_what_in_80_columns_and_everything_if_it_is_asked_for() {
    let server = MailboxServer::start(mailbox_of_three());
    let program = Postrider::with_config(&account(&server));
    program.run(&["fetch"]).assert_success();
    let shown = program.run(&["history"]).assert_success().stdout;
    assert_eq!(shown.lines().count(), 4, "{shown}");
    for (line, words) in shown.lines().skip(1).zip([
        ["Alice Liddell", "100% of_the Markword"],
        ["日本語", "日本語日本語"],
        ["Evilword", "Grüße \\x1b[2J\\xc2\\x9b1mx"],
    ]) {
        assert!(columns(line) <= 80 && words.iter().all(|word| line.contains(word)), "{line:?}");
    }
    let long = program.run(&["history", "--long"]).assert_success().stdout;
    let all = ["Alice Liddell <alice@example.org>", "<u1@example.org>", "/home/new/", &"日本語".repeat(20)];
    assert!(all.iter().all(|word| long.contains(word)) && long.lines().count() == 4, "{long}");
    [&shown, &long].into_iter().for_each(|text| assert_harmless(text));

    let entries = json(&program.run(&["history", "--json"]).assert_success());
    assert_eq!(entries[0]["from"], "Alice Liddell <alice@example.org>");
    assert_eq!(entries[2]["subject"], "Grüße \\x1b[2J\\xc2\\x9b1mx");
    assert_eq!(entries[0]["date"], "2023-01-02T03:04:05Z");
    let export = program.run(&["state", "export"]).assert_success().stdout;
    let messages = export.lines().filter(|line| line.contains("\"type\":\"message\""));
    let froms: Vec<Value> =
        messages.map(|line| serde_json::from_str::<Value>(line).expect("JSON")["from"].clone()).collect();
    assert_eq!(froms[0], entries[0]["from"]);
    assert_harmless(&export);
}

#[test]
fn a_search_finds_senders_and_subjects_in_any_case_and_takes_no_pattern() {
    let server = MailboxServer::start(mailbox_of_three());
    let program = Postrider::with_config(&account(&server));
    program.run(&["fetch"]).assert_success();
    for (text, found) in [
        ("LIDDELL", &["u1"][..]),
        ("jp@EXAMPLE", &["u2"]),
        ("GRÜSSE", &["u3"]),
        ("grüß", &["u3"]),
        ("日本", &["u2"]),
        ("% OF_T", &["u1"]),
        ("%liddell%", &[]),
        ("of-the", &[]),
        ("o__the", &[]),
        ("u2@example", &["u2"]),
        ("U2@example", &[]),
    ] {
        let entries = json(&program.run(&["history", "--json", "--search", text]).assert_success());
        let uids: Vec<&str> =
            entries.as_array().expect("a list").iter().filter_map(|one| one["uid"].as_str()).collect();
        assert_eq!(uids, found, "{text}");
    }
}

#[test]
fn without_record_headers_nothing_of_them_is_in_the_state_and_what_was_there_is_removed() {
    let words = ["Liddell", "Markword", "Evilword", "jp@example.jp"];
    let server = MailboxServer::start(mailbox_of_three());
    let text = account(&server);
    let program = Postrider::with_config(&format!("record-headers = false\n{text}"));
    program.run(&["fetch"]).assert_success();
    assert_eq!(holding(&program, &words), [""; 0]);
    let shown = program.run(&["history"]).assert_success().stdout;
    assert!(shown.contains("-     <u1@example.org>"), "{shown}");

    program.config(&text);
    server.add(saying("u4", "Liddell <x@example.org>", "Markword"));
    program.run(&["fetch"]).assert_success();
    assert!(!holding(&program, &words).is_empty(), "it is recorded again");
    program.config(&format!("record-headers = false\n{text}"));
    program.run(&["fetch"]).assert_success();
    assert_eq!(holding(&program, &words), [""; 0]);
    let entries = json(&program.run(&["history", "--json"]).assert_success());
    let known = |one: &Value| !one["from"].is_null() || !one["subject"].is_null() || !one["date"].is_null();
    assert!(!entries.as_array().expect("a list").iter().any(known), "{entries}");
}

#[test]
fn a_service_removes_them_when_it_reads_that_they_are_not_wanted() {
    let words = ["Liddell", "Markword", "Evilword"];
    let server = MailboxServer::start(mailbox_of_three());
    let text = account(&server);
    let program = Postrider::with_config(&text);
    let mut service = program.start_service(LIMIT);
    program.run(&["fetch"]).assert_success();
    assert!(!holding(&program, &words).is_empty());
    program.config(&format!("record-headers = false\n{text}"));
    program.run(&["reload"]).assert_success();
    service.wait_until("they are removed", LIMIT, |_| holding(&program, &words).is_empty());
    server.add(saying("u4", "Liddell <x@example.org>", "Markword"));
    assert!(program.run(&["fetch"]).assert_success().stdout.contains("1 message delivered"));
    service.sigterm();
    let ended = service.wait(LIMIT);
    assert_eq!(holding(&program, &words), [""; 0]);
    assert!(!words.iter().any(|word| ended.text().contains(word)), "no log has them: {}", ended.text());
}

#[test]
fn a_quarantined_message_is_shown_with_from_and_subject() {
    let refuses = (Stage::Dot, None, "554 5.6.0 not such content".to_owned());
    let hub = ScriptedSmtp::start_with(SmtpBehaviour { replies: vec![refuses], ..SmtpBehaviour::default() });
    let server = MailboxServer::start(mailbox_of_three());
    let account = mailbox(server.port(), "one", "deliver = \"hub\"");
    let program = Postrider::with_config(&format!("{account}{}", smtp("hub", hub.port())));
    program.run(&["fetch"]);
    let list = program.run(&["quarantine", "list"]).assert_success().stdout;
    assert!(list.contains("Alice Liddell") && list.contains("日本語") && list.contains("Grüße"), "{list}");
    let entries = json(&program.run(&["quarantine", "list", "--json"]).assert_success());
    assert_eq!(
        (&entries[2]["date"], &entries[0]["subject"]),
        (&"2023-01-02T03:04:05Z".into(), &"100% of_the Markword".into())
    );
    let show = program.run(&["quarantine", "show", "one", "--all"]).assert_success().stdout;
    assert!(
        show.contains("From:         Alice Liddell <alice@example.org>\nSubject:      100% of_the Markword"),
        "{show}"
    );
    let history = program.run(&["history"]).assert_success().stdout;
    assert!(history.contains("\n    hub: ") && history.lines().all(|line| columns(line) <= 80), "{history}");
    [list, show, history].iter().for_each(|text| assert_harmless(text));
}

#[test]
fn list_asks_for_headers_with_top_only_if_it_is_told_to_and_only_for_what_is_not_on_record() {
    let server = MailboxServer::start(mailbox_of_three());
    let program = Postrider::with_config(&account(&server));
    let plain = program.run(&["list", "one"]).assert_success().stdout;
    assert!(server.count("TOP") == 0 && !plain.contains("Liddell"), "{plain}");
    let rows = json(&program.run(&["list", "one", "--json"]).assert_success());
    assert!(rows[0].get("from").is_none(), "{rows}");

    let rows = json(&program.run(&["list", "one", "--headers=2", "--json"]).assert_success());
    assert_eq!((server.count("TOP"), server.count("TOP 1"), server.count("RETR")), (2, 0, 0));
    assert!(rows[0]["from"].is_null() && rows[0]["number"] == 1, "{rows}");
    assert_eq!(rows[1]["from"], "日本語 <jp@example.jp>");
    assert_eq!(rows[2]["date"], "2023-01-02T03:04:05Z");
    assert_eq!(rows[2]["action"], "fetch");
    let table = program.run(&["list", "one", "--headers"]).assert_success().stdout;
    assert!(table.contains("Alice Liddell") && table.contains("Markword"), "{table}");
    assert_harmless(&table);

    program.run(&["fetch"]).assert_success();
    server.add(saying("u4", "Bob <bob@example.org>", "later"));
    let before = server.count("TOP");
    let rows = json(&program.run(&["list", "one", "--headers=1", "--json"]).assert_success());
    assert_eq!(rows[0]["subject"], "100% of_the Markword", "it is on record");
    assert_eq!(rows[3]["subject"], "later");
    assert_eq!((server.count("TOP") - before, server.count("TOP 4")), (1, 1));
    assert_eq!(server.remaining(), 4);
    program.run(&["list", "one", "--headers=0"]).assert_code(64);
    program.run(&["list", "one", "--headers=1001"]).assert_code(64);
}

#[test]
fn list_shows_what_it_can_where_a_server_has_no_top_or_refuses_one_message() {
    let mut capabilities = Behaviour::default().capabilities.expect("some");
    capabilities.retain(|capability| capability != "TOP");
    let behaviour = Behaviour { capabilities: Some(capabilities), ..Behaviour::default() };
    let server = MailboxServer::start_with(mailbox_of_three(), behaviour);
    let program = Postrider::with_config(&account(&server));
    let output = program.run(&["list", "one", "--headers", "--json"]).assert_success();
    assert!(output.stderr.contains("account one: the server has no TOP"), "{}", output.text());
    assert!(json(&output).as_array().expect("a list").iter().all(|row| row["from"].is_null()));
    program.run(&["fetch"]).assert_success();
    let output = program.run(&["list", "one", "--headers"]).assert_success();
    assert!(output.stdout.contains("Alice Liddell") && output.stderr.is_empty(), "{}", output.text());

    let server = MailboxServer::start(mailbox_of_three());
    server.change(|behaviour| behaviour.answers = vec![("TOP 2".into(), "-ERR not now".into())]);
    let program = Postrider::with_config(&account(&server));
    let output = program.run(&["list", "one", "--headers", "--json"]).assert_success();
    let rows = json(&output);
    assert!(rows[1]["from"].is_null() && rows[2]["subject"].is_string(), "{rows}");
    assert_eq!(output.stderr, "");
}

#[test]
fn a_unique_id_that_belongs_to_another_message_now_does_not_bring_the_subject_of_the_old_one() {
    let server = MailboxServer::start(mailbox_of_three());
    let program = Postrider::with_config(&account(&server));
    program.run(&["fetch"]).assert_success();
    server.replace(vec![
        saying("u1", "Carol <carol@example.org>", "quite another message"),
        mailbox_of_three().remove(1),
    ]);
    let rows = json(&program.run(&["list", "one", "--headers", "--json"]).assert_success());
    assert_eq!((&rows[0]["from"], &rows[0]["uid"]), (&"Carol <carol@example.org>".into(), &"u1".into()));
    assert_eq!(rows[1]["from"], "日本語 <jp@example.jp>");
    program.run(&["fetch"]).assert_success();
    let found = json(&program.run(&["history", "--json", "--search", "CAROL"]).assert_success());
    assert_eq!(found.as_array().map(Vec::len), Some(1), "{found}");
}

#[test]
fn a_message_of_which_only_the_header_came_is_known_by_it_and_so_is_one_that_is_tried_again() {
    let large = "x".repeat(30_000);
    let text = format!("Message-ID: <l@example.org>\nFrom: Lara <lara@example.org>\nSubject: large\n\n{large}\n");
    let server = MailboxServer::start(vec![Message::text("u1", text.as_bytes())]);
    let keys = "interval = \"1h\"\ndeliver = \"home\"\nmax-size = \"10kB\"\noversize = \"headers\"";
    let program = Postrider::with_config(&[mailbox(server.port(), "one", keys), maildir("home")].concat());
    program.run(&["fetch"]);
    let shown = program.run(&["history"]).assert_success().stdout;
    assert!(shown.contains("Lara") && shown.contains("large"), "{shown}");

    let hub = ScriptedSmtp::start_with(SmtpBehaviour {
        replies: vec![(Stage::Dot, None, "451 4.3.0 later".to_owned())],
        ..SmtpBehaviour::default()
    });
    let server = MailboxServer::start(mailbox_of_three());
    let account = mailbox(server.port(), "one", "deliver = \"hub\"");
    let program = Postrider::with_config(&[account, smtp("hub", hub.port())].concat());
    program.run(&["fetch"]);
    let entries = json(&program.run(&["history", "--json"]).assert_success());
    assert_eq!((&entries[0]["state"], &entries[0]["subject"]), (&"deferred".into(), &"100% of_the Markword".into()));
    hub.change(|behaviour| behaviour.replies.clear());
    set_deferrals_due(&program);
    program.run(&["fetch"]).assert_success();
    let entries = json(&program.run(&["history", "--json"]).assert_success());
    let first = entries.as_array().expect("a list").iter().find(|one| one["uid"] == "u1").expect("there");
    assert_eq!((&first["state"], &first["subject"]), (&"delivered".into(), &"100% of_the Markword".into()));
}

#[test]
fn from_and_subject_are_in_no_log_and_no_status() {
    let words = ["Liddell", "Markword", "Evilword", "alice@example.org"];
    let server = MailboxServer::start(mailbox_of_three());
    let program = Postrider::with_config(&format!("log-level = \"trace\"\n{}", account(&server)));
    let mut service = program.start_service(LIMIT);
    let mut said = program.run(&["fetch"]).assert_success().text();
    said += &program.run(&["status"]).assert_success().text();
    said += &program.run(&["status", "--json"]).assert_success().text();
    service.sigterm();
    said += &service.wait(LIMIT).text();
    said += &program.run(&["fetch", "-vv"]).assert_success().text();
    said += &program.run(&["status", "--json"]).text();
    assert!(said.contains("RETR 1"), "the dialogue is in the log: {said}");
    assert_eq!(words.iter().find(|word| said.contains(**word)), None, "{said}");
}
