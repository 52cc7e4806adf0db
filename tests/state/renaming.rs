//! Accounts that get another name: nothing comes twice, also after the loss of the database.

use super::*;

/// How many messages a mailbox has.
const MAIL: usize = 20;

/// An account of the mailbox in memory.
fn account(name: &str, server: &MailboxServer, keys: &str) -> String {
    mailbox(server.port(), name, &format!("deliver = \"home\"\n{keys}"))
}

/// A mailbox whose unique-ids are numbers, so that those of another mailbox are the same.
fn numbered(mailbox: u64) -> MailboxServer {
    let messages = (1..=MAIL).map(|number| Message::text(&number.to_string(), &message(mailbox, number, Mix::Tiny)));
    MailboxServer::start(messages.collect())
}

fn configure(program: &Postrider, accounts: &[String]) {
    program.config(&[accounts.concat(), maildir("home")].concat());
}

/// What stands for accounts in the names of files, as the file beside the database says it: name and origins.
fn origins(program: &Postrider) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(state_file(program, "origins")).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let fields = lines.map(|line| line.split('\t').map(str::to_owned).collect::<Vec<_>>());
    fields.map(|fields| (fields[0].clone(), fields[1].clone())).collect()
}

/// The database is lost; the mailboxes have nothing that would come twice, and what comes next comes once.
fn assert_known_again(program: &Postrider, servers: &[&MailboxServer], keys: &str) {
    let wanted = count_messages(&program.path("home"));
    lose_database(program);
    let run = program.run(&["fetch"]).assert_success();
    assert_eq!(count_messages(&program.path("home")), wanted, "{keys}: {}", run.text());
    for (index, server) in servers.iter().enumerate() {
        server.add(Message::text("new", &message(90, index + 1, Mix::Tiny)));
    }
    for _ in 0..2 {
        program.run(&["fetch"]).assert_success();
        assert_eq!(count_messages(&program.path("home")), wanted + servers.len(), "{keys}");
    }
}

#[test]
fn a_renamed_account_knows_its_files_after_the_loss_of_the_database() {
    // How the state learns of each renaming: by the command, or by the poll that follows.
    for by_command in [true, false] {
        for keys in ["retention = \"keep\"", "retention = \"delete\""] {
            for names in [&["new"][..], &["new", "newest"], &["new", "old"]] {
                let server = numbered(1);
                // What is delivered is not deleted yet, as if the answer to QUIT was lost.
                server.change(|behaviour| behaviour.answers.push(("DELE".to_owned(), "-ERR not now".to_owned())));
                let program = Postrider::new();
                configure(&program, &[account("old", &server, keys)]);
                program.run(&["fetch"]);
                assert_eq!((count_messages(&program.path("home")), server.remaining()), (MAIL, MAIL));
                let mut last = "old";
                for name in names {
                    configure(&program, &[account(name, &server, keys)]);
                    if by_command {
                        program.run(&["state", "rename", last, name]).assert_success();
                    } else {
                        let run = program.run(&["fetch"]);
                        let said =
                            format!("{name}: it has the mailbox of account {last}, which is not polled any more");
                        assert!(run.stderr.contains(&said), "{}", run.text());
                    }
                    last = name;
                }
                let kept = if last == "old" { vec![] } else { vec![(last.to_owned(), "old".to_owned())] };
                assert_eq!(origins(&program), kept);
                server.change(|behaviour| behaviour.answers.clear());
                assert_known_again(&program, &[&server], &format!("{by_command} {keys} {names:?}"));
                let left = if keys.contains("delete") { 0 } else { MAIL + 1 };
                assert_eq!(server.remaining(), left);
            }
        }
    }
}

#[test]
fn two_accounts_that_are_swapped_know_their_files_after_the_loss_of_the_database() {
    for by_command in [true, false] {
        for polled in ["both", "a", "b", "none"] {
            let (one, two) = (numbered(1), numbered(2));
            let program = Postrider::new();
            configure(&program, &[account("a", &one, ""), account("b", &two, "")]);
            program.run(&["fetch"]).assert_success();
            configure(&program, &[account("a", &two, ""), account("b", &one, "")]);
            if by_command {
                for (old, new) in [("a", "tmp"), ("b", "a"), ("tmp", "b")] {
                    program.run(&["state", "rename", old, new]).assert_success();
                }
            }
            match polled {
                "both" => drop(program.run(&["fetch"]).assert_success()),
                "none" => {}
                name => drop(program.run(&["fetch", name]).assert_success()),
            }
            if by_command || polled != "none" {
                assert_known_again(&program, &[&one, &two], &format!("{by_command} {polled}"));
            }
        }
    }
}

