// SPDX-License-Identifier: GPL-2.0-or-later
//! Messages of conntrack, rtnetlink and xfrm: one target, because each of the three is learnt in
//! seconds and their messages tell by their types what they are.
#![no_main]

mod conntrack;
mod route;

use flowtabled_fuzz::messages;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    messages(data, |message| {
        conntrack::read(message);
        route::read(message, data);
    });
});
