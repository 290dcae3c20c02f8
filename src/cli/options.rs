// SPDX-License-Identifier: GPL-2.0-or-later
//! The command line of `flowtable`.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use ubus::{BlobMsgTable, BlobType};

use crate::ubus::evict::{self, Eviction};
use crate::ubus::flows::{self, FlowQuery, LIMIT};
use crate::ubus::methods;
use crate::ubus::policy::{Argument, Arguments, Method, Policy};

/// One line, shown with a usage error.
pub const USAGE: &str = "usage: flowtable COMMAND [OPTION]... (--help lists them)";

/// The text of `--help`.
pub const HELP: &str = "\
usage: flowtable COMMAND [OPTIONS]

Shows and steers flow offloading through the daemon flowtabled.

Commands:
  status          what is offloaded, and why not more
  devices [NAME]  state of each network device, or of one
  flows           the flows that conntrack knows, the greatest first
  history         what was carried by each path, in all and lately
  flush           return all flows to the classic path; they come back
  evict           return some flows to the classic path and keep them there
  release         let flows that evict keeps there come back
  reload          read the configuration again

Options of flows, evict and release:
  --state STATE        only classic, software or hardware flows
  --address ADDRESS    only with this address or prefix at either end
  --port PORT          only with this port at either end
  --protocol PROTOCOL  only of this protocol, by name or number

Options of flows:
  --sort ORDER         by rate (the default), bytes or age
  --limit NUMBER       at most so many flows, 1 to 100 (else 50)
  --all                all flows; with --json a reply a line

Option of evict:
  --for TIME           how long, as 90, 90s, 10m (the default), 2h or 1d, a
                       day at most; with 0 they may come back at once

Options:
  --json               print the daemon's reply as JSON
  --ubus-socket PATH   socket of ubusd
                       (else /var/run/ubus/ubus.sock, then /var/run/ubus.sock)
  -h, --help           this text
  -V, --version        the version

A dash stands for what cannot be known.

Exit codes:
  0  done
  1  the daemon answered with an error, or the output could not be written
  2  usage
  3  no bus: ubusd cannot be reached
  4  the daemon is not on the bus
  5  time-out
";

/// A call to the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// `status`
    Status,
    /// `devices`, all or the one of this name
    Devices(Option<String>),
    /// `flows`
    Flows(FlowOptions),
    /// `history`
    History,
    /// `flush`
    Flush,
    /// `evict`
    Evict(FlowOptions),
    /// `release`
    Release(FlowOptions),
    /// `reload`
    Reload,
}

/// Which flows, and what to do with them. The values have been held against the daemon's own rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FlowOptions {
    /// Arguments of the call.
    pub arguments: Vec<(&'static str, Value)>,
    /// Page by page to the end.
    pub all: bool,
}

/// The value of an argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A string.
    Text(String),
    /// An int32.
    Number(i32),
}

impl FlowOptions {
    /// The arguments as they are sent, and where the page begins, unless it is the first.
    pub fn table(&self, cursor: Option<&str>) -> BlobMsgTable {
        BlobMsgTable::build(|b| {
            for (name, value) in &self.arguments {
                match value {
                    Value::Text(text) => b.put_str(Some(name), text),
                    Value::Number(number) => b.put_i32(Some(name), *number),
                }
            }
            if let Some(cursor) = cursor {
                b.put_str(Some(flows::CURSOR), cursor);
            }
        })
    }

    /// Adds an argument. `false` when the daemon would refuse it. Of several the last counts.
    fn add(&mut self, argument: &Argument, text: &str) -> bool {
        let value = match (argument.ty, text.parse()) {
            (BlobType::Int32, Ok(number)) => Value::Number(number),
            (BlobType::Int32, Err(_)) => return false,
            _ => Value::Text(text.to_owned()),
        };
        self.set(argument.name, value);
        let table = self.table(None);
        Arguments::check(&flows::POLICY, table.contents())
            .and_then(|arguments| FlowQuery::of(&arguments))
            .is_ok()
    }

    /// Adds how long. `false` when the daemon would refuse it.
    fn add_duration(&mut self, text: &str) -> bool {
        let Some(seconds) = seconds(text) else { return false };
        self.set(evict::DURATION, Value::Number(seconds));
        let table = self.table(None);
        Arguments::check(&evict::POLICY, table.contents())
            .and_then(|arguments| Eviction::of(&arguments))
            .is_ok()
    }

    fn set(&mut self, name: &'static str, value: Value) {
        self.arguments.retain(|(known, _)| *known != name);
        self.arguments.push((name, value));
    }

    /// The option of the first argument that a method does not take.
    fn superfluous(&self, policy: &Policy) -> Option<String> {
        let taken = |name: &str| policy.arguments.iter().any(|argument| argument.name == name);
        if self.all && policy.method != Method::Flows {
            return Some(ALL.to_owned());
        }
        let (name, _) = self.arguments.iter().find(|(name, _)| !taken(name))?;
        Some(if *name == evict::DURATION { FOR.to_owned() } else { format!("--{name}") })
    }

