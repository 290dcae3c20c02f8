// SPDX-License-Identifier: GPL-2.0-or-later
//! The rights of a process that are not its user's: giving up those that it does not need.

use std::io;

/// Networks, routes, netfilter and devices.
pub const CAP_NET_ADMIN: u32 = 12;
/// Reading what belongs to others: folders and files that only their owner may read.
pub const CAP_DAC_READ_SEARCH: u32 = 2;

/// Linux include/uapi/linux/capability.h: two words of each set.
const VERSION_3: u32 = 0x2008_0522;

/// `struct __user_cap_header_struct`.
#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// `struct __user_cap_data_struct`: a word of each set.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Word {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// From now on no program that this thread would start gains rights by its file.
///
/// # Errors
/// EINVAL before Linux 3.5.
pub fn forbid_new_privileges() -> io::Result<()> {
    control(libc::PR_SET_NO_NEW_PRIVS, 1).map(drop)
}

/// Gives up all capabilities of this thread but these, of which it keeps those that it has. They are
/// not passed on to programs, and cannot be had again where the thread may say so.
///
/// # Errors
/// Whatever capget(2) or capset(2) reports.
pub fn keep_only(kept: &[u32]) -> io::Result<()> {
    // The bounding set takes CAP_SETPCAP to change, which no unprivileged daemon has; the sets
    // below and `forbid_new_privileges` leave nothing that it would bound.
    for number in (0..u32::BITS * 2).filter(|number| !kept.contains(number)) {
        if control(libc::PR_CAPBSET_DROP, number.into()).is_err() {
            break;
        }
    }
    // Linux before 4.3 has no ambient set.
    let _ = control(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong);
    let mut words = [Word::default(); 2];
    exchange(libc::SYS_capget, &mut words)?;
    for (word, first) in words.iter_mut().zip([0, u32::BITS]) {
        let places = kept.iter().filter_map(|number| number.checked_sub(first));
        let mask = places.filter_map(|place| 1u32.checked_shl(place)).fold(0, |all, bit| all | bit);
        let permitted = word.permitted & mask;
        *word = Word { effective: permitted, permitted, inheritable: 0 };
    }
    exchange(libc::SYS_capset, &mut words)
}

/// A prctl(2) of two numbers.
fn control(option: libc::c_int, value: libc::c_ulong) -> io::Result<libc::c_int> {
    let zero: libc::c_ulong = 0;
    // SAFETY: the options used here take numbers, the unused ones of which have to be zero, and
    // touch no memory.
    match unsafe { libc::prctl(option, value, zero, zero, zero) } {
        -1 => Err(io::Error::last_os_error()),
        result => Ok(result),
    }
}

/// capget(2) or capset(2) of this thread.
fn exchange(call: libc::c_long, words: &mut [Word; 2]) -> io::Result<()> {
    let mut header = Header { version: VERSION_3, pid: 0 };
    // SAFETY: both calls read and may write one header, and read or write as many words as its
    // version says, which is two; both live on the callers' stack frames and are borrowed for that.
    match unsafe { libc::syscall(call, &raw mut header, words.as_mut_ptr()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
