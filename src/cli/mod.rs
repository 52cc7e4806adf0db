//! The command line: one file per subcommand.
//!
//! Data goes to standard output, messages for people to standard error.  Exit codes follow
//! sysexits(3); of several failures, the one that needs the most attention counts.

mod accounts;
mod check;
mod choice;
mod client;
mod columns;
mod completions;
mod export;
mod fetch;
mod history;
mod list;
mod login;
mod output;
mod progress;
mod quarantine;
mod recorded;
mod retry;
mod run;
mod runtime;
mod service;
mod state;
mod status;
mod terminal;

use std::ffi::{OsStr, OsString};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use crate::config::{Config, ConfigError, Whereabouts, find_file};
use crate::failure::Class;
use crate::filesystem::owner::Foreign;
use crate::process::privilege::{self, Acting};
use crate::process::status::Status;

/// A wrong command line (EX_USAGE).
const USAGE: u8 = 64;
/// The requested messages are not there (EX_NOINPUT).
const NO_INPUT: u8 = 66;
/// Output that cannot be written (EX_IOERR).
const IO_ERROR: u8 = 74;

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
    /// Manage messages that could not be delivered
    Quarantine(quarantine::Arguments),
    /// Try now what could not be delivered
    Retry(retry::Arguments),
    /// Check, rebuild or export the record of what was fetched
    State(state::Arguments),
    /// Show this summary, or that of a command
    #[command(hide = true)]
    Help {
        /// The command
        command: Vec<String>,
    },
    /// Show the version
    #[command(hide = true)]
    Version,
    /// Write a completion script for a shell
    #[command(hide = true)]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Sets a variable of the environment, or removes it.
pub type SetVariable<'a> = &'a dyn Fn(&str, Option<&OsStr>);

/// Runs the program; returns its exit code.  When `set` is called, the only other threads are those
/// that read the files of a configuration, and these do not look at the environment.
/// `has_output`: whether there is a standard output.
pub fn main(arguments: impl IntoIterator<Item = OsString>, set: SetVariable<'_>, has_output: bool) -> ExitCode {
    output::remember(!has_output);
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    if let Some(code) = completions::answer(&arguments) {
        return ExitCode::from(code);
    }
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return ExitCode::from(output::settle(not_parsed(&error))),
    };
    match &cli.command {
        Command::Completions { shell } => return ExitCode::from(output::settle(completions::write(*shell))),
        Command::Help { command } => return ExitCode::from(output::settle(help(command))),
        Command::Version => {
            let _ = output::write(format!("postrider {}\n", env!("CARGO_PKG_VERSION")).as_bytes());
            return ExitCode::from(output::settle(0));
        }
        _ => {}
    }
    harden();
    let outcome = match Needs::of(&cli.command) {
        Needs::Configuration => with_configuration(cli, set),
        needs => without_configuration(cli, needs, set),
    };
    outcome.map_or_else(|code| code, |code| ExitCode::from(output::settle(code)))
}

/// What a command needs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    /// All settings.
    Configuration,
    /// The state; the configuration may be broken.
    State,
    /// Only the running service.
    Service,
}

impl Needs {
    fn of(command: &Command) -> Self {
        match command {
            Command::Status(_) | Command::Poll(_) | Command::Reload => Needs::Service,
            Command::Quarantine(arguments) if arguments.needs_configuration() => Needs::Configuration,
            Command::History(_) | Command::Quarantine(_) | Command::Retry(_) => Needs::State,
            _ => Needs::Configuration,
        }
    }
}

fn with_configuration(cli: Cli, set: SetVariable<'_>) -> Result<u8, ExitCode> {
    let config = load(&cli)?;
    let acting = act(&config.state_dir, set)?;
    let config = match &acting {
        // Root may be able to read more of it than the user that it acts as.
        Some(acting) => loaded_again(config).inspect_err(|_| output::say(&note_of(&acting.foreign)))?,
        None => config,
    };
    let code = run(cli.command, config);
    Ok(noted(code, acting.as_ref()))
}

fn without_configuration(cli: Cli, needs: Needs, set: SetVariable<'_>) -> Result<u8, ExitCode> {
    let environment = |name: &str| std::env::var_os(name);
    let mut places = Whereabouts::look(cli.config.as_deref(), &environment);
    if needs == Needs::Service {
        return Ok(match cli.command {
            Command::Status(arguments) => status::run(&arguments, places),
            Command::Poll(arguments) => tell_of_broken(service::poll(&arguments, &places), &places),
            _ => service::reload(&places),
        });
    }
    let state_dir = client::state_dir(&places);
    let acting = act(&state_dir, set)?;
    if acting.is_some() {
        places = places.again(&environment);
    }
    places.is_guess &= state_dir == places.state_dir;
    places.state_dir = state_dir;
    let code = match cli.command {
        Command::History(arguments) => history::run(&arguments, &places),
        Command::Quarantine(arguments) => quarantine::run(&arguments, &places),
        Command::Retry(arguments) => retry::run(&arguments, &places),
        _ => 0,
    };
    Ok(tell_of_broken(noted(code, acting.as_ref()), &places))
}