    fn has(&self, argument: &str) -> bool {
        self.arguments.iter().any(|(name, _)| *name == argument)
    }
}

/// The argument of `flows` that an option passes on.
fn argument(option: &str) -> Option<&'static Argument> {
    let name = option.strip_prefix("--").filter(|name| *name != flows::CURSOR)?;
    flows::POLICY.arguments.iter().find(|argument| argument.name == name)
}

/// Seconds of a number with a unit, or without.
fn seconds(text: &str) -> Option<i32> {
    let units = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)];
    let unit = units
        .into_iter()
        .find_map(|(unit, seconds)| text.strip_suffix(unit).map(|number| (number, seconds)));
    let (number, unit) = unit.unwrap_or((text, 1));
    let decimal = number.bytes().all(|byte| byte.is_ascii_digit());
    number.parse::<i32>().ok().filter(|_| decimal)?.checked_mul(unit)
}

impl Command {
    /// Name of the method, which is the name of the command.
    pub fn name(&self) -> &'static str {
        match self {
            Command::Status => "status",
            Command::Devices(_) => "devices",
            Command::Flows(_) => "flows",
            Command::History => "history",
            Command::Flush => "flush",
            Command::Evict(_) => "evict",
            Command::Release(_) => "release",
            Command::Reload => "reload",
        }
    }
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Print the help.
    Help,
    /// Print the version.
    Version,
    /// Call the daemon.
    Call(Command),
}

/// A parsed command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// What to do.
    pub action: Action,
    /// Print the reply as JSON.
    pub json: bool,
    /// Socket of the broker, when one is named.
    pub socket: Option<PathBuf>,
}

/// What is wrong with a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UsageError {
    /// There is no command.
    NoCommand,
    /// There is no such command.
    UnknownCommand(String),
    /// There is no such option.
    UnknownOption(String),
    /// An option lacks its value.
    NoValue(String),
    /// An option does not take this value.
    BadValue(String, String),
    /// An option belongs to another command than this.
    Misplaced(String, String),
    /// Two options exclude each other.
    LimitOfAll,
    /// An argument too many.
    Superfluous(String),
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UsageError::NoCommand => f.write_str("no command"),
            UsageError::UnknownCommand(word) => write!(f, "unknown command '{word}'"),
            UsageError::UnknownOption(word) => write!(f, "unknown option '{word}'"),
            UsageError::NoValue(option) => write!(f, "{option} needs a value"),
            UsageError::BadValue(option, value) => write!(f, "{option} does not take '{value}'"),
            UsageError::Misplaced(option, command) => {
                write!(f, "{option} is no option of {command}")
            }
            UsageError::LimitOfAll => f.write_str("--limit and --all exclude each other"),
            UsageError::Superfluous(word) => write!(f, "unexpected argument '{word}'"),
        }
    }
}

const SOCKET: &str = "--ubus-socket";
const ALL: &str = "--all";
const FOR: &str = "--for";

