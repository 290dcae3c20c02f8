// SPDX-License-Identifier: GPL-2.0-or-later
//! The command line of `flowtable`.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

/// One line, shown with a usage error.
pub const USAGE: &str =
    "usage: flowtable status|devices [NAME]|reload [--json] [--ubus-socket PATH]";

/// The text of `--help`.
pub const HELP: &str = "\
usage: flowtable COMMAND [OPTIONS]

Shows and steers flow offloading through the daemon flowtabled.

Commands:
  status          what is offloaded, and why not more
  devices [NAME]  state of each network device, or of one
  reload          read the configuration again

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
    /// `reload`
    Reload,
}

impl Command {
    /// Name of the method, which is the name of the command.
    pub fn name(&self) -> &'static str {
        match self {
            Command::Status => "status",
            Command::Devices(_) => "devices",
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
    NoValue(&'static str),
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
            UsageError::Superfluous(word) => write!(f, "unexpected argument '{word}'"),
        }
    }
}

const SOCKET: &str = "--ubus-socket";

impl Options {
    /// Parses the arguments after the program's name. Options may stand anywhere; `--help` and
    /// `--version` win over everything that follows them.
    pub fn parse(mut args: impl Iterator<Item = OsString>) -> Result<Options, UsageError> {
        let (mut json, mut socket, mut words) = (false, None, Vec::new());
        let only = |action| Options { action, json: false, socket: None };
        while let Some(arg) = args.next() {
            let word = arg.to_string_lossy();
            match word.as_ref() {
                "-h" | "--help" => return Ok(only(Action::Help)),
                "-V" | "--version" => return Ok(only(Action::Version)),
                "--json" => json = true,
                SOCKET => {
                    socket = Some(PathBuf::from(args.next().ok_or(UsageError::NoValue(SOCKET))?));
                }
                option if option.starts_with('-') => {
                    match option.strip_prefix(SOCKET).and_then(|rest| rest.strip_prefix('=')) {
                        Some(path) => socket = Some(PathBuf::from(path)),
                        None => return Err(UsageError::UnknownOption(option.to_owned())),
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
                "reload" => Command::Reload,
                _ => return Err(UsageError::UnknownCommand(word)),
            },
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
        assert_eq!(parse("status --ubus-socket"), Err(UsageError::NoValue(SOCKET)));
        assert_eq!(
            parse("status --ubus-socketx"),
            Err(UsageError::UnknownOption("--ubus-socketx".into()))
        );
    }

    #[test]
    fn help_fits_a_terminal() {
        assert!(HELP.lines().chain(USAGE.lines()).all(|line| line.len() < 80));
    }
}
