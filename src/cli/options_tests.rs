// SPDX-License-Identifier: GPL-2.0-or-later
//! Command lines, good and bad.

use super::*;
use crate::cli::arguments::{Value, FOR};
use crate::ubus::evict;

fn parse(line: &str) -> Result<Options, UsageError> {
    Options::parse(line.split_whitespace().map(OsString::from))
}

fn text(name: &'static str, value: &str) -> (&'static str, Value) {
    (name, Value::Text(value.into()))
}

fn method(name: &str, arguments: Vec<(&'static str, Value)>) -> MethodCall {
    MethodCall { arguments, ..MethodCall::new(methods::find(name).unwrap()) }
}

fn call(name: &str, arguments: Vec<(&'static str, Value)>) -> Result<Options, UsageError> {
    Ok(only(Action::Call(method(name, arguments))))
}

fn misplaced(option: &str, command: &str) -> Result<Options, UsageError> {
    Err(UsageError::Misplaced(option.into(), command.into()))
}

#[test]
fn commands_and_options() {
    for name in
        ["status", "devices", "flows", "hosts", "history", "hardware", "flush", "evict", "release"]
    {
        assert_eq!(parse(name), call(name, Vec::new()));
    }
    let json = Options { json: true, ..call("reload", Vec::new()).unwrap() };
    assert_eq!(parse("--json reload"), Ok(json));
    let lan1 = call("devices", vec![text("name", "lan1")]).unwrap();
    assert_eq!(
        parse("devices --ubus-socket /a lan1 --json"),
        Ok(Options { json: true, socket: Some("/a".into()), ..lan1 })
    );
    let socket = parse("devices --ubus-socket=/b=c").unwrap().socket;
    assert_eq!(socket, Some("/b=c".into()));
    assert_eq!(parse("-h nonsense").unwrap().action, Action::Help);
    assert_eq!(parse("status --version --what").unwrap().action, Action::Version);
}

#[test]
fn mistakes_are_named() {
    assert_eq!(parse(""), Err(UsageError::NoCommand));
    assert_eq!(parse("--json"), Err(UsageError::NoCommand));
    assert_eq!(parse("stat"), Err(UsageError::UnknownCommand("stat".into())));
    assert_eq!(parse("status -x"), Err(UsageError::UnknownOption("-x".into())));
    assert_eq!(parse("status lan1"), Err(UsageError::Superfluous("lan1".into())));
    assert_eq!(parse("devices a b"), Err(UsageError::Superfluous("b".into())));
    assert_eq!(parse("status --ubus-socket"), Err(UsageError::NoValue(SOCKET.into())));
    let unknown = |word: &str| Err(UsageError::UnknownOption(word.into()));
    assert_eq!(parse("status --ubus-socketx"), unknown("--ubus-socketx"));
    assert_eq!(parse("flows --all=1"), unknown("--all=1"));
    assert_eq!(parse("explain --source ::1"), unknown("--source"));
    assert_eq!(parse("evict --duration_s 5"), unknown("--duration_s"));
}

#[test]
fn flows_take_what_the_daemon_takes() {
    assert_eq!(
        parse("flows --state hardware --address=fd00::/8 --protocol 41 --sort age"),
        call(
            "flows",
            vec![
                text("state", "hardware"),
                text("address", "fd00::/8"),
                text("protocol", "41"),
                text("sort", "age"),
            ]
        )
    );
    assert_eq!(
        parse("--port 80 --limit 5 flows --port=443"),
        call("flows", vec![("limit", Value::Number(5)), ("port", Value::Number(443))])
    );
    assert_eq!(
        parse("flows --device lan1 --host laptop --partition flowtabled"),
        call(
            "flows",
            vec![text("device", "lan1"), text("host", "laptop"), text("partition", "flowtabled")]
        )
    );
    assert_eq!(parse("history --points 1"), call("history", vec![("points", Value::Number(1))]));
    let many = UsageError::BadValue("--points".into(), "301".into());
    assert_eq!(parse("history --points 301"), Err(many));
    assert_eq!(parse("flows --points 1"), misplaced("--points", "flows"));
    let all = Action::Call(MethodCall { all: true, ..method("flows", Vec::new()) });
    assert_eq!(parse("flows --all").unwrap().action, all);
    for (option, value) in [
        ("--state", "fast"),
        ("--address", "lan"),
        ("--port", "65536"),
        ("--port", "http"),
        ("--protocol", "x"),
        ("--sort", ""),
        ("--limit", "0"),
        ("--host", ""),
    ] {
        let error = UsageError::BadValue(option.into(), value.into());
        assert_eq!(parse(&format!("flows {option}={value}")), Err(error));
    }
    assert_eq!(parse("flows --limit 5 --all"), Err(UsageError::LimitOfAll));
    assert_eq!(parse("flows --port"), Err(UsageError::NoValue("--port".into())));
    assert_eq!(parse("flows --cursor 1"), Err(UsageError::UnknownOption("--cursor".into())));
    assert_eq!(parse("history --port 1"), misplaced("--port", "history"));
    assert_eq!(parse("status --all"), misplaced("--all", "status"));
    assert_eq!(parse("flows --for 1m"), misplaced("--for", "flows"));
}

#[test]
fn hosts_are_sorted_and_named() {
    assert_eq!(
        parse("hosts --sort bytes --host 192.168.1.2"),
        call("hosts", vec![text("sort", "bytes"), text("host", "192.168.1.2")])
    );
    assert_eq!(parse("hosts --port 1"), misplaced("--port", "hosts"));
}

#[test]
fn explain_takes_two_ends_and_a_protocol() {
    assert_eq!(
        parse("explain 192.168.1.2:40000 [2001:db8::1]:443 udp"),
        call(
            "explain",
            vec![
                text("source", "192.168.1.2"),
                ("source_port", Value::Number(40_000)),
                text("destination", "2001:db8::1"),
                ("destination_port", Value::Number(443)),
                text("protocol", "udp"),
            ]
        )
    );
    assert_eq!(parse("explain ::1"), call("explain", vec![text("source", "::1")]));
    assert_eq!(parse("explain"), Err(UsageError::Incomplete("explain")));
    assert_eq!(parse("explain laptop"), Err(UsageError::BadWord("laptop".into())));
    assert_eq!(parse("explain ::1 ::2 x"), Err(UsageError::BadWord("x".into())));
    assert_eq!(parse("explain ::1 ::2 tcp y"), Err(UsageError::Superfluous("y".into())));
}

#[test]
fn evictions_take_a_filter_and_a_time() {
    let duration = |seconds| (evict::DURATION, Value::Number(seconds));
    let port = ("port", Value::Number(443));
    assert_eq!(
        parse("evict --port 443 --for=10m"),
        call("evict", vec![port.clone(), duration(600)])
    );
    for (text, seconds) in [("0", 0), ("90", 90), ("90s", 90), ("2h", 7200), ("1d", 86_400)] {
        let parsed = parse(&format!("evict --for {text}"));
        assert_eq!(parsed, call("evict", vec![duration(seconds)]));
    }
    for text in ["", "m", "-1", "+1", "2d", "1w", "1.5h", "99999999999d"] {
        let error = UsageError::BadValue(FOR.into(), text.into());
        assert_eq!(parse(&format!("evict --for={text}")), Err(error));
    }
    assert_eq!(parse("release --port 443"), call("release", vec![port]));
    assert_eq!(parse("release --for 1m"), misplaced("--for", "release"));
    assert_eq!(parse("evict --sort age"), misplaced("--sort", "evict"));
    assert_eq!(parse("evict --all"), misplaced("--all", "evict"));
}

#[test]
fn the_live_view_has_its_own_options() {
    let top = |seconds, once| {
        let interval = Duration::from_secs(seconds);
        Ok(only(Action::Top(TopOptions { interval, once })))
    };
    assert_eq!(parse("top"), top(2, false));
    assert_eq!(parse("--once top --interval=1"), top(1, true));
    assert_eq!(parse("top --interval 60"), top(60, false));
    for bad in ["0", "61", "-1", "1.5", "", "x"] {
        let error = UsageError::BadValue(INTERVAL.into(), bad.into());
        assert_eq!(parse(&format!("top --interval={bad}")), Err(error));
    }
    assert_eq!(parse("top --interval"), Err(UsageError::NoValue(INTERVAL.into())));
    assert_eq!(parse("top --json"), Err(UsageError::JsonOfTop));
    assert_eq!(parse("top --port 1"), misplaced("--port", "top"));
    assert_eq!(parse("flows --once"), misplaced("--once", "flows"));
    assert_eq!(parse("status --interval 1"), misplaced("--interval", "status"));
    assert_eq!(parse("top all"), Err(UsageError::Superfluous("all".into())));
}
