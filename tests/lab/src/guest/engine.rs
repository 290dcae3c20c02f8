// SPDX-License-Identifier: GPL-2.0-or-later
//! What the ports with simulated hardware count, in the lab's own kernel module.

use crate::error::{Context, Result};
use std::fs;
use std::path::Path;

/// Where each network device of this namespace has a folder.
const DEVICES: &str = "/sys/class/net";

/// Packets that came in by the cables of all ports of the router.
#[derive(Debug, Clone, Copy)]
pub struct Counts {
    /// Those that the hardware forwarded.
    pub forwarded: u64,
    /// Those that it left to the router's network stack.
    pub punted: u64,
}

/// What all ports have counted since they were made.
pub fn counts() -> Result<Counts> {
    counts_below(Path::new(DEVICES))
}

fn counts_below(devices: &Path) -> Result<Counts> {
    let mut sum = Counts { forwarded: 0, punted: 0 };
    let mut ports = 0;
    for entry in devices.read_dir().context(devices.display())?.flatten() {
        let switches = entry.path().join("labhw");
        if switches.is_dir() {
            sum.forwarded += number(&switches.join("forwarded"))?;
            sum.punted += number(&switches.join("punted"))?;
            ports += 1;
        }
    }
    Some(sum).filter(|_| ports > 0).context("the router has no port with hardware")
}

fn number(file: &Path) -> Result<u64> {
    let text = fs::read_to_string(file).context(file.display())?;
    text.trim().parse().context(format!("{} holds {text}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_ports_count_and_other_devices_do_not() {
        let dir = std::env::temp_dir().join(format!("lab-engine-{}", std::process::id()));
        for (port, forwarded) in [("lan0", "7"), ("wan0", "5")] {
            let switches = dir.join(port).join("labhw");
            fs::create_dir_all(&switches).unwrap();
            fs::write(switches.join("forwarded"), format!("{forwarded}\n")).unwrap();
            fs::write(switches.join("punted"), "1\n").unwrap();
        }
        fs::create_dir_all(dir.join("lo")).unwrap();
        let sum = counts_below(&dir).unwrap();
        assert_eq!((sum.forwarded, sum.punted), (12, 2));
        assert!(counts_below(&dir.join("lo")).is_err());
        fs::remove_dir_all(dir).unwrap();
    }
}
