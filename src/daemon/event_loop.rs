// SPDX-License-Identifier: GPL-2.0-or-later
//! The one loop of the daemon: a table of tokens, one `match`, and the timers. `questions` is what it
//! does for callers on the bus, `switching` what it does for switches.

mod questions;
mod switching;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use log::{error, info, warn};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use super::confinement::Confinement;
use super::effects::World;
use super::flow_poll::{FlowPoll, Progress};
use super::instance::{self, Claim};
use super::lease_files::LeaseFiles;
use super::options::Options;
use super::orders::{Orders, Wish};
use super::radios;
use super::ready::Ready;
use super::switches::Switches;
use super::unread::Unread;
use super::watches::Watches;
use crate::core::control::{Control, Effect, Event};
use crate::core::evict::Tables;
use crate::core::notices::Notices;
use crate::core::settings::Settings;
use crate::core::takeover::State;
use crate::netlink::message::{Message, Messages};
use crate::netlink::nftables::event::NftEvent;
use crate::netlink::nftables::{NETLINK_NETFILTER, NFNLGRP_NFTABLES};
use crate::netlink::route::{self, NETLINK_ROUTE, RTNLGRP_LINK, RTNLGRP_TC};
use crate::netlink::socket::Socket;
use crate::netlink::Error;
use crate::sys::signal::{Signal, SignalFd};
use crate::ubus::{reload, Bus, Call, ReplyTo, Request};
use crate::VERSION;
use questions::Question;

const SIGNALS: Token = Token(0);
const LINKS: Token = Token(1);
const NFTABLES: Token = Token(2);
const CONNTRACK: Token = Token(3);
const BUS: Token = Token(4);
const ENDS: Token = Token(5);
const AROUND: Token = Token(6);
const STATIONS: Token = Token(7);
/// Tokens in use.
const SOURCES: usize = 8;

/// Datagrams of events read in one turn.
const DATAGRAMS_PER_TURN: u32 = 64;

/// Why the daemon could not start or end well.
#[derive(Debug)]
pub enum RunError {
    /// Another daemon runs in this network namespace.
    Running,
    /// A call of the operating system failed.
    System {
        /// What was being done.
        doing: &'static str,
        /// Its error.
        source: io::Error,
    },
    /// A netlink socket could not be opened.
    Netlink(Error),
    /// The configuration is elsewhere now, where this process may not read; the next one may.
    Outdated,
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::Running => f.write_str("another flowtabled runs in this network namespace"),
            RunError::System { doing, source } => write!(f, "cannot {doing}: {source}"),
            RunError::Netlink(error) => error.fmt(f),
            RunError::Outdated => f.write_str(
                "the folder of the configuration is another one now, which takes a new start to read",
            ),
        }
    }
}

impl std::error::Error for RunError {}

/// Everything that the loop owns.
#[derive(Debug)]
pub struct Daemon {
    /// Held for as long as this process lives.
    _instance: Option<UnixListener>,
    poll: Poll,
    signals: SignalFd,
    links: Socket,
    /// `None` where the kernel has no nf_tables; surveys then report it.
    nftables: Option<Socket>,
    /// `None` where conntrack cannot be listed; flows are then unknown.
    flows: Option<FlowPoll>,
    bus: Bus,
    world: World,
    control: Control,
    /// The last fault of the bus that the log was told, until it is back.
    bus_error: String,
    /// The last fault of listing flows that the log was told, until it works again.
    flow_error: String,
    /// Callers who wait for a list of flows.
    waiting: Vec<(Question, ReplyTo)>,
    /// Callers for whom the list under way began too early: they wait for the next one.
    late: Vec<(Question, ReplyTo)>,
    /// Callers who can be answered, and whether flows are known.
    ready: Ready<(Question, ReplyTo, bool)>,
    /// Callers who wait for a transaction.
    orders: Orders,
    /// What subscribers on the bus know.
    notices: Notices,
    /// Something happened since what they know was compared with what is.
    changed: bool,
    /// Sources whose share of the turn was used up before their input.
    unread: Unread,
    /// Names of clients.
    names: LeaseFiles,
    /// Switches whose tables the daemon fills.
    switches: Switches,
    /// Whether they are wanted, and the version of the topology, when they were told last.
    around_switches: Option<(bool, u32)>,
    /// Flows that the kernel watches because somebody asked about them.
    watches: Watches,
    /// What this process has given up.
    confinement: Confinement,
    /// The configuration has been read again in this turn.
    reloaded: bool,
}

