// SPDX-License-Identifier: GPL-2.0-or-later
//! Keeping the table of flows up to date: lists of conntrack, a piece per turn of the loop, and the
//! ends of connections as the kernel tells them.
//!
//! Lists come quickly while somebody looks, slowly while there is offload to account for, and not
//! at all otherwise. The slow ones name classic flows too, although the kernel could leave them
//! out: what a flow carried before it was offloaded would else be taken for offloaded, and the end
//! of a connection older than our subscription, which the kernel does not tell, would go unseen.

use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

use netlink_packet_core::DecodeError;

use super::rerouting::Rerouting;
use super::surroundings::Surroundings;
use crate::core::control::Control;
use crate::core::evict::Tables;
use crate::core::flows::candidates::Picked;
use crate::core::flows::table::{FlowTable, FLOWS_MAX};
use crate::core::hardware::{SETTLED, WORTHWHILE};
use crate::core::status::{ListCost, Polling};
use crate::core::topology::moves::Moves;
use crate::netlink::conntrack::entry::Entry;
use crate::netlink::conntrack::event::CtEvent;
use crate::netlink::conntrack::request::{dump_request, Filter};
use crate::netlink::conntrack::NFNLGRP_CONNTRACK_DESTROY;
use crate::netlink::ext_ack::{Ack, NLMSG_DONE, NLMSG_ERROR};
use crate::netlink::message::Messages;
use crate::netlink::nftables::NETLINK_NETFILTER;
use crate::netlink::socket::Socket;
use crate::netlink::Error;
use crate::sys::clock::cpu_time;

const DOING: &str = "list the flows in conntrack";
/// A list this young answers questions while the next one is awaited: one comes every [`QUICK`]
/// while somebody looks, and a list of many flows takes longer than an answer may.
const RECENT: Duration = Duration::from_secs(3);
/// Somebody who asked this recently will ask again: pages and `watch` do.
const WATCHED: Duration = Duration::from_secs(15);
/// Between lists while somebody looks.
const QUICK: Duration = Duration::from_secs(2);
/// Between lists otherwise; the final counts of flows that end meanwhile come as events. Offload
/// that stops without a word in the last fifth is noticed in the next list only: 24 s later.
const SLOW: Duration = Duration::from_secs(20);
/// Tables were made or changed so recently that flows may be shown wrongly; three lists tell.
const SETTLING: Duration = Duration::from_secs(8);
/// Between lists while switches have room: a flow that lasts is worth waiting for.
const PICKING: Duration = Duration::from_secs(5);
/// The kernel makes the next part of a list when one is read. When it has not for so long it never
/// will; the whole list of 64k flows takes a slow router about half a second, and a busy one longer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Ends read in one turn, and before one part of a list; each comes in a small datagram of its own.
/// Of short connections there can be thousands a second, and they must not keep the loop.
const ENDS_PER_TURN: u32 = 64;
/// Turns of ends read before a list: more than the socket's buffer holds.
const TURNS_BEFORE_LIST: u32 = 64;

/// What a turn of reading led to.
#[derive(Debug)]
pub enum Progress {
    /// Nothing to read now.
    Waiting,
    /// The turn's budget is used up; there may be more to read.
    More,
    /// The list is complete, or failed for this reason.
    Done(Result<(), Error>),
}

/// The table with its sockets.
#[derive(Debug)]
pub struct FlowPoll {
    lists: Socket,
    ends: Socket,
    around: Surroundings,
    rerouting: Rerouting,
    /// The kernel tells us the ends of connections.
    subscribed: bool,
    table: FlowTable,
    started: Instant,
    /// Sequence number and beginning of the list under way.
    listing: Option<(u32, Instant)>,
    /// When the list under way was begun, or last went on.
    heard: Instant,
    /// A part of the list was received, but not all the ends before it have been read.
    held: bool,
    listed: Option<Instant>,
    /// When the last list began.
    begun: Option<Instant>,
    looked: Option<Instant>,
    /// Transactions so far, and when the last one was noticed.
    committed: (u64, Option<Instant>),
    offloading: bool,
    /// Switches wait for flows.
    picking: bool,
    /// What the processor has spent on the list under way.
    cpu: Duration,
    polling: Polling,
}

