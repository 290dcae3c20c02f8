// SPDX-License-Identifier: GPL-2.0-or-later
//! Counting live flows by state, a piece per turn of the loop, only while somebody asks.

use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

use crate::core::status::FlowCounts;
use crate::netlink::conntrack::entry::Entry;
use crate::netlink::conntrack::{self, stats};
use crate::netlink::ext_ack::{NLMSG_DONE, NLMSG_ERROR};
use crate::netlink::message::Messages;
use crate::netlink::nftables::NETLINK_NETFILTER;
use crate::netlink::socket::Socket;
use crate::netlink::Error;

const DOING: &str = "count the flows in conntrack";
/// A count this young answers the next question too.
const FRESH: Duration = Duration::from_secs(1);
/// A list of 64k flows takes a slow router about half a second.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Datagrams read in one turn: 32 KiB each, so some 150 flows; other sources wait no longer than
/// it takes to walk them.
const DATAGRAMS_PER_TURN: u32 = 16;

/// What a turn of counting led to.
#[derive(Debug)]
pub enum Progress {
    /// Nothing to read now.
    Waiting,
    /// The turn's budget is used up; there may be more to read.
    More,
    /// The count is complete, or failed for this reason.
    Done(Result<FlowCounts, Error>),
}

/// The counter with its socket.
#[derive(Debug)]
pub struct FlowCounter {
    socket: Socket,
    step: Step,
    started: Instant,
    counts: FlowCounts,
    entries: u32,
    last: Option<(Instant, FlowCounts)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Idle,
    /// Waiting for the number of all entries.
    Total(u32),
    /// Reading the offloaded ones.
    Offloaded(u32),
}

impl FlowCounter {
    /// Opens the socket.
    ///
    /// # Errors
    /// The kernel has no nfnetlink, or the process may not open it.
    pub fn open(now: Instant) -> Result<FlowCounter, Error> {
        Ok(FlowCounter {
            socket: Socket::open(NETLINK_NETFILTER, &[], "open the conntrack socket")?,
            step: Step::Idle,
            started: now,
            counts: FlowCounts::default(),
            entries: 0,
            last: None,
        })
    }

    /// The last count, while it is fresh.
    pub fn fresh(&self, now: Instant) -> Option<FlowCounts> {
        let (counted, counts) = self.last?;
        (now.saturating_duration_since(counted) < FRESH).then_some(counts)
    }

    /// Starts counting, unless it is under way.
    ///
    /// # Errors
    /// The question could not be sent.
    pub fn start(&mut self, now: Instant) -> Result<(), Error> {
        if self.step != Step::Idle {
            return Ok(());
        }
        self.started = now;
        self.counts = FlowCounts::default();
        self.entries = 0;
        // The rest of a count that was given up: while it lasts the kernel starts no other.
        self.socket.discard_stale();
        let sequence = self.socket.next_sequence();
        self.socket.send(&conntrack::stats_request(sequence), DOING)?;
        self.step = Step::Total(sequence);
        Ok(())
    }

    /// When a count under way is given up; `None` while idle.
    pub fn deadline(&self) -> Option<Instant> {
        (self.step != Step::Idle).then_some(self.started + TIMEOUT)
    }

    /// Gives up a count that takes too long.
    pub fn on_timer(&mut self, now: Instant) -> Progress {
        match self.deadline() {
            Some(deadline) if deadline <= now => {
                self.end(Err(Error::Timeout { doing: DOING }), now)
            }
            _ => Progress::Waiting,
        }
    }

    /// Reads what has arrived, up to the turn's budget.
    pub fn on_readable(&mut self, now: Instant) -> Progress {
        for _ in 0..DATAGRAMS_PER_TURN {
            let result = match self.socket.receive(DOING) {
                Ok(None) => return Progress::Waiting,
                Ok(Some(datagram)) => {
                    read(datagram, &mut self.step, &mut self.entries, &mut self.counts)
                }
                Err(error) => Err(error),
            };
            match result {
                Ok(Turn::Continue) => (),
                Ok(Turn::AskOffloaded) => {
                    let sequence = self.socket.next_sequence();
                    let request = conntrack::offloaded_request(sequence);
                    match self.socket.send(&request, DOING) {
                        Ok(()) => self.step = Step::Offloaded(sequence),
                        Err(error) => return self.end(Err(error), now),
                    }
                }
                Ok(Turn::Complete) => return self.end(Ok(self.counts), now),
                Err(error) => return self.end(Err(error), now),
            }
        }
        Progress::More
    }

    fn end(&mut self, result: Result<FlowCounts, Error>, now: Instant) -> Progress {
        self.step = Step::Idle;
        if let Ok(counts) = result {
            self.last = Some((now, counts));
        }
        Progress::Done(result)
    }
}

enum Turn {
    Continue,
    AskOffloaded,
    Complete,
}

fn read(
    datagram: &[u8],
    step: &mut Step,
    entries: &mut u32,
    counts: &mut FlowCounts,
) -> Result<Turn, Error> {
    let malformed = |error| Error::malformed("conntrack entry", &error);
    for message in Messages::new(datagram) {
        let message = message.map_err(malformed)?;
        match *step {
            Step::Total(sequence) if message.sequence == sequence => {
                if message.kind == NLMSG_ERROR {
                    return Err(Error::refused(DOING, &message));
                }
                if let Some(total) = stats::parse_entries(&message).map_err(malformed)? {
                    *entries = total;
                    return Ok(Turn::AskOffloaded);
                }
            }
            Step::Offloaded(sequence) if message.sequence == sequence => match message.kind {
                NLMSG_DONE => {
                    counts.classic = entries.saturating_sub(counts.software + counts.hardware);
                    return Ok(Turn::Complete);
                }
                NLMSG_ERROR => return Err(Error::refused(DOING, &message)),
                _ => {
                    // Kernels before 5.15 list all entries, whatever was asked for.
                    let Some(entry) = Entry::parse(&message).map_err(malformed)? else { continue };
                    if entry.is_hw_offloaded() {
                        counts.hardware += 1;
                    } else if entry.is_offloaded() {
                        counts.software += 1;
                    }
                }
            },
            _ => (),
        }
    }
    Ok(Turn::Continue)
}

impl AsRawFd for FlowCounter {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}
