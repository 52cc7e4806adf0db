//! `postrider login`: the user signs in at the provider of an account, and the tokens are stored.
//!
//! With a browser on this machine that is redirected back to it, with a code that is typed into a
//! browser on any machine, or by pasting the address of the page on which such a browser ended.
//! Tokens are never shown.  A running service notices the new tokens by itself.

use std::io::{BufRead, IsTerminal, Read};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use tokio::sync::mpsc;

use super::output;
use crate::clock::unix_now;
use crate::config::Config;
use crate::failure::Class;
use crate::oauth::{Grant, Listener, OAuthError};
use crate::process::log;
use crate::process::signals::Signals;
use crate::{subprocess, transcript};

/// The maximum octets of a pasted line.
const LINE_LIMIT: u64 = 64 * 1024;

/// The program that opens an address in the user's browser.
const OPENER: &str = "xdg-open";

/// Arguments of `login`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The account to sign in for
    #[arg(value_name = "ACCOUNT", add = super::completions::accounts())]
    account: String,
    /// Show a code to type into a browser on any machine
    #[arg(long, conflicts_with_all = ["paste", "no_browser"])]
    device: bool,
    /// Read the address on which a browser on any machine ended, or the code in it, from standard input
    #[arg(long, conflicts_with = "no_browser")]
    paste: bool,
    /// Wait for a browser on this machine, but do not start it
    #[arg(long)]
    no_browser: bool,
}

/// How the user signs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Browser { start: bool },
    Device,
    Paste,
}

impl Way {
    /// The way that the arguments ask for, else one that fits the machine and the provider.
    fn choose(arguments: &Arguments, has_screen: bool, has_device_flow: bool) -> Self {
        match arguments {
            Arguments { device: true, .. } => Way::Device,
            Arguments { paste: true, .. } => Way::Paste,
            Arguments { no_browser: true, .. } => Way::Browser { start: false },
            _ if has_screen => Way::Browser { start: true },
            _ if has_device_flow => Way::Device,
            _ => Way::Paste,
        }
    }
}

pub(super) fn run(arguments: &Arguments, config: &Config) -> u8 {
    let account = match super::accounts::choose(config, std::slice::from_ref(&arguments.account)) {
        Ok(accounts) => accounts[0],
        Err(code) => return code,
    };
    let Some(grant) = account.credential.grant() else {
        let cause = "it does not use postrider's own OAuth 2.0 login";
        let advice = "Set `oauth` to the name of a provider, see postrider.toml(5).";
        output::say(&output::paragraph(Some(&account.name), cause, Some(advice)));
        return Class::Configuration.exit_code();
    };
    log::start_command(tracing::Level::WARN, false, std::io::stderr);
    let way = Way::choose(arguments, has_screen(), grant.provider.device.is_some());
    super::runtime::block_on(async {
        let mut signals = match Signals::of_command() {
            Ok(signals) => signals,
            Err(error) => {
                output::say(&output::paragraph(None, &format!("signals: {error}"), None));
                return Class::LocalIo.exit_code();
            }
        };
        let result = tokio::select! {
            result = transcript::of(account.name.as_str(), sign_in(grant, way)) => result,
            signal = signals.next() => {
                output::say(&format!("postrider: {}: not signed in", signal.name()));
                return Class::TryLater.exit_code();
            }
        };
        match result {
            Ok(()) => {
                output::print(&format!("account {}: signed in", account.name));
                output::print("`postrider check --connect` tries it; a running service continues by itself.");
                0
            }
            Err(error) => output::complain_code(Some(&account.name), &error),
        }
    })
}

/// Whether the user who called us can see a browser of this machine.
fn has_screen() -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_far = is_set("SSH_CONNECTION") || is_set("SSH_TTY");
    !is_far && (is_set("DISPLAY") || is_set("WAYLAND_DISPLAY"))
}

async fn sign_in(grant: &Grant, way: Way) -> Result<(), OAuthError> {
    match way {
        Way::Device => by_device(grant).await,
        Way::Paste => by_paste(grant).await,
        Way::Browser { start } => by_browser(grant, start).await,
    }
}

