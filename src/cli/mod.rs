//! The command line: one file per subcommand.
//!
//! Data goes to standard output, talk to standard error.  Exit codes follow sysexits(3); of
//! several failures the one that asks for the most attention counts.

mod check;
mod client;
mod export;
mod fetch;
mod history;
mod list;
mod login;
mod output;
mod progress;
mod quarantine;
mod run;
mod service;
mod state;
mod status;
mod terminal;

use std::ffi::{OsStr, OsString};
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, Parser, Subcommand};

use crate::config::{Config, ConfigError, find_file};
use crate::daemon::Signals;
use crate::failure::Class;
use crate::filesystem::owner::Foreign;
use crate::message::Name;
use crate::privilege::{self, Acting};
use crate::{process, threads};

/// A wrong command line (EX_USAGE).
const USAGE: u8 = 64;
/// What was asked for is not there (EX_NOINPUT).
const NO_INPUT: u8 = 66;
/// Output that cannot be written (EX_IOERR).
const IO_ERROR: u8 = 74;

/// How long the end of a process waits for its threads.
const END_LIMIT: Duration = Duration::from_millis(200);

/// Fetches mail from POP3 mailboxes and delivers it to Maildirs or by SMTP, never losing or
/// doubling a message.
#[derive(Debug, Parser)]
#[command(name = "postrider", version, disable_help_subcommand = true, arg_required_else_help = true)]
struct Cli {
    /// The configuration file [default: $POSTRIDER_CONFIG, ~/.config/postrider/config.toml or
    /// /etc/postrider/config.toml]
    #[arg(short, long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Poll now, once
    Fetch(fetch::Arguments),
    /// Run as a service, in the foreground
    Run(run::Arguments),
    /// Read the configuration and say what it means
    Check(check::Arguments),
    /// Sign in to an account's provider (OAuth 2.0)
    Login(login::Arguments),
    /// Show what is on the server, what would be done with it, and why
    List(list::Arguments),
    /// Show what the running service is doing
    Status(status::Arguments),
    /// Tell the running service to poll now
    Poll(service::PollArguments),
    /// Tell the running service to read its configuration again
    Reload,
    /// Show what was fetched and where it went
    History(history::Arguments),
    /// See to messages that could not be delivered
    Quarantine(quarantine::Arguments),
    /// Check, rebuild or export the record of what was fetched
    State(state::Arguments),
    /// Write a completion script for a shell
    #[command(hide = true)]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Sets a variable of the environment, or removes it.
pub type SetVariable<'a> = &'a dyn Fn(&str, Option<&OsStr>);

/// Runs the program; gives its exit code.  `set` is called before there is any other thread than
/// those that read the files of a configuration, and these do not look at the environment.
/// `has_output`: whether there is a standard output.
pub fn main(arguments: impl IntoIterator<Item = OsString>, set: SetVariable<'_>, has_output: bool) -> ExitCode {
    output::remember(!has_output);
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return ExitCode::from(output::settle(not_parsed(&error))),
    };
    if let Command::Completions { shell } = cli.command {
        return ExitCode::from(output::settle(completions(shell)));
    }
    harden();
    let (config, acting) = match load(&cli).and_then(|config| act(&cli.command, config, set)) {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    let code = run(cli.command, config);
    if let (Some(Acting { foreign, .. }), true) = (acting, code == IO_ERROR) {
        output::say(&note_of(&foreign));
    }
    ExitCode::from(output::settle(code))
}

/// Help, the version, or a complaint about the command line.
fn not_parsed(error: &clap::Error) -> u8 {
    if error.use_stderr() {
        let _ = error.print();
        return USAGE;
    }
    let text = error.render();
    let is_drawn = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let text = if is_drawn { text.ansi().to_string() } else { text.to_string() };
    let _ = output::write(text.as_bytes());
    0
}

fn run(command: Command, config: Config) -> u8 {
    match command {
        Command::Fetch(arguments) => fetch::run(&arguments, &config),
        Command::Run(arguments) => run::run(&arguments, config),
        Command::Check(arguments) => check::run(&arguments, &config),
        Command::Login(arguments) => login::run(&arguments, &config),
        Command::List(arguments) => list::run(&arguments, &config),
        Command::Status(arguments) => status::run(&arguments, &config),
        Command::Poll(arguments) => service::poll(&arguments, &config),
        Command::Reload => service::reload(&config),
        Command::Completions { .. } => 0,
        Command::History(arguments) => history::run(&arguments, &config),
        Command::Quarantine(arguments) => quarantine::run(&arguments, &config),
        Command::State(arguments) => state::run(&arguments, &config),
    }
}

/// Writes a shell's completions.  They are made in memory first, because clap_complete panics when
/// it cannot write.
fn completions(shell: clap_complete::Shell) -> u8 {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "postrider", &mut script);
    let _ = output::write(&script);
    0
}

fn load(cli: &Cli) -> Result<Config, ExitCode> {
    let file = find_file(cli.config.as_deref(), &|name| std::env::var_os(name));
    loaded(Config::load(&file.map_err(|error| output::complain(None, &error))?))
}

