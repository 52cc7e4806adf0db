use super::*;

fn message(number: u32, octets: u64) -> ListedAs {
    let key = MessageKey::new(format!("u{number}").as_bytes(), 0);
    ListedAs { number: MessageNumber::new(number).expect("not zero"), key, octets: Some(octets) }
}

/// Groups with their first messages requested and received.
fn received(messages: &[ListedAs]) -> (Groups, Question) {
    let mut groups = Groups::begin(Instant::now(), Shape::default());
    for message in messages {
        groups.ask_for(message.clone(), 10);
        groups.receive(message.clone());
    }
    let question = groups.question().expect("a question");
    (groups, question)
}

#[test]
fn only_what_the_listing_had_is_a_proof() {
    let messages = [message(1, 10), message(2, 20)];
    for (text, answer) in [
        ("2 u2", Answer::Proven),
        (" 2   u2 ", Answer::Proven),
        ("1 u1", Answer::Displaced),
        ("2 u1", Answer::Displaced),
        ("1 u2", Answer::Displaced),
        ("2", Answer::Displaced),
        ("", Answer::Displaced),
        ("20 octets", Answer::Displaced),
    ] {
        let (mut groups, question) = received(&messages);
        assert_eq!(question.command().to_string(), "UIDL 2");
        assert_eq!(groups.answer(&question, Some(text.as_bytes()), Instant::now()), answer, "{text:?}");
    }
}

#[test]
fn a_server_that_does_not_tell_one_unique_id_is_asked_for_the_size() {
    let messages = [message(1, 10), message(2, 20)];
    let (mut groups, question) = received(&messages);
    assert_eq!(groups.answer(&question, None, Instant::now()), Answer::Nothing);
    assert!(groups.is_due(Some(30)));
    let question = groups.question().expect("a question");
    assert_eq!(question.command().to_string(), "LIST 2");
    let mut other = Groups { received: groups.received.clone(), ..Groups::begin(Instant::now(), Shape::default()) };
    assert_eq!(other.answer(&question, Some(b"1 10"), Instant::now()), Answer::Displaced);
    assert_eq!(other.answer(&question, Some(b"2 10"), Instant::now()), Answer::Nothing);
    assert_eq!(other.question().expect("a question").command().to_string(), "STAT");
    assert_eq!(groups.answer(&question, Some(b"2 20 octets"), Instant::now()), Answer::Proven);
    groups.ask_for(message(3, 30), 30);
    assert_eq!(groups.question().expect("a question").command().to_string(), "LIST 3");
}

#[test]
fn a_server_that_knows_nothing_of_what_was_retrieved_is_asked_for_its_totals() {
    let (mut groups, question) = received(&[message(1, 10)]);
    assert_eq!(groups.answer(&question, None, Instant::now()), Answer::Nothing);
    let question = groups.question().expect("a question");
    assert_eq!(groups.answer(&question, None, Instant::now()), Answer::Nothing);
    let question = groups.question().expect("a question");
    assert_eq!(question.command().to_string(), "STAT");
    for (text, answer) in
        [(Some(&b"120 octets"[..]), Answer::Displaced), (Some(b""), Answer::Displaced), (None, Answer::Nothing)]
    {
        assert_eq!(groups.answer(&question, text, Instant::now()), answer, "{text:?}");
    }
    assert_eq!(groups.question().expect("a question").command().to_string(), "TOP 1 0");
    assert_eq!(groups.answer(&question, Some(b"0 0"), Instant::now()), Answer::Proven);
}

#[test]
fn where_no_answer_says_anything_each_message_is_proven_by_its_header() {
    let (own, other) = (&b"Message-ID: <a@b>\nSubject: one\n\n"[..], &b"Message-ID: <c@d>\nSubject: one\n\n"[..]);
    for (again, answer) in [
        (own, Answer::Proven),
        (b"Status: RO\nMessage-ID: <a@b>\nSubject: one\n\n", Answer::Proven),
        (other, Answer::Displaced),
        (b"+OK\nMessage-ID: <a@b>\nSubject: one\n\n", Answer::Displaced),
        (b"", Answer::Displaced),
        (b"text", Answer::Displaced),
    ] {
        let mut groups = Groups::begin(Instant::now(), Shape::NOTHING);
        groups.ask_for(message(1, 10), 10);
        assert!(groups.is_due(Some(1)), "a group of its own");
        groups.read(&own[..9]);
        groups.read(&own[9..]);
        groups.receive(message(1, 10));
        let question = groups.question().expect("a question");
        assert_eq!(question.command().to_string(), "TOP 1 0");
        assert_eq!(groups.answer_by_header(&question, None, Instant::now()), Answer::Nothing);
        let question = groups.question().expect("a question");
        assert_eq!(question.command().to_string(), "RETR 1");
        let text = String::from_utf8_lossy(again);
        assert_eq!(groups.answer_by_header(&question, Some(again), Instant::now()), answer, "{text}");
    }
}

#[test]
fn a_message_without_unique_id_is_proven_by_its_size() {
    let nameless = ListedAs { key: None, ..message(1, 10) };
    let (mut groups, question) = received(&[nameless]);
    assert_eq!(question.command().to_string(), "LIST 1");
    assert_eq!(groups.answer(&question, Some(b"1 10"), Instant::now()), Answer::Proven);
}

#[test]
fn a_message_that_is_gone_proves_nothing_and_another_one_is_asked_for() {
    let mut groups = Groups::begin(Instant::now(), Shape::default());
    groups.ask_for(message(1, 10), 10);
    groups.receive(message(1, 10));
    groups.ask_for(message(2, 20), 20);
    let question = groups.question().expect("a question");
    assert_eq!(groups.answer(&question, None, Instant::now()), Answer::Nothing);
    assert_eq!(groups.question().expect("a question").command().to_string(), "UIDL 1");
    // Nothing has come: nothing is in doubt, and nothing is asked.
    let mut groups = Groups::begin(Instant::now(), Shape::default());
    groups.ask_for(message(2, 20), 20);
    let question = groups.question().expect("a question");
    assert_eq!(groups.answer(&question, None, Instant::now()), Answer::Nothing);
    assert!(!groups.is_due(None));
}

#[test]
fn groups_begin_with_one_message_and_grow_while_they_are_fast() {
    let start = Instant::now();
    let mut groups = Groups::begin(start, Shape::default());
    let size = |groups: &mut Groups, now| {
        let mut size = 0;
        while !groups.is_due(Some(10)) {
            groups.ask_for(message(1, 10), 10);
            groups.receive(message(1, 10));
            size += 1;
        }
        let question = groups.question().expect("a question");
        assert_eq!(groups.answer(&question, Some(b"1 u1"), now), Answer::Proven);
        size
    };
    let sizes: Vec<usize> = (0..9).map(|_| size(&mut groups, start)).collect();
    assert_eq!(sizes, [1, 2, 4, 8, 16, 32, 64, 64, 64]);
    let slow: Vec<usize> = (1..=8).map(|late| size(&mut groups, start + LONG * late)).collect();
    assert_eq!(slow, [64, 16, 8, 4, 2, 1, 1, 1]);
}

#[test]
fn a_large_message_does_not_keep_others_waiting() {
    let mut groups = Groups { span: GROUP_MESSAGES, ..Groups::begin(Instant::now(), Shape::default()) };
    assert!(!groups.is_due(Some(100 << 20)));
    groups.ask_for(message(1, 10), 10);
    assert!(!groups.is_due(Some(10)));
    assert!(groups.is_due(Some(100 << 20)));
    assert!(groups.is_due(None));
}
