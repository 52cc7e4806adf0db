//! A configuration that somebody else may write is not used, and none of its commands runs.

use super::*;

/// A configuration whose password comes from a command that leaves a file `ran`.
fn with_command(server: &MailboxServer) -> Postrider {
    let text = config(server, "");
    let line = text.lines().find(|line| line.starts_with("password")).expect("a password");
    let command = "password-command = [\"sh\", \"-c\", \"touch ran; echo x\"]";
    Postrider::with_config(&text.replace(line, command))
}

#[track_caller]
fn assert_refused(program: &Postrider, words: &[&str]) {
    for command in [&["check"][..], &["fetch"], &["check", "--connect"], &["run"]] {
        assert_says(&program.run(command).assert_code(78), words);
    }
    assert!(!program.path("ran").exists(), "its command ran");
}

#[test]
fn a_configuration_that_others_may_write_is_refused_with_its_mode() {
    let server = MailboxServer::start(Vec::new());
    for mode in [0o666, 0o606, 0o602, 0o622] {
        let program = with_command(&server);
        set_mode(&program.config_path(), mode);
        assert_refused(&program, &[&format!("may be written by others (mode {mode:04o}): chmod go-w "), "config.toml"]);
        set_mode(&program.config_path(), 0o644);
        program.run(&["check"]).assert_success();
    }
}

#[test]
fn a_group_may_write_it_that_nobody_else_is_in() {
    if !is_root() {
        return;
    }
    let server = MailboxServer::start(Vec::new());
    let program = with_command(&server);
    // Root's own group; and one that nobody is known to be in, and anybody may be.
    for (group, good) in [(0, true), (54_321, false)] {
        std::os::unix::fs::chown(program.config_path(), Some(0), Some(group)).expect("its group");
        set_mode(&program.config_path(), 0o664);
        let output = program.run(&["check"]);
        assert_eq!(output.code == Some(0), good, "{group}: {}", output.text());
    }
}

#[test]
fn a_drop_in_or_its_folder_that_others_may_write_is_refused() {
    let server = MailboxServer::start(Vec::new());
    let more = |program: &Postrider| {
        std::fs::create_dir(program.path("conf.d")).expect("made");
        std::fs::write(program.path("conf.d/more.toml"), maildir("more")).expect("written");
        set_mode(&program.path("conf.d"), 0o755);
        set_mode(&program.path("conf.d/more.toml"), 0o644);
    };
    for (name, mode) in [("conf.d/more.toml", 0o666), ("conf.d", 0o777), ("conf.d", 0o1777)] {
        let program = with_command(&server);
        more(&program);
        program.run(&["check"]).assert_success();
        set_mode(&program.path(name), mode);
        assert_refused(&program, &[&format!("may be written by others (mode {mode:04o}): chmod go-w "), name]);
    }
    // Somebody may put a file there at any time.
    let program = with_command(&server);
    std::fs::create_dir(program.path("conf.d")).expect("made");
    set_mode(&program.path("conf.d"), 0o777);
    assert_refused(&program, &["may be written by others (mode 0777)", "conf.d"]);
}

#[test]
fn a_configuration_in_a_folder_that_others_may_write_is_refused_unless_what_is_in_it_stays() {
    let server = MailboxServer::start(Vec::new());
    let program = with_command(&server);
    set_mode(program.home(), 0o777);
    assert_refused(&program, &["its folder", "may be written by others (mode 0777)"]);
    // As in /tmp, where nobody moves the files of others.
    set_mode(program.home(), 0o1777);
    program.run(&["check"]).assert_success();
    // The folder that a link leads into counts as well.
    let open = program.path("open");
    std::fs::create_dir(&open).expect("made");
    std::fs::rename(program.config_path(), open.join("real.toml")).expect("moved");
    std::os::unix::fs::symlink(open.join("real.toml"), program.config_path()).expect("linked");
    set_mode(program.home(), 0o755);
    set_mode(&open, 0o777);
    assert_refused(&program, &["its folder", "open", "may be written by others (mode 0777)"]);
}

#[test]
fn a_configuration_of_somebody_else_is_refused_with_its_owner() {
    if !is_root() {
        return;
    }
    let server = MailboxServer::start(Vec::new());
    let program = with_command(&server);
    program.share_with_nobody(&["state"]);
    set_mode(&program.config_path(), 0o644);
    program.give_to_nobody(&program.config_path());
    assert_refused(&program, &["belongs to nobody (mode 0644)", "runuser -u nobody -- ", " -c "]);
    // Its owner may use it.
    program.run_as_nobody(&["check"]).assert_success();
    // And nobody may use a third user's.
    std::os::unix::fs::chown(program.config_path(), Some(54_321), Some(54_321)).expect("a third");
    assert_says(&program.run_as_nobody(&["check"]).assert_code(78), &["belongs to user 54321 (mode 0644)"]);
    std::os::unix::fs::chown(program.config_path(), Some(0), Some(0)).expect("root's");
    program.run_as_nobody(&["check"]).assert_success();
}