#[test]
fn a_name_that_is_used_again_stands_for_the_files_of_one_mailbox_alone() {
    for polled in [&[][..], &["b"], &["a"]] {
        let (one, two) = (numbered(1), numbered(2));
        let program = Postrider::new();
        configure(&program, &[account("a", &one, "")]);
        program.run(&["fetch"]).assert_success();
        // "a" is called "b", and its name is that of another mailbox with the same unique-ids, in one edit.
        configure(&program, &[account("a", &two, ""), account("b", &one, "")]);
        let arguments = [&["fetch"][..], polled].concat();
        program.run(&arguments).assert_success();
        program.run(&["fetch"]).assert_success();
        assert_eq!(count_messages(&program.path("home")), 2 * MAIL, "{polled:?}");
        let origins = origins(&program);
        let of = |name: &str| origins.iter().find(|(of, _)| of == name).map(|(_, origin)| origin.clone());
        assert_eq!(of("b").as_deref(), Some("a"), "{origins:?}");
        let other = of("a").expect("not its name");
        assert!(other.starts_with("a#") && !other.contains(' '), "{other}");
        assert_known_again(&program, &[&one, &two], &format!("{polled:?}"));
    }
}

#[test]
fn an_account_with_another_port_or_route_and_name_brings_nothing_twice() {
    let server = numbered(1);
    let relay = format!("exec 3<>/dev/tcp/localhost/{}; cat <&3 & exec cat >&3", server.port());
    let route = format!("connect-command = ['bash', '-c', '{relay}']");
    let program = Postrider::new();
    configure(&program, &[account("old", &server, "")]);
    program.run(&["fetch"]).assert_success();
    configure(&program, &[account("new", &server, &route)]);
    let said = "account new has the host and the username of account old, which is not polled any more";
    assert!(program.run(&["check"]).assert_success().stderr.contains(said));
    let run = program.run(&["fetch"]).assert_success();
    assert!(run.stderr.contains("new: it has the mailbox of account old"), "{}", run.text());
    assert_eq!(count_messages(&program.path("home")), MAIL);
    assert!(!program.run(&["check"]).assert_success().stderr.contains("account old"));
    assert_known_again(&program, &[&server], "route");
}

#[test]
fn an_account_with_another_host_and_name_is_known_by_its_unique_ids_and_its_username() {
    for (user, keys, twice) in [
        (MailboxServer::USER, "retention = \"keep\"", false),
        (MailboxServer::USER, "retention = \"delete\"", false),
        // Unique-ids alone are no reason to take one mailbox for another.
        (MailboxServer::OTHER_USER, "retention = \"keep\"", true),
    ] {
        let server = numbered(1);
        let program = Postrider::new();
        configure(&program, &[account("old", &server, "")]);
        program.run(&["fetch"]).assert_success();
        let of_user = |account: String| {
            account.replace(&format!("username = \"{}\"", MailboxServer::USER), &format!("username = \"{user}\""))
        };
        configure(&program, &[of_user(account("new", &server, keys).replace("127.0.0.1", "localhost"))]);
        let run = program.run(&["fetch"]).assert_success();
        assert_eq!(count_messages(&program.path("home")), if twice { 2 * MAIL } else { MAIL }, "{}", run.text());
        assert_eq!(run.stderr.contains("new: it has the mailbox of account old"), !twice, "{}", run.text());
        assert_known_again(&program, &[&server], keys);
    }
}

#[test]
fn another_mailbox_with_the_same_unique_ids_and_username_is_fetched_whole() {
    for keys in ["retention = \"keep\"", "retention = \"delete\""] {
        let (one, two) = (numbered(1), numbered(2));
        let program = Postrider::new();
        configure(&program, &[account("old", &one, "")]);
        program.run(&["fetch"]).assert_success();
        configure(&program, &[account("new", &two, keys).replace("127.0.0.1", "localhost")]);
        for _ in 0..2 {
            program.run(&["fetch"]).assert_success();
            assert_eq!(count_messages(&program.path("home")), 2 * MAIL, "{keys}");
        }
        configure(&program, &[account("old", &one, ""), account("new", &two, keys).replace("127.0.0.1", "localhost")]);
        program.run(&["fetch"]).assert_success();
        assert_eq!(count_messages(&program.path("home")), 2 * MAIL, "{keys}");
        assert_known_again(&program, &[&one, &two], keys);
    }
}

