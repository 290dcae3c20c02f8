// SPDX-License-Identifier: GPL-2.0-or-later
//! The connection to the broker: a state machine over a non-blocking socket.
//!
//! ```text
//!   waiting ──connect──▶ hello ──HELLO──▶ adding ──object id, status 0──▶ registered
//!      ▲                   │                │                                 │
//!      └───────────────────┴── time-out, refusal, end of stream, nonsense ────┘
//! ```
//!
//! The daemon may start before the broker and outlive it: every failure leads back to `waiting`,
//! whose delay doubles from [`RETRY_FIRST`] to [`RETRY_LAST`] until a registration succeeds.
//! The event loop calls [`Bus::turn`] when the socket is ready or [`Bus::deadline`] has passed,
//! and [`Bus::reply`] at once or later. Time is an argument.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use mio::net::UnixStream;
use mio::{Interest, Registry, Token};
use ubus::envelope::{self, EnvBuilder, UbusAttr};
use ubus::msg::OutboundMsg;
use ubus::wire::{Frame, Header, ObjId};
use ubus::{BlobMsgTable, MsgType};

use super::inbox::{Fill, FramingError, Inbox, Message};
use super::methods;
use super::outbox::{Full, Outbox};
use super::request::{self, Call, Caller, ReplyTo};
use super::status_code::StatusCode;

/// Delay before the first new attempt: a restarted broker needs about that long.
pub const RETRY_FIRST: Duration = Duration::from_secs(1);

/// Longest delay between attempts: a daemon without a bus still wakes less than once in 10 s.
pub const RETRY_LAST: Duration = Duration::from_secs(30);

/// How long the broker may take from accepting to the registered object. It answers in
/// milliseconds; a broker that is stopped or stuck accepts (the kernel does) and stays silent.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes read in one turn, some two hundred requests; then other sources have their turn.
pub const READ_BUDGET: usize = 16 * 1024;

/// Calls handed out in one turn. It is less than [`MAX_WAITING`], so that a burst of calls that
/// are answered at once never meets that bound.
pub const CALL_BUDGET: usize = 16;

/// Calls that may wait for their reply at one time; a caller more is told "timed out" at once.
/// Callers are a web page, a few scripts, a person: a handful.
pub const MAX_WAITING: usize = 32;

/// Notifications are sent only while so little is waiting for the broker, so that they never take
/// the room of a reply.
pub const NOTICE_ROOM: usize = 64 * 1024;

/// Client ids up to this one are reserved by the bus.
const RESERVED_ID: u32 = 1;

/// Sequence number of ADD_OBJECT, the only request of ours that is answered.
const ADD_OBJECT_SEQ: u16 = 1;

/// Why a connection ended or could not be made.
#[derive(Debug)]
pub enum BusError {
    /// Connecting to the broker's socket failed.
    Connect(io::Error),
    /// The event loop did not take the socket.
    Register(io::Error),
    /// Reading failed.
    Read(io::Error),
    /// Writing failed.
    Write(io::Error),
    /// The broker closed the connection.
    Closed,
    /// The broker did not finish the handshake in time.
    Timeout,
    /// The stream made no sense.
    Framing(FramingError),
    /// The handshake had a message that does not belong there, or lacked an id.
    Handshake,
    /// The broker refused the object: an object of that name exists, or we may not publish it.
    Refused(StatusCode),
}

impl fmt::Display for BusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BusError::Connect(e) => write!(f, "ubus: connecting: {e}"),
            BusError::Register(e) => write!(f, "ubus: watching the socket: {e}"),
            BusError::Read(e) => write!(f, "ubus: reading: {e}"),
            BusError::Write(e) => write!(f, "ubus: writing: {e}"),
            BusError::Closed => f.write_str("ubus: the broker closed the connection"),
            BusError::Timeout => f.write_str("ubus: the broker does not answer the handshake"),
            BusError::Framing(e) => write!(f, "ubus: {e}"),
            BusError::Handshake => f.write_str("ubus: unexpected message in the handshake"),
            BusError::Refused(code) => {
                write!(f, "ubus: the broker refused object {}: {}", super::OBJECT, code.text())
            }
        }
    }
}

impl std::error::Error for BusError {}

/// What happened on the bus since the start. The counters wrap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Times that the object was registered.
    pub registrations: u32,
    /// Connections lost and attempts that failed.
    pub failures: u32,
    /// Calls that reached a method.
    pub calls: u32,
    /// Calls refused with a status code before they reached a method.
    pub refused: u32,
    /// Answers that found no room in the outbox: their callers are told "timed out" instead.
    pub dropped: u32,
    /// Replies to connections that are gone.
    pub late: u32,
    /// Notifications sent.
    pub notices: u32,
    /// Notifications not sent because the broker was too slow.
    pub held_back: u32,
}

