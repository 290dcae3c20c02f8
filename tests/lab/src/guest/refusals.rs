// SPDX-License-Identifier: GPL-2.0-or-later
//! System calls that the kernel has refused to the daemon. Its audit log, which goes to the kernel's
//! own when nobody reads it, has a record of each; so no call of the daemon is missing from its list
//! as long as no scenario finds one here.

use std::process::Command;

/// AUDIT_SECCOMP of Linux include/uapi/linux/audit.h.
const RECORD: &str = "type=1326 ";
const DAEMON: &str = "comm=\"flowtabled\"";
/// clone3, which is answered on purpose as a kernel does that does not have it.
const EXPECTED: [&str; 2] = [" syscall=435 ", " syscall=4435 "];

/// The records so far, the oldest first.
pub fn read() -> Vec<String> {
    let Ok(output) = Command::new("dmesg").output() else { return Vec::new() };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().filter(|line| is_refusal(line)).map(str::to_owned).collect()
}

fn is_refusal(line: &str) -> bool {
    line.contains(RECORD)
        && line.contains(DAEMON)
        && !EXPECTED.iter().any(|expected| line.contains(expected))
}

#[cfg(test)]
mod tests {
    use super::is_refusal;

    #[test]
    fn records_of_the_daemon_count_and_no_others() {
        let record = |name: &str, call: u32| {
            format!(
                "[   12.3] audit: type=1326 audit(1.2:3): auid=4294967295 uid=0 gid=0 pid=9 \
                 comm=\"{name}\" exe=\"/x\" sig=0 arch=c000003e syscall={call} compat=0 ip=0x7f \
                 code=0x50000"
            )
        };
        assert!(is_refusal(&record("flowtabled", 59)));
        assert!(!is_refusal(&record("flowtabled", 435)));
        assert!(!is_refusal(&record("other", 59)));
        assert!(!is_refusal("[   12.3] flowtabled: type=1 of comm=\"flowtabled\""));
    }
}
