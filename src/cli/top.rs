// SPDX-License-Identifier: GPL-2.0-or-later
//! `flowtable top`: mode, throughput and the greatest flows, asked for every few seconds.
//!
//! One loop waits for keys, signals and the daemon's answers alike, so that no key waits for an
//! answer. `asker` gets the answers, `keys` tells keys from bytes, `choice` is what the keys have
//! changed, `view` makes the lines of a frame and `screen` shows them. Another view besides that
//! of flows is another question of `asker`, and another body in `view`.

mod asker;
mod cells;
mod choice;
mod flow_rows;
#[cfg(fuzzing)]
pub mod fuzz;
mod keys;
mod screen;
mod view;

use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal, Read, Stdout, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::client::ClientError;
use super::flows;
use super::options::TopOptions;
use crate::sys::poll::any_readable;
use crate::sys::terminal::{self, KeyInput, Signal, Signals};
use asker::{Asker, Outcome};
use choice::{Action, Choice};
use keys::{Key, Keys};
use screen::Screen;
use view::{Answers, Size};

/// The screen where there is none to ask, and none is named by COLUMNS and LINES.
const USUAL: Size = Size { columns: 80, rows: 24 };
/// Keys read at once.
const CHUNK: usize = 256;

/// Why there is no view.
#[derive(Debug)]
pub enum TopError {
    /// The daemon did not answer the one time that it was asked.
    Asking(ClientError),
    /// The terminal does not do what a live view needs.
    Terminal(io::Error),
    /// The frame could not be written.
    Output(io::Error),
}

impl fmt::Display for TopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TopError::Asking(error) => error.fmt(f),
            TopError::Terminal(error) => write!(f, "using the terminal: {error}"),
            TopError::Output(error) => write!(f, "writing the output: {error}"),
        }
    }
}

/// Shows the view until it is left, or once if that is asked for or this is no terminal. A daemon
/// or a bus that goes away is waited for; when asked only once, it is an error.
pub fn run(sockets: Vec<PathBuf>, wanted: &TopOptions) -> Result<(), TopError> {
    let asker = Asker::new(sockets);
    if wanted.once || !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return once(asker);
    }
    let output = io::stdout();
    // Read without a buffer of which poll(2) would know nothing.
    let input = io::stdin().as_fd().try_clone_to_owned().map_err(TopError::Terminal)?;
    let signals = Signals::new().map_err(TopError::Terminal)?;
    // Dropped in the opposite order: the screen is given back before the keys.
    let _keys = KeyInput::new(input.as_fd()).map_err(TopError::Terminal)?;
    let screen = Screen::new(output).map_err(TopError::Output)?;
    let mut top = Top {
        asker,
        answers: Answers::default(),
        choice: Choice::default(),
        keys: Keys::default(),
        signals,
        input: input.into(),
        screen,
        interval: wanted.interval,
        ask_at: Instant::now(),
        again: false,
        size: size(),
    };
    top.run()
}

fn once(mut asker: Asker) -> Result<(), TopError> {
    let (choice, size) = (Choice::default(), size());
    let mut outcome = asker.begin(choice.arguments(view::rows_that_fit(size)));
    while outcome.is_none() {
        if let Some((fd, left)) = asker.waits_for() {
            any_readable([Some(fd)], left).map_err(TopError::Terminal)?;
        }
        outcome = asker.turn();
    }
    let (answers, error) = outcome.unwrap_or_default();
    if let Some(error) = error {
        return Err(TopError::Asking(error));
    }
    let text = view::once(&answers, &choice, size).join("\n") + "\n";
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(TopError::Output)
}

/// The size of the screen: the terminal's own, else what the environment says, else the usual.
fn size() -> Size {
    if let Some((columns, rows)) = terminal::size(io::stdout().as_fd()) {
        return Size { columns: columns.into(), rows: rows.into() };
    }
    let named = |name| std::env::var(name).ok()?.parse::<u16>().ok().filter(|n| *n > 0);
    Size {
        columns: named("COLUMNS").map_or(USUAL.columns, usize::from),
        rows: named("LINES").map_or(USUAL.rows, usize::from),
    }
}

/// What woke the loop.
#[derive(Debug, Clone, Copy)]
struct Woken {
    keys: bool,
    signals: bool,
    answers: bool,
}

/// The live view.
#[derive(Debug)]
struct Top {
    asker: Asker,
    answers: Answers,
    choice: Choice,
    keys: Keys,
    signals: Signals,
    input: File,
    screen: Screen<Stdout>,
    interval: Duration,
    /// When the next round is due.
    ask_at: Instant,
    /// The round under way asks for what is not wanted any more; another one follows it at once.
    again: bool,
    size: Size,
}