async fn by_browser(grant: &Grant, start: bool) -> Result<(), OAuthError> {
    let listener = Listener::bind(&grant.provider).await?;
    let attempt = grant.by_browser(Some(&listener)).await?;
    let is_started = start && start_browser(attempt.url());
    let (as_whom, provider) = (&grant.username, &grant.provider.name);
    output::print(&if is_started {
        format!("Sign in at {provider} as {as_whom} in your browser.  If none appears, open this address:")
    } else {
        format!("Open this address in a browser on this machine and sign in at {provider} as {as_whom}:")
    });
    output::print(&format!("\n{}\n", attempt.url()));
    let pastes = std::io::stdin().is_terminal().then(|| {
        output::print("If the browser ends on a page that cannot be shown, paste the address of that page here:");
        lines()
    });
    attempt.finish(Some(&listener), pastes, &output::say, unix_now).await
}

async fn by_paste(grant: &Grant) -> Result<(), OAuthError> {
    let attempt = grant.by_browser(None).await?;
    let (as_whom, provider) = (&grant.username, &grant.provider.name);
    output::print(&format!("Open this address in any browser and sign in at {provider} as {as_whom}:"));
    output::print(&format!("\n{}\n", attempt.url()));
    output::print(
        "At the end the browser is sent to a page that it may not be able to show.  Paste the address of that page, \
         or the code in it, here:",
    );
    attempt.finish(None, Some(lines()), &output::say, unix_now).await
}

async fn by_device(grant: &Grant) -> Result<(), OAuthError> {
    let attempt = grant.by_device().await?;
    let (as_whom, provider) = (&grant.username, &grant.provider.name);
    output::print(&format!("Open this address in any browser and sign in at {provider} as {as_whom}:"));
    output::print(&format!("\n{}\n", attempt.url()));
    output::print(&format!("with the code {}", attempt.user_code()));
    output::print(&format!("It is valid for {} minutes; waiting ...", attempt.limit().as_secs().div_ceil(60)));
    attempt.finish(unix_now).await
}

/// Starts the user's browser; returns whether it was found.
fn start_browser(url: &str) -> bool {
    let mut command = Command::new(OPENER);
    command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    subprocess::restore_environment(&mut command);
    // The command may become the browser itself, with pages that have nothing to do with us: it keeps running when
    // we end, and no key of our terminal reaches it.
    command.process_group(0);
    command.spawn().is_ok()
}

/// The lines of standard input, read by a thread that runs until the process ends.
fn lines() -> mpsc::Receiver<String> {
    let (lines, pasted) = mpsc::channel(1);
    let read = move || {
        let mut stdin = std::io::stdin().lock();
        loop {
            let mut line = Vec::new();
            match stdin.by_ref().take(LINE_LIMIT).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            let text = String::from_utf8_lossy(&line).trim().to_owned();
            if !text.is_empty() && lines.blocking_send(text).is_err() {
                return;
            }
        }
    };
    // Without a thread nothing can be pasted, but the browser's redirect still works.
    if let Err(error) = std::thread::Builder::new().spawn(read) {
        output::say(&format!("postrider: nothing can be pasted here: {error}"));
    }
    pasted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_is_the_one_asked_for_or_fits_the_machine() {
        let asked = |device, paste, no_browser| Arguments { account: "a".into(), device, paste, no_browser };
        let none = asked(false, false, false);
        for (arguments, has_screen, has_device_flow, want) in [
            (&none, true, true, Way::Browser { start: true }),
            (&none, false, true, Way::Device),
            (&none, false, false, Way::Paste),
            (&asked(true, false, false), true, false, Way::Device),
            (&asked(false, true, false), true, true, Way::Paste),
            (&asked(false, false, true), false, true, Way::Browser { start: false }),
        ] {
            assert_eq!(Way::choose(arguments, has_screen, has_device_flow), want, "{arguments:?}");
        }
    }
}
