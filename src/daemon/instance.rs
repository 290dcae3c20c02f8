// SPDX-License-Identifier: GPL-2.0-or-later
//! One daemon in a network namespace: two would undo each other's tables.
//!
//! The sign is a name, an abstract socket: it belongs to the network namespace, as the tables do, and
//! goes with its process however that ends. Any user can take such a name. So whoever has it is asked
//! for, and only those who may run the daemon are believed; nobody else keeps it from starting.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::os::linux::fs::MetadataExt;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::time::Duration;

use log::warn;
use mio::net::UnixStream;

use crate::sys::sockopt::{self, Peer};

const NAME: &str = "flowtabled";
/// The user that procd runs the daemon as.
const USER: &str = "flowtabled";
/// A daemon listens as soon as it has the name, and one that ends gives it back: a name that is taken,
/// and where nobody listens for this long, is no daemon's.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(20);

/// What became of a claim.
#[derive(Debug)]
pub enum Claim {
    /// The name is taken for as long as this lives.
    Ours(UnixListener),
    /// Another daemon runs.
    AnotherRuns,
    /// Somebody has the name who is no daemon.
    NoDaemons,
}

/// Takes the name.
///
/// # Errors
/// A call of the operating system failed.
pub fn claim() -> io::Result<Claim> {
    let address = SocketAddr::from_abstract_name(NAME)?;
    let mut silent = String::new();
    for _ in 0..TRIES {
        match UnixListener::bind_addr(&address) {
            Err(error) if error.kind() == ErrorKind::AddrInUse => (),
            result => return result.map(Claim::Ours),
        }
        match holder(&address) {
            Ok(peer) if may_run_it(peer.uid) => return Ok(Claim::AnotherRuns),
            Ok(Peer { pid, uid }) => {
                warn!(
                    "process {pid} of user {uid} has the name of a flowtabled and is none: \
                     nothing keeps a second one from running"
                );
                return Ok(Claim::NoDaemons);
            }
            // Nobody listens, or so many wait already that a daemon has never turned away.
            Err(error) => silent = error.to_string(),
        }
        std::thread::sleep(PAUSE);
    }
    warn!(
        "somebody has the name of a flowtabled and does not say who it is ({silent}): \
         nothing keeps a second one from running"
    );
    Ok(Claim::NoDaemons)
}

/// Who listens there. Does not wait for a queue that is full.
fn holder(address: &SocketAddr) -> io::Result<Peer> {
    sockopt::peer(UnixStream::connect_addr(address)?.as_fd())
}

/// Root, the daemon's own user, and whoever runs this.
fn may_run_it(uid: u32) -> bool {
    let own = fs::metadata("/proc/self").ok().map(|folder| folder.st_uid());
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    uid == 0 || own == Some(uid) || uid_of(USER, &users) == Some(uid)
}

/// The number of a user by the lines of passwd(5).
fn uid_of(name: &str, users: &str) -> Option<u32> {
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_daemons_user_is_found_by_its_whole_name() {
        let users = "root:x:0:0:root:/root:/bin/ash\nflowtabled2:x:7:7::/:/bin/false\n\
                     flowtabled:x:453:453:flowtabled:/var/run/flowtabled:/bin/false\nshort\n";
        assert_eq!(uid_of(USER, users), Some(453));
        assert_eq!(uid_of("nobody", users), None);
        assert_eq!(uid_of("short", users), None);
    }

    #[test]
    fn root_and_the_present_user_may_run_it() {
        let own = fs::metadata("/proc/self").unwrap().st_uid();
        assert!(may_run_it(0) && may_run_it(own));
        assert!(!may_run_it(4_000_000_000));
    }
}
