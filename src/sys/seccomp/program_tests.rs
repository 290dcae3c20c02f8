// SPDX-License-Identifier: GPL-2.0-or-later
//! The program on an interpreter of classic BPF, for every number that a call can have.

use super::super::calls::{ABSENT, ARCHITECTURE, CALLS, NAMES};
use super::*;

/// The kernel's `struct seccomp_data` in its bytes.
fn data(number: u32, architecture: u32, arguments: [u64; 6]) -> Vec<u8> {
    let mut bytes = [number.to_ne_bytes(), architecture.to_ne_bytes()].concat();
    bytes.extend(0x5555_5555_5555_5555u64.to_ne_bytes());
    bytes.extend(arguments.iter().flat_map(|argument| argument.to_ne_bytes()));
    bytes
}

/// What the kernel would do with a program: its verdict.
fn run(program: &[sock_filter], data: &[u8]) -> u32 {
    let (mut accumulator, mut at) = (0u32, 0);
    loop {
        let sock_filter { code, jt, jf, k } = program[at];
        at += 1;
        let holds = match code {
            LOAD => {
                let word = data[k as usize..][..4].try_into().unwrap();
                accumulator = u32::from_ne_bytes(word);
                continue;
            }
            RETURN => return k,
            JUMP_IF_EQUAL => accumulator == k,
            JUMP_IF_BITS => accumulator & k != 0,
            other => panic!("instruction {other:#x}"),
        };
        at += usize::from(if holds { jt } else { jf });
    }
}

fn own() -> Vec<sock_filter> {
    assemble(ARCHITECTURE.unwrap(), CALLS, ABSENT)
}

fn verdict(number: libc::c_long, arguments: [u64; 6]) -> u32 {
    run(&own(), &data(number as u32, ARCHITECTURE.unwrap(), arguments))
}

/// Arguments by which all conditions hold.
fn fitting(conditions: &[Condition]) -> [u64; 6] {
    let mut arguments = [0; 6];
    for condition in conditions {
        let (place, value) = match *condition {
            Condition::Is(place, value) | Condition::Has(place, value) => (place, value),
            Condition::IsSelf(place) => (place, std::process::id()),
            Condition::HasNone(place, bits) => (place, !bits),
        };
        arguments[place as usize] = value.into();
    }
    arguments
}

#[test]
fn each_call_of_the_table_is_allowed_and_no_other() {
    let program = own();
    let bare = |number| run(&program, &data(number, ARCHITECTURE.unwrap(), [0; 6]));
    for call in CALLS {
        for conditions in call.when {
            let data = data(call.number, ARCHITECTURE.unwrap(), fitting(conditions));
            assert_eq!(run(&program, &data), ALLOW, "{call:?}");
        }
    }
    // All numbers there are and will be for long, on each interface of MIPS; and those of x86-64's
    // interface for programs of 32 bits, a bit apart.
    for number in (0..8000).chain(0x4000_0000..0x4000_0400) {
        let listed = CALLS.iter().any(|call| call.number == number);
        match bare(number) {
            ALLOW => assert!(listed, "{number}"),
            UNKNOWN => assert!(ABSENT.contains(&number), "{number}"),
            verdict => assert_eq!(verdict, REFUSE, "{number}"),
        }
    }
}

#[test]
fn the_call_of_another_processor_ends_the_process() {
    let program = own();
    for call in CALLS {
        for other in [0, ARCHITECTURE.unwrap() ^ 0x4000_0000, 0x4000_0003, u32::MAX] {
            let data = data(call.number, other, fitting(call.when[0]));
            assert_eq!(run(&program, &data), KILL, "{call:?} of {other:#x}");
        }
    }
}

#[test]
fn files_are_opened_to_be_read_only() {
    let open = |flags: i32| verdict(libc::SYS_openat, [3, 0, flags as u64, 0, 0, 0]);
    assert_eq!(open(libc::O_RDONLY | libc::O_CLOEXEC | libc::O_NONBLOCK), ALLOW);
    assert_eq!(open(libc::O_RDONLY | libc::O_DIRECTORY | libc::O_LARGEFILE), ALLOW);
    for flags in [libc::O_WRONLY, libc::O_RDWR, libc::O_ACCMODE, libc::O_CREAT, libc::O_TRUNC] {
        assert_eq!(open(flags | libc::O_CLOEXEC), REFUSE, "{flags:#x}");
    }
    assert_eq!(open(libc::O_TMPFILE | libc::O_RDWR), REFUSE);
}

#[test]
fn sockets_reach_the_router_only() {
    let socket = |family: i32, protocol: i32| {
        let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC;
        verdict(libc::SYS_socket, [family as u64, kind as u64, protocol as u64, 0, 0, 0])
    };
    assert_eq!(socket(libc::AF_UNIX, 0), ALLOW);
    let known =
        [libc::NETLINK_ROUTE, libc::NETLINK_NETFILTER, libc::NETLINK_GENERIC, libc::NETLINK_XFRM];
    for protocol in 0..32 {
        let expected = if known.contains(&protocol) { ALLOW } else { REFUSE };
        assert_eq!(socket(libc::AF_NETLINK, protocol), expected, "{protocol}");
    }
    for family in [libc::AF_INET, libc::AF_INET6, libc::AF_PACKET, libc::AF_VSOCK, libc::AF_ALG] {
        for protocol in [0, libc::NETLINK_NETFILTER] {
            assert_eq!(socket(family, protocol), REFUSE, "{family}");
        }
    }
}

