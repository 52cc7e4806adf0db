//! From the sign-in to the mail at a real Dovecot, by both mechanisms.

use super::*;

#[test]
fn tokens_of_a_sign_in_fetch_from_dovecot_and_are_renewed_when_it_refuses_them() {
    let server = Arc::new(Dovecot::start_with(&["--users", "2", "--mechanisms", "plain oauthbearer xoauth2"]));
    server.fill("user1", &Fill::new(3, Mix::Tiny));
    for auth in ["oauthbearer", "xoauth2", "auto"] {
        // The first token has expired on its way, whatever the provider says.
        let dovecot = Arc::clone(&server);
        let provider_ = AuthorizationServer::start(move |asked| {
            let lifetime = if asked.form["grant_type"] == "refresh_token" { 600 } else { -600 };
            tokens(&dovecot.token("user1", lifetime), Some(REFRESH), 3600)
        });
        let mut program = Postrider::with_config(&format!(
            "[accounts.a]\nhost = \"localhost\"\nport = {}\ntls-ca = \"{}\"\nusername = \"user1\"\noauth = \"p\"\n\
             auth = \"{auth}\"\ndeliver = \"mail\"\n{}{}",
            server.tls_port,
            server.ca().display(),
            maildir("mail"),
            provider(provider_.port),
        ));
        program.env("POSTRIDER_LOG", "trace");
        sign_in(&program);
        for _ in 0..2 {
            let run = program.run(&["fetch"]).assert_success();
            let token = kept(&program)["access-token"].as_str().expect("a token").to_owned();
            assert!(!run.text().contains(&token[..40]), "{}", run.text());
            assert_no_secret(&run);
        }
        assert_eq!(count_messages(&program.path("mail")), 3, "{auth}");
        assert_eq!(provider_.grants("refresh_token").len(), 1, "{auth}");
    }
}
