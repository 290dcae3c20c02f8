// SPDX-License-Identifier: GPL-2.0-or-later
//! The kernel's PPPoE sessions, as `/proc/net/pppoe` lists them.

use hw_drivers::flow::{Mac, Pppoe};

use crate::core::hardware::resolve::Session;
use crate::netlink::route;

/// All sessions of this network namespace; none where the kernel has no PPPoE.
pub fn read() -> Vec<Session> {
    parse(&std::fs::read_to_string("/proc/net/pppoe").unwrap_or_default())
}

/// Below a heading a line for each: the session's number, the other end's address, the device. The
/// number is the one of the frames, which the kernel prints as if it were in its own byte order
/// (Linux `drivers/net/ppp/pppoe.c`).
pub fn parse(text: &str) -> Vec<Session> {
    text.lines().skip(1).filter_map(session).collect()
}

fn session(line: &str) -> Option<Session> {
    let mut words = line.split_ascii_whitespace();
    let number = u16::try_from(u32::from_str_radix(words.next()?, 16).ok()?).ok()?;
    let peer: route::Mac = words.next()?.parse().ok()?;
    let device = words.next()?.to_owned();
    let pppoe = Pppoe { session: u16::from_be(number), peer: Mac(peer.bytes()) };
    Some(Session { device, pppoe })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_are_read_as_the_kernel_prints_them() {
        let number = u32::from(7u16.to_be());
        let text = format!(
            "Id       Address              Device\n{number:08X} 02:00:00:00:00:ac     wan0\n"
        );
        let pppoe = Pppoe { session: 7, peer: Mac([2, 0, 0, 0, 0, 0xac]) };
        assert_eq!(parse(&text), [Session { device: "wan0".into(), pppoe }]);
        assert_eq!(parse("Id Address Device\nnonsense\n00000001 02:00\n"), []);
        assert_eq!(parse(""), []);
    }
}
