// SPDX-License-Identifier: GPL-2.0-or-later
//! Landlock: the files that a process may open from now on, whatever its user may (Linux 5.13,
//! include/uapi/linux/landlock.h).

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const CREATE_RULESET_VERSION: u32 = 1;
const RULE_PATH_BENEATH: u32 = 1;
const READ_FILE: u64 = 1 << 2;
const READ_DIR: u64 = 1 << 3;

/// All rights over files that a version of the interface knows: 13 of them, then `refer`,
/// `truncate`, and ioctls of devices.
fn rights_of_files(version: u32) -> u64 {
    let known = match version {
        1 => 13,
        2 => 14,
        3 | 4 => 15,
        _ => 16,
    };
    (1 << known) - 1
}

/// `struct landlock_ruleset_attr`. A kernel takes a longer one than its own if the rest is zero.
#[repr(C)]
#[derive(Debug, PartialEq, Eq)]
struct Ruleset {
    files: u64,
    /// TCP: to bind, to connect (version 4).
    network: u64,
    /// Abstract local sockets and signals of others (version 6).
    scoped: u64,
}

impl Ruleset {
    fn of(version: u32) -> Ruleset {
        Ruleset {
            files: rights_of_files(version),
            network: if version >= 4 { 0b11 } else { 0 },
            scoped: if version >= 6 { 0b11 } else { 0 },
        }
    }
}

/// `struct landlock_path_beneath_attr`.
#[repr(C, packed)]
struct Beneath {
    allowed: u64,
    folder: i32,
}

/// From now on this thread, and those that it starts, can open only these files, and only to read:
/// a folder stands for all that is in it, whenever that comes. Those that are not there are passed
/// over. TCP, and abstract sockets of others, are out of reach where the kernel can do that.
///
/// Returns the version of the kernel's interface. The thread must not be able to gain privileges
/// (see [`forbid_new_privileges`](super::capabilities::forbid_new_privileges)).
///
/// # Errors
/// ENOSYS where the kernel has no Landlock, EOPNOTSUPP where it is switched off; otherwise what the
/// kernel reports.
pub fn restrict<'p>(readable: impl IntoIterator<Item = &'p Path>) -> io::Result<u32> {
    let version = version()?;
    let ruleset = create(&Ruleset::of(version))?;
    for path in readable {
        match OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(path) {
            Ok(file) => allow(&ruleset, &file)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => (),
            Err(error) => return Err(error),
        }
    }
    let none: u32 = 0;
    // SAFETY: landlock_restrict_self(2) takes two numbers; the descriptor is open for the call.
    let result =
        unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), none) };
    checked(result).map(|_| version)
}

/// The version of the kernel's interface, from 1.
///
/// # Errors
/// As [`restrict`]: there is none, or it is switched off.
pub fn version() -> io::Result<u32> {
    let (nothing, none): (*const Ruleset, usize) = (std::ptr::null(), 0);
    // SAFETY: with this flag landlock_create_ruleset(2) reads no memory, and wants no pointer.
    let result = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, nothing, none, CREATE_RULESET_VERSION)
    };
    checked(result)
}

fn create(ruleset: &Ruleset) -> io::Result<OwnedFd> {
    let no_flags: u32 = 0;
    // SAFETY: landlock_create_ruleset(2) reads as many bytes as it is told, those of a ruleset
    // that is borrowed for the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::from_ref(ruleset),
            size_of::<Ruleset>(),
            no_flags,
        )
    };
    let fd = i32::try_from(checked(result)?).map_err(|_| io::ErrorKind::InvalidData)?;
    // SAFETY: the call has just returned this descriptor, nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn allow(ruleset: &OwnedFd, file: &File) -> io::Result<()> {
    let folder = file.metadata()?.is_dir();
    let allowed = if folder { READ_FILE | READ_DIR } else { READ_FILE };
    let rule = Beneath { allowed, folder: file.as_raw_fd() };
    let no_flags: u32 = 0;
    // SAFETY: landlock_add_rule(2) reads one rule of this type, which lives on this stack frame;
    // both descriptors are open for the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_landlock_add_rule,
            ruleset.as_raw_fd(),
            RULE_PATH_BENEATH,
            &raw const rule,
            no_flags,
        )
    };
    checked(result).map(drop)
}

fn checked(result: libc::c_long) -> io::Result<u32> {
    u32::try_from(result).map_err(|_| io::Error::last_os_error())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rights that a kernel does not know make it refuse the whole ruleset.
    #[test]
    fn a_version_is_asked_for_what_it_has_and_no_more() {
        let of = |version| {
            let Ruleset { files, network, scoped } = Ruleset::of(version);
            (files, network, scoped)
        };
        assert_eq!(of(1), (0x1fff, 0, 0));
        assert_eq!(of(2), (0x3fff, 0, 0));
        assert_eq!(of(3), (0x7fff, 0, 0));
        assert_eq!(of(4), (0x7fff, 3, 0));
        assert_eq!(of(5), (0xffff, 3, 0));
        assert_eq!(of(7), (0xffff, 3, 3));
    }

    #[test]
    fn layouts_are_the_kernels() {
        assert_eq!(size_of::<Ruleset>(), 24);
        assert_eq!((size_of::<Beneath>(), std::mem::offset_of!(Beneath, folder)), (12, 8));
    }
}
