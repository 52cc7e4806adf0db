//! The promise under edits by the operator: for every pair of edits between two polls, with mail that is deleted,
//! no message is deleted whose content is not where it was decided to go, and nothing that one mailbox had comes
//! twice.

use super::*;
use std::collections::BTreeSet;

/// What the operator has written.
#[derive(Clone, Debug, PartialEq)]
struct Written {
    accounts: Vec<Account>,
    /// Destinations and their paths.
    paths: Vec<(&'static str, &'static str)>,
    deletes: bool,
}

#[derive(Clone, Debug, PartialEq)]
struct Account {
    name: &'static str,
    host: &'static str,
    /// Which of the servers.
    server: usize,
    user: &'static str,
    deliver: Vec<&'static str>,
}

type Edit = (&'static str, fn(&mut Written));

/// Every kind of edit; each is made to what the one before has left.
const EDITS: [Edit; 11] = [
    ("host", |written| {
        let account = &mut written.accounts[0];
        account.host = if account.host == "127.0.0.1" { "localhost" } else { "127.0.0.1" };
    }),
    ("port", |written| written.accounts[0].server ^= 2),
    ("username", |written| written.accounts[0].user = MailboxServer::OTHER_USER),
    ("name", |written| written.accounts[0].name = "renamed"),
    ("swap", |written| {
        let [one, two] = &mut written.accounts[..] else { return };
        std::mem::swap(&mut one.server, &mut two.server);
        std::mem::swap(&mut one.host, &mut two.host);
        std::mem::swap(&mut one.user, &mut two.user);
    }),
    ("path", |written| written.paths[0].1 = "elsewhere"),
    ("link", |written| written.paths[0].1 = "link"),
    ("added", |written| written.accounts[0].deliver = vec!["home", "archive"]),
    ("removed", |written| {
        if written.accounts.len() > 1 {
            written.accounts.remove(0);
        }
    }),
    ("used again", |written| {
        let name = written.accounts[0].name;
        if let Some(other) = written.accounts.get_mut(1) {
            other.name = name;
            written.accounts.remove(0);
        }
    }),
    ("destinations swapped", |written| {
        let (home, archive) = (written.paths[0].1, written.paths[1].1);
        (written.paths[0].1, written.paths[1].1) = (archive, home);
    }),
];

/// Two accounts with servers of their own, and two more servers that hold other mail under the same unique-ids.
struct World {
    servers: Vec<MailboxServer>,
    program: Postrider,
    /// What each server ever had.
    had: Vec<BTreeSet<usize>>,
}

impl World {
    fn new() -> Self {
        let first = |server: usize| server * 100 + 1;
        let servers: Vec<_> =
            (0..4).map(|server| MailboxServer::start(by_place(first(server)..first(server) + 2))).collect();
        let had = (0..4).map(|server| (first(server)..first(server) + 2).collect()).collect();
        let program = Postrider::new();
        std::fs::create_dir_all(program.path("home")).expect("made");
        std::os::unix::fs::symlink(program.path("home"), program.path("link")).expect("linked");
        Self { servers, program, had }
    }

    fn poll(&self, written: &Written) {
        let retention = if written.deletes { "delete" } else { "keep" };
        let account = |account: &Account| {
            let deliver = account.deliver.join("\", \"");
            mailbox(
                self.servers[account.server].port(),
                account.name,
                &format!("deliver = [\"{deliver}\"]\nretention = \"{retention}\""),
            )
            .replace("127.0.0.1", account.host)
            .replace(&format!("\"{}\"\npassword", MailboxServer::USER), &format!("\"{}\"\npassword", account.user))
        };
        let used = |name: &&str| written.accounts.iter().any(|account| account.deliver.contains(name));
        let destination = |(name, path): &(&str, &str)| {
            used(name).then(|| format!("[destinations.{name}]\ntype = \"maildir\"\npath = \"{path}\"\n"))
        };
        let text: String =
            written.accounts.iter().map(account).chain(written.paths.iter().filter_map(destination)).collect();
        self.program.config(&text);
        self.program.run(&["fetch"]).assert_success();
    }

    /// Another message comes to each server, as large as all others.
    fn news(&mut self) {
        for (server, had) in self.servers.iter().zip(&mut self.had) {
            let number = had.last().expect("it had some") + 1;
            had.insert(number);
            // The place of a message is its unique-id.
            server.replace(by_place(remaining(server).into_iter().chain([number])));
        }
    }

    #[track_caller]
    fn check(&self, what: &str) {
        let folders = ["home", "archive", "elsewhere"].map(|folder| delivered(&self.program, folder));
        for (server, had) in self.servers.iter().zip(&self.had) {
            let left: BTreeSet<usize> = remaining(server).into_iter().collect();
            for gone in had.difference(&left) {
                assert!(folders.iter().any(|folder| folder.contains_key(gone)), "{what}: {gone} was deleted unfetched");
            }
        }
        for folder in folders {
            let twice: Vec<_> = folder.iter().filter(|(_, copies)| **copies > 1).collect();
            assert!(twice.is_empty(), "{what}: twice: {twice:?}");
        }
    }
}

fn live(first: Edit, second: Edit) {
    let what = format!("{}, then {}", first.0, second.0);
    let mut world = World::new();
    let account =
        |name, server| Account { name, host: "127.0.0.1", server, user: MailboxServer::USER, deliver: vec!["home"] };
    let accounts = vec![account("one", 0), account("two", 1)];
    let mut written = Written { accounts, paths: vec![("home", "home"), ("archive", "archive")], deletes: false };
    world.poll(&written);
    for (_, edit) in [first, second] {
        world.news();
        edit(&mut written);
        world.poll(&written);
        world.check(&what);
        written.deletes = true;
    }
    for _ in 0..3 {
        world.poll(&written);
        world.check(&what);
    }
    // All mail of the mailbox that an account leads to has come, and is gone from there.
    for account in &written.accounts {
        assert_eq!(remaining(&world.servers[account.server]), [0; 0], "{what}: {account:?}");
    }
}

#[test]
fn whatever_the_operator_edits_nothing_is_deleted_unfetched_and_nothing_comes_twice() {
    let pairs: Vec<(Edit, Edit)> =
        EDITS.iter().flat_map(|first| EDITS.iter().map(move |second| (*first, *second))).collect();
    std::thread::scope(|scope| {
        for part in pairs.chunks(pairs.len().div_ceil(4)) {
            scope.spawn(move || part.iter().for_each(|(first, second)| live(*first, *second)));
        }
    });
}
