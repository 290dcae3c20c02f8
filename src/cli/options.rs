// SPDX-License-Identifier: GPL-2.0-or-later
//! The command line of `flowtable`.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use ubus::{BlobMsgTable, BlobType};

use crate::ubus::flows::{self, FlowQuery, LIMIT};
use crate::ubus::policy::{Argument, Arguments};

/// Shown with a usage error.
pub const USAGE: &str = "\
usage: flowtable status|devices|flows|history|top|flush|reload [OPTION]...
(--help tells more)";

/// The text of `--help`.
pub const HELP: &str = "\
usage: flowtable COMMAND [OPTIONS]

Shows and steers flow offloading through the daemon flowtabled.

Commands:
  status          what is offloaded, and why not more
  devices [NAME]  state of each network device, or of one
  flows           the flows that conntrack knows, the greatest first
  history         what was carried by each path, in all and lately
  top             a live view of all that; ? shows its keys
  flush           return all flows to the classic path; they come back
  reload          read the configuration again

Options of flows:
  --state STATE        only classic, software or hardware flows
  --address ADDRESS    only with this address or prefix at either end
  --port PORT          only with this port at either end
  --protocol PROTOCOL  only of this protocol, by name or number
  --sort ORDER         by rate (the default), bytes or age
  --limit NUMBER       at most so many flows, 1 to 100 (else 50)
  --all                all flows; with --json a reply a line

Options of top:
  --interval SECONDS   ask so often, 1 to 60 (else 2)
  --once               print one frame and end, as into a file or a pipe

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
    /// `top`, the live view, which calls several methods
    Top(TopOptions),
    /// `flush`
    Flush,
    /// `reload`
    Reload,
}

/// What to show of the flows. The values have been held against the daemon's own rules.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FlowOptions {
    /// Arguments of the call.
    pub arguments: Vec<(&'static str, Value)>,
    /// Page by page to the end.
    pub all: bool,
}

/// How to show the live view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopOptions {
    /// Time between two questions to the daemon.
    pub interval: Duration,
    /// One frame, and no more.
    pub once: bool,
}

impl Default for TopOptions {
    fn default() -> TopOptions {
        TopOptions { interval: Duration::from_secs(2), once: false }
    }
}

/// The interval of this many seconds. A second is what a small router can do beside its work.
fn interval(seconds: &str) -> Option<Duration> {
    let seconds = seconds.parse().ok().filter(|seconds| (1..=60).contains(seconds))?;
    Some(Duration::from_secs(seconds))
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
        self.arguments.retain(|(name, _)| *name != argument.name);
        self.arguments.push((argument.name, value));
        let table = self.table(None);
        Arguments::check(&flows::POLICY, table.contents())
            .and_then(|arguments| FlowQuery::of(&arguments))
            .is_ok()
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

impl Command {
    /// Name of the method, which is the name of the command.
    pub fn name(&self) -> &'static str {
        match self {
            Command::Status => "status",
            Command::Devices(_) => "devices",
            Command::Flows(_) => "flows",
            Command::History => "history",
            Command::Top(_) => "top",
            Command::Flush => "flush",
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
    /// An option belongs to another command.
    OnlyFlows(String),
    /// An option belongs to the live view.
    OnlyTop(String),
    /// The live view is for people.
    JsonOfTop,
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
            UsageError::OnlyFlows(option) => write!(f, "{option} is an option of flows only"),
            UsageError::OnlyTop(option) => write!(f, "{option} is an option of top only"),
            UsageError::JsonOfTop => f.write_str("top has no --json; status and flows have"),
            UsageError::LimitOfAll => f.write_str("--limit and --all exclude each other"),
            UsageError::Superfluous(word) => write!(f, "unexpected argument '{word}'"),
        }
    }
}

const SOCKET: &str = "--ubus-socket";
const ALL: &str = "--all";
const ONCE: &str = "--once";
const INTERVAL: &str = "--interval";

