//! Servers that hand out the mbox line before a message as a part of it.

use super::*;

const LINES: [&str; 4] = [
    "From alice@example.net  Mon Jan  1 00:00:00 2024\r\n",
    ">From alice@example.net Mon Jan  1 00:00:00 2024\r\n",
    "From - Mon Jan  1 00:00:00 2024\r\n>From bob Mon Jan  1 00:00:00 2024 remote from mx\r\n",
    "",
];

/// A message for each kind of line, under a unique-id of its own.
fn with_lines(name: &str, lines: &[&str]) -> Vec<Message> {
    let messages = lines.iter().enumerate().map(|(number, line)| {
        let octets = [line.as_bytes(), &wire(number)].concat();
        Message::wire(&format!("{name}{number}"), &octets)
    });
    messages.collect()
}

/// The messages of a Maildir with the field that was put before them taken off, sorted.
fn untraced(program: &Postrider) -> Vec<String> {
    let texts = read_messages(&program.path("home")).into_iter();
    let texts = texts.map(|text| String::from_utf8(text).expect("ASCII"));
    let mut texts: Vec<String> = texts
        .map(|text| {
            let (_, rest) = text.split_once("(postrider);\n\t").expect("a trace");
            rest.split_once('\n').expect("a date").1.to_owned()
        })
        .collect();
    texts.sort();
    texts
}

fn wanted() -> Vec<String> {
    (0..LINES.len()).map(|number| String::from_utf8(wire(number)).expect("ASCII").replace("\r\n", "\n")).collect()
}

#[test]
fn the_line_goes_nowhere() {
    for capabilities in [Behaviour::default(), without_top()] {
        let server = MailboxServer::start_with(with_lines("u", &LINES), capabilities);
        let hub = ScriptedSmtp::start();
        let lines = "deliver = [\"home\", \"hub\"]\nretention = \"delete\"";
        let program = Postrider::with_config(
            &[mailbox(server.port(), "a", lines), maildir("home"), smtp("hub", hub.port())].concat(),
        );
        program.run(&["fetch"]).assert_success();
        assert_eq!(untraced(&program), wanted());
        for message in hub.received() {
            let text = String::from_utf8_lossy(&message.body).into_owned();
            let header = text.split_once("\r\n\r\n").expect("a header").0;
            assert!(header.lines().all(|line| line.starts_with('\t') || line.contains(": ")), "{header}");
            assert!(message.mail.contains(&format!("SIZE={}", message.octets)), "{}", message.mail);
        }
        assert_eq!((hub.received().len(), server.remaining()), (LINES.len(), 0));
    }
}

#[test]
fn a_message_is_the_same_with_another_line_or_none() {
    let others = ["", "From bob Tue Feb  6 11:22:33 2024\r\n", LINES[0], LINES[1]];
    for behaviour in [Behaviour::default(), without_top()] {
        let server = MailboxServer::start_with(with_lines("u", &LINES), behaviour);
        let program = Postrider::with_config(&config(&server, ""));
        program.run(&["fetch"]).assert_success();
        for (name, lines) in [("v", &others), ("w", &LINES)] {
            server.replace(with_lines(name, lines));
            program.run(&["fetch"]).assert_success();
            assert_eq!(untraced(&program), wanted());
        }
        program.config(&config(&server, "retention = \"delete\""));
        for _ in 0..3 {
            program.run(&["fetch"]).assert_success();
        }
        assert_eq!((untraced(&program), server.remaining()), (wanted(), 0));
    }
}

/// As it was before the lines were dropped: they are in the files, and counted in the state.
fn as_before(program: &Postrider) {
    let home = program.path("home/new");
    for entry in std::fs::read_dir(&home).expect("read") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("ASCII");
        let (trace, message) = text.split_at(text.find("Received: from mx").expect("one of ours"));
        let number: usize = message.split_once("Subject: m").expect("one of ours").1[..4].parse().expect("a number");
        let sent = format!("{}{message}", LINES[number].replace("\r\n", "\n"));
        std::fs::write(&path, format!("{trace}{sent}")).expect("written");
        State::of(program).replace_content(message.as_bytes(), sent.as_bytes());
    }
}

#[test]
fn what_was_delivered_with_its_line_is_known_again() {
    for behaviour in [Behaviour::default(), without_top()] {
        for retention in ["keep", "delete"] {
            let server = MailboxServer::start_with(with_lines("u", &LINES), behaviour.clone());
            let program = Postrider::with_config(&config(&server, ""));
            program.run(&["fetch"]).assert_success();
            as_before(&program);
            program.config(&config(&server, &format!("retention = \"{retention}\"")));
            for name in ["u", "v", "w"] {
                server.replace(with_lines(name, &LINES));
                program.run(&["fetch"]).assert_success();
                program.run(&["fetch"]).assert_success();
                assert_eq!(delivered(&program, "home"), once(0..LINES.len()), "{retention} {name}");
                assert_eq!(server.remaining(), if retention == "keep" { LINES.len() } else { 0 }, "{retention} {name}");
            }
        }
    }
}

#[test]
fn what_has_no_unique_id_and_was_delivered_with_its_line_is_known_again() {
    let answers = vec![("UIDL".to_owned(), "-ERR unknown command".to_owned())];
    let capabilities = Some(["TOP", "USER", "SASL PLAIN", "PIPELINING"].map(str::to_owned).to_vec());
    let behaviour = Behaviour { answers, capabilities, quit: Quit::Refuse, ..Behaviour::default() };
    let server = MailboxServer::start_with(with_lines("u", &LINES), behaviour);
    let program = Postrider::with_config(&config(&server, "retention = \"delete\""));
    program.run(&["fetch"]);
    for is_before in [true, false] {
        if is_before {
            as_before(&program);
        }
        program.run(&["fetch"]);
        assert_eq!((delivered(&program, "home"), server.remaining()), (once(0..LINES.len()), LINES.len()));
    }
    server.change(|behaviour| behaviour.quit = Quit::Answer);
    program.run(&["fetch"]).assert_success();
    assert_eq!((delivered(&program, "home"), server.remaining()), (once(0..LINES.len()), 0));
}

#[test]
fn a_lost_state_is_made_anew_from_files_with_the_line_and_without_it() {
    for has_lines in [true, false] {
        for behaviour in [Behaviour::default(), without_top()] {
            let server = MailboxServer::start_with(with_lines("u", &LINES), behaviour);
            let program = Postrider::with_config(&config(&server, ""));
            program.run(&["fetch"]).assert_success();
            if has_lines {
                as_before(&program);
            }
            for file in ["state.db", "state.db-wal", "state.db-shm"] {
                let _ = std::fs::remove_file(program.state_dir().join(file));
            }
            program.run(&["fetch"]);
            // What is known of the files has to be what the server hands out.
            for name in ["v", "w"] {
                server.replace(with_lines(name, &LINES));
                program.run(&["fetch"]).assert_success();
            }
            program.config(&config(&server, "retention = \"delete\""));
            for _ in 0..3 {
                program.run(&["fetch"]).assert_success();
            }
            assert_eq!(delivered(&program, "home"), once(0..LINES.len()), "lines in the files: {has_lines}");
            assert_eq!(server.remaining(), 0);
        }
    }
}