/// How far the handshake is.
#[derive(Debug)]
enum Phase {
    Hello { by: Instant },
    Adding { by: Instant, object: Option<ObjId> },
    Registered { object: ObjId, subscribed: bool },
}

/// A connection that stands.
#[derive(Debug)]
struct Link {
    stream: UnixStream,
    phase: Phase,
    inbox: Inbox,
    outbox: Outbox,
    /// Sequence number of the last message that we sent unasked.
    seq: u16,
    /// The read budget ended before the input did, a full outbox has room again, or a write failed:
    /// go on at once.
    resume: bool,
}

/// Our object on the bus.
#[derive(Debug)]
pub struct Bus {
    path: PathBuf,
    token: Token,
    link: Option<Link>,
    /// Time of the next attempt; meaningful while there is no link.
    retry_at: Instant,
    delay: Duration,
    /// Number of the present connection, part of each reply address.
    connection: u32,
    waiting: usize,
    last_turn: Instant,
    error: Option<BusError>,
    counters: Counters,
}

impl Bus {
    /// An object that will be published through the broker at `path`, with `token` for its
    /// events. Nothing is done before the first [`Self::turn`], which is due at `now`.
    pub fn new(path: impl Into<PathBuf>, token: Token, now: Instant) -> Self {
        Bus {
            path: path.into(),
            token,
            link: None,
            retry_at: now,
            delay: RETRY_FIRST,
            connection: 0,
            waiting: 0,
            last_turn: now,
            error: None,
            counters: Counters::default(),
        }
    }

