// SPDX-License-Identifier: GPL-2.0-or-later
//! A filter of system calls: what the daemon never does, the kernel refuses it from then on.
//!
//! `calls` says what is allowed, `program` makes the kernel's program of it, and neither touches the
//! kernel; this file hands it over. A call that is refused fails with EPERM and the daemon goes on: a
//! call that was forgotten then costs what it was for, and not the control over the tables, which
//! would go stale until a supervisor has started the daemon again.

#[cfg_attr(
    not(any(
        target_arch = "x86_64",
        target_arch = "aarch64",
        target_arch = "arm",
        target_arch = "mips"
    )),
    path = "seccomp/no_calls.rs"
)]
pub mod calls;
pub mod program;

use std::io;

/// Refusals are told to the kernel's audit log where there is one (Linux 4.14).
const LOGGED: libc::c_ulong = libc::SECCOMP_FILTER_FLAG_LOG;

/// Puts the filter before this thread and those that it starts. There is no way back.
///
/// The thread must not be able to gain privileges (see
/// [`forbid_new_privileges`](super::capabilities::forbid_new_privileges)), or have CAP_SYS_ADMIN.
///
/// # Errors
/// ENOSYS where the kernel has no filters, or none is known for this processor; what seccomp(2)
/// reports otherwise.
pub fn install() -> io::Result<()> {
    let unknown = || io::Error::from_raw_os_error(libc::ENOSYS);
    let architecture = calls::ARCHITECTURE.ok_or_else(unknown)?;
    let program = program::assemble(architecture, calls::CALLS, calls::ABSENT);
    match load(&program, LOGGED) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => match load(&program, 0) {
            // A kernel that knows the call but was built without filters.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Err(unknown()),
            result => result,
        },
        result => result,
    }
}

fn load(program: &[libc::sock_filter], flags: libc::c_ulong) -> io::Result<()> {
    let len = u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let program = libc::sock_fprog { len, filter: program.as_ptr().cast_mut() };
    // SAFETY: seccomp(2) reads one sock_fprog, which lives on this stack frame, and as many
    // instructions behind its pointer as its length says, which the borrowed slice has; it copies
    // them and writes nothing.
    let result = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program)
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
