//! A user's state that older units have left beside the configuration: nothing comes twice because of it.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use super::*;

/// A home with a configuration in its usual place.
struct Home {
    program: Postrider,
    server: MailboxServer,
}

impl Home {
    fn new() -> Self {
        let server = MailboxServer::start(Message::several(3, Mix::Tiny));
        let home = Self { program: Postrider::new(), server };
        home.configure("");
        home
    }

    fn folder(&self) -> PathBuf {
        self.program.path(".config/postrider")
    }

    fn state(&self) -> PathBuf {
        self.program.path(".local/state/postrider")
    }

    fn configure(&self, top: &str) {
        let file = self.folder().join("config.toml");
        std::fs::create_dir_all(self.folder()).expect("made");
        let path = format!("path = \"{}\"", self.program.path("home").display());
        let text = format!("{top}{}", account(&self.server)).replace("path = \"home\"", &path);
        std::fs::write(&file, text).expect("written");
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).expect("its mode");
    }

    fn spawn(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Running {
        let mut command = self.program.command();
        command.args(arguments).envs(environment.iter().copied());
        self.program.spawn_command(command)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.spawn(arguments, &[]).wait(LIMIT)
    }

    fn mails(&self) -> usize {
        count_messages(&self.program.path("home"))
    }

    /// As a service of an older unit has left it.
    fn fetch_beside_the_configuration(&self) {
        self.configure(&format!("state-dir = \"{}\"\n", self.folder().display()));
        self.run(&["fetch"]).assert_success();
        self.configure("");
    }

    /// Does what an error says.
    fn obey(&self, refused: &Output) {
        let command = refused.stderr.split("then: `").nth(1).and_then(|rest| rest.split('`').next());
        let done = Command::new("sh").args(["-c", command.expect("a command")]).status().expect("sh");
        assert!(done.success(), "{}", refused.text());
    }
}

#[test]
fn with_an_empty_state_nothing_begins_while_another_lies_beside_the_configuration() {
    let home = Home::new();
    home.fetch_beside_the_configuration();
    for command in ["fetch", "run"] {
        let refused = home.run(&[command]).assert_code(78);
        let folder = home.folder().display().to_string();
        for word in ["the state is in", &folder, "Nothing was fetched", "systemctl --user stop"] {
            assert!(refused.stderr.contains(word), "{word}: {}", refused.text());
        }
        assert_eq!(home.mails(), 3);
        assert!(!home.state().join("state.db").exists());
    }
    home.obey(&home.run(&["fetch"]));
    let fetched = home.run(&["fetch"]).assert_success();
    assert_eq!((fetched.stdout.as_str(), home.mails()), ("one: no new mail\n", 3));
    assert_eq!(std::fs::read_dir(home.folder()).expect("the folder").count(), 1, "only the configuration stays");
}

#[test]
fn of_two_states_the_one_that_was_written_last_is_kept() {
    for beside_is_last in [true, false] {
        let home = Home::new();
        home.run(&["fetch"]).assert_success();
        home.fetch_beside_the_configuration();
        // The second one has found the mail in the Maildir; by SMTP it would have come twice.
        assert_eq!(home.mails(), 3);
        if !beside_is_last {
            let now = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
            let file = std::fs::File::options().write(true).open(home.state().join("state.db")).expect("the state");
            file.set_modified(now).expect("its time");
        }
        let refused = home.run(&["fetch"]).assert_code(78);
        assert!(refused.stderr.contains("there is a state in"), "{}", refused.text());
        home.obey(&refused);
        assert_eq!(home.program.path(".local/state/postrider.old").exists(), beside_is_last);
        assert_eq!(home.folder().join("old-state").exists(), !beside_is_last);
        home.run(&["fetch"]).assert_success();
        assert_eq!(home.mails(), 3);
    }
}

#[test]
fn a_link_that_systemd_has_laid_works_and_is_told() {
    let home = Home::new();
    home.fetch_beside_the_configuration();
    std::fs::create_dir_all(home.program.path(".local/state")).expect("made");
    std::os::unix::fs::symlink("../../.config/postrider", home.state()).expect("a link");
    let fetched = home.run(&["fetch"]).assert_success();
    assert_eq!(home.mails(), 3);
    assert!(fetched.stderr.contains("lies beside the configuration"), "{}", fetched.text());
    let mend = fetched.stderr.split("move it: ").nth(1).and_then(|rest| rest.lines().next()).expect("a command");
    assert!(Command::new("sh").args(["-c", mend]).status().expect("sh").success(), "{mend}");
    let fetched = home.run(&["fetch"]).assert_success();
    assert_eq!((fetched.stdout.as_str(), fetched.stderr.as_str()), ("one: no new mail\n", ""));
    assert!(!home.state().is_symlink());
}

#[test]
fn what_older_units_say_of_the_state_is_not_obeyed_and_it_is_made_for_its_owner_alone() {
    let home = Home::new();
    let beside = home.folder().display().to_string();
    let mut service = home.spawn(&["run"], &[("STATE_DIRECTORY", &beside)]);
    service.wait_until("the first poll", LIMIT, |service| service.stderr().contains("3 delivered"));
    let status = json(&home.run(&["status", "--json"]).assert_success());
    assert_eq!(status["state-dir"], home.state().display().to_string());
    let mode = std::fs::metadata(home.state()).expect("the state directory").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    home.run(&["fetch"]).assert_success();
    assert_eq!(home.mails(), 3);
}
