//! Accounts that lead to another mailbox than before, by whatever key, and mailboxes whose account is another.

use super::*;

fn account(name: &str, port: u16, host: &str, user: &str, keys: &str) -> String {
    mailbox(port, name, &format!("deliver = \"home\"\n{keys}"))
        .replace("127.0.0.1", host)
        .replace(&format!("username = \"{}\"", MailboxServer::USER), &format!("username = \"{user}\""))
}

fn settle(program: &Postrider) {
    for _ in 0..3 {
        program.run(&["fetch"]).assert_success();
    }
}

#[test]
fn an_account_that_leads_to_another_mailbox_has_all_of_it_fetched_before_anything_is_deleted() {
    let user = MailboxServer::USER;
    for retention in ["keep", "delete"] {
        for behaviour in [Behaviour::default(), without_top()] {
            let keys = format!("retention = \"{retention}\"");
            let old = MailboxServer::start_with(by_place(1..=5), behaviour.clone());
            let new = MailboxServer::start_with(by_place(11..=15), behaviour.clone());
            let program =
                Postrider::with_config(&[account("a", old.port(), "127.0.0.1", user, ""), maildir("home")].concat());
            program.run(&["fetch"]).assert_success();
            // Another port, and then the same one for another user.
            program.config(&[account("a", new.port(), "127.0.0.1", user, &keys), maildir("home")].concat());
            settle(&program);
            assert_eq!(delivered(&program, "home"), once((1..=5).chain(11..=15)), "{retention}");
            new.replace(by_place(21..=25));
            let other = account("a", new.port(), "127.0.0.1", MailboxServer::OTHER_USER, &keys);
            program.config(&[other, maildir("home")].concat());
            settle(&program);
            assert_eq!(delivered(&program, "home"), once((1..=5).chain(11..=15).chain(21..=25)), "{retention}");
            assert_eq!(remaining(&new), if retention == "keep" { (21..=25).collect() } else { vec![] });
        }
    }
}

#[test]
fn a_mailbox_whose_host_is_called_otherwise_brings_nothing_twice() {
    for behaviour in [Behaviour::default(), without_top()] {
        let server = MailboxServer::start_with(by_place(1..=5), behaviour.clone());
        let of = |host: &str, keys: &str| {
            [account("a", server.port(), host, MailboxServer::USER, keys), maildir("home")].concat()
        };
        let program = Postrider::with_config(&of("127.0.0.1", ""));
        program.run(&["fetch"]).assert_success();
        program.config(&of("localhost", ""));
        server.add(Message::wire("6", &wire(6)));
        let output = program.run(&["fetch"]).assert_success();
        assert!(output.stdout.contains("1 message delivered"), "{}", output.text());
        assert!(output.stderr.contains("the account's host, port, username or route has changed"), "{}", output.stderr);
        assert_eq!(delivered(&program, "home"), once(1..=6));
        program.config(&of("localhost", "retention = \"delete\""));
        settle(&program);
        assert_eq!((delivered(&program, "home"), remaining(&server)), (once(1..=6), vec![]));
    }
}

#[test]
fn two_accounts_that_are_swapped_know_their_mailboxes() {
    let (first, second) = (MailboxServer::start(by_place(1..=3)), MailboxServer::start(by_place(11..=13)));
    let of = |one: &MailboxServer, two: &MailboxServer, keys: &str| {
        let account =
            |name, server: &MailboxServer| account(name, server.port(), "127.0.0.1", MailboxServer::USER, keys);
        [account("one", one), account("two", two), maildir("home")].concat()
    };
    let program = Postrider::with_config(&of(&first, &second, ""));
    program.run(&["fetch"]).assert_success();
    program.config(&of(&second, &first, ""));
    let output = program.run(&["fetch"]).assert_success();
    assert_eq!(output.stdout.matches("no new mail").count(), 2, "{}", output.text());
    assert_eq!((first.count("RETR"), second.count("RETR")), (3, 3));
    program.config(&of(&first, &second, "retention = \"delete\""));
    settle(&program);
    assert_eq!(delivered(&program, "home"), once((1..=3).chain(11..=13)));
    assert_eq!((first.remaining(), second.remaining()), (0, 0));
}

