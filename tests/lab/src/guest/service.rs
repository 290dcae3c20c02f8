// SPDX-License-Identifier: GPL-2.0-or-later
//! The programs under the driver's control: the bus broker and the daemon under test.

use super::{procd, LAB_DIR};
use crate::command::run;
use crate::error::{Context, Error, Result};
use crate::scenario::Action;
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The user and group that the package makes.
const USER: &str = "flowtabled";
/// What the daemon may do, as procd is told.
const CAPABILITIES: &str = "files/etc/capabilities/flowtabled.json";
/// How long a program may take to end after SIGTERM.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);

/// A program that is started, signalled and ended.
pub struct Service {
    program: &'static str,
    args: Vec<&'static str>,
    log: String,
    /// Its init script says what to start, not `args`.
    packaged: bool,
    child: Option<Child>,
    ended: Option<ExitStatus>,
}

impl Service {
    /// A program that is not running yet; it will append to the log.
    pub fn new(program: &'static str, args: &[&'static str], log: &str) -> Service {
        let (args, log) = (args.to_vec(), log.into());
        Service { program, args, log, packaged: false, child: None, ended: None }
    }

    /// A program that was installed from its package and is started as its init script says.
    pub fn of_package(program: &'static str, log: &str) -> Service {
        let mut service = Service::new(program, &[], log);
        service.packaged = true;
        service
    }

    /// Does what the step says.
    pub fn act(&mut self, action: Action) -> Result<()> {
        match action {
            Action::Start => self.start(&[]),
            Action::StartUnprivileged => self.start(&unprivileged()?),
            Action::StartStarved(mib) => self.start(&starved(mib)),
            Action::Hup => self.signal("-HUP"),
            Action::Kill => {
                self.signal("-KILL")?;
                self.wait()
            }
            Action::Stop => {
                self.signal("-TERM")?;
                self.wait()
            }
        }
    }

    /// `by` are the words that the program is started by, none for the program itself.
    fn start(&mut self, by: &[String]) -> Result<()> {
        if self.child.is_some() {
            return Err(Error::new(format!("{} runs already", self.program)));
        }
        let log = OpenOptions::new().create(true).append(true).open(&self.log);
        let log = log.context(format!("opening {}", self.log))?;
        let errors = log.try_clone().context(&self.log)?;
        let mut command = match by.split_first() {
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(self.program);
                command
            }
            None if self.packaged => procd::command(self.program)?,
            None => Command::new(self.program),
        };
        let child = command
            .args(&self.args)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .context(format!("starting {}", self.program))?;
        self.child = Some(child);
        self.ended = None;
        Ok(())
    }

    fn signal(&mut self, signal: &str) -> Result<()> {
        let child = self.child.as_ref().context(format!("{} does not run", self.program))?;
        // The shell's own `kill`: a small system has no other.
        let command = format!("kill {signal} {}", child.id());
        run(Command::new("sh").args(["-c", &command])).map(drop)
    }

    fn wait(&mut self) -> Result<()> {
        let deadline = Instant::now() + STOP_TIMEOUT;
        while Instant::now() < deadline {
            self.look();
            if self.child.is_none() {
                return Ok(());
            }
            thread::sleep(POLL);
        }
        Err(Error::new(format!("{} did not end within {STOP_TIMEOUT:?}", self.program)))
    }

    fn look(&mut self) {
        if let Some(child) = &mut self.child {
            if let Ok(Some(status)) = child.try_wait() {
                self.ended = Some(status);
                self.child = None;
            }
        }
    }

    /// `running`, `exit N`, `signal N` or `absent`.
    pub fn state(&mut self) -> String {
        self.look();
        match (&self.child, self.ended) {
            (Some(_), _) => "running".into(),
            (None, None) => "absent".into(),
            (None, Some(status)) => match (status.code(), status.signal()) {
                (Some(code), _) => format!("exit {code}"),
                (None, Some(signal)) => format!("signal {signal}"),
                (None, None) => "unknown".into(),
            },
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// `setpriv` with the rights that procd's jail gives the daemon, and no others.
fn unprivileged() -> Result<Vec<String>> {
    let path = Path::new(LAB_DIR).join(CAPABILITIES);
    let text = fs::read_to_string(&path).context(format!("reading {}", path.display()))?;
    set_privileges(&text)
}

fn set_privileges(text: &str) -> Result<Vec<String>> {
    let file: BTreeMap<String, Vec<String>> =
        serde_json::from_str(text).map_err(|e| Error::new(format!("{CAPABILITIES}: {e}")))?;
    // `setpriv` makes the permitted and effective sets of the ambient one.
    let sets: [&[&str]; 3] =
        [&["inheritable"], &["ambient", "permitted", "effective"], &["bounding"]];
    let options = ["inh-caps", "ambient-caps", "bounding-set"];
    let mut words = vec!["setpriv".to_string()];
    words.extend(["reuid", "regid"].map(|option| format!("--{option}={USER}")));
    words.extend(["--clear-groups", "--no-new-privs"].map(String::from));
    for (option, names) in options.into_iter().zip(sets) {
        let mut lists = names.iter().map(|name| file.get(*name).context(format!("no {name} set")));
        let list = lists.next().context("no set")??;
        if let Some(other) = lists.find(|other| !matches!(other, Ok(other) if *other == list)) {
            return Err(Error::new(format!("{CAPABILITIES}: {other:?} is not {list:?}")));
        }
        let mut value = "-all".to_string();
        for name in list {
            value.push_str(",+");
            value.push_str(&name.to_lowercase().replace("cap_", ""));
        }
        words.push(format!("--{option}={value}"));
    }
    Ok(words)
}

/// The words before a program that leave it so much address space.
fn starved(mib: u32) -> Vec<String> {
    let limit = format!("ulimit -v {}; exec \"$0\" \"$@\"", u64::from(mib) * 1024);
    ["sh", "-c", &limit].map(str::to_string).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_tells_how_it_ended() {
        let mut sleeper = Service::new("sleep", &["60"], "/dev/null");
        assert_eq!(sleeper.state(), "absent");
        assert!(sleeper.act(Action::Stop).is_err());
        sleeper.act(Action::Start).unwrap();
        assert_eq!(sleeper.state(), "running");
        assert!(sleeper.act(Action::Start).is_err());
        sleeper.act(Action::Kill).unwrap();
        assert_eq!(sleeper.state(), "signal 9");
    }

    #[test]
    fn privileges_are_those_of_the_file() {
        let same = r#"["CAP_NET_ADMIN"]"#;
        let file = |ambient: &str| {
            format!(
                "{{\"bounding\": {same}, \"effective\": {same}, \"ambient\": {ambient}, \
                 \"permitted\": {same}, \"inheritable\": {same}}}"
            )
        };
        let words = set_privileges(&file(same)).unwrap();
        assert_eq!(words[..3], ["setpriv", "--reuid=flowtabled", "--regid=flowtabled"]);
        for option in ["--inh-caps", "--ambient-caps", "--bounding-set"] {
            assert!(words.contains(&format!("{option}=-all,+net_admin")), "{words:?}");
        }
        assert!(set_privileges(&file("[]")).is_err());
        assert!(set_privileges("{}").is_err());
        let real = include_str!("../../../../files/etc/capabilities/flowtabled.json");
        assert!(set_privileges(real).is_ok());
    }
}