impl Options {
    /// Parses the arguments after the program's name. Options may stand anywhere; `--help` and
    /// `--version` win over everything that follows them.
    pub fn parse(mut args: impl Iterator<Item = OsString>) -> Result<Options, UsageError> {
        let (mut json, mut socket, mut words) = (false, None, Vec::new());
        let (mut flows, mut of_flows) = (FlowOptions::default(), None);
        let (mut top, mut of_top) = (TopOptions::default(), None);
        let only = |action| Options { action, json: false, socket: None };
        while let Some(arg) = args.next() {
            let word = arg.to_string_lossy();
            match word.as_ref() {
                "-h" | "--help" => return Ok(only(Action::Help)),
                "-V" | "--version" => return Ok(only(Action::Version)),
                "--json" => json = true,
                ALL => {
                    flows.all = true;
                    of_flows = Some(ALL.to_owned());
                }
                ONCE => {
                    top.once = true;
                    of_top = Some(ONCE.to_owned());
                }
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
                    } else if option == INTERVAL {
                        let value = value()?.to_string_lossy().into_owned();
                        top.interval = interval(&value)
                            .ok_or_else(|| UsageError::BadValue(option.to_owned(), value))?;
                        of_top = Some(option.to_owned());
                    } else if let Some(argument) = argument(option) {
                        let value = value()?.to_string_lossy().into_owned();
                        if !flows.add(argument, &value) {
                            return Err(UsageError::BadValue(option.to_owned(), value));
                        }
                        of_flows = Some(option.to_owned());
                    } else {
                        return Err(UsageError::UnknownOption(word.into_owned()));
                    }
                }
                word => words.push(word.to_owned()),
            }
        }
        let mut words = words.into_iter();
        let command = match words.next() {
            None => return Err(UsageError::NoCommand),
            Some(word) => match word.as_str() {
                "status" => Command::Status,
                "devices" => Command::Devices(words.next()),
                "flows" => {
                    of_flows = None;
                    if flows.all && flows.has(LIMIT) {
                        return Err(UsageError::LimitOfAll);
                    }
                    Command::Flows(flows)
                }
                "history" => Command::History,
                "top" if json => return Err(UsageError::JsonOfTop),
                "top" => {
                    of_top = None;
                    Command::Top(top)
                }
                "flush" => Command::Flush,
                "reload" => Command::Reload,
                _ => return Err(UsageError::UnknownCommand(word)),
            },
        };
        match (words.next(), of_flows, of_top) {
            (Some(word), ..) => Err(UsageError::Superfluous(word)),
            (None, Some(option), _) => Err(UsageError::OnlyFlows(option)),
            (None, None, Some(option)) => Err(UsageError::OnlyTop(option)),
            (None, None, None) => Ok(Options { action: Action::Call(command), json, socket }),
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
        assert_eq!(parse("history --port 1"), Err(UsageError::OnlyFlows("--port".into())));
        assert_eq!(parse("status --all"), Err(UsageError::OnlyFlows("--all".into())));
        assert_eq!(parse("history"), call(Command::History, false, None));
    }

    #[test]
    fn the_live_view_has_its_own_options() {
        let top = |seconds, once| {
            let interval = Duration::from_secs(seconds);
            call(Command::Top(TopOptions { interval, once }), false, None)
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
        assert_eq!(parse("top --once --json"), Err(UsageError::JsonOfTop));
        assert_eq!(parse("top --port 1"), Err(UsageError::OnlyFlows("--port".into())));
        assert_eq!(parse("flows --once"), Err(UsageError::OnlyTop(ONCE.into())));
        assert_eq!(parse("status --interval 1"), Err(UsageError::OnlyTop(INTERVAL.into())));
        assert_eq!(parse("top all"), Err(UsageError::Superfluous("all".into())));
    }

    #[test]
    fn help_fits_a_terminal() {
        assert!(HELP.lines().chain(USAGE.lines()).all(|line| line.len() < 80));
    }
}