/// Help, the version, or a complaint about the command line.
fn not_parsed(error: &clap::Error) -> u8 {
    if error.use_stderr() {
        let _ = error.print();
        return USAGE;
    }
    write_styled(&error.render());
    0
}

/// Writes a text of clap's: with colours on a terminal, else as plain text.
fn write_styled(text: &clap::builder::StyledStr) {
    let is_drawn = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let text = if is_drawn { text.ansi().to_string() } else { text.to_string() };
    let _ = output::write(text.as_bytes());
}

fn run(command: Command, config: Config) -> u8 {
    match command {
        Command::Fetch(arguments) => fetch::run(&arguments, &config),
        Command::Run(arguments) => run::run(&arguments, config),
        Command::Check(arguments) => check::run(&arguments, &config),
        Command::Login(arguments) => login::run(&arguments, &config),
        Command::List(arguments) => list::run(&arguments, &config),
        Command::State(arguments) => state::run(&arguments, &config),
        Command::Quarantine(arguments) => quarantine::run_with(&arguments, &config),
        // These do not need the configuration, see `Needs`.
        Command::Status(_)
        | Command::Poll(_)
        | Command::Reload
        | Command::History(_)
        | Command::Retry(_)
        | Command::Help { .. }
        | Command::Version
        | Command::Completions { .. } => 0,
    }
}

/// Reports a broken configuration after an answer that did not need it; returns the exit code.
fn tell_of_broken(code: u8, places: &Whereabouts) -> u8 {
    let Some(broken) = places.broken() else { return code };
    let service = client::status(places).ok();
    let instead = if service.is_some() { "; the service uses the previous one" } else { "" };
    match service.map(|(status, peer)| with_fault(status, peer, places).config_error.is_some()) {
        Some(false) => {
            output::say(&format!("note: you cannot read the configuration:\n{}", broken.text));
            code
        }
        _ => {
            output::say(&format!("postrider: the configuration is broken{instead}:\n{}", broken.text));
            graver(code, Class::Configuration.exit_code())
        }
    }
}

/// The status from the service, with what is wrong with the configuration on the disk.  A file that this user may not
/// read is not a fault if the service runs as another user and can read it.
fn with_fault(mut status: Status, peer: u32, places: &Whereabouts) -> Status {
    let me = rustix::process::geteuid().as_raw();
    if let Some(broken) = places.broken()
        && (!broken.is_closed || me == 0 || me == peer)
    {
        status.config_error.get_or_insert_with(|| broken.text.clone());
    }
    status
}

/// The exit code of the failure that needs more attention.
fn graver(one: u8, other: u8) -> u8 {
    std::cmp::max_by_key(one, other, |code| Class::of_exit_code(*code))
}

/// Writes what `-h` shows, for the program or for a command.
fn help(command: &[String]) -> u8 {
    let mut cli = Cli::command();
    cli.build();
    let mut found = &mut cli;
    for name in command {
        match found.find_subcommand_mut(name) {
            Some(below) => found = below,
            None => {
                output::say(&format!("postrider: there is no command {name:?}.  `postrider -h` lists them."));
                return USAGE;
            }
        }
    }
    write_styled(&found.render_help());
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

/// Loads the configuration again, unless it came from a pipe, which root has read to its end.
fn loaded_again(config: Config) -> Result<Config, ExitCode> {
    let file = config.files.first().unwrap_or(&config.file).clone();
    if file.is_file() { loaded(Config::load_again(&file)) } else { Ok(config) }
}

/// If root runs a command in another user's state, makes the process act as that user, who then also
/// reads the configuration.
fn act(state_dir: &Path, set: SetVariable<'_>) -> Result<Option<Acting>, ExitCode> {
    let acting = privilege::act_for(state_dir).map_err(|error| output::complain(None, &error))?;
    for (name, value) in acting.iter().flat_map(|acting| &acting.environment) {
        set(name, value.as_deref());
    }
    Ok(acting)
}

/// After an I/O error, says as which user root acted; returns the exit code.
fn noted(code: u8, acting: Option<&Acting>) -> u8 {
    if let (Some(Acting { foreign, .. }), true) = (acting, code == IO_ERROR) {
        output::say(&note_of(foreign));
    }
    code
}

fn note_of(foreign: &Foreign) -> String {
    format!("note: root acts as {} here, because {foreign}", foreign.owner)
}

/// Makes new files accessible to this user alone, and keeps the memory, which holds passwords, out of
/// core dumps.
fn harden() {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior, umask};
    umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
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
