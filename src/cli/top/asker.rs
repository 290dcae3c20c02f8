// SPDX-License-Identifier: GPL-2.0-or-later
//! Rounds of questions to the daemon that do not keep the keys waiting.
//!
//! A round asks for `status`, `flows` and `history`, one after the other, so that the daemon lists
//! its flows once for all three. A connection that failed is made anew with the next round.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ubus::BlobMsgTable;

use super::view::Answers;
use crate::cli::client::{Client, ClientError};
use crate::cli::TIMEOUT;
use crate::ubus::history::POINTS;
use crate::ubus::StatusCode;

/// How long the bus may take to let us in; it is on the same machine and answers at once. The keys
/// wait meanwhile.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    Status,
    Flows,
    History,
}

impl Question {
    fn method(self) -> &'static str {
        match self {
            Question::Status => "status",
            Question::Flows => "flows",
            Question::History => "history",
        }
    }

    fn following(self) -> Option<Question> {
        match self {
            Question::Status => Some(Question::Flows),
            Question::Flows => Some(Question::History),
            Question::History => None,
        }
    }
}

#[derive(Debug)]
struct Round {
    question: Question,
    /// Arguments of `flows`.
    arguments: BlobMsgTable,
    answers: Answers,
    error: Option<ClientError>,
    /// The connection is of an earlier round: the bus or the daemon may be another one by now.
    kept: bool,
}

impl Round {
    fn take(&mut self, reply: Vec<u8>) {
        let answer = match self.question {
            Question::Status => &mut self.answers.status,
            Question::Flows => &mut self.answers.flows,
            Question::History => &mut self.answers.history,
        };
        *answer = Some(reply);
    }

    fn fail(&mut self, error: ClientError) {
        if self.error.is_none() {
            self.answers.fault = Some(format!("{}: {error}", self.question.method()));
            self.error = Some(error);
        }
    }
}

/// What a round led to: the answers, and the first error.
pub type Outcome = (Answers, Option<ClientError>);

/// The connection, and the round that is under way.
#[derive(Debug)]
pub struct Asker {
    sockets: Vec<PathBuf>,
    client: Option<Client>,
    round: Option<Round>,
}

impl Asker {
    /// An asker by way of the first of `sockets` that accepts.
    pub fn new(sockets: Vec<PathBuf>) -> Asker {
        Asker { sockets, client: None, round: None }
    }

    /// A round is under way.
    pub fn is_busy(&self) -> bool {
        self.round.is_some()
    }

    /// Begins a round with these arguments of `flows`. Returns its outcome if it ended at once.
    pub fn begin(&mut self, arguments: BlobMsgTable) -> Option<Outcome> {
        self.round = Some(Round {
            question: Question::Status,
            arguments,
            answers: Answers::default(),
            error: None,
            kept: self.client.is_some(),
        });
        let asked = self.ask();
        self.settle(asked)
    }

    /// Goes on with the round: to be called when the descriptor is readable, or time is up. Returns
    /// the outcome once there is one.
    pub fn turn(&mut self) -> Option<Outcome> {
        let client = self.client.as_mut()?;
        let result = client.turn();
        self.settle(result)
    }

    /// What to wait for, and how long.
    pub fn waits_for(&self) -> Option<(BorrowedFd<'_>, Duration)> {
        let client = self.client.as_ref().filter(|_| self.is_busy())?;
        Some((client.as_fd(), client.left()))
    }

    /// Asks the question that the round has come to, by a new connection if there is none.
    fn ask(&mut self) -> Result<Option<Vec<u8>>, ClientError> {
        let Some(round) = &self.round else { return Ok(None) };
        let client = match &mut self.client {
            Some(client) => client,
            empty => {
                let deadline = Instant::now() + CONNECT_TIMEOUT;
                empty.insert(Client::connect(&self.sockets, deadline)?)
            }
        };
        client.extend(Instant::now() + TIMEOUT);
        let method = round.question.method();
        match round.question {
            Question::Status => client.begin(method, &BlobMsgTable::empty()),
            Question::Flows => client.begin(method, &round.arguments),
            // The present rates are all that is shown of it.
            Question::History => client.begin(method, &newest()),
        }?;
        Ok(None)
    }

    /// Takes what a step led to, and goes on until the round waits or is over.
    fn settle(&mut self, step: Result<Option<Vec<u8>>, ClientError>) -> Option<Outcome> {
        let mut step = step;
        loop {
            let round = self.round.as_mut()?;
            match step {
                Ok(None) => return None,
                Ok(Some(reply)) => round.take(reply),
                Err(error) if breaks(&error) => {
                    self.client = None;
                    if std::mem::take(&mut round.kept) && !matches!(error, ClientError::Timeout) {
                        round.question = Question::Status;
                        step = self.ask();
                        continue;
                    }
                    // What came before it may be of a daemon that is gone.
                    round.answers = Answers::default();
                    round.error = None;
                    round.fail(error);
                    break;
                }
                // A refusal is an answer; the others may be had nevertheless.
                Err(error) => round.fail(error),
            }
            match round.question.following() {
                Some(question) => round.question = question,
                None => break,
            }
            step = self.ask();
        }
        self.round.take().map(|round| (round.answers, round.error))
    }
}

/// Arguments that ask for the newest sample.
fn newest() -> BlobMsgTable {
    BlobMsgTable::build(|b| b.put_i32(Some(POINTS), 1))
}

/// The connection is of no more use. An object that was looked up and is not found has gone.
fn breaks(error: &ClientError) -> bool {
    !matches!(error, ClientError::Status(code, _) if *code != StatusCode::NotFound)
}