impl Top {
    fn run(&mut self) -> Result<(), TopError> {
        self.show()?;
        loop {
            let now = Instant::now();
            if now >= self.ask_at && !self.asker.is_busy() {
                self.ask(now)?;
            }
            let woken = self.wait().map_err(TopError::Terminal)?;
            if woken.signals && self.on_signals()? {
                return Ok(());
            }
            if woken.keys && !self.read_keys()? {
                return Ok(());
            }
            while let Some(key) = self.keys.pop() {
                if !self.perform(key)? {
                    return Ok(());
                }
            }
            if woken.answers {
                let outcome = self.asker.turn();
                self.take(outcome)?;
            }
        }
    }

    /// Waits until something happens or is due.
    fn wait(&mut self) -> io::Result<Woken> {
        let until = |instant: Instant| instant.saturating_duration_since(Instant::now());
        let (bus, due) = match self.asker.waits_for() {
            Some((fd, left)) => (Some(fd), left),
            None => (None, until(self.ask_at)),
        };
        let timeout = self.keys.deadline().map_or(due, |instant| due.min(until(instant)));
        let fds = [Some(self.input.as_fd()), Some(self.signals.as_fd()), bus];
        let [keys, signals, answers] = any_readable(fds, timeout)?;
        // An answer whose time is up is taken for what it is by its asker.
        let late = self.asker.waits_for().is_some_and(|(_, left)| left.is_zero());
        if !keys {
            self.keys.expire(Instant::now());
        }
        Ok(Woken { keys, signals, answers: answers || late })
    }

    /// True when a signal ends it.
    fn on_signals(&mut self) -> Result<bool, TopError> {
        while let Some(signal) = self.signals.pending().map_err(TopError::Terminal)? {
            match signal {
                Signal::End => return Ok(true),
                Signal::Resized => self.resize()?,
            }
        }
        Ok(false)
    }

    fn resize(&mut self) -> Result<(), TopError> {
        self.size = size();
        self.screen.clear().map_err(TopError::Output)?;
        self.show()?;
        self.ask(Instant::now())
    }

    /// False when the terminal is gone.
    fn read_keys(&mut self) -> Result<bool, TopError> {
        let mut chunk = [0; CHUNK];
        match self.input.read(&mut chunk) {
            Ok(0) => Ok(false),
            Ok(n) => {
                self.keys.push(chunk.get(..n).unwrap_or_default(), Instant::now());
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(true),
            Err(error) => Err(TopError::Terminal(error)),
        }
    }

    /// False when the key ends it.
    fn perform(&mut self, key: Key) -> Result<bool, TopError> {
        match self.choice.press(key) {
            Action::Nothing => {}
            Action::Quit => return Ok(false),
            Action::Redraw => {
                self.screen.clear().map_err(TopError::Output)?;
                self.show()?;
            }
            Action::Show => self.show()?,
            Action::Ask => {
                // The flows that are known are not those that are wanted any more.
                self.answers.flows = None;
                self.show()?;
                self.ask(Instant::now())?;
            }
        }
        Ok(true)
    }

    /// Begins a round, now or when the one under way has ended: keys that are held down would
    /// otherwise pile up calls in the daemon.
    fn ask(&mut self, now: Instant) -> Result<(), TopError> {
        if self.asker.is_busy() {
            self.again = true;
            return Ok(());
        }
        self.again = false;
        self.ask_at = now + self.interval;
        let rows = view::rows_that_fit(self.size);
        let outcome = self.asker.begin(self.choice.arguments(rows));
        self.take(outcome)
    }

    fn take(&mut self, outcome: Option<Outcome>) -> Result<(), TopError> {
        let Some((answers, error)) = outcome else { return Ok(()) };
        let now = Instant::now();
        if error.is_some() {
            self.ask_at = now + self.interval;
        }
        if self.again {
            return self.ask(now);
        }
        self.answers = answers;
        let flows = self.answers.flows.as_deref();
        self.choice.set_next(flows.and_then(flows::next));
        // The list has become shorter than the way to this page.
        if self.choice.page() > 1 && flows.is_some_and(flows::is_empty) {
            self.choice.first_page();
            return self.ask(now);
        }
        self.show()
    }

    fn show(&mut self) -> Result<(), TopError> {
        let frame = view::frame(&self.answers, &self.choice, self.size);
        self.screen.show(&frame).map_err(TopError::Output)
    }
}