#[test]
fn the_command_takes_along_all_that_is_known_and_says_what_is_to_be_done() {
    let server = numbered(1);
    let program = Postrider::new();
    configure(&program, &[account("old", &server, "")]);
    program.run(&["fetch"]).assert_success();
    let history = program.run(&["history", "--json", "-n", "0"]).assert_success().stdout;
    configure(&program, &[account("other", &server, "enabled = false")]);
    let run = program.run(&["state", "rename", "old", "new"]).assert_success();
    assert_eq!(run.stdout, format!("account old is called new now, with {MAIL} messages on record\n"));
    assert!(run.stderr.contains("has no account new yet"), "{}", run.stderr);
    let renamed = program.run(&["history", "--json", "-n", "0", "new"]).assert_success().stdout;
    assert_eq!(renamed, history.replace("\"old\"", "\"new\""));
    configure(&program, &[account("new", &server, "")]);
    let run = program.run(&["check"]).assert_success();
    assert!(!run.stderr.contains("old"), "{}", run.stderr);
    assert_eq!(program.run(&["fetch"]).assert_success().stdout, "new: no new mail\n");
    assert_eq!(server.count("RETR"), MAIL);
}

#[test]
fn the_command_refuses_what_is_no_renaming() {
    let (one, two) = (numbered(1), numbered(2));
    let program = Postrider::new();
    configure(&program, &[account("a", &one, ""), account("b", &two, ""), account("c", &two, "enabled = false")]);
    let refused = |old: &str, new: &str, why: &str| {
        let run = program.run(&["state", "rename", old, new]).assert_code(64);
        assert!(run.stderr.contains(why) && run.stdout.is_empty(), "{old} {new}: {}", run.text());
    };
    refused("a", "x", "nothing is known of account a");
    program.run(&["fetch"]).assert_success();
    refused("a", "x", "still has account a, with the same mailbox: rename it there first");
    refused("a", "a", "has that name");
    refused("nobody", "x", "there is no account \"nobody\"");
    refused("c", "x", "nothing is known of account c");
    refused("a", "x y", "not a possible name");
    configure(&program, &[account("b", &two, "")]);
    refused("a", "b", "20 messages are of account b on record already");
    // What is refused changes nothing.
    assert!(!state_file(&program, "origins").exists());
    let mut service = program.spawn(&["run"]);
    service
        .wait_until("the start", std::time::Duration::from_secs(30), |service| service.stderr().contains("is running"));
    let run = program.run(&["state", "rename", "a", "x"]).assert_code(75);
    assert!(run.stderr.contains("a running service needs no `state rename`"), "{}", run.stderr);
    service.sigterm();
    drop(service);
    program.run(&["state", "rename", "a", "x"]).assert_success();
}

#[test]
fn a_service_takes_a_renaming_over_when_it_reads_the_configuration() {
    let server = numbered(1);
    let program = Postrider::new();
    configure(&program, &[account("old", &server, "")]);
    let mut service = program.spawn(&["run"]);
    let limit = std::time::Duration::from_secs(30);
    service.wait_until("the first poll", limit, |service| service.stderr().contains("polled: 20 delivered"));
    configure(&program, &[account("new", &server, "")]);
    service.wait_until("the renaming", limit, |service| {
        service.stderr().contains("new: it has the mailbox of account old, which is not polled any more")
    });
    service.sigterm();
    drop(service);
    assert_known_again(&program, &[&server], "service");
}

#[test]
fn an_account_that_is_renamed_while_its_state_is_lost_is_known_once_its_former_name_is() {
    for keys in ["retention = \"keep\"", "retention = \"delete\""] {
        let server = numbered(1);
        server.change(|behaviour| behaviour.answers.push(("DELE".to_owned(), "-ERR not now".to_owned())));
        let program = Postrider::new();
        configure(&program, &[account("old", &server, keys)]);
        program.run(&["fetch"]);
        server.change(|behaviour| behaviour.answers.clear());
        configure(&program, &[account("new", &server, keys)]);
        lose_database(&program);
        if keys.contains("keep") {
            let run = program.run(&["fetch"]).assert_code(74);
            assert!(run.stderr.contains("`postrider state rename OLD new`"), "{}", run.stderr);
        }
        let run = program.run(&["state", "rename", "old", "new"]).assert_success();
        assert_eq!(run.stdout, "files that were delivered to old count as those of new at its next poll\n");
        assert_known_again(&program, &[&server], keys);
    }
}