impl Daemon {
    /// Opens every source of events. Signals are blocked from here on.
    ///
    /// # Errors
    /// What the loop cannot do without: polling, signals, and rtnetlink.
    pub fn open(options: &Options) -> Result<Daemon, RunError> {
        let now = Instant::now();
        let system = |doing| move |source| RunError::System { doing, source };
        let instance = match instance::claim().map_err(system("claim this network namespace"))? {
            Claim::AnotherRuns => return Err(RunError::Running),
            Claim::Ours(name) => Some(name),
            Claim::NoDaemons => None,
        };
        let poll = Poll::new().map_err(system("open the event queue"))?;
        let signals = SignalFd::new().map_err(system("watch signals"))?;
        let groups = [RTNLGRP_LINK, RTNLGRP_TC];
        let links = Socket::open(NETLINK_ROUTE, &groups, "watch network devices")
            .map_err(RunError::Netlink)?;
        let nftables = open_nftables();
        let flows = FlowPoll::open(now).map_err(told).ok();
        let daemon = Daemon {
            _instance: instance,
            poll,
            signals,
            links,
            nftables: nftables.ok(),
            flows,
            bus: Bus::new(&options.ubus_socket, BUS, now),
            world: World::new(options.config_dir.clone(), options.save_dir.clone()),
            control: Control::new(now),
            bus_error: String::new(),
            flow_error: String::new(),
            waiting: Vec::new(),
            late: Vec::new(),
            ready: Ready::default(),
            orders: Orders::default(),
            notices: Notices::default(),
            changed: false,
            unread: Unread::default(),
            names: LeaseFiles::default(),
            switches: Switches::default(),
            around_switches: None,
            watches: Watches::default(),
            confinement: Confinement::new(&options.config_dir, &options.save_dir, options.sandbox),
            reloaded: false,
        };
        let sources = [
            (Some(daemon.signals.as_raw_fd()), SIGNALS),
            (Some(daemon.links.as_raw_fd()), LINKS),
            (daemon.nftables.as_ref().map(AsRawFd::as_raw_fd), NFTABLES),
        ];
        for (fd, token) in sources.into_iter().chain(daemon.flow_sources()) {
            daemon.watch(fd, token).map_err(system("watch a socket"))?;
        }
        Ok(daemon)
    }

    fn flow_sources(&self) -> [(Option<RawFd>, Token); 4] {
        let fds = self.flows.as_ref().map(FlowPoll::descriptors);
        let [lists, ends, around, stations] = fds.map_or([None; 4], |fds| fds.map(Some));
        [(lists, CONNTRACK), (ends, ENDS), (around, AROUND), (stations, STATIONS)]
    }

    fn watch(&self, fd: Option<RawFd>, token: Token) -> io::Result<()> {
        fd.map_or(Ok(()), |fd| {
            self.poll.registry().register(&mut SourceFd(&fd), token, Interest::READABLE)
        })
    }

