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