#[test]
fn a_broken_file_of_former_names_is_told_and_no_reason_to_fetch_anything() {
    let server = numbered(1);
    let program = Postrider::new();
    configure(&program, &[account("old", &server, "")]);
    program.run(&["fetch"]).assert_success();
    configure(&program, &[account("new", &server, "")]);
    program.run(&["fetch"]).assert_success();
    let file = state_file(&program, "origins");
    let whole = std::fs::read_to_string(&file).expect("the file");
    std::fs::write(&file, whole.replace("\told\t", "\tolder\t")).expect("written");
    let run = program.run(&["state", "check"]).assert_code(74);
    assert!(run.stdout.contains("origins: is not what was written there"), "{}", run.text());
    let database = std::fs::read(state_file(&program, "state.db")).expect("the database");
    lose_database(&program);
    for arguments in [&["fetch"][..], &["state", "rebuild"], &["state", "rename", "new", "x"]] {
        let run = program.run(arguments).assert_code(74);
        assert!(run.stderr.contains("Nothing was fetched.  Restore the file from a backup."), "{}", run.text());
    }
    // A database that is there knows better.
    std::fs::write(state_file(&program, "state.db"), database).expect("written");
    let run = program.run(&["fetch"]).assert_success();
    assert!(run.stderr.contains("it is written again from the database"), "{}", run.text());
    assert_eq!(std::fs::read_to_string(&file).expect("the file"), whole);
    assert_known_again(&program, &[&server], "mended");
}

/// How many times the command is killed.
const KILLS: usize = 12;

#[test]
fn a_renaming_that_is_killed_at_any_moment_was_made_or_not() {
    let mut random = fastrand::Rng::with_seed(7);
    let server = numbered(1);
    let program = Postrider::new();
    let names = ["one", "two"];
    configure(&program, &[account(names[0], &server, "")]);
    program.run(&["fetch"]).assert_success();
    let (mut whole, mut killed) = (std::time::Duration::from_millis(100), 0);
    for round in 0..KILLS {
        let (old, new) = (names[round % 2], names[(round + 1) % 2]);
        configure(&program, &[account(new, &server, "")]);
        let moment = std::time::Instant::now() + whole.mul_f64(random.f64());
        let mut running = program.spawn(&["state", "rename", old, new]);
        while running.is_running() && std::time::Instant::now() < moment {
            // Nothing is waited for: the moment itself is the fault.
            std::thread::sleep(std::time::Duration::from_micros(200));
        }
        let output = running.kill();
        killed += usize::from(output.signal.is_some());
        if output.signal.is_none() {
            whole = output.elapsed;
        }
        // The database is lost before anything else is done; the next poll finds whose the files are.
        lose_database(&program);
        let run = program.run(&["fetch"]);
        if run.code != Some(0) {
            // Killed before the file said anything: the account was renamed while the database was lost.
            program.run(&["state", "rename", old, new]).assert_success();
            program.run(&["fetch"]).assert_success();
        }
        assert_eq!(count_messages(&program.path("home")), MAIL, "kill {round}: {}", run.text());
    }
    eprintln!("{killed} of {KILLS} were killed");
}

#[test]
fn what_another_mailbox_of_the_same_host_and_username_has_delivered_elsewhere_is_delivered_here() {
    for keys in ["retention = \"keep\"", "retention = \"delete\""] {
        // The same mail in both, as a list that both receive.
        let (one, two) = (numbered(1), numbered(1));
        let program = Postrider::new();
        let of = |name: &str, server: &MailboxServer, home: &str| {
            [mailbox(server.port(), name, &format!("deliver = \"{home}\"\n{keys}")), maildir(home)].concat()
        };
        program.config(&of("old", &one, "first"));
        program.run(&["fetch"]).assert_success();
        program.config(&of("new", &two, "second"));
        let said = program.run(&["check"]).assert_success().stderr;
        assert!(said.contains("`postrider state rename old new` takes over what is known of it"), "{said}");
        for _ in 0..2 {
            program.run(&["fetch"]).assert_success();
        }
        assert_eq!(count_messages(&program.path("second")), MAIL, "{keys}");
    }
}
