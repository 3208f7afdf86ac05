//! How many threads libtorch computes with, and what they do while they wait.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::{env, io};

/// libgomp's own name for it; read once, as it loads.
const WAIT_POLICY: &str = "OMP_WAIT_POLICY";
/// Set on the restarted program, so that it never restarts again.
const RESTARTED: &str = "VERIFRAME_THREADS_SETTLED";

/// Makes idle compute threads sleep: left alone, libgomp's spin between parallel regions and take
/// the cores that decoding and gRPC need.
///
/// libgomp reads its policy as it loads, before `main`, so where `OMP_WAIT_POLICY` is unset this
/// replaces the process by itself with `PASSIVE` set: same process id, arguments and files. Call it
/// first in `main`, before any thread, runtime or output. A value that is set already is kept.
///
/// Returns where there is nothing to do, or where the restart fails: going on is slower, not wrong.
pub fn settle_threads() {
    if env::var_os(WAIT_POLICY).is_some() || env::var_os(RESTARTED).is_some() {
        return;
    }
    let error = match env::current_exe() {
        Ok(program) => restart(&program),
        Err(error) => error,
    };
    tracing::warn!(%error, "not restarted with {WAIT_POLICY}=PASSIVE; set it for better speed");
}

/// Returns only if it fails.
fn restart(program: &Path) -> io::Error {
    let mut arguments = env::args_os();
    let mut command = Command::new(program);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    command.args(arguments).env(WAIT_POLICY, "PASSIVE").env(RESTARTED, "1").exec()
}

/// Threads that one operator on the CPU may use, at least 1. A thread that has computed already
/// keeps its number, so call it before the first tensor.
pub fn set_threads(count: usize) {
    tch::set_num_threads(i32::try_from(count.max(1)).unwrap_or(i32::MAX));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test starts its own binary, for this test alone, as the program that settles itself.
    #[test]
    fn an_unset_policy_becomes_passive_and_a_set_one_is_kept() {
        const CHILD: &str = "VERIFRAME_TEST_CHILD";
        const NAME: &str = concat!(
            "libtorch::threads::tests::",
            "an_unset_policy_becomes_passive_and_a_set_one_is_kept"
        );
        if env::var_os(CHILD).is_some() {
            settle_threads();
            println!("policy {}", env::var(WAIT_POLICY).unwrap());
            return;
        }
        let policy = |set: Option<&str>| {
            let mut command = Command::new(env::current_exe().unwrap());
            command.args([NAME, "--exact", "--nocapture"]).env(CHILD, "1");
            command.env_remove(RESTARTED).env_remove(WAIT_POLICY);
            command.envs(set.map(|policy| (WAIT_POLICY, policy)));
            String::from_utf8(command.output().unwrap().stdout).unwrap()
        };
        let shown = policy(None);
        assert!(shown.contains("policy PASSIVE"), "{shown}");
        let shown = policy(Some("ACTIVE"));
        assert!(shown.contains("policy ACTIVE"), "{shown}");
    }
}