impl Options {
    /// Parses the arguments after the program's name. Options may stand anywhere; `--help` and
    /// `--version` win over everything that follows them.
    pub fn parse(mut args: impl Iterator<Item = OsString>) -> Result<Options, UsageError> {
        let (mut json, mut socket, mut words) = (false, None, Vec::new());
        let mut flows = FlowOptions::default();
        let only = |action| Options { action, json: false, socket: None };
        while let Some(arg) = args.next() {
            let word = arg.to_string_lossy();
            match word.as_ref() {
                "-h" | "--help" => return Ok(only(Action::Help)),
                "-V" | "--version" => return Ok(only(Action::Version)),
                "--json" => json = true,
                ALL => flows.all = true,
                option if option.starts_with('-') => {
                    let (option, value) = match option.split_once('=') {
                        Some((option, value)) => (option, Some(OsString::from(value))),
                        None => (option, None),
                    };
                    let mut value = || {
                        let no_value = || UsageError::NoValue(option.to_owned());
                        value.clone().or_else(|| args.next()).ok_or_else(no_value)
                    };
                    if option == SOCKET {
                        socket = Some(PathBuf::from(value()?));
                    } else if let Some(argument) = argument(option) {
                        let value = value()?.to_string_lossy().into_owned();
                        if !flows.add(argument, &value) {
                            return Err(UsageError::BadValue(option.to_owned(), value));
                        }
                    } else if option == FOR {
                        let value = value()?.to_string_lossy().into_owned();
                        if !flows.add_duration(&value) {
                            return Err(UsageError::BadValue(option.to_owned(), value));
                        }
                    } else {
                        return Err(UsageError::UnknownOption(word.into_owned()));
                    }
                }
                word => words.push(word.to_owned()),
            }
        }
        let mut words = words.into_iter();
        let word = words.next().ok_or(UsageError::NoCommand)?;
        let policy = methods::find(&word).map_err(|_| UsageError::UnknownCommand(word.clone()))?;
        if let Some(option) = flows.superfluous(&policy) {
            return Err(UsageError::Misplaced(option, word));
        }
        if flows.all && flows.has(LIMIT) {
            return Err(UsageError::LimitOfAll);
        }
        let command = match policy.method {
            Method::Status => Command::Status,
            Method::Devices => Command::Devices(words.next()),
            Method::Flows => Command::Flows(flows),
            Method::History => Command::History,
            Method::Flush => Command::Flush,
            Method::Evict => Command::Evict(flows),
            Method::Release => Command::Release(flows),
            Method::Reload => Command::Reload,
        };
        match words.next() {
            Some(word) => Err(UsageError::Superfluous(word)),
            None => Ok(Options { action: Action::Call(command), json, socket }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, UsageError> {
        Options::parse(line.split_whitespace().map(OsString::from))
    }

    fn call(command: Command, json: bool, socket: Option<&str>) -> Result<Options, UsageError> {
        Ok(Options { action: Action::Call(command), json, socket: socket.map(PathBuf::from) })
    }

    #[test]
    fn commands_and_options() {
        assert_eq!(parse("status"), call(Command::Status, false, None));
        assert_eq!(parse("--json reload"), call(Command::Reload, true, None));
        assert_eq!(
            parse("devices --ubus-socket /a lan1 --json"),
            call(Command::Devices(Some("lan1".into())), true, Some("/a"))
        );
        assert_eq!(
            parse("devices --ubus-socket=/b=c"),
            call(Command::Devices(None), false, Some("/b=c"))
        );
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
        assert_eq!(
            parse("status --ubus-socketx"),
            Err(UsageError::UnknownOption("--ubus-socketx".into()))
        );
    }

    #[test]
    fn flows_take_what_the_daemon_takes() {
        let text = |name, value: &str| (name, Value::Text(value.into()));
        let flows =
            |arguments, all| call(Command::Flows(FlowOptions { arguments, all }), false, None);
        assert_eq!(parse("flows"), flows(Vec::new(), false));
        assert_eq!(
            parse("flows --state hardware --address=fd00::/8 --protocol 41 --sort age --all"),
            flows(
                vec![
                    text("state", "hardware"),
                    text("address", "fd00::/8"),
                    text("protocol", "41"),
                    text("sort", "age"),
                ],
                true
            )
        );
        assert_eq!(
            parse("--port 80 --limit 5 flows --port=443"),
            flows(vec![("limit", Value::Number(5)), ("port", Value::Number(443))], false)
        );
        let bad = |option: &str, value: &str| {
            let error = UsageError::BadValue(option.into(), value.into());
            assert_eq!(parse(&format!("flows {option}={value}")), Err(error));
        };
        for (option, value) in [
            ("--state", "fast"),
            ("--address", "lan"),
            ("--port", "65536"),
            ("--port", "http"),
            ("--protocol", "x"),
            ("--sort", ""),
            ("--limit", "0"),
        ] {
            bad(option, value);
        }
        assert_eq!(parse("flows --limit 5 --all"), Err(UsageError::LimitOfAll));
        assert_eq!(parse("flows --port"), Err(UsageError::NoValue("--port".into())));
        assert_eq!(parse("flows --cursor 1"), Err(UsageError::UnknownOption("--cursor".into())));
        let misplaced =
            |option: &str, command: &str| Err(UsageError::Misplaced(option.into(), command.into()));
        assert_eq!(parse("history --port 1"), misplaced("--port", "history"));
        assert_eq!(parse("status --all"), misplaced("--all", "status"));
        assert_eq!(parse("flows --for 1m"), misplaced("--for", "flows"));
        assert_eq!(parse("history"), call(Command::History, false, None));
    }

    #[test]
    fn evictions_take_a_filter_and_a_time() {
        let flows = |arguments| FlowOptions { arguments, all: false };
        let duration = |seconds| (evict::DURATION, Value::Number(seconds));
        let port = ("port", Value::Number(443));
        let evict = |arguments| call(Command::Evict(flows(arguments)), false, None);
        assert_eq!(parse("evict"), evict(Vec::new()));
        assert_eq!(parse("evict --port 443 --for=10m"), evict(vec![port.clone(), duration(600)]));
        for (text, seconds) in [("0", 0), ("90", 90), ("90s", 90), ("2h", 7200), ("1d", 86_400)] {
            assert_eq!(parse(&format!("evict --for {text}")), evict(vec![duration(seconds)]));
        }
        for text in ["", "m", "-1", "+1", "2d", "1w", "1.5h", "99999999999d"] {
            let error = UsageError::BadValue(FOR.into(), text.into());
            assert_eq!(parse(&format!("evict --for={text}")), Err(error));
        }
        let misplaced =
            |option: &str, command: &str| Err(UsageError::Misplaced(option.into(), command.into()));
        let release = call(Command::Release(flows(vec![port])), false, None);
        assert_eq!(parse("release --port 443"), release);
        assert_eq!(parse("release --for 1m"), misplaced("--for", "release"));
        assert_eq!(parse("evict --sort age"), misplaced("--sort", "evict"));
        assert_eq!(parse("evict --all"), misplaced("--all", "evict"));
    }

    #[test]
    fn help_fits_a_terminal() {
        assert!(HELP.lines().chain(USAGE.lines()).all(|line| line.len() < 80));
    }
}
