//! The program: everything else is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    let (variable, value) = postrider::net::environment_for_openssl();
    #[expect(unsafe_code, reason = "OpenSSL reads its environment and nothing else can tell it")]
    // SAFETY: no other thread exists yet.
    unsafe {
        std::env::set_var(variable, value);
    }
    postrider::cli::main(std::env::args_os())
}
