// SPDX-License-Identifier: GPL-2.0-or-later
//! The system calls of the daemon once it runs: those of its code, of Rust's library, and of the two
//! C libraries. Each is in docs/security.md with its reason, which a test compares.
//!
//! Numbers are of the processor that is built for. Those of calls with times of 64 bits, which a C
//! library of a 32-bit processor makes first (musl since 1.2), are the same on each of these.

use libc::*;

use super::program::{Call, Condition};
use Condition::{Has, HasNone, Is, IsSelf};

// Linux include/uapi/linux/elf-em.h and audit.h.
#[cfg(target_arch = "x86_64")]
const MACHINE: u32 = 62;
#[cfg(target_arch = "aarch64")]
const MACHINE: u32 = 183;
#[cfg(target_arch = "arm")]
const MACHINE: u32 = 40;
#[cfg(target_arch = "mips")]
const MACHINE: u32 = 8;
const OF_64_BITS: u32 = if cfg!(target_pointer_width = "64") { 0x8000_0000 } else { 0 };
const LITTLE_ENDIAN: u32 = if cfg!(target_endian = "little") { 0x4000_0000 } else { 0 };

/// The processor, as the kernel's audit calls it.
pub const ARCHITECTURE: Option<u32> = Some(MACHINE | OF_64_BITS | LITTLE_ENDIAN);

/// Where the numbers begin: on MIPS a range belongs to each of its three interfaces.
#[cfg(target_pointer_width = "32")]
const FIRST: c_long = if cfg!(target_arch = "mips") { 4000 } else { 0 };
#[cfg(target_pointer_width = "32")]
const SYS_CLOCK_GETTIME64: c_long = FIRST + 403;
#[cfg(target_pointer_width = "32")]
const SYS_CLOCK_NANOSLEEP_TIME64: c_long = FIRST + 407;
#[cfg(target_pointer_width = "32")]
const SYS_PPOLL_TIME64: c_long = FIRST + 414;
// The crate lacks it for musl on MIPS.
#[cfg(target_pointer_width = "32")]
const SYS_FSTATAT64: c_long = if cfg!(target_arch = "mips") { FIRST + 293 } else { 327 };
#[cfg(target_pointer_width = "32")]
const SYS_FUTEX_TIME64: c_long = FIRST + 422;

/// What is answered as by a kernel that does not know the call: arguments behind a pointer cannot be
/// looked at, and without clone3 a C library takes clone.
pub const ABSENT: &[u32] = &[SYS_clone3 as u32];

type When = &'static [&'static [Condition]];

const ALWAYS: When = &[&[]];
/// Nothing is opened to be written, made or cut off.
const fn to_read(flags: u32) -> [Condition; 1] {
    [HasNone(flags, (O_ACCMODE | O_CREAT | O_TRUNC) as u32)]
}
#[cfg(not(target_arch = "aarch64"))]
const TO_READ: When = &[&to_read(1)];
const TO_READ_AT: When = &[&to_read(2)];
/// No memory becomes a program.
const NO_PROGRAM: When = &[&[HasNone(2, PROT_EXEC as u32)]];
/// A thread, not a process.
const THREAD: When = &[&[Has(0, CLONE_THREAD as u32)]];
const OWN: When = &[&[IsSelf(0)]];
const THREAD_NAME: When = &[&[Is(0, PR_SET_NAME as u32)]];
const NETLINK: Condition = Is(0, AF_NETLINK as u32);
/// Local sockets, and what of the kernel is asked: nothing that leaves the router.
const SOCKETS: When = &[
    &[Is(0, AF_UNIX as u32)],
    &[NETLINK, Is(2, NETLINK_ROUTE as u32)],
    &[NETLINK, Is(2, NETLINK_NETFILTER as u32)],
    &[NETLINK, Is(2, NETLINK_GENERIC as u32)],
    &[NETLINK, Is(2, NETLINK_XFRM as u32)],
];
const OPTIONS: When = &[&[Is(1, SOL_SOCKET as u32)], &[Is(1, SOL_NETLINK as u32)]];
const DESCRIPTORS: When = &[
    &[Is(1, F_GETFD as u32)],
    &[Is(1, F_SETFD as u32)],
    &[Is(1, F_GETFL as u32)],
    &[Is(1, F_SETFL as u32)],
    &[Is(1, F_DUPFD_CLOEXEC as u32)],
];
/// Sockets that do not wait, and the two requests by which a switch's registers are reached.
const REQUESTS: When = &[&[Is(1, FIONBIO as u32)], &[Is(1, 0x8948)], &[Is(1, 0x8949)]];