    /// When [`Self::turn`] is due without an event; `None` while only events matter.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.link {
            None => Some(self.retry_at),
            Some(link) if link.resume => Some(self.last_turn),
            Some(link) => match link.phase {
                Phase::Hello { by } | Phase::Adding { by, .. } => Some(by),
                Phase::Registered { .. } => None,
            },
        }
    }

    /// Does what is due: connects, goes on with the handshake, writes, and reads until the socket
    /// would block or the budget of this turn is used up. Returns the calls that came.
    pub fn turn(&mut self, registry: &Registry, now: Instant) -> Vec<Call> {
        let mut calls = Vec::new();
        self.last_turn = now;
        if self.link.is_none() && now >= self.retry_at {
            match self.connect(registry, now) {
                Ok(link) => self.link = Some(link),
                Err(e) => self.fail(e, now),
            }
        }
        if let Some(mut link) = self.link.take() {
            match self.drive(&mut link, now, &mut calls) {
                Ok(()) => self.link = Some(link),
                Err(e) => {
                    // Closing the socket ends the watch as well, should this fail.
                    let _ = registry.deregister(&mut link.stream);
                    self.fail(e, now);
                }
            }
        }
        calls
    }

    /// Answers a call; one whose answer finds no room is told "timed out". An empty table is sent as
    /// success without data, as libubus methods do that return nothing. Callers that left and
    /// connections that ended are no error.
    pub fn reply(&mut self, to: ReplyTo, answer: Result<BlobMsgTable, StatusCode>) {
        let Some(link) = self.link.as_mut().filter(|_| to.connection == self.connection) else {
            self.counters.late = self.counters.late.wrapping_add(1);
            return;
        };
        self.waiting = self.waiting.saturating_sub(1);
        let caller = Caller { peer: to.peer, seq: to.seq, silent: to.silent };
        if link.answer(caller, answer).is_err() {
            self.counters.dropped = self.counters.dropped.wrapping_add(1);
        }
        if link.outbox.flush(&mut link.stream).is_err() {
            // The next turn meets the same error and ends the connection.
            link.resume = true;
        }
    }

    /// Sends a notification to the subscribers of the object. `false` when there are none, or when
    /// it was not sent because the broker is slow; it is not kept for later.
    pub fn notify(&mut self, name: &str, data: &BlobMsgTable) -> bool {
        let Some(link) = self.link.as_mut() else { return false };
        let Phase::Registered { object, subscribed: true } = link.phase else { return false };
        link.seq = link.seq.wrapping_add(1);
        let frame = notification(object, link.seq, name, data);
        let room = NOTICE_ROOM.saturating_sub(link.outbox.pending());
        if frame.payload.len() > room || link.outbox.push(&[frame]).is_err() {
            self.counters.held_back = self.counters.held_back.wrapping_add(1);
            return false;
        }
        self.counters.notices = self.counters.notices.wrapping_add(1);
        if link.outbox.flush(&mut link.stream).is_err() {
            // The next turn meets the same error and ends the connection.
            link.resume = true;
        }
        true
    }

    /// Somebody has subscribed to the object.
    pub fn has_subscribers(&self) -> bool {
        let phase = self.link.as_ref().map(|link| &link.phase);
        matches!(phase, Some(Phase::Registered { subscribed: true, .. }))
    }

    /// The object is on the bus.
    pub fn is_registered(&self) -> bool {
        matches!(&self.link, Some(Link { phase: Phase::Registered { .. }, .. }))
    }

    /// Calls that wait for their reply.
    pub fn waiting(&self) -> usize {
        self.waiting
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        self.counters
    }

    /// Why the last connection ended or the last attempt failed, once; for the log.
    pub fn take_error(&mut self) -> Option<BusError> {
        self.error.take()
    }

    fn connect(&mut self, registry: &Registry, now: Instant) -> Result<Link, BusError> {
        // A local connect never waits: it succeeds, or the broker's queue is full.
        let mut stream = UnixStream::connect(&self.path).map_err(BusError::Connect)?;
        registry
            .register(&mut stream, self.token, Interest::READABLE | Interest::WRITABLE)
            .map_err(BusError::Register)?;
        self.connection = self.connection.wrapping_add(1);
        self.waiting = 0;
        Ok(Link {
            stream,
            phase: Phase::Hello { by: now + HANDSHAKE_TIMEOUT },
            inbox: Inbox::new(),
            outbox: Outbox::new(),
            seq: ADD_OBJECT_SEQ,
            resume: false,
        })
    }

    fn fail(&mut self, error: BusError, now: Instant) {
        self.retry_at = now + self.delay;
        self.delay = (self.delay * 2).min(RETRY_LAST);
        self.waiting = 0;
        self.error = Some(error);
        self.counters.failures = self.counters.failures.wrapping_add(1);
    }

    fn drive(
        &mut self,
        link: &mut Link,
        now: Instant,
        calls: &mut Vec<Call>,
    ) -> Result<(), BusError> {
        link.resume = false;
        if link.outbox.is_full() {
            link.outbox.flush(&mut link.stream).map_err(BusError::Write)?;
        }
        let mut left = READ_BUDGET;
        // A broker that takes no answers gets no further calls of its own answered: each that is read
        // is owed a status at least.
        while !link.resume && !link.outbox.is_full() {
            if let Some(message) = link.inbox.pop().map_err(BusError::Framing)? {
                self.receive(link, message, calls)?;
                link.resume = calls.len() >= CALL_BUDGET;
                continue;
            }
            match link.inbox.fill(&mut link.stream).map_err(BusError::Read)? {
                Fill::Blocked => break,
                Fill::Closed => return Err(BusError::Closed),
                Fill::Some(n) => left = left.saturating_sub(n),
            }
            link.resume = left == 0;
        }
        match link.phase {
            Phase::Hello { by } | Phase::Adding { by, .. } if now >= by => {
                return Err(BusError::Timeout)
            }
            _ => {}
        }
        let full = link.outbox.is_full();
        link.outbox.flush(&mut link.stream).map_err(BusError::Write)?;
        link.resume |= full && !link.outbox.is_full();
        Ok(())
    }

    fn receive(
        &mut self,
        link: &mut Link,
        message: Message,
        calls: &mut Vec<Call>,
    ) -> Result<(), BusError> {
        let (header, payload) = match message {
            Message::Whole(header, payload) => (header, Some(payload)),
            Message::TooLong(header) => (header, None),
        };
        match &mut link.phase {
            Phase::Hello { by } => {
                if header.ty != MsgType::Hello || header.peer <= RESERVED_ID {
                    return Err(BusError::Handshake);
                }
                link.phase = Phase::Adding { by: *by, object: None };
                let add = OutboundMsg::AddObject {
                    path: super::OBJECT,
                    signature: &methods::signature(),
                };
                // Cannot be full: it is the first message.
                let _ = link.outbox.push(&[add.into_frame(ADD_OBJECT_SEQ)]);
            }
            Phase::Adding { object, .. } => {
                let payload = payload.unwrap_or_default();
                if let Some(object) = added(&header, &payload, object)? {
                    link.phase = Phase::Registered { object, subscribed: false };
                    self.delay = RETRY_FIRST;
                    self.counters.registrations = self.counters.registrations.wrapping_add(1);
                }
            }
            // Status and data answer nothing of ours, and the broker sends no ping: as in libubus,
            // only calls matter, and what tells of subscribers.
            Phase::Registered { object, subscribed } => match header.ty {
                MsgType::Invoke => {
                    let object = *object;
                    self.invoked(link, &header, payload.as_deref(), object, calls);
                }
                MsgType::Notify => {
                    if let Some(active) = payload.and_then(|p| active(&p, *object)) {
                        *subscribed = active;
                    }
                }
                _ => {}
            },
        }
        Ok(())
    }

    /// Turns an INVOKE into a call, or refuses it. `payload` is `None` if it was too long.
    fn invoked(
        &mut self,
        link: &mut Link,
        header: &Header,
        payload: Option<&[u8]>,
        object: ObjId,
        calls: &mut Vec<Call>,
    ) {
        let Some(caller) = Caller::of(header, payload.unwrap_or_default()) else {
            return;
        };
        let request = match payload.map(|p| request::decode(p, object)) {
            None => Err(StatusCode::InvalidArgument),
            Some(Ok(None)) => return,
            Some(Ok(Some(_))) if self.waiting >= MAX_WAITING => Err(StatusCode::Timeout),
            Some(Ok(Some(request))) => Ok(request),
            Some(Err(code)) => Err(code),
        };
        match request {
            Ok(request) => {
                self.waiting += 1;
                self.counters.calls = self.counters.calls.wrapping_add(1);
                let Caller { peer, seq, silent } = caller;
                let reply_to = ReplyTo { connection: self.connection, peer, seq, silent };
                calls.push(Call { request, reply_to });
            }
            Err(code) => {
                self.counters.refused = self.counters.refused.wrapping_add(1);
                if link.answer(caller, Err(code)).is_err() {
                    self.counters.dropped = self.counters.dropped.wrapping_add(1);
                }
            }
        }
    }
}

