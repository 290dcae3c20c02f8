// SPDX-License-Identifier: GPL-2.0-or-later
//! Cables between two machines: QEMU sends each packet of a card as one datagram to a socket of the
//! other's in a folder that only we may enter. So nothing listens on any network, and it does not matter
//! which machine is switched on first.

use crate::error::{Context, Error, Result};
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Bytes of a socket's path, unix(7), without the zero that ends it.
const PATH_MAX: usize = 107;

/// Which end of a cable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The image's.
    Router,
    /// That of the hosts beside it.
    Hosts,
}

impl End {
    fn name(self) -> &'static str {
        match self {
            End::Router => "router",
            End::Hosts => "hosts",
        }
    }

    fn other(self) -> End {
        match self {
            End::Router => End::Hosts,
            End::Hosts => End::Router,
        }
    }
}

/// The folder of the sockets, removed in the end.
#[derive(Debug)]
pub struct Wires {
    dir: PathBuf,
}

impl Wires {
    /// A new folder.
    pub fn new() -> Result<Wires> {
        Wires::below(&std::env::temp_dir(), &format!("flowtabled-lab-{}", std::process::id()))
    }

    fn below(parent: &Path, name: &str) -> Result<Wires> {
        let dir = parent.join(name);
        // What is left of a process that had our number.
        let _ = fs::remove_dir_all(&dir);
        DirBuilder::new().mode(0o700).create(&dir).context(format!("making {}", dir.display()))?;
        Ok(Wires { dir })
    }

    /// QEMU's option for one end of the cable of this name, which is also the card's `netdev`.
    pub fn netdev(&self, cable: &str, end: End) -> Result<String> {
        let (own, other) = (self.socket(cable, end)?, self.socket(cable, end.other())?);
        Ok(format!(
            "dgram,id={cable},local.type=unix,local.path={own},remote.type=unix,remote.path={other}"
        ))
    }

    fn socket(&self, cable: &str, end: End) -> Result<String> {
        let path = self.dir.join(format!("{cable}.{}", end.name())).display().to_string();
        if path.len() > PATH_MAX {
            return Err(Error::new(format!("{path} is too long for a socket; set TMPDIR")));
        }
        // QEMU ends a value at a comma unless it is doubled.
        Ok(path.replace(',', ",,"))
    }
}

impl Drop for Wires {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_sends_to_the_other() {
        let wires = Wires::below(&std::env::temp_dir(), &format!("a,b-{}", std::process::id()));
        let wires = wires.unwrap();
        let value = |text: &str, key: &str| {
            let (_, rest) = text.split_once(key).unwrap();
            let end = rest.find(",remote").unwrap_or(rest.len());
            rest[..end].to_string()
        };
        let router = wires.netdev("lan", End::Router).unwrap();
        let hosts = wires.netdev("lan", End::Hosts).unwrap();
        assert!(router.starts_with("dgram,id=lan,"), "{router}");
        for (own, other) in [(&router, &hosts), (&hosts, &router)] {
            assert_eq!(value(own, "local.path="), value(other, "remote.path="));
        }
        assert_ne!(value(&router, "local.path="), value(&hosts, "local.path="));
        assert_ne!(router, wires.netdev("labwan", End::Router).unwrap());
        assert!(router.contains("a,,b-"), "{router}");
        let dir = wires.dir.clone();
        drop(wires);
        assert!(!dir.exists());
    }

    #[test]
    fn a_path_that_no_socket_takes_is_refused() {
        let wires = Wires::below(&std::env::temp_dir(), &"x".repeat(PATH_MAX)).unwrap();
        assert!(wires.netdev("lan", End::Router).unwrap_err().to_string().contains("TMPDIR"));
    }
}