    /// Runs until SIGTERM or SIGINT, then removes what is ours.
    ///
    /// # Errors
    /// The event queue failed, and nothing was removed; or removing failed.
    pub fn run(mut self) -> Result<(), RunError> {
        info!("version {VERSION} started");
        // What is asked of the kernel first loads its modules.
        self.feed(Event::Started);
        self.world.hold_accounting();
        let settings = self.world.settings();
        self.confine(&settings);
        self.feed(settings);
        let mut events = Events::with_capacity(SOURCES);
        loop {
            let timeout = self.timeout(Instant::now());
            if timeout != Some(Duration::ZERO) {
                self.rest();
            }
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(RunError::System { doing: "wait for events", source }),
                Ok(()) => (),
            }
            for token in self.unread.take_turn(events.iter().map(|event| event.token())) {
                match token {
                    SIGNALS if self.on_signals() => return self.stop(),
                    SIGNALS => (),
                    LINKS => self.on_links(),
                    NFTABLES => self.on_nftables(),
                    CONNTRACK => self.on_flow_list(),
                    ENDS => self.on_flow_ends(),
                    AROUND => self.on_changes_around(),
                    STATIONS => self.on_stations(),
                    // The bus is served once, below, whether it or its timer is ready.
                    _ => (),
                }
            }
            self.on_timers();
            self.on_bus();
            self.on_ready();
            self.tell_subscribers();
            self.on_switches();
            if std::mem::take(&mut self.reloaded) && self.confinement.is_outdated() {
                // Who watches over us starts us again; the kernel keeps everything meanwhile.
                error!("{}", RunError::Outdated);
                return Err(RunError::Outdated);
            }
        }
    }

    /// Nothing that others have written has been acted upon yet.
    fn confine(&mut self, settings: &Event) {
        match settings {
            Event::Settings(Ok((settings, _))) => self.confinement.begin(&settings.lease_files),
            _ => self.confinement.begin(&Settings::default().lease_files),
        }
    }

    fn timeout(&self, now: Instant) -> Option<Duration> {
        if !self.unread.is_empty() || !self.ready.is_empty() {
            return Some(Duration::ZERO);
        }
        let flows = self.flows.as_ref().and_then(|flows| flows.deadline(now));
        let switches = self.switches.deadline(now);
        if switches.is_some_and(|due| due <= now) {
            return Some(Duration::ZERO);
        }
        let deadlines = [self.control.deadline(), self.bus.deadline(), flows, switches];
        let next = deadlines.into_iter().flatten().min()?;
        // Rounded up: epoll counts milliseconds, and waking early would spin.
        Some(next.saturating_duration_since(now) + Duration::from_millis(1))
    }

    /// Nothing is left to read: what reading needs is given back until there is.
    fn rest(&mut self) {
        self.links.rest();
        self.nftables.iter_mut().for_each(Socket::rest);
        self.world.rest();
        self.flows.iter_mut().for_each(FlowPoll::rest);
    }

    /// Gives an event to the control loop and performs what follows from it.
    fn feed(&mut self, event: Event) {
        self.changed = true;
        let mut effects: VecDeque<Effect> = self.control.handle(event, Instant::now()).into();
        while let Some(effect) = effects.pop_front() {
            if let Effect::Done(number, outcome) = effect {
                if let Some((reply_to, answer)) = self.orders.end(number, outcome) {
                    self.bus.reply(reply_to, answer);
                }
                continue;
            }
            if let Effect::HandBack(tables) = &effect {
                self.hand_back(tables);
                continue;
            }
            // Performing may take its time, so the clock is read for each.
            if let Some(answer) = self.world.perform(effect, Instant::now()) {
                effects.extend(self.control.handle(answer, Instant::now()));
            }
        }
    }

    /// Reads the configuration again, and opens what could not be opened before: modules may have
    /// been loaded. False when the configuration has a fault.
    fn reload(&mut self) -> bool {
        self.reloaded = true;
        self.open_missing();
        self.switches.try_again(Instant::now());
        let settings = self.world.settings();
        let read = matches!(settings, Event::Settings(Ok(_)));
        let before = self.control.overrides();
        self.feed(settings);
        self.confinement.check(self.control.lease_files());
        if before != self.control.overrides() {
            // Without hardware of the kernel's nothing is made anew for that.
            self.hand_back(&Tables::All);
        }
        self.on_timers();
        read
    }

    fn open_missing(&mut self) {
        if self.nftables.is_none() {
            self.nftables = open_nftables().ok();
            self.watch_again(self.nftables.as_ref().map(AsRawFd::as_raw_fd), NFTABLES);
        }
        if self.flows.is_none() {
            self.flows = FlowPoll::open(Instant::now()).map_err(told).ok();
            for (fd, token) in self.flow_sources() {
                self.watch_again(fd, token);
            }
        }
    }

    fn watch_again(&self, fd: Option<RawFd>, token: Token) {
        if let Err(error) = self.watch(fd, token) {
            error!("cannot watch a socket: {error}");
        }
    }

    /// True when the daemon is to end.
    fn on_signals(&mut self) -> bool {
        loop {
            match self.signals.pending() {
                Ok(Some(Signal::Terminate)) => return true,
                Ok(Some(Signal::Reload)) => {
                    self.reload();
                }
                Ok(None) => return false,
                Err(error) => {
                    error!("cannot read signals: {error}");
                    return false;
                }
            }
        }
    }

    fn on_links(&mut self) {
        let parse = |message: &Message<'_>| {
            Ok(match route::parse(message)? {
                Some(route::Event::Link(event)) => Some(Event::Link(radios::marked(event))),
                Some(route::Event::Queue(event)) => Some(Event::Queue(event)),
                _ => None,
            })
        };
        for _ in 0..DATAGRAMS_PER_TURN {
            let events = read_events(&mut self.links, "read device events", parse);
            match events {
                Ok(Some(events)) => {
                    events.into_iter().for_each(|event| self.feed(event));
                }
                Ok(None) => return,
                Err(error) => {
                    self.links.discard_stale();
                    return self.lost(&error, LINKS);
                }
            }
        }
        self.unread.push(LINKS);
    }

    fn on_nftables(&mut self) {
        let port = self.world.port();
        let parse = |message: &Message<'_>| {
            let ours = Some(message.port) == port;
            Ok((!ours).then(|| NftEvent::parse(message).ok()).flatten())
        };
        for _ in 0..DATAGRAMS_PER_TURN {
            let Some(socket) = &mut self.nftables else { return };
            match read_events(socket, "read nf_tables events", parse) {
                Ok(Some(mut events)) => {
                    // Most of a reload's hundreds are alike here.
                    events.dedup();
                    events.into_iter().for_each(|event| self.feed(Event::Nftables(event)));
                }
                Ok(None) => return,
                Err(error) => {
                    socket.discard_stale();
                    return self.lost(&error, NFTABLES);
                }
            }
        }
        self.unread.push(NFTABLES);
    }

    /// Events were lost, or their socket failed. What still waited was older than what was lost and
    /// has been thrown away: only an empty queue makes the kernel deliver, and wake us, again. What has
    /// come since is read in the next turn.
    fn lost(&mut self, error: &Error, source: Token) {
        match error {
            Error::Overrun => self.unread.push(source),
            error => error!("{error}"),
        }
        self.feed(Event::EventsLost);
    }

    fn on_flow_list(&mut self) {
        let Some(flows) = &mut self.flows else { return };
        match flows.on_lists(Instant::now()) {
            Progress::Waiting => (),
            Progress::More => self.unread.push(CONNTRACK),
            Progress::Done(result) => self.listed(result),
        }
    }

    fn on_flow_ends(&mut self) {
        let Some(flows) = &mut self.flows else { return };
        match flows.on_ends(Instant::now()) {
            Ok(true) => self.unread.push(ENDS),
            Ok(false) => (),
            Err(error) => warn!("{error}"),
        }
    }

    fn on_changes_around(&mut self) {
        let now = Instant::now();
        if self.flows.as_mut().is_some_and(|flows| flows.on_changes(now)) {
            self.unread.push(AROUND);
        }
    }

    fn on_stations(&mut self) {
        let now = Instant::now();
        if self.flows.as_mut().is_some_and(|flows| flows.on_stations(now)) {
            self.unread.push(STATIONS);
        }
    }

    fn on_timers(&mut self) {
        let now = Instant::now();
        if self.control.deadline().is_some_and(|due| due <= now) {
            self.feed(Event::Timer);
        }
        let (offloads, counts) = (self.control.offloads(), self.control.counts());
        let Some(flows) = &mut self.flows else { return };
        flows.set_keeps_closed(self.control.keeps_closed());
        flows.set_commits(self.control.commits(), now);
        if let Err(error) = flows.set_offloading(offloads, counts, now) {
            warn!("{error}");
        }
        if let Progress::Done(result) = flows.on_timer(&self.control, now) {
            self.listed(result);
        }
        self.on_moves();
    }

    /// What has moved around the router may leave flows behind.
    fn on_moves(&mut self) {
        let Some(flows) = &mut self.flows else { return };
        let (moves, rerouted) = (flows.take_moves(), flows.take_rerouted());
        if !moves.is_empty() {
            self.move_in_switches(&moves);
            self.feed(Event::Moved(moves));
        }
        if !rerouted.is_none() {
            self.feed(Event::Rerouted(rerouted));
        }
    }

    fn on_bus(&mut self) {
        let calls = self.bus.turn(self.poll.registry(), Instant::now());
        for Call { request, reply_to } in calls {
            match request {
                Request::Status => self.ask(Question::Status, reply_to),
                Request::Devices(query) => self.ask(Question::Devices(query), reply_to),
                Request::Flows(query) => self.ask(Question::Flows(query), reply_to),
                Request::Hosts(query) => self.ask(Question::Hosts(query), reply_to),
                Request::Explain(wanted) => self.ask(Question::Explain(wanted), reply_to),
                Request::History(points) => self.ask(Question::History(points), reply_to),
                Request::Hardware => self.ask(Question::Hardware, reply_to),
                Request::Flush => self.ask(Question::Order(Wish::Flush), reply_to),
                Request::Evict(eviction) => {
                    self.ask(Question::Order(Wish::Evict(eviction)), reply_to);
                }
                Request::Release(filter) => {
                    self.ask(Question::Order(Wish::Release(filter)), reply_to);
                }
                Request::Reload => {
                    let read = self.reload();
                    self.bus.reply(reply_to, reload::encode(read));
                }
            }
        }
        if self.bus.is_registered() {
            self.bus_error.clear();
        }
        if let Some(error) = self.bus.take_error() {
            let line = error.to_string();
            // A bus that stays away is told once, not at each attempt.
            if line != self.bus_error {
                warn!("{line}");
                self.bus_error = line;
            }
        }
    }

    fn stop(mut self) -> Result<(), RunError> {
        let taken = self.control.takeover_state() == State::Taken;
        self.switches.stop();
        match self.world.remove_all() {
            Ok(()) => info!("stopped, our tables are removed"),
            Err(error) => {
                error!("stopped, but our tables may remain: {error}");
                return Err(RunError::Netlink(error));
            }
        }
        if taken {
            info!("firewall4's own offloading comes back when it loads again (fw4 reload)");
        }
        Ok(())
    }
}

/// The events of the next datagram; `None` when there is none. A malformed message is told to the
/// log and ends its datagram, the next one is read on its own.
fn read_events<T>(
    socket: &mut Socket,
    doing: &'static str,
    parse: impl Fn(&Message<'_>) -> Result<Option<T>, Error>,
) -> Result<Option<Vec<T>>, Error> {
    let Some(datagram) = socket.receive(doing)? else { return Ok(None) };
    let mut events = Vec::new();
    for message in Messages::new(datagram) {
        match message.map_err(|error| Error::malformed("event", &error)).and_then(|m| parse(&m)) {
            Ok(event) => events.extend(event),
            Err(error) => warn!("{error}"),
        }
    }
    Ok(Some(events))
}

fn open_nftables() -> Result<Socket, Error> {
    Socket::open(NETLINK_NETFILTER, &[NFNLGRP_NFTABLES], "watch nf_tables").map_err(told)
}

/// Logs an error on its way.
fn told(error: Error) -> Error {
    warn!("{error}");
    error
}
