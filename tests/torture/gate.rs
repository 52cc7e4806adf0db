//! A kill at exactly the N-th system call of the program, counted over all its threads.
//!
//! `strace -e inject=...:when=N` counts for each thread and each kind of call, so that what the
//! busiest thread does hides the others.  Here strace writes its lines into a pipe that holds
//! one of them: it cannot write the next before this one is read, and the program's threads
//! cannot pass their next call before strace has told of it.  So whoever reads the pipe counts
//! the calls, and a kill comes while the N-th is being made, with none after it.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};

use super::support::Postrider;

/// What became of a run.
pub(crate) enum End {
    /// Killed at a call of this name.
    Killed(String),
    /// It ended before, after this many calls.
    Unharmed(usize),
}

/// Whether strace is there and may trace; some containers forbid it.
pub(crate) fn can_trace() -> bool {
    static CAN: OnceLock<bool> = OnceLock::new();
    *CAN.get_or_init(|| {
        let traced = Command::new("strace").args(["-D", "-f", "-qq", "true"]).output();
        traced.is_ok_and(|traced| String::from_utf8_lossy(&traced.stderr).contains("exit_group("))
    })
}

/// Why nothing is tried where [`can_trace`] says no.
pub(crate) const CANNOT_TRACE: &str = "strace is not there or may not trace";

/// Runs `postrider fetch` and kills it at its N-th call, or at the N-th of a kind.
pub(crate) fn kill_at_call(program: &Postrider, kind: Option<&str>, number: usize) -> End {
    let (mut events, mut child) = start(program);
    let mut packet = [0; 8192];
    let (mut calls, mut is_program) = (0, false);
    loop {
        let octets = events.read(&mut packet).expect("an event");
        if octets == 0 {
            child.wait().expect("the program's end");
            return End::Unharmed(calls);
        }
        let Some((call, arguments)) = call(&packet[..octets]) else { continue };
        // Before it there is the shell's part.
        is_program |= call == "execve" && arguments.contains("postrider\"");
        calls += usize::from(is_program && kind.is_none_or(|kind| kind == call));
        if calls == number {
            // The child is the program: with -D strace stands beside it.
            child.kill().expect("killed");
            // The program's end is not complete before strace has seen it, which this wakes.
            drop(events);
            child.wait().expect("the program's end");
            return End::Killed(call);
        }
    }
}

fn start(program: &Postrider) -> (File, Child) {
    let (reader, writer): (OwnedFd, OwnedFd) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::DIRECT).expect("a pipe");
    // One page, and a page for each write: a pipe of packets.
    fcntl_setpipe_size(&writer, 4096).expect("the pipe's size");
    let mut command = Command::new("strace");
    // strace has no other way to write into a pipe that it did not make; the program's words go elsewhere.
    command.args(["-D", "-f", "-qq", "-s", "0", "-e", "signal=none"]);
    command.args(["sh", "-c", "exec \"$@\" 2>>killed.stderr", "sh"]);
    command.arg(program.command().get_program()).arg("-c").arg(program.config_path()).arg("fetch");
    program.prepare(&mut command);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(writer).spawn().expect("start strace");
    (reader.into(), child)
}

/// Name and arguments of a call that begins, if that is what strace tells.
fn call(packet: &[u8]) -> Option<(String, String)> {
    let text = String::from_utf8_lossy(packet);
    let text = match text.strip_prefix("[pid ") {
        Some(rest) => rest.split_once("] ")?.1,
        None => &text,
    };
    let (name, arguments) = text.split_once('(')?;
    let is_name = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    is_name.then(|| (name.to_owned(), arguments.to_owned()))
}

#[test]
fn a_line_of_strace_is_a_call_that_begins_or_something_else() {
    for (line, want) in [
        ("[pid 12] openat(AT_FDCWD, \"x\", O_RDONLY", Some("openat")),
        ("exit_group(0", Some("exit_group")),
        ("[pid 12] <... pread64 resumed>", None),
        (") = 3\n", None),
        (" <unfinished ...>\n", None),
        ("\"\"..., 32) = 32\n", None),
        ("{st_mode=S_IFREG|0600, st_rdev=makedev(0x8, 0)}) = 0\n", None),
        ("[pid 12] <... openat resumed>) = -1 ENOENT (No such file or directory)\n", None),
        ("= -1 ENOENT (No such file or directory)\n", None),
    ] {
        assert_eq!(call(line.as_bytes()).map(|(name, _)| name).as_deref(), want, "{line}");
    }
}
