//! The program: everything else is in the library.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

fn main() -> ExitCode {
    let (variable, value) = postrider::environment_for_openssl();
    #[expect(unsafe_code, reason = "OpenSSL takes this setting only from the environment")]
    // SAFETY: no other thread exists yet.
    unsafe {
        std::env::set_var(variable, value);
    }
    note_crashes();
    outlive_large_files();
    #[expect(unsafe_code, reason = "a child takes its environment from there")]
    let set = |name: &str, value: Option<&std::ffi::OsStr>| {
        // SAFETY: no other thread looks at the environment yet, as `cli::main` promises.
        unsafe {
            match value {
                Some(value) => std::env::set_var(name, value),
                None => std::env::remove_var(name),
            }
        }
    };
    postrider::cli::main(std::env::args_os(), &set, HAS_OUTPUT.load(Ordering::Relaxed))
}

/// Whether the process was started with a standard output.
static HAS_OUTPUT: AtomicBool = AtomicBool::new(true);

/// Before `main`, the standard library opens `/dev/null` in place of a closed standard stream: only here can it be
/// seen that there is no output.
#[expect(unsafe_code, reason = "nothing else runs before the standard library does")]
#[used]
#[unsafe(link_section = ".init_array")]
static LOOK_AT_OUTPUT: extern "C" fn() = {
    extern "C" fn look() {
        // SAFETY: fcntl(2) only reads the flags of a descriptor, whether it is open or not.
        let is_open = unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFD) } >= 0;
        HAS_OUTPUT.store(is_open, Ordering::Relaxed);
    }
    look
};

/// Makes writes beyond RLIMIT_FSIZE fail instead of ending the process.  The handler does nothing; an ignored
/// signal would stay ignored in the commands that are run, while a handler is reset to the default (execve(2)).
#[expect(unsafe_code, reason = "tokio and the standard library do not handle this signal before a thread runs")]
fn outlive_large_files() {
    extern "C" fn nothing(_: libc::c_int) {}
    // SAFETY: a zeroed sigaction is valid; the handler does nothing.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = nothing as *const () as usize;
        action.sa_flags = libc::SA_RESTART | libc::SA_ONSTACK;
        libc::sigaction(libc::SIGXFSZ, &action, std::ptr::null_mut());
    }
}

/// Leaves a note at a crash, so that the next process knows which message may have caused it.
#[expect(unsafe_code, reason = "there is no other way to hear of a crash")]
fn note_crashes() {
    extern "C" fn crashed(signal: libc::c_int) {
        let note = postrider::death_note();
        // SAFETY: write and raise may be called in a handler (signal-safety(7)); the octet outlives
        // the call.  The signal has its default effect again (SA_RESETHAND) once this returns.
        unsafe {
            if note >= 0 {
                libc::write(note, [b'x'].as_ptr().cast(), 1);
            }
            libc::raise(signal);
        }
    }
    for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGILL, libc::SIGFPE, libc::SIGABRT] {
        // SAFETY: a zeroed sigaction is valid; the handler does only what a handler may.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = crashed as *const () as usize;
            action.sa_flags = libc::SA_RESETHAND | libc::SA_ONSTACK;
            libc::sigaction(signal, &action, std::ptr::null_mut());
        }
    }
}