#[test]
fn requests_to_devices_and_descriptors_are_few() {
    let second = |call, value: u64| verdict(call, [3, value, 0, 0, 0, 0]);
    for request in [libc::FIONBIO as u32, libc::SIOCGMIIREG as u32, libc::SIOCSMIIREG as u32] {
        assert_eq!(second(libc::SYS_ioctl, request.into()), ALLOW, "{request:#x}");
    }
    for request in [libc::TIOCSTI as u32, 0x8914, 0x89f0] {
        assert_eq!(second(libc::SYS_ioctl, request.into()), REFUSE, "{request:#x}");
    }
    assert_eq!(second(libc::SYS_fcntl, libc::F_GETFD as u64), ALLOW);
    assert_eq!(second(libc::SYS_fcntl, libc::F_SETOWN as u64), REFUSE);
    assert_eq!(second(libc::SYS_setsockopt, libc::SOL_SOCKET as u64), ALLOW);
    assert_eq!(second(libc::SYS_setsockopt, libc::SOL_NETLINK as u64), ALLOW);
    assert_eq!(second(libc::SYS_setsockopt, libc::IPPROTO_IP as u64), REFUSE);
}

#[test]
fn no_memory_becomes_a_program_and_no_process_is_made() {
    let (read, write) = (libc::PROT_READ as u64, libc::PROT_WRITE as u64);
    let execute = libc::PROT_EXEC as u64;
    assert_eq!(verdict(libc::SYS_mprotect, [0, 4096, read | write, 0, 0, 0]), ALLOW);
    assert_eq!(verdict(libc::SYS_mprotect, [0, 4096, read | execute, 0, 0, 0]), REFUSE);
    let thread = (libc::CLONE_VM | libc::CLONE_THREAD | libc::CLONE_SIGHAND) as u64;
    assert_eq!(verdict(libc::SYS_clone, [thread, 0, 0, 0, 0, 0]), ALLOW);
    assert_eq!(verdict(libc::SYS_clone, [libc::SIGCHLD as u64, 0, 0, 0, 0, 0]), REFUSE);
    assert_eq!(verdict(libc::SYS_clone3, [0; 6]), UNKNOWN);
    for call in [libc::SYS_execve, libc::SYS_execveat, libc::SYS_ptrace] {
        assert_eq!(verdict(call, [0; 6]), REFUSE, "{call}");
    }
}

#[test]
fn only_this_process_is_sent_signals() {
    let own = std::process::id();
    for call in [libc::SYS_tgkill, libc::SYS_tkill] {
        assert_eq!(verdict(call, [own.into(), 0, 0, 0, 0, 0]), ALLOW);
        assert_eq!(verdict(call, [(own + 1).into(), 0, 0, 0, 0, 0]), REFUSE);
    }
    assert_eq!(verdict(libc::SYS_kill, [own.into(), 0, 0, 0, 0, 0]), REFUSE);
}

/// What the kernel ignores of an argument must not open or close a way.
#[test]
fn the_upper_half_of_an_argument_does_not_count() {
    let high = 0xdead_beef_0000_0000;
    assert_eq!(verdict(libc::SYS_socket, [high | libc::AF_UNIX as u64, 2, 0, 0, 0, 0]), ALLOW);
    let inet = high | libc::AF_INET as u64;
    assert_eq!(verdict(libc::SYS_socket, [inet, 2, 0, 0, 0, 0]), REFUSE);
    let write = high | libc::O_WRONLY as u64;
    assert_eq!(verdict(libc::SYS_openat, [0, 0, write, 0, 0, 0]), REFUSE);
}

/// A C library of a 32-bit processor asks for times of 64 bits first, and takes EPERM for an answer.
#[test]
fn the_clock_of_either_width_is_allowed() {
    assert_eq!(verdict(libc::SYS_clock_gettime, [1, 0, 0, 0, 0, 0]), ALLOW);
    if cfg!(target_pointer_width = "32") {
        let first = if cfg!(target_arch = "mips") { 4000 } else { 0 };
        for call in [403, 407, 414, 422] {
            assert_eq!(verdict(first + call, [0; 6]), ALLOW, "{call}");
        }
    }
}

/// Longer and the jump over a call's conditions would not reach, or the kernel would not take it.
#[test]
fn the_program_fits() {
    let program = own();
    assert!(program.len() <= libc::BPF_MAXINSNS as usize, "{}", program.len());
    let jumps = program
        .iter()
        .enumerate()
        .filter(|(_, instruction)| matches!(instruction.code, JUMP_IF_EQUAL | JUMP_IF_BITS));
    for (at, sock_filter { jt, jf, .. }) in jumps {
        let distance = *jt.max(jf);
        assert!(distance < u8::MAX && at + 1 + usize::from(distance) < program.len(), "{at}");
    }
    assert_eq!(program.last().unwrap().code, RETURN);
}

#[test]
fn the_manual_gives_a_reason_for_each_call_and_no_other() {
    let manual = include_str!("../../../docs/security.md");
    let section = manual.split("\n## System calls\n").nth(1).unwrap();
    let rows = section.split("\n## ").next().unwrap().lines();
    let cells = rows.filter_map(|line| line.strip_prefix("| `")?.split(" |").next());
    let mut told: Vec<&str> = cells.flat_map(|cell| cell.split('`')).collect();
    told.retain(|word| !word.trim_matches([' ', ',']).is_empty());
    told.sort_unstable();
    let names = NAMES.iter().map(|name| name.trim_start_matches("SYS_").to_lowercase());
    let mut names: Vec<String> = names.collect();
    names.sort();
    assert_eq!(told, names);
}
