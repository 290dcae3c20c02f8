// SPDX-License-Identifier: GPL-2.0-or-later
//! From a table of system calls to the program that the kernel runs before each of them: classic BPF
//! over `struct seccomp_data` (Linux include/uapi/linux/seccomp.h, filter.h).

use libc::sock_filter;

/// A call that is allowed, and when.
#[derive(Debug, Clone, Copy)]
pub struct Call {
    /// Its number on this processor.
    pub number: u32,
    /// It is allowed if all conditions of one of these hold; always if one has none.
    pub when: &'static [&'static [Condition]],
}

/// What an argument has to be. Only the lower 32 bits are looked at: all arguments in question are of
/// types that have no more, or of which the kernel uses no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// This argument, from 0, has this value.
    Is(u32, u32),
    /// This argument has none of these bits.
    HasNone(u32, u32),
    /// This argument has this bit.
    Has(u32, u32),
    /// This argument is the number of this process.
    IsSelf(u32),
}

// Offsets in `struct seccomp_data`: the call's number, the processor, and six arguments of 64 bits.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const ARGUMENTS: u32 = 16;
const LOWER_HALF: u32 = if cfg!(target_endian = "big") { 4 } else { 0 };

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const JUMP_IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const JUMP_IF_BITS: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
const REFUSE: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
/// As a kernel that does not know the call.
const UNKNOWN: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32;
/// Calls by another table of numbers are never a mistake of ours.
const KILL: u32 = libc::SECCOMP_RET_KILL_PROCESS;

/// The program that allows `calls`, answers `absent` with ENOSYS and others with EPERM, and ends the
/// process that calls as if for another processor than `architecture`.
pub fn assemble(architecture: u32, calls: &[Call], absent: &[u32]) -> Vec<sock_filter> {
    let mut program = vec![
        statement(LOAD, ARCHITECTURE),
        jump(JUMP_IF_EQUAL, architecture, 1, 0),
        statement(RETURN, KILL),
        statement(LOAD, NUMBER),
    ];
    // Those without conditions first: they are the frequent ones.
    let always = |call: &&Call| call.when.iter().any(|conditions| conditions.is_empty());
    for call in calls.iter().filter(always) {
        program.extend([jump(JUMP_IF_EQUAL, call.number, 0, 1), statement(RETURN, ALLOW)]);
    }
    for number in absent {
        program.extend([jump(JUMP_IF_EQUAL, *number, 0, 1), statement(RETURN, UNKNOWN)]);
    }
    for call in calls.iter().filter(|call| !always(call)) {
        let body = body(call.when);
        program.push(jump(JUMP_IF_EQUAL, call.number, 0, distance(body.len())));
        program.extend(body);
    }
    program.push(statement(RETURN, REFUSE));
    program
}

/// What is done about a call with conditions; it always ends.
fn body(when: &[&[Condition]]) -> Vec<sock_filter> {
    let mut program = Vec::new();
    for conditions in when {
        for (place, condition) in conditions.iter().enumerate() {
            // Over the tests that remain, two instructions each, and what allows the call.
            let next = distance(2 * (conditions.len() - place) - 1);
            let (argument, test) = match *condition {
                Condition::Is(argument, value) => (argument, jump(JUMP_IF_EQUAL, value, 0, next)),
                Condition::IsSelf(argument) => {
                    (argument, jump(JUMP_IF_EQUAL, std::process::id(), 0, next))
                }
                Condition::Has(argument, bit) => (argument, jump(JUMP_IF_BITS, bit, 0, next)),
                Condition::HasNone(argument, bits) => (argument, jump(JUMP_IF_BITS, bits, next, 0)),
            };
            program.extend([statement(LOAD, ARGUMENTS + 8 * argument + LOWER_HALF), test]);
        }
        program.push(statement(RETURN, ALLOW));
    }
    program.push(statement(RETURN, REFUSE));
    program
}

/// The most that a jump can pass; a longer one would be noticed by the tests of the table.
fn distance(instructions: usize) -> u8 {
    u8::try_from(instructions).unwrap_or(u8::MAX)
}

fn statement(code: u16, k: u32) -> sock_filter {
    jump(code, k, 0, 0)
}

fn jump(code: u16, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

#[cfg(test)]
#[path = "program_tests.rs"]
mod tests;
