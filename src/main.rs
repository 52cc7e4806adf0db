//! The program: everything else is in the library.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

fn main() -> ExitCode {
    let (variable, value) = postrider::environment_for_openssl();
    #[expect(unsafe_code, reason = "OpenSSL reads its environment and nothing else can tell it")]
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

/// The standard library puts `/dev/null` where a standard stream is closed, before `main`: only here can it be
/// seen that output would go nowhere.
#[expect(unsafe_code, reason = "nothing else runs before the standard library does")]
#[used]
#[unsafe(link_section = ".init_array")]
static LOOK_AT_OUTPUT: extern "C" fn() = {
    extern "C" fn look() {
        // SAFETY: fcntl(2) only tells the flags of a descriptor, be it open or not.
        let is_open = unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFD) } >= 0;
        HAS_OUTPUT.store(is_open, Ordering::Relaxed);
    }
    look
};

/// Has a file that grows beyond RLIMIT_FSIZE fail to be written, instead of ending the process.  By a
/// handler that does nothing: commands that are run get the signal's default effect again (execve(2)),
/// as they would not if it were ignored.
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

/// Has a crash leave word, so that the next process knows which message to be careful with.
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