/// The table, and in tests its names.
macro_rules! calls {
    ($($(#[$where:meta])* $call:ident: $when:expr,)*) => {
        /// What is allowed, the most frequent first.
        pub const CALLS: &[Call] = &[
            $($(#[$where])* Call { number: $call as u32, when: $when },)*
        ];
        /// All names, also of other processors.
        #[cfg(test)]
        pub(super) const NAMES: &[&str] = &[$(stringify!($call)),*];
    };
}

calls! {
    SYS_recvfrom: ALWAYS,
    SYS_sendto: ALWAYS,
    SYS_epoll_pwait: ALWAYS,
    #[cfg(not(target_arch = "aarch64"))]
    SYS_epoll_wait: ALWAYS,
    SYS_clock_gettime: ALWAYS,
    #[cfg(target_pointer_width = "32")]
    SYS_CLOCK_GETTIME64: ALWAYS,
    SYS_ppoll: ALWAYS,
    #[cfg(target_pointer_width = "32")]
    SYS_PPOLL_TIME64: ALWAYS,
    #[cfg(not(target_arch = "aarch64"))]
    SYS_poll: ALWAYS,
    SYS_read: ALWAYS,
    SYS_write: ALWAYS,
    SYS_readv: ALWAYS,
    SYS_writev: ALWAYS,
    #[cfg(any(target_arch = "arm", target_arch = "mips"))]
    SYS_recv: ALWAYS,
    #[cfg(any(target_arch = "arm", target_arch = "mips"))]
    SYS_send: ALWAYS,
    SYS_recvmsg: ALWAYS,
    SYS_sendmsg: ALWAYS,
    SYS_epoll_ctl: ALWAYS,
    SYS_close: ALWAYS,
    SYS_statx: ALWAYS,
    SYS_fstat: ALWAYS,
    #[cfg(not(target_arch = "aarch64"))]
    SYS_stat: ALWAYS,
    #[cfg(not(target_arch = "aarch64"))]
    SYS_lstat: ALWAYS,
    #[cfg(target_pointer_width = "64")]
    SYS_newfstatat: ALWAYS,
    #[cfg(target_pointer_width = "32")]
    SYS_fstat64: ALWAYS,
    #[cfg(target_pointer_width = "32")]
    SYS_stat64: ALWAYS,
    #[cfg(target_pointer_width = "32")]
    SYS_lstat64: ALWAYS,
    #[cfg(target_pointer_width = "32")]
    SYS_FSTATAT64: ALWAYS,
    SYS_readlinkat: ALWAYS,
    #[cfg(not(target_arch = "aarch64"))]
    SYS_readlink: ALWAYS,
    SYS_getdents64: ALWAYS,
    SYS_lseek: ALWAYS,
    #[cfg(target_pointer_width = "32")]
    SYS__llseek: ALWAYS,
    SYS_openat: TO_READ_AT,
    #[cfg(not(target_arch = "aarch64"))]
    SYS_open: TO_READ,
    SYS_fcntl: DESCRIPTORS,
    #[cfg(target_pointer_width = "32")]
    SYS_fcntl64: DESCRIPTORS,
    SYS_socket: SOCKETS,
    SYS_connect: ALWAYS,
    SYS_bind: ALWAYS,
    SYS_getsockname: ALWAYS,
    SYS_getsockopt: OPTIONS,
    SYS_setsockopt: OPTIONS,
    SYS_ioctl: REQUESTS,
    SYS_brk: ALWAYS,
    SYS_munmap: ALWAYS,
    SYS_mremap: ALWAYS,
    SYS_madvise: ALWAYS,
    #[cfg(not(target_arch = "arm"))]
    SYS_mmap: NO_PROGRAM,
    #[cfg(target_pointer_width = "32")]
    SYS_mmap2: NO_PROGRAM,
    SYS_mprotect: NO_PROGRAM,
    SYS_futex: ALWAYS,
    #[cfg(target_pointer_width = "32")]
    SYS_FUTEX_TIME64: ALWAYS,
    SYS_getpid: ALWAYS,
    SYS_gettid: ALWAYS,
    SYS_getrandom: ALWAYS,
    SYS_clock_nanosleep: ALWAYS,
    #[cfg(target_pointer_width = "32")]
    SYS_CLOCK_NANOSLEEP_TIME64: ALWAYS,
    SYS_nanosleep: ALWAYS,
    SYS_restart_syscall: ALWAYS,
    SYS_clone: THREAD,
    SYS_set_robust_list: ALWAYS,
    // Of glibc alone, which goes on without.
    #[cfg(target_pointer_width = "64")]
    SYS_rseq: ALWAYS,
    SYS_prctl: THREAD_NAME,
    SYS_sched_getaffinity: ALWAYS,
    SYS_sigaltstack: ALWAYS,
    SYS_rt_sigaction: ALWAYS,
    SYS_rt_sigprocmask: ALWAYS,
    SYS_rt_sigreturn: ALWAYS,
    SYS_tgkill: OWN,
    SYS_tkill: OWN,
    SYS_exit: ALWAYS,
    SYS_exit_group: ALWAYS,
}
