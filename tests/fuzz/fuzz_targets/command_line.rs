// SPDX-License-Identifier: GPL-2.0-or-later
//! The words of both command lines, one a line of the input, and what a person types at the live
//! view. A call that the command accepts is one that the daemon accepts, with the same arguments.
#![no_main]

use flowtabled::cli::arguments::Value;
use flowtabled::cli::explain::endpoint;
use flowtabled::cli::fuzz as cli;
use flowtabled::cli::options::{Action, Options};
use flowtabled::daemon::options as daemon;
use flowtabled::netlink::prefix::Prefix;
use flowtabled::ubus::policy::Arguments;
use flowtabled::ubus::Request;
use libfuzzer_sys::fuzz_target;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

fn command(words: &[Vec<u8>]) {
    let words = words.iter().cloned().map(OsString::from_vec);
    let call = match Options::parse(words) {
        Ok(Options { action: Action::Call(call), .. }) => call,
        Ok(_) => return,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let table = call.table(None);
    let arguments = Arguments::check(&call.policy, table.contents()).expect("as its policy says");
    assert!(Request::of(call.policy.method, &arguments).is_ok(), "{call:?}");
    for (name, value) in &call.arguments {
        match value {
            // A string ends with its first NUL on the bus; no word of a command line has one.
            Value::Text(text) => assert_eq!(arguments.string(name), Some(text.as_str())),
            Value::Number(number) => assert_eq!(arguments.number(name), Some(*number)),
        }
    }
}

fn daemon(words: &[Vec<u8>]) {
    let words = words.iter().map(|word| String::from_utf8_lossy(word).into_owned());
    if let Err(error) = daemon::Options::parse(words) {
        assert!(!error.to_string().is_empty());
    }
}

fuzz_target!(|data: &[u8]| {
    cli::type_keys(data);
    if data.contains(&0) {
        return;
    }
    let words: Vec<Vec<u8>> = data.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    command(&words);
    daemon(&words);
    for word in words.iter().filter_map(|word| std::str::from_utf8(word).ok()) {
        if let Some((address, port)) = endpoint(word) {
            let written = match (address.is_ipv4(), port) {
                (_, None) => address.to_string(),
                (true, Some(port)) => format!("{address}:{port}"),
                (false, Some(port)) => format!("[{address}]:{port}"),
            };
            assert_eq!(endpoint(&written), Some((address, port)), "{word}");
        }
        if let Ok(prefix) = word.parse::<Prefix>() {
            assert!(prefix.bounds().0 <= prefix.bounds().1);
        }
    }
});
