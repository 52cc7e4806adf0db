//! Which start of the machine a mark is of, where the kernel's word for it is hidden as by our unit
//! (`ProcSubset=pid`).

use std::os::unix::fs::FileExt;

use super::*;

/// The octets of a mark before its time on the wall: a UUID, and the seconds since the start.
const BEFORE_WALL: u64 = 36 + 8;

/// Starts a fetch with a /proc of processes alone; `boot` is what the unit says.
fn hidden(program: &Postrider, boot: Option<&str>) -> Running {
    let mut command = std::process::Command::new("unshare");
    program.prepare(&mut command);
    command.args(["-m", "sh", "-c", "mount -t proc -o subset=pid proc /proc && exec \"$@\"", "sh"]);
    command.arg(env!("CARGO_BIN_EXE_postrider")).arg("-c").arg(program.config_path()).arg("fetch");
    command.envs(boot.map(|boot| ("POSTRIDER_BOOT_ID", boot)));
    program.spawn_command(command)
}

/// Whether this machine lets us hide it.
fn can_hide() -> bool {
    let script = "mount -t proc -o subset=pid proc /proc && ! test -e /proc/sys";
    std::process::Command::new("unshare").args(["-m", "sh", "-c", script]).status().is_ok_and(|status| status.success())
}

fn hanging() -> (MailboxServer, Postrider) {
    let behaviour = Behaviour { hang_in_retr: Some((2, 20)), ..Behaviour::default() };
    let server = MailboxServer::start_with(Message::several(3, Mix::Tiny), behaviour);
    let program = program(&server, "");
    (server, program)
}

const ONE: &str = "0c4d7a7e95a44b0c9d2f0f0b3c1a5e6d";
const OTHER: &str = "ffffffff95a44b0c9d2f0f0b3c1a5e6d";

#[test]
fn a_message_is_to_blame_for_two_deaths_in_one_boot_also_where_the_kernels_word_is_hidden() {
    if !can_hide() {
        return;
    }
    for boot in [Some(ONE), None] {
        let (server, program) = hanging();
        die_in(|| hidden(&program, boot), &program, &server, b"uid-1-2", "SEGV", 1);
        die_in(|| hidden(&program, boot), &program, &server, b"uid-1-2", "SEGV", 2);
        let output = hidden(&program, boot).wait(Duration::from_secs(60)).assert_success();
        assert!(output.stdout.contains("1 in quarantine"), "{boot:?}: {}", output.stdout);
    }
}

#[test]
fn no_message_is_to_blame_for_a_loss_of_power_also_where_the_kernels_word_is_hidden() {
    if !can_hide() {
        return;
    }
    for boots in [[Some(ONE), Some(OTHER), Some(ONE)], [None; 3]] {
        let (server, program) = hanging();
        let wanted = server.manifest();
        for boot in &boots[..2] {
            die_in(|| hidden(&program, *boot), &program, &server, b"uid-1-2", "SEGV", 1);
            if boot.is_none() {
                // As if the machine had started an hour earlier then.
                let marks =
                    std::fs::File::options().read(true).write(true).open(program.state_dir().join("attempts/a"));
                let (marks, mut wall) = (marks.unwrap(), [0; 8]);
                marks.read_exact_at(&mut wall, BEFORE_WALL).unwrap();
                marks.write_all_at(&(i64::from_be_bytes(wall) - 3600).to_be_bytes(), BEFORE_WALL).unwrap();
            }
        }
        server.change(|behaviour| behaviour.hang_in_retr = None);
        hidden(&program, boots[2]).wait(Duration::from_secs(60)).assert_success();
        wanted.verify(&program.path("home")).assert_exactly_once();
    }
}