fn loaded(config: Result<Config, ConfigError>) -> Result<Config, ExitCode> {
    config.map_err(|error| {
        output::say(&error.to_string());
        ExitCode::from(crate::failure::Failure::class(&error).exit_code())
    })
}

/// Has a command of root's that works in the state of somebody else act as that one, who reads the
/// configuration, too: root may be shown more of it than the service is.
fn act(command: &Command, config: Config, set: SetVariable<'_>) -> Result<(Config, Option<Acting>), ExitCode> {
    // These only talk to the service.
    if matches!(command, Command::Status(_) | Command::Poll(_) | Command::Reload | Command::Completions { .. }) {
        return Ok((config, None));
    }
    let file = config.files.first().unwrap_or(&config.file).clone();
    // A pipe has given all that it had, and to root.
    let can_be_read_again = file.is_file();
    let acting = privilege::act_for(&config.state_dir).map_err(|error| output::complain(None, &error))?;
    let Some(acting) = acting else { return Ok((config, None)) };
    for (name, value) in &acting.environment {
        set(name, value.as_deref());
    }
    let config = match can_be_read_again {
        true => loaded(Config::load_again(&file)).inspect_err(|_| output::say(&note_of(&acting.foreign)))?,
        false => config,
    };
    Ok((config, Some(acting)))
}

fn note_of(foreign: &Foreign) -> String {
    format!("note: root acts as {} here, because {foreign}", foreign.owner)
}

/// The accounts that are named, or all that are enabled.
///
/// # Errors
/// A name that is no account; it is complained about, and the exit code given.
fn choose<'a>(config: &'a Config, names: &[String]) -> Result<Vec<&'a std::sync::Arc<crate::poll::Account>>, u8> {
    if names.is_empty() {
        return Ok(config.accounts.iter().filter(|account| account.enabled).collect());
    }
    let find = |name: &String| {
        let found = config.accounts.iter().find(|account| account.name.as_str() == name);
        found.ok_or_else(|| {
            let known: Vec<&str> = config.accounts.iter().map(|account| account.name.as_str()).collect();
            let file = config.file.display();
            output::say(&format!("postrider: {file} has no account {name:?}.  {}", hint(name, &known)));
            USAGE
        })
    };
    names.iter().map(find).collect()
}

/// Which account may have been meant.
fn hint(name: &str, known: &[&str]) -> String {
    /// So alike must names be for one to be a slip of the hand for the other.
    const ALIKE: f64 = 0.75;
    /// More would not be read.
    const SHOWN: usize = 10;
    let likeness = |known: &&&str| strsim::jaro_winkler(known, name);
    match known.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b))) {
        None => "It has none at all.".to_owned(),
        Some(nearest) if likeness(&nearest) > ALIKE => format!("Did you mean {nearest:?}?"),
        Some(_) => {
            let more = if known.len() > SHOWN { ", ..." } else { "" };
            format!("It has: {}{more}.", known[..known.len().min(SHOWN)].join(", "))
        }
    }
}

/// A runtime for the asynchronous parts; its threads end with it.
fn block_on<T>(work: impl Future<Output = T>) -> T {
    if let Err(error) = threads::start() {
        no_threads(&error.to_string());
    }
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.enable_all();
    // Where a thread cannot be started tokio panics, and then waits for those that were (1.54).
    std::panic::set_hook(Box::new(|panic| no_threads(panic.payload_as_str().unwrap_or("the cause is not known"))));
    let built = builder.build();
    drop(std::panic::take_hook());
    match built {
        Ok(runtime) => {
            let result = runtime.block_on(work);
            // A resolver or a dead disk must not hold up the end.
            threads::settle(END_LIMIT);
            runtime.shutdown_timeout(END_LIMIT);
            process::end_all();
            result
        }
        Err(error) => no_threads(&error.to_string()),
    }
}

/// The same for work that a signal may end at any time: commands that it has started end as well.
fn block_on_until_signal<T>(work: impl Future<Output = T>) -> T {
    block_on(async {
        let mut signals = Signals::of_command();
        let signal = async {
            match &mut signals {
                Ok(signals) => signals.next().await,
                Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            result = work => result,
            signal = signal => {
                progress::clear();
                output::say(&format!("postrider: {}: not finished", signal.name()));
                process::end_all();
                std::process::exit(output::settle(Class::TryLater.exit_code()).into());
            }
        }
    })
}

fn no_threads(cause: &str) -> ! {
    output::say(&format!("postrider: the system gives no threads: {cause}"));
    std::process::exit(71);
}

/// What this process makes is for its user alone, and its memory, which holds passwords, goes
/// into no core dump.
fn harden() {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior, umask};
    umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

/// A name given on the command line, for looking up in the state; an account that is no longer in
/// the configuration may still have a history.
fn name_of(text: &str) -> Result<Name, String> {
    Name::new(text).ok_or_else(|| "not a possible name".to_owned())
}

#[cfg(test)]
mod tests {
    use rustix::process::{DumpableBehavior, dumpable_behavior};

    #[test]
    fn no_core_dump_is_written() {
        super::harden();
        assert_eq!(dumpable_behavior().expect("known"), DumpableBehavior::NotDumpable);
    }
}