#[test]
fn an_account_that_is_called_otherwise_takes_what_is_known_along() {
    let server = MailboxServer::start(by_place(1..=3));
    let of = |name: &str, keys: &str| {
        [account(name, server.port(), "127.0.0.1", MailboxServer::USER, keys), maildir("home")].concat()
    };
    let program = Postrider::with_config(&of("old", ""));
    program.run(&["fetch"]).assert_success();
    program.config(&of("new", ""));
    let listed = program.run(&["list", "new"]).assert_success();
    assert_eq!(listed.stdout.matches("retention is keep").count(), 3, "{}", listed.text());
    program.run(&["fetch"]).assert_success();
    assert_eq!(server.count("RETR"), 3);
    program.config(&of("old", "retention = \"delete\""));
    settle(&program);
    assert_eq!((delivered(&program, "home"), remaining(&server)), (once(1..=3), vec![]));
}

#[test]
fn a_name_that_is_used_again_for_another_mailbox_hides_nothing_of_it() {
    let (first, second) = (MailboxServer::start(by_place(1..=3)), MailboxServer::start(by_place(11..=13)));
    let of = |name: &str, server: &MailboxServer, keys: &str| {
        [account(name, server.port(), "127.0.0.1", MailboxServer::USER, keys), maildir("home")].concat()
    };
    let program = Postrider::with_config(&of("a", &first, ""));
    program.run(&["fetch"]).assert_success();
    program.config(&of("b", &second, ""));
    program.run(&["fetch"]).assert_success();
    // "b" is gone, and "a" leads to what was there.
    program.config(&of("a", &second, "retention = \"delete\""));
    settle(&program);
    program.config(&of("b", &first, "retention = \"delete\""));
    settle(&program);
    assert_eq!(delivered(&program, "home"), once((1..=3).chain(11..=13)));
    assert_eq!((first.remaining(), second.remaining()), (0, 0));
    assert_eq!((first.count("RETR"), second.count("RETR")), (3, 3));
}

#[test]
fn a_command_that_leads_elsewhere_leads_to_another_mailbox() {
    let (first, second) = (MailboxServer::start(by_place(1..=3)), MailboxServer::start(by_place(11..=13)));
    let of = |server: &MailboxServer, keys: &str| {
        let relay = format!("exec 3<>/dev/tcp/localhost/{}; cat <&3 & exec cat >&3", server.port());
        let command = format!("connect-command = ['bash', '-c', '{relay}']\n{keys}");
        [account("a", 110, "pop.example.org", MailboxServer::USER, &command), maildir("home")].concat()
    };
    let program = Postrider::with_config(&of(&first, ""));
    program.run(&["fetch"]).assert_success();
    program.config(&of(&second, "retention = \"delete\""));
    settle(&program);
    assert_eq!((delivered(&program, "home"), second.remaining()), (once((1..=3).chain(11..=13)), 0));
}

#[test]
fn old_mail_that_was_left_alone_stays_alone_when_the_host_is_called_otherwise() {
    let server = MailboxServer::start(by_place(1..=3));
    let of = |host: &str| {
        let keys = "initial = \"none\"\nretention = \"delete\"";
        [account("a", server.port(), host, MailboxServer::USER, keys), maildir("home")].concat()
    };
    let program = Postrider::with_config(&of("127.0.0.1"));
    program.run(&["fetch"]).assert_success();
    // Without a date nobody can say that it is old.
    server.add(Message::wire("4", b"Subject: m0004\r\n\r\ntext\r\n"));
    program.config(&of("localhost"));
    settle(&program);
    assert_eq!((delivered(&program, "home"), remaining(&server)), (once([4]), vec![1, 2, 3]));
}

