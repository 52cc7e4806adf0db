//! How each program is configured, each in its own format.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::Fallible;
use crate::program::Program;

/// The server's name, as in its certificate.
pub(crate) const HOST: &str = "localhost";

/// What one run is to do.
#[derive(Debug)]
pub(crate) struct Job {
    /// The program's home: configuration and state.
    pub(crate) home: PathBuf,
    /// Where our program has its state, if not in its home: a copy would be checked whole.
    pub(crate) state: Option<PathBuf>,
    /// The server's port.
    pub(crate) port: u16,
    /// The CA of the server's certificate, if TLS is used.
    pub(crate) ca: Option<PathBuf>,
    /// Whether mail is deleted.
    pub(crate) delete: bool,
    /// Users of the server, and where their mail goes.
    pub(crate) accounts: Vec<Account>,
    /// The port of a server to hand mail on to, instead of the Maildirs.
    pub(crate) smtp: Option<u16>,
}

/// A user of the server.
#[derive(Debug)]
pub(crate) struct Account {
    /// `user1`.
    pub(crate) user: String,
    /// `pass1`.
    pub(crate) password: String,
    /// Where its mail goes.
    pub(crate) maildir: PathBuf,
}

/// The programs that are started by their path.
#[derive(Debug)]
pub(crate) struct Tools {
    /// The program under test.
    pub(crate) postrider: PathBuf,
    /// This program, which can deliver a message for fetchmail.
    pub(crate) own: PathBuf,
}

/// Writes a program's configuration; returns the command to start.
pub(crate) fn configure(program: Program, job: &Job, tools: &Tools) -> Fallible<Vec<OsString>> {
    let home = &job.home;
    let (name, text) = match program {
        Program::Postrider => ("config.toml", postrider(job)?),
        Program::Mpop => ("mpoprc", mpop(job)?),
        Program::Fetchmail => ("fetchmailrc", fetchmail(job, &tools.own)?),
        Program::Fdm => ("fdm.conf", fdm(job)?),
        Program::Getmail => return getmail(job),
    };
    let file = home.join(name);
    write(&file, &text)?;
    let file = file.as_os_str();
    Ok(match program {
        Program::Postrider => command(&tools.postrider, &["-c".as_ref(), file, "fetch".as_ref()]),
        Program::Mpop => command("mpop", &["-C".as_ref(), file, "-q".as_ref(), "-a".as_ref()]),
        Program::Fetchmail => {
            let (ids, pid) = (home.join("fetchids"), home.join("pid"));
            let rest = ["-i".as_ref(), ids.as_os_str(), "--pidfile".as_ref(), pid.as_os_str()];
            command("fetchmail", &[&["-s".as_ref(), "-f".as_ref(), file], rest.as_slice()].concat())
        }
        Program::Fdm => command("fdm", &["-q".as_ref(), "-f".as_ref(), file, "fetch".as_ref()]),
        Program::Getmail => Vec::new(),
    })
}

fn command(program: impl Into<OsString>, args: &[&std::ffi::OsStr]) -> Vec<OsString> {
    [program.into()].into_iter().chain(args.iter().map(|&arg| arg.to_owned())).collect()
}

/// Writes a file for its owner alone: some programs refuse a file that others could read.
pub(crate) fn write(file: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write as _;
    std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?.write_all(text.as_bytes())
}

fn postrider(job: &Job) -> Fallible<String> {
    let state = job.state.clone().unwrap_or_else(|| job.home.join("state"));
    let mut text = format!("state-dir = \"{}\"\nruntime-dir = \"{}/run\"\n", state.display(), job.home.display());
    writeln!(text, "[defaults]\nhost = \"{HOST}\"")?;
    writeln!(text, "port = {}\nretention = \"{}\"", job.port, if job.delete { "delete" } else { "keep" })?;
    match &job.ca {
        Some(ca) => writeln!(text, "tls = \"implicit\"\ntls-ca = \"{}\"", ca.display())?,
        None => writeln!(text, "tls = \"none\"")?,
    }
    for Account { user, password, maildir } in &job.accounts {
        writeln!(text, "[accounts.{user}]\nusername = \"{user}\"\npassword = \"{password}\"\ndeliver = \"{user}\"")?;
        writeln!(text, "[destinations.{user}]")?;
        match job.smtp {
            Some(port) => writeln!(
                text,
                "type = \"smtp\"\nhost = \"127.0.0.1\"\nport = {port}\nrecipient = \"user@example.net\""
            )?,
            None => writeln!(text, "type = \"maildir\"\npath = \"{}\"", maildir.display())?,
        }
    }
    Ok(text)
}