#[test]
fn a_drop_in_of_somebody_else_is_refused() {
    if !is_root() {
        return;
    }
    let server = MailboxServer::start(Vec::new());
    for name in ["conf.d", "conf.d/more.toml"] {
        let program = with_command(&server);
        std::fs::create_dir(program.path("conf.d")).expect("made");
        std::fs::write(program.path("conf.d/more.toml"), maildir("more")).expect("written");
        program.give_to_nobody(&program.path(name));
        assert_refused(&program, &[name, "belongs to nobody"]);
    }
}

#[test]
fn root_does_not_deliver_to_itself_what_somebody_else_wanted_at_home() {
    if !is_root() {
        return;
    }
    let server = MailboxServer::start(Message::several(1, Mix::Tiny));
    // As `sudo postrider -c ~alice/.config/postrider/config.toml fetch` does it, and by $HOME.
    for by_home in [false, true] {
        let mut program = Postrider::new();
        let text = config(&server, "").replace("path = \"home\"", "path = \"~/Maildir\"");
        program.share_with_nobody(&["alice"]);
        let file = program.path("alice/.config/postrider/config.toml");
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("made");
        std::fs::write(&file, text).expect("written");
        set_mode(&file, 0o600);
        for path in file.ancestors().take(3) {
            program.give_to_nobody(path);
        }
        let mut command = program.command();
        if by_home {
            program.env("HOME", program.path("alice"));
            command = program.command();
        } else {
            command.arg("-c").arg(&file);
        }
        command.arg("fetch");
        let output = program.spawn_command(command).wait(std::time::Duration::from_secs(60)).assert_code(78);
        assert_says(&output, &["belongs to nobody"]);
        let made = [program.path("Maildir"), program.path("alice/Maildir"), program.path("alice/.local")];
        assert!(made.iter().all(|path| !path.exists()), "{made:?}");
        assert_eq!(server.logins(), 0);
    }
}

#[test]
fn a_running_service_does_not_take_up_what_others_may_write() {
    let server = MailboxServer::start(Vec::new());
    let program = Postrider::with_config(&config(&server, "interval = \"1h\""));
    let limit = std::time::Duration::from_secs(60);
    let mut service = program.spawn(&["run"]);
    service.wait_until("its socket", limit, |_| program.run(&["status"]).code == Some(0));
    program.config(&config(&server, "interval = \"2h\""));
    set_mode(&program.config_path(), 0o666);
    service.wait_until("a word", limit, |service| {
        let _ = std::process::Command::new("kill").args(["-s", "HUP", &service.pid().to_string()]).status();
        service.stderr().contains("may be written by others (mode 0666)")
    });
    // Closing it is a change like any other.
    set_mode(&program.config_path(), 0o600);
    service.wait_until("a reload", limit, |service| service.stderr().contains("reloaded: a file has changed"));
    service.sigterm();
    service.wait(limit).assert_success();
}

#[test]
fn a_password_file_that_others_may_write_is_not_read() {
    let server = MailboxServer::start(Message::several(1, Mix::Tiny));
    let text = config(&server, "");
    let line = text.lines().find(|line| line.starts_with("password")).expect("a password");
    let password = line.split('"').nth(1).expect("its text");
    let program = Postrider::with_config(&text.replace(line, "password-file = \"secret\""));
    std::fs::write(program.path("secret"), format!("{password}\n")).expect("written");
    for mode in [0o666, 0o602] {
        set_mode(&program.path("secret"), mode);
        let output = program.run(&["fetch"]).assert_code(78);
        assert_says(&output, &["password file", &format!("may be written by others (mode {mode:04o})")]);
        assert_eq!(server.logins(), 0);
        assert_says(
            &program.run(&["check"]).assert_code(78),
            &["account a: password file", "may be written by others"],
        );
    }
    set_mode(&program.path("secret"), 0o644);
    program.run(&["fetch"]).assert_success();
    assert_says(&program.run(&["check"]).assert_success(), &["may be read by others (mode 0644): chmod 600"]);
    set_mode(&program.path("secret"), 0o600);
    assert!(!program.run(&["check"]).assert_success().text().contains("others"));
}

#[test]
fn authorities_that_others_may_write_are_not_trusted() {
    let program = Postrider::with_config(&format!(
        "[accounts.a]\nhost = \"localhost\"\nusername = \"u\"\npassword = \"p\"\ntls-ca = \"ca.pem\"\n\
         deliver = \"home\"\n{}",
        maildir("home")
    ));
    let system = ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];
    let Some(bundle) = system.iter().find_map(|path| std::fs::read(path).ok()) else {
        eprintln!("not tested: this machine has no bundle of authorities");
        return;
    };
    std::fs::write(program.path("ca.pem"), bundle).expect("written");
    set_mode(&program.path("ca.pem"), 0o644);
    program.run(&["check"]).assert_success();
    set_mode(&program.path("ca.pem"), 0o666);
    assert_says(&program.run(&["check"]).assert_code(78), &["ca.pem", "may be written by others (mode 0666)"]);
}