#[test]
fn a_mailbox_whose_account_is_switched_off_belongs_to_the_one_that_is_polled() {
    let server = MailboxServer::start(by_place(1..=3));
    let of = |first: bool, second: bool| {
        let account = |name, enabled| {
            let keys = format!("retention = \"delete\"\nenabled = {enabled}");
            account(name, server.port(), "127.0.0.1", MailboxServer::USER, &keys)
        };
        [account("first", first), account("second", second), maildir("home")].concat()
    };
    let program = Postrider::with_config(&of(true, false).replace("\"delete\"", "\"keep\""));
    program.run(&["fetch"]).assert_success();
    program.config(&of(false, true).replace("\"delete\"", "\"keep\""));
    program.run(&["fetch"]).assert_success();
    program.config(&of(true, false));
    settle(&program);
    assert_eq!((delivered(&program, "home"), remaining(&server)), (once(1..=3), vec![]));
    assert_eq!(server.count("RETR"), 3);
}

#[test]
fn a_login_that_failed_under_a_new_name_hides_nothing_of_what_is_known() {
    let (first, second) = (MailboxServer::start(by_place(1..=3)), MailboxServer::start(by_place(11..=13)));
    let of = |one: &MailboxServer, two: &MailboxServer| {
        let account = |name, server: &MailboxServer| account(name, server.port(), "127.0.0.1", MailboxServer::USER, "");
        [account("one", one), account("two", two), maildir("home")].concat()
    };
    let program = Postrider::with_config(&of(&first, &second));
    program.run(&["fetch"]).assert_success();
    // Swapped, and the first mailbox is away for a while: how that poll went is on record under its new name.
    program.config(&of(&second, &first));
    first.change(|behaviour| behaviour.greeting = "-ERR later".into());
    program.run(&["fetch"]);
    program.run(&["fetch"]);
    first.change(|behaviour| behaviour.greeting = "+OK".into());
    settle(&program);
    assert_eq!(delivered(&program, "home"), once((1..=3).chain(11..=13)));
    assert_eq!((first.count("RETR"), second.count("RETR")), (3, 3));
}

#[test]
fn mail_that_the_first_poll_was_to_fetch_is_fetched_whatever_the_host_is_called() {
    let server = MailboxServer::start(Vec::new());
    let today = (1..=6).map(|index| Message::text(&format!("today-{index}"), &message_of_today(1, index)));
    server.replace(by_place(1..=2).into_iter().chain(today).collect());
    let of = |host: &str, keys: &str| {
        let keys = format!("initial = \"30d\"\n{keys}");
        [account("a", server.port(), host, MailboxServer::USER, &keys), maildir("home")].concat()
    };
    let program = Postrider::with_config(&of("127.0.0.1", "max-messages = 2"));
    program.run(&["fetch"]).assert_success();
    // The account begins now; that mail came before.
    let_pass(&program, -3600);
    program.config(&of("localhost", ""));
    settle(&program);
    assert_eq!(count_messages(&program.path("home")), 6, "neither the old ones nor any twice");
}

#[test]
fn what_an_account_knew_of_a_mailbox_is_known_by_whichever_account_leads_there_next() {
    // Which mailboxes the accounts "m" and "n" lead to, one after the other.
    let journeys: [&[[Option<usize>; 2]]; 5] = [
        &[[Some(0), None], [Some(1), None], [Some(1), Some(0)]],
        &[[Some(0), None], [Some(1), None], [None, Some(0)]],
        &[[Some(0), None], [Some(1), None], [None, Some(1)], [Some(0), None]],
        &[[Some(0), None], [Some(1), None], [Some(0), Some(1)]],
        &[[Some(0), None], [Some(1), None], [Some(0), None], [Some(1), None]],
    ];
    for journey in journeys {
        let servers = [MailboxServer::start(by_place(1..=3)), MailboxServer::start(by_place(11..=13))];
        let program = Postrider::new();
        for leads in journey {
            let of = |(name, server): (&str, &Option<usize>)| {
                server.map(|server| account(name, servers[server].port(), "127.0.0.1", MailboxServer::USER, ""))
            };
            let accounts: String = ["m", "n"].into_iter().zip(leads).filter_map(of).collect();
            program.config(&[accounts, maildir("home")].concat());
            program.run(&["fetch"]).assert_success();
        }
        assert_eq!(delivered(&program, "home"), once((1..=3).chain(11..=13)), "{journey:?}");
    }
}