fn mpop(job: &Job) -> Fallible<String> {
    let on = |yes| if yes { "on" } else { "off" };
    let mut text = format!("defaults\nhost {HOST}\nport {}\nauth user\nkeep {}\n", job.port, on(!job.delete));
    writeln!(text, "tls {}\ntls_starttls off\npipelining auto", on(job.ca.is_some()))?;
    if let Some(ca) = &job.ca {
        writeln!(text, "tls_trust_file {}", ca.display())?;
    }
    for Account { user, password, maildir } in &job.accounts {
        let state = job.home.join(format!("uidls-{user}"));
        writeln!(text, "account {user}\nuser {user}\npassword {password}\nuidls_file {}", state.display())?;
        writeln!(text, "delivery maildir {}", maildir.display())?;
    }
    Ok(text)
}

fn fetchmail(job: &Job, own: &Path) -> Fallible<String> {
    let mut text = String::from("set no bouncemail\nset no syslog\n");
    writeln!(text, "poll {HOST} port {} protocol POP3 uidl auth password", job.port)?;
    let tls = match &job.ca {
        Some(ca) => format!("ssl sslcertck sslcertfile {}", ca.display()),
        None => "sslproto ''".to_owned(),
    };
    let keep = if job.delete { "nokeep" } else { "keep" };
    for Account { user, password, maildir } in &job.accounts {
        let delivery = match job.smtp {
            Some(port) => format!("smtphost 127.0.0.1/{port}"),
            None => format!("mda \"{} {} {}\"", own.display(), crate::mda::VERB, maildir.display()),
        };
        writeln!(text, "  user \"{user}\" password \"{password}\" is nobody here {tls} {keep} {delivery}")?;
    }
    Ok(text)
}

fn fdm(job: &Job) -> Fallible<String> {
    let mut text = String::from("set allow-multiple\nset queue-high 50\nset queue-low 40\nset maximum-size 1G\n");
    let kind = if job.ca.is_some() { "pop3s" } else { "pop3" };
    // It cannot be given a CA.
    let verify = if job.ca.is_some() { "no-verify" } else { "" };
    let keep = if job.delete { "" } else { "keep" };
    for Account { user, password, maildir } in &job.accounts {
        let cache = job.home.join(format!("cache-{user}"));
        write!(
            text,
            "account \"{user}\" {kind} server \"{HOST}\" port {} user \"{user}\" pass \"{password}\" ",
            job.port
        )?;
        writeln!(text, "new-only cache \"{}\" no-apop {verify} {keep}", cache.display())?;
        match job.smtp {
            Some(port) => writeln!(
                text,
                "action \"{user}\" smtp server \"127.0.0.1\" port {port} from \"sender@example.org\" \
                 to \"user@example.net\""
            )?,
            None => writeln!(text, "action \"{user}\" maildir \"{}\"", maildir.display())?,
        }
        writeln!(text, "match account \"{user}\" action \"{user}\"")?;
    }
    Ok(text)
}

/// A file for each account, and one process for all.
fn getmail(job: &Job) -> Fallible<Vec<OsString>> {
    let mut command = command("getmail", &["-q".as_ref(), "-g".as_ref(), job.home.as_os_str()]);
    for Account { user, password, maildir } in &job.accounts {
        let retriever = match &job.ca {
            Some(ca) => format!("type = SimplePOP3SSLRetriever\nca_certs = {}", ca.display()),
            None => "type = SimplePOP3Retriever".to_owned(),
        };
        let text = format!(
            "[retriever]\n{retriever}\nserver = {HOST}\nport = {}\nusername = {user}\npassword = {password}\n\
             [destination]\ntype = Maildir\npath = {}/\n[options]\nread_all = false\nverbose = 0\ndelete = {}\n",
            job.port,
            maildir.display(),
            job.delete
        );
        let name = format!("rc-{user}");
        write(&job.home.join(&name), &text)?;
        command.extend(["-r".into(), name.into()]);
    }
    Ok(command)
}