impl Link {
    /// Queues an answer, data and status together; a status alone where there is no room for both.
    fn answer(
        &mut self,
        caller: Caller,
        answer: Result<BlobMsgTable, StatusCode>,
    ) -> Result<(), Full> {
        let Phase::Registered { object, .. } = self.phase else {
            return Err(Full);
        };
        if caller.silent {
            return Ok(());
        }
        let (peer, obj_id) = (caller.peer, Some(object));
        let status = |status| OutboundMsg::Status { peer, obj_id, status }.into_frame(caller.seq);
        match answer {
            Ok(table) if !table.contents().is_empty() => {
                let data = OutboundMsg::DataReply { peer, obj_id, data: &table };
                let whole = self.outbox.push(&[data.into_frame(caller.seq), status(0)]);
                if whole.is_err() {
                    self.outbox.push_status(status(StatusCode::Timeout.code()))?;
                }
                whole
            }
            Ok(_) => self.outbox.push_status(status(0)),
            Err(code) => self.outbox.push_status(status(code.code())),
        }
    }
}

/// Takes a message of the `adding` phase: data with the object's id, then the status. Returns
/// the id when both are there. A call cannot come in between, as nobody knows the id yet.
fn added(
    header: &Header,
    payload: &[u8],
    object: &mut Option<ObjId>,
) -> Result<Option<ObjId>, BusError> {
    if header.seq != ADD_OBJECT_SEQ {
        return Ok(None);
    }
    match header.ty {
        MsgType::Data => {
            let id = envelope::find(payload, UbusAttr::ObjId).and_then(|attr| attr.as_u32());
            *object = id.and_then(ObjId::new);
            Ok(None)
        }
        MsgType::Status => match envelope::read_status(payload) {
            Ok(0) => object.map(Some).ok_or(BusError::Handshake),
            Ok(code) => Err(BusError::Refused(StatusCode::from_wire(code))),
            Err(_) => Err(BusError::Handshake),
        },
        _ => Ok(None),
    }
}

/// Whether the object has subscribers, as the broker tells its owner.
fn active(payload: &[u8], object: ObjId) -> Option<bool> {
    let id = envelope::find(payload, UbusAttr::ObjId)?.as_u32()?;
    let active = envelope::find(payload, UbusAttr::Active)?;
    (id == object.get()).then(|| active.as_bool_int8())
}

/// A notification that nobody is to answer, with the attributes in the order of libubus.
fn notification(object: ObjId, seq: u16, name: &str, data: &BlobMsgTable) -> Frame {
    let mut env = EnvBuilder::new();
    env.push_u32(UbusAttr::ObjId, object.get());
    env.push_str(UbusAttr::Method, name);
    env.push_data(data.contents());
    env.push_u8(UbusAttr::NoReply, 1);
    Frame::to_peer(MsgType::Notify, seq, object.get(), env.finish())
}

#[cfg(test)]
mod tests;
