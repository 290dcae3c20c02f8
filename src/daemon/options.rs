// SPDX-License-Identifier: GPL-2.0-or-later
//! The options of `flowtabled`.

use std::fmt;
use std::path::PathBuf;

/// Exit code: everything went well.
pub const EXIT_OK: u8 = 0;
/// Exit code: the daemon could not start; one line on standard error says why.
pub const EXIT_FAILED: u8 = 1;
/// Exit code: the command line is wrong.
pub const EXIT_USAGE: u8 = 2;
/// Exit code: `--check` found a fault in the configuration.
pub const EXIT_CONFIG: u8 = 3;

/// What `--help` prints.
pub const HELP: &str = "\
Usage: flowtabled [OPTION]...
Keep the kernel's flowtables as the configuration asks, until SIGTERM.

  -f, --foreground        log to standard error instead of syslog
      --config-dir DIR    read the configuration in DIR (/etc/config)
      --save-dir DIR      apply the uncommitted changes in DIR (/tmp/.uci)
      --ubus-socket PATH  socket of ubusd (/var/run/ubus/ubus.sock)
      --no-sandbox        keep all rights once it runs, to look for faults
  -v, --verbose           log each change of nf_tables too, and leave out no line
      --check             read the configuration, print what would be made,
                          change nothing
      --version           print the version
  -h, --help              print this

SIGHUP reads the configuration again. SIGTERM removes what the daemon made.
The process never forks; procd or another supervisor keeps it.

Exit codes: 0 success, 1 start failed, 2 wrong usage, 3 --check found a fault.
";

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Run the daemon.
    Run,
    /// Print what would be made.
    Check,
    /// Print the version.
    Version,
    /// Print the help.
    Help,
}

/// The command line, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// What to do.
    pub action: Action,
    /// Log to standard error.
    pub foreground: bool,
    /// Directory of the configuration files.
    pub config_dir: PathBuf,
    /// Directory of uncommitted changes.
    pub save_dir: PathBuf,
    /// Socket of ubusd.
    pub ubus_socket: PathBuf,
    /// Give up what is not needed once the daemon runs.
    pub sandbox: bool,
    /// Log what is only of use to look for faults, at any rate.
    pub verbose: bool,
}

/// A wrong command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UsageError {
    /// There is no such option.
    Unknown(String),
    /// The option needs a value.
    MissingValue(&'static str),
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UsageError::Unknown(word) => write!(f, "unknown option '{word}', see --help"),
            UsageError::MissingValue(option) => write!(f, "option {option} needs a value"),
        }
    }
}

impl std::error::Error for UsageError {}

impl Options {
    /// Reads the words behind the program's name. `--option value` and `--option=value` are the
    /// same.
    ///
    /// # Errors
    /// The first word that is no option, or an option without its value.
    pub fn parse(words: impl Iterator<Item = String>) -> Result<Options, UsageError> {
        let mut options = Options {
            action: Action::Run,
            foreground: false,
            config_dir: PathBuf::from("/etc/config"),
            save_dir: PathBuf::from("/tmp/.uci"),
            ubus_socket: PathBuf::from("/var/run/ubus/ubus.sock"),
            sandbox: true,
            verbose: false,
        };
        let mut words = words;
        while let Some(word) = words.next() {
            let (name, inline) = match word.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (word.clone(), None),
            };
            let mut value = |option| {
                inline.clone().or_else(|| words.next()).ok_or(UsageError::MissingValue(option))
            };
            match name.as_str() {
                "--config-dir" => options.config_dir = value("--config-dir")?.into(),
                "--save-dir" => options.save_dir = value("--save-dir")?.into(),
                "--ubus-socket" => options.ubus_socket = value("--ubus-socket")?.into(),
                _ if inline.is_some() => return Err(UsageError::Unknown(word)),
                "-f" | "--foreground" => options.foreground = true,
                "--no-sandbox" => options.sandbox = false,
                "-v" | "--verbose" => options.verbose = true,
                "--check" => options.action = Action::Check,
                "--version" => options.action = Action::Version,
                "-h" | "--help" => options.action = Action::Help,
                _ => return Err(UsageError::Unknown(word)),
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, UsageError> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn defaults_are_those_of_a_router() {
        let options = parse("").unwrap();
        assert_eq!(options.action, Action::Run);
        assert_eq!(options.config_dir, PathBuf::from("/etc/config"));
        assert!(!options.foreground && options.sandbox && !options.verbose);
    }

    #[test]
    fn values_stand_behind_or_inside() {
        let options = parse("-f --config-dir /a --save-dir=/b --ubus-socket /c").unwrap();
        assert!(options.foreground);
        assert_eq!(options.config_dir, PathBuf::from("/a"));
        assert_eq!(options.save_dir, PathBuf::from("/b"));
        assert_eq!(options.ubus_socket, PathBuf::from("/c"));
        assert!(!parse("--no-sandbox").unwrap().sandbox);
        assert!(parse("--verbose").unwrap().verbose && parse("-v").unwrap().verbose);
    }

    #[test]
    fn faults_are_named() {
        assert_eq!(parse("--bogus"), Err(UsageError::Unknown("--bogus".into())));
        assert_eq!(parse("--check=1"), Err(UsageError::Unknown("--check=1".into())));
        assert_eq!(parse("--config-dir"), Err(UsageError::MissingValue("--config-dir")));
    }
}