impl FlowPoll {
    /// Opens the sockets; `started` is the instant that times are counted from.
    ///
    /// # Errors
    /// The kernel has no nfnetlink, or the process may not open it.
    pub fn open(started: Instant) -> Result<FlowPoll, Error> {
        let open = || Socket::open(NETLINK_NETFILTER, &[], "open the conntrack socket");
        Ok(FlowPoll {
            lists: open()?,
            ends: open()?,
            around: Surroundings::open()?,
            rerouting: Rerouting::default(),
            subscribed: false,
            table: FlowTable::new(FLOWS_MAX),
            started,
            listing: None,
            heard: started,
            held: false,
            listed: None,
            begun: None,
            looked: None,
            committed: (0, None),
            offloading: false,
            picking: false,
            cpu: Duration::ZERO,
            polling: Polling::default(),
        })
    }

    /// Descriptors of the lists, of the ends, of changes around, and of stations, to be watched.
    pub fn descriptors(&self) -> [RawFd; 4] {
        let [changes, stations] = self.around.descriptors();
        [self.lists.as_raw_fd(), self.ends.as_raw_fd(), changes, stations]
    }

    /// The flows.
    pub fn table(&self) -> &FlowTable {
        &self.table
    }

    /// Milliseconds since the start: the table's time.
    pub fn now_ms(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.started).as_millis() as u64
    }

    /// How the flows are followed, as of the last look, and what that has cost.
    pub fn polling(&self) -> Polling {
        Polling {
            left_out: self.table.left_out,
            ended_unseen: self.table.ledger().account.ended_unseen,
            ..self.polling
        }
    }

    /// Number of flows that are being closed.
    pub fn closing(&self, now: Instant) -> u32 {
        u32::try_from(self.table.closing(self.now_ms(now))).unwrap_or(u32::MAX)
    }

    /// Somebody looks.
    pub fn look(&mut self, now: Instant) {
        self.polling.interval_s = self.interval(now).map(|interval| interval.as_secs() as u32);
        self.looked = Some(now);
    }

    /// Whether the kernel keeps closed TCP connections in the flowtable for a while.
    pub fn set_keeps_closed(&mut self, keeps_closed: bool) {
        self.table.set_keeps_closed(keeps_closed);
    }

    /// There is offload to account for, or not, and whether the flowtables count.
    ///
    /// # Errors
    /// The subscription to the ends of connections could not be changed; lists still work.
    pub fn set_offloading(
        &mut self,
        offloading: bool,
        counting: bool,
        now: Instant,
    ) -> Result<(), Error> {
        self.table.set_counting(counting);
        if offloading != self.offloading {
            self.offloading = offloading;
            self.around.follow_stations(offloading);
        }
        self.follow(now)
    }

    /// So many transactions have been committed.
    pub fn set_commits(&mut self, commits: u64, now: Instant) {
        if self.committed.0 != commits {
            self.committed = (commits, Some(now));
        }
    }

    /// Conntrack's ids of the flows that the lists since this was asked last have shown on the
    /// classic path, although they are offloaded.
    pub fn take_unshown(&mut self) -> Vec<u32> {
        let unshown = self.table.take_unshown();
        Some(unshown).filter(|_| self.offloading).unwrap_or_default()
    }

    /// Switches wait for flows, or do not.
    pub fn set_picking(&mut self, picking: bool) {
        self.picking = picking;
    }

    /// Flows that switches could take, `limit` at most.
    pub fn pick(&self, limit: usize, now: Instant) -> Picked {
        self.table.pick(self.now_ms(now), WORTHWHILE, SETTLED.as_millis() as u32, limit)
    }

    /// When the last list began.
    pub fn list_begun(&self, now: Instant) -> Instant {
        self.begun.unwrap_or(now)
    }

    /// Switches have these connections, true for those in hardware, and no others.
    pub fn set_switched(&mut self, held: Vec<(u32, bool)>) {
        self.table.switched_mut().set(held.into_iter());
    }

    /// Connections in switches that have ended since this was asked last.
    pub fn take_ended(&mut self) -> Vec<u32> {
        self.table.switched_mut().take_ended()
    }

    /// The flows, and what asks routing about them.
    pub fn with_surroundings(&mut self) -> (&FlowTable, &mut Surroundings) {
        (&self.table, &mut self.around)
    }

    /// True when the last list will do for an answer, also while the next one is under way.
    pub fn is_recent(&self, now: Instant) -> bool {
        let until = self.listing.map_or(now, |(_, begun)| begun);
        self.listed.is_some_and(|listed| until.saturating_duration_since(listed) < RECENT)
    }

    /// True while a list is under way.
    pub fn is_listing(&self) -> bool {
        self.listing.is_some()
    }

    /// Starts a list, unless one is under way; `control` knows the devices.
    ///
    /// # Errors
    /// The question could not be sent.
    pub fn start(&mut self, control: &Control, now: Instant) -> Result<(), Error> {
        if self.listing.is_some() {
            return Ok(());
        }
        self.follow(now)?;
        // A change of routes is held against flows before they are placed by it.
        for _ in 0..TURNS_BEFORE_LIST {
            if !self.on_changes(now) {
                break;
            }
        }
        // What was told of stations is older than what is read of them.
        for _ in 0..TURNS_BEFORE_LIST {
            if !self.on_stations(now) {
                break;
            }
        }
        let now_ms = self.now_ms(now);
        self.rerouting.begin(&mut self.table, control, now, now_ms);
        self.around.refresh(control, self.table.topology_mut(), now);
        // Ends told before the list are none of connections that it names, and not to be held
        // against later ones with the same ids. All of them are one turn for routing: thousands of
        // questions would keep the loop from its callers.
        self.around.renew_budget();
        for _ in 0..TURNS_BEFORE_LIST {
            if !self.read_some_ends(now_ms).unwrap_or(false) {
                break;
            }
        }
        // The rest of a list that was given up: while it lasts the kernel starts no other.
        self.lists.discard_stale();
        self.held = false;
        let sequence = self.lists.next_sequence();
        // The kernel makes the first part of the list within this call.
        let before = cpu_time();
        self.lists.send(&dump_request(sequence, &Filter::default()), DOING)?;
        self.cpu = cpu_time().saturating_sub(before);
        self.table.begin(now_ms);
        self.listing = Some((sequence, now));
        self.heard = now;
        Ok(())
    }

    /// When there is something to do; `None` while nobody needs it.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        [self.list_deadline(now), self.around.due()].into_iter().flatten().min()
    }

    /// When a list is due or given up.
    fn list_deadline(&self, now: Instant) -> Option<Instant> {
        match self.listing {
            Some(_) => Some(self.heard + TIMEOUT),
            None => {
                let interval = self.interval(now)?;
                let regular = self.listed.map_or(now, |listed| listed + interval);
                Some(self.rerouting.due().map_or(regular, |due| due.min(regular)))
            }
        }
    }

    /// Starts a list that is due, or gives up one that takes too long; looks where stations are when
    /// that is due.
    pub fn on_timer(&mut self, control: &Control, now: Instant) -> Progress {
        self.around.on_timer(self.table.topology_mut(), now);
        if self.list_deadline(now).is_none_or(|deadline| deadline > now) {
            return Progress::Waiting;
        }
        if self.listing.is_some() {
            self.table.end(false);
            return self.finish(Err(Error::Timeout { doing: DOING }), now);
        }
        match self.start(control, now) {
            Ok(()) => Progress::Waiting,
            Err(error) => self.finish(Err(error), now),
        }
    }

    /// Reads a part of the list, if one has arrived.
    pub fn on_lists(&mut self, now: Instant) -> Progress {
        let before = cpu_time();
        self.around.renew_budget();
        let progress = self.read_list(now);
        if let Progress::Done(result) = &progress {
            self.table.end(result.is_ok());
        }
        self.cpu += cpu_time().saturating_sub(before);
        match progress {
            Progress::Done(result) => self.finish(result, now),
            progress => progress,
        }
    }

    /// Reads one part of the list, 32 KiB or some hundred and fifty flows: the kernel makes the next one
    /// meanwhile, and four of them in a row let callers wait half as long again.
    fn read_list(&mut self, now: Instant) -> Progress {
        if !std::mem::take(&mut self.held) {
            match self.lists.receive(DOING) {
                Ok(Some(_)) => self.heard = now,
                Ok(None) => return Progress::Waiting,
                Err(error) => return Progress::Done(Err(error)),
            }
        }
        let Some((sequence, _)) = self.listing else { return Progress::More };
        // The kernel told every end before it made this part of the list. Read after it, the
        // end of a connection would be taken for that of a later one with the same addresses.
        if self.read_some_ends(self.now_ms(now)).unwrap_or(false) {
            self.held = true;
            return Progress::More;
        }
        match read(self.lists.received(), sequence, &mut self.table, &mut self.around) {
            Ok(true) => Progress::Done(Ok(())),
            Ok(false) => Progress::More,
            Err(error) => Progress::Done(Err(error)),
        }
    }

    /// Reads the ends of connections; true when there may be more. When some were lost, and what they
    /// carried last with them, the next lists find out which.
    ///
    /// # Errors
    /// The socket failed.
    pub fn on_ends(&mut self, now: Instant) -> Result<bool, Error> {
        self.around.renew_budget();
        self.read_some_ends(self.now_ms(now))
    }

    /// Reads ends up to the budget; true when it is used up.
    fn read_some_ends(&mut self, now_ms: u64) -> Result<bool, Error> {
        let (ends, polling, around) = (&mut self.ends, &mut self.polling, &mut self.around);
        for _ in 0..ENDS_PER_TURN {
            if !read_ends(ends, &mut self.table, polling, around, now_ms)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes over changes of stations; true when there may be more.
    pub fn on_stations(&mut self, now: Instant) -> bool {
        self.around.on_stations(self.table.topology_mut(), now)
    }

    /// Takes over changes of addresses and routes; true when there may be more.
    pub fn on_changes(&mut self, now: Instant) -> bool {
        let more = self.around.on_changes(self.table.topology_mut());
        self.rerouting.note(&mut self.table, self.offloading, now);
        more
    }

    /// The tables of ours with flows that changes of routes are about, since this was asked last.
    pub fn take_rerouted(&mut self) -> Tables {
        self.rerouting.take_found()
    }

    /// What has moved around the router since this was asked last.
    pub fn take_moves(&mut self) -> Moves {
        let moves = self.table.topology_mut().take_moves();
        Some(moves).filter(|_| self.offloading).unwrap_or_default()
    }

    fn interval(&self, now: Instant) -> Option<Duration> {
        let within = |since: Option<Instant>, span: Duration| {
            since.is_some_and(|since| now.saturating_duration_since(since) < span)
        };
        if within(self.looked, WATCHED) {
            return Some(QUICK);
        }
        if !self.offloading {
            return None;
        }
        let often = match within(self.committed.1, SETTLING) {
            true => QUICK,
            false if self.picking => PICKING,
            false => return Some(SLOW),
        };
        // Tables may be made anew every few seconds for long, and switches are never content: what
        // is looked at for that alone takes a tenth of the time at most.
        let took = self.polling.last.map_or(0, |cost| u64::from(cost.took_ms));
        Some(often.max(Duration::from_millis(10 * took)).min(SLOW))
    }

    /// Subscribes to the ends of connections while lists are made, and forgets the flows when no
    /// list will be made any more: what is not followed must not be shown as if it were.
    fn follow(&mut self, now: Instant) -> Result<(), Error> {
        let wanted = self.interval(now).is_some();
        if wanted == self.subscribed {
            return Ok(());
        }
        self.subscribed = wanted;
        if !wanted {
            // What is left of a list under way says nothing about flows that are not followed.
            self.listing = None;
            self.table.forget();
            self.listed = None;
        }
        self.around.follow(wanted, self.table.topology_mut());
        self.ends.set_membership(NFNLGRP_CONNTRACK_DESTROY, wanted, "follow the ends of flows")
    }

    /// Gives back what is only needed while something is read.
    pub fn rest(&mut self) {
        if !self.held {
            self.lists.rest();
        }
        self.ends.rest();
        self.around.rest();
    }

    fn finish(&mut self, result: Result<(), Error>, now: Instant) -> Progress {
        let begun = self.listing.take().map_or(now, |(_, begun)| begun);
        self.rerouting.end(&self.table, &result, self.now_ms(now));
        if result.is_ok() {
            let counts = self.table.counts();
            self.polling.lists = self.polling.lists.saturating_add(1);
            self.polling.last = Some(ListCost {
                // The turn that began at `now` may have taken its time.
                took_ms: begun.elapsed().as_millis() as u32,
                cpu_ms: self.cpu.as_millis() as u32,
                entries: counts.classic + counts.software + counts.hardware,
            });
        } else {
            self.polling.failed = self.polling.failed.saturating_add(1);
        }
        // A list that failed is tried again at the next turn of the interval.
        (self.listed, self.begun) = (Some(now), Some(begun));
        Progress::Done(result)
    }
}

/// Feeds the next datagram of ends to the table, or notes that some were lost; false when there is
/// none.
fn read_ends(
    ends: &mut Socket,
    table: &mut FlowTable,
    polling: &mut Polling,
    around: &mut Surroundings,
    now_ms: u64,
) -> Result<bool, Error> {
    let datagram = match ends.receive("read the ends of flows") {
        Ok(Some(datagram)) => datagram,
        Ok(None) => return Ok(false),
        Err(Error::Overrun) => {
            // What waits was told before what is lost, and counts. Until all of it is read the kernel
            // tells nothing more, so there is an end to it however fast connections end.
            polling.overruns = polling.overruns.saturating_add(1);
            return Ok(true);
        }
        Err(error) => {
            // Only an empty queue makes the kernel deliver, and wake us, again.
            ends.discard_stale();
            return Err(error);
        }
    };
    for message in Messages::new(datagram).flatten() {
        if let Ok(Some(CtEvent::Destroyed(entry))) = CtEvent::parse(&message) {
            table.destroyed(&entry, now_ms, &mut |lookup| around.ask(lookup));
            polling.events += 1;
        }
    }
    Ok(true)
}

/// Feeds the entries of a datagram to the table; true at the end of the list.
fn read(
    datagram: &[u8],
    sequence: u32,
    table: &mut FlowTable,
    around: &mut Surroundings,
) -> Result<bool, Error> {
    let malformed = |error: &DecodeError| Error::malformed("conntrack entry", error);
    for message in Messages::new(datagram) {
        let message = message.map_err(|error| malformed(&error))?;
        if message.sequence != sequence {
            continue;
        }
        let failed = || Ack::parse(&message).is_some_and(|ack| ack.errno != 0);
        match message.kind {
            NLMSG_DONE | NLMSG_ERROR if failed() => return Err(Error::refused(DOING, &message)),
            NLMSG_DONE => return Ok(true),
            NLMSG_ERROR => (),
            // Looked at where it is: an entry is long, and each move of it would be a copy.
            _ => match &Entry::parse(&message) {
                Ok(Some(entry)) => table.observe(entry, &mut |lookup| around.ask(lookup)),
                Ok(None) => (),
                Err(error) => return Err(malformed(error)),
            },
        }
    }
    Ok(false)
}
