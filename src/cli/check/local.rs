//! The local checks of `check`, with the same rules as a poll: the state directory, the files that hold secrets, and
//! the sandbox of the system's unit.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::output;
use crate::config::Config;
use crate::credential::{self, CredentialError, SecretSource};
use crate::failure::{Class, Failure, describe, paragraph};
use crate::filesystem::Person;
use crate::filesystem::sandbox::{self, Sandbox};
use crate::message::Name;
use crate::net::{Endpoint, Route};
use crate::plan::Place;
use crate::poll;
use crate::store::{self, Ground, Reader};

/// Exists if systemd runs this machine.
const SYSTEMD: &str = "/run/systemd/system";

/// Says where the state is, and checks whether it can be kept there.  With `connect` a failure counts, as it does for
/// `fetch`; without it a note is enough, since another user may run the service.
pub(super) fn state(config: &Config, connect: bool) -> Option<Class> {
    let dir = config.state_dir.display();
    let looked = store::look_at(&config.state_dir);
    let whose = match &looked {
        Ok(Ground::There(owner)) if *owner != Person::me() => format!(", which belongs to {owner}"),
        Ok(Ground::Missing) => ", which is created when it is needed".to_owned(),
        _ => String::new(),
    };
    output::print(&format!("state in {dir}{whose}"));
    let error = looked.err()?;
    if connect {
        output::complain_code(None, &error);
        return Some(error.class());
    }
    output::say(&format!("note: {}", paragraph(&describe(&error), error.advice().as_deref())));
    None
}

/// Says which accounts will take over what is known of another one's mailbox.  A state that cannot be read was
/// reported, or is another user's.
pub(super) fn renamings(config: &Config) {
    let Ok(reader) = Reader::open(&config.state_dir) else { return };
    let mailboxes = poll::mailboxes(&config.accounts);
    for (name, mailbox) in mailboxes.iter() {
        let (old, is_certain) = match reader.known_as(name, mailbox, &mailboxes) {
            Ok(Some(known)) if known != *name => (known, true),
            Ok(None) => match alike(&reader, config, name, mailbox, &mailboxes) {
                Some((alike, true)) => (alike, false),
                Some((alike, false)) => {
                    output::say(&format!(
                        "note: account {name} has the host and the username of account {alike}, which is not polled any \
                         more, and other destinations: all of its mail is fetched.  If it is the same mailbox, `postrider \
                         state rename {alike} {name}` takes over what is known of it"
                    ));
                    continue;
                }
                None => continue,
            },
            _ => continue,
        };
        let is_gone = !mailboxes.iter().any(|(name, _)| *name == old);
        let whose = match (is_gone, is_certain) {
            (true, true) => format!("has the mailbox of account {old}, which is not polled any more"),
            (true, false) => {
                format!("has the host and the username of account {old}, which is not polled any more")
            }
            (false, _) => format!("has the mailbox that account {old} had"),
        };
        let now = if is_gone { format!("; `postrider state rename {old} {name}` does so now") } else { String::new() };
        output::say(&format!("note: account {name} {whose}: its next poll takes over what is known of it{now}"));
    }
}

/// An account that is not polled any more with the same host and username, and whether it had the same destinations.
fn alike(
    reader: &Reader,
    config: &Config,
    name: &Name,
    mailbox: &str,
    mailboxes: &[(Name, String)],
) -> Option<(Name, bool)> {
    let deliver = config.accounts.iter().find(|account| account.name == *name).map(|account| &account.deliver)?;
    let instance = reader.instance().ok()?;
    let destinations = config.destinations.iter().filter(|destination| deliver.contains(&destination.name));
    let places: Vec<Place> = destinations.map(|destination| destination.place(&instance)).collect();
    let same = reader.alike(name, mailbox, mailboxes, Some(&places)).ok().flatten();
    let any = || reader.alike(name, mailbox, mailboxes, None).ok().flatten();
    same.map(|found| (found, true)).or_else(|| any().map(|found| (found, false)))
}

/// Checks every file that holds a secret.  A file that others may write to fails a poll, so it fails the check.
pub(super) fn secrets(config: &Config) -> Option<Class> {
    let mut worst = None;
    let mut seen = BTreeSet::new();
    for (whose, path) in files(config) {
        match credential::look_at(&path) {
            Err(error @ CredentialError::Unsafe { .. }) => {
                let text = paragraph(&describe(&error), error.advice().as_deref());
                output::say(&format!("postrider: {whose}: {text}"));
                worst = worst.max(Some(error.class()));
            }
            Err(error) => output::say(&format!("note: {whose}: {}", describe(&error))),
            Ok(Some(mode)) if seen.insert(path.clone()) => output::say(&format!(
                "warning: {whose}: password file {path} may be read by others (mode {mode:04o}): chmod 600 {path}",
                path = path.display()
            )),
            Ok(_) => {}
        }
    }
    worst
}

/// The files that hold secrets, each with its account or destination.
fn files(config: &Config) -> Vec<(String, PathBuf)> {
    let mut files = Vec::new();
    let mut add = |whose: String, secret: Option<&SecretSource>, endpoint: &Endpoint| {
        if let Some(SecretSource::File(path)) = secret {
            files.push((whose.clone(), path.clone()));
        }
        if let Route::Proxy { proxy, .. } = &endpoint.route {
            files.extend(proxy.login.iter().map(|(_, file)| (whose.clone(), file.clone())));
        }
    };
    for account in &config.accounts {
        let whose = format!("account {}", account.name);
        let client = account.credential.grant().and_then(|grant| grant.provider.client_secret.as_ref());
        add(whose, account.credential.source().or(client), &account.endpoint);
    }
    for destination in &config.destinations {
        if let Some(endpoint) = destination.endpoint() {
            add(format!("destination {}", destination.name), destination.secret(), endpoint);
        }
    }
    files
}

/// Reports the Maildirs that the system's service may not write to, if this is its configuration.
pub(super) fn sandbox(config: &Config, connect: bool) -> Option<Class> {
    let sandbox = Path::new(SYSTEMD).is_dir().then(|| unit_of(config)).flatten()?;
    let mut worst = None;
    for destination in &config.destinations {
        let Some(path) = destination.writes_to() else { continue };
        let Some(setting) = sandbox.forbids(path) else { continue };
        let weight = if connect { "postrider" } else { "warning" };
        output::say(&format!(
            "{weight}: destination {}: {} (user {}) may not write {}: {setting}.  {}",
            destination.name,
            sandbox::UNIT,
            sandbox.user,
            path.display(),
            sandbox::ADVICE
        ));
        worst = connect.then_some(Class::LocalIo);
    }
    worst
}

/// The sandbox of the unit, if it runs with this configuration.
fn unit_of(config: &Config) -> Option<Sandbox> {
    let file = config.files.first()?.display().to_string();
    let shown = show(&format!("{},ExecStart", sandbox::PROPERTIES))?;
    let is_ours = shown.lines().any(|line| line.starts_with("ExecStart=") && line.contains(&file));
    is_ours.then(|| Sandbox::parse(&shown)).flatten()
}

fn show(properties: &str) -> Option<String> {
    let mut command = Command::new("systemctl");
    command.args(["show", sandbox::UNIT, "--property", properties]).stdin(Stdio::null()).stderr(Stdio::null());
    let output = command.output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()
}
