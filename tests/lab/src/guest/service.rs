// SPDX-License-Identifier: GPL-2.0-or-later
//! The programs under the driver's control: the bus broker and the daemon under test.

use super::procd;
use crate::command::run;
use crate::error::{Context, Error, Result};
use crate::scenario::Action;
use std::fs::OpenOptions;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

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
            Action::Start => self.start(),
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

    fn start(&mut self) -> Result<()> {
        if self.child.is_some() {
            return Err(Error::new(format!("{} runs already", self.program)));
        }
        let log = OpenOptions::new().create(true).append(true).open(&self.log);
        let log = log.context(format!("opening {}", self.log))?;
        let errors = log.try_clone().context(&self.log)?;
        let mut command = match self.packaged {
            true => procd::command(self.program)?,
            false => Command::new(self.program),
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
}
