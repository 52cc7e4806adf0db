//! The file of the tokens: for its owner alone, of one client, and not believed when it is damaged.

use std::os::unix::fs::PermissionsExt;

use super::*;

#[test]
fn tokens_are_kept_for_their_owner_alone() {
    let provider = rotating(3600);
    let program = program(&provider, 1);
    sign_in(&program);
    let mode = |name: &str| program.state_dir().join(name).metadata().expect(name).permissions().mode() & 0o7777;
    assert_eq!((mode("tokens"), mode("tokens/a")), (0o700, 0o600));
    for (key, want) in [("access-token", format!("{ACCESS}-1")), ("refresh-token", format!("{REFRESH}-1"))] {
        assert_eq!(kept(&program)[key], want);
    }
}

#[test]
fn tokens_that_are_not_there_not_ours_open_or_damaged_say_what_to_do() {
    let (provider, mailbox) = (rotating(3600), mailbox_for(&[&format!("{ACCESS}-2")]));
    let program = program(&provider, mailbox.port());
    let file = program.state_dir().join("tokens/a");
    let run = program.run(&["fetch"]).assert_code(77);
    let words = "account a: nobody has signed in for this account yet.  Run `postrider login a`";
    assert_says(&run, &[words]);
    assert_says(&program.run(&["check"]).assert_success(), &[words]);
    sign_in(&program);
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).expect("its mode");
    let run = program.run(&["fetch"]).assert_code(74);
    assert_says(&run, &["tokens/a: is open to others (mode 0644)", "remove the file and run `postrider login a`"]);
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).expect("its mode");
    std::fs::write(&file, &std::fs::read(&file).expect("read")[..50]).expect("written");
    let run = program.run(&["fetch"]).assert_code(77);
    assert_says(&run, &["tokens/a: is damaged.  Run `postrider login a`"]);
    assert_no_secret(&run);
    sign_in(&program);
    program.run(&["fetch"]).assert_success();
}

#[test]
fn tokens_of_another_client_are_not_used() {
    for (before, after) in [
        ("client-id = \"client-1\"", "client-id = \"client-2\""),
        ("scopes = [\"mail\", \"offline\"]", "scopes = [\"mail\"]"),
        ("/token\"", "/other\""),
    ] {
        let (provider, mailbox) = (rotating(3600), mailbox_for(&[&format!("{ACCESS}-1")]));
        let program = program(&provider, mailbox.port());
        sign_in(&program);
        let text = format!("{}{}", account(mailbox.port(), ""), super::provider(provider.port));
        program.config(&text.replace(before, after));
        let run = program.run(&["fetch"]).assert_code(77);
        assert_says(&run, &["issued for another client id", "Run `postrider login a`"]);
        assert_eq!((provider.asked().len(), offered(&mailbox).len()), (1, 0), "{after}");
        program.config(&text);
        program.run(&["fetch"]).assert_success();
    }
}

#[test]
fn root_leaves_the_tokens_to_the_owner_of_the_state() {
    use std::os::unix::fs::MetadataExt as _;
    let provider = rotating(3600);
    let program = program(&provider, 1);
    if !program.share_with_nobody(&["state"]) {
        eprintln!("only root can leave anything to others");
        return;
    }
    for _ in 0..2 {
        sign_in(&program);
        for name in ["tokens", "tokens/a", "tokens/.a.lock", "tokens/.sign-in", "tokens/.sign-in/a"] {
            assert_eq!(program.state_dir().join(name).metadata().expect(name).uid(), NOBODY, "{name}");
        }
    }
}
