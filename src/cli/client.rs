// SPDX-License-Identifier: GPL-2.0-or-later
//! A caller of the daemon's object, with one deadline over everything it does. A call either blocks
//! until its answer is there, or is begun and asked after whenever the socket is readable.
//!
//! The crate's own client keeps queues for events and for many outstanding calls; one call after
//! another needs none of that, and shares the framing with the daemon's side.

use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use ubus::envelope::{self, UbusAttr};
use ubus::msg::OutboundMsg;
use ubus::wire::{Frame, Header, ObjId};
use ubus::{BlobMsgTable, MsgType};

use crate::ubus::inbox::{Fill, FramingError, Inbox, Message};
use crate::ubus::json::JsonError;
use crate::ubus::{StatusCode, OBJECT};

/// Why there is no answer.
#[derive(Debug)]
pub enum ClientError {
    /// The broker's socket cannot be connected to; the last one that was tried.
    NoBus(PathBuf, io::Error),
    /// The connection to the broker ended or made no sense.
    Lost(String),
    /// The daemon's object is not on the bus.
    NoDaemon,
    /// The call failed with this code; the words are the daemon's own, when it had some.
    Status(StatusCode, Option<String>),
    /// The reply cannot be shown.
    Reply(JsonError),
    /// No answer in time.
    Timeout,
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::NoBus(path, error) => {
                write!(f, "no bus: connecting to {}: {error}", path.display())
            }
            ClientError::Lost(what) => write!(f, "bus connection lost: {what}"),
            ClientError::NoDaemon => f.write_str("flowtabled is not on the bus; is it running?"),
            ClientError::Status(code, None) => f.write_str(code.text()),
            ClientError::Status(code, Some(words)) => write!(f, "{}: {words}", code.text()),
            ClientError::Reply(error) => error.fmt(f),
            ClientError::Timeout => f.write_str("no answer in time"),
        }
    }
}

impl From<io::Error> for ClientError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => ClientError::Timeout,
            _ => ClientError::Lost(error.to_string()),
        }
    }
}

impl From<FramingError> for ClientError {
    fn from(error: FramingError) -> Self {
        ClientError::Lost(error.to_string())
    }
}

/// A connection to the broker that has found the daemon's object.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    inbox: Inbox,
    object: ObjId,
    seq: u16,
    deadline: Instant,
    /// What has come of the reply to the call that was begun.
    begun: Vec<u8>,
}

impl Client {
    /// Connects to the first of `sockets` that accepts, and looks the object up. All that this
    /// client does ends at `deadline`.
    pub fn connect(sockets: &[PathBuf], deadline: Instant) -> Result<Client, ClientError> {
        Client::connect_to(OBJECT, sockets, deadline)
    }

    /// As [`Self::connect`], for another object; absence of it is [`ClientError::NoDaemon`] as well.
    pub fn connect_to(
        path: &str,
        sockets: &[PathBuf],
        deadline: Instant,
    ) -> Result<Client, ClientError> {
        let stream = open(sockets)?;
        // Replaced by the looked-up id below; the bus's own objects come first.
        let object = ObjId::new(1).ok_or(ClientError::NoDaemon)?;
        let inbox = Inbox::new();
        let mut client = Client { stream, inbox, object, seq: 0, deadline, begun: Vec::new() };
        while client.receive()?.0.ty != MsgType::Hello {}
        client.object = client.lookup(path)?;
        Ok(client)
    }

    /// What follows may take until this deadline.
    pub fn extend(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    /// Calls a method; returns the contents of the reply's table, empty if there is none.
    pub fn call(&mut self, method: &str, args: &BlobMsgTable) -> Result<Vec<u8>, ClientError> {
        let obj_id = self.object;
        let mut reply = Vec::new();
        self.request(OutboundMsg::Invoke { obj_id, method, args }, |payload| {
            if let Some(data) = envelope::find(payload, UbusAttr::Data) {
                reply = data.payload.to_vec();
            }
        })?;
        Ok(reply)
    }

    /// Sends a call whose answer is taken by [`Self::turn`]. A call before it that was not answered
    /// yet is forgotten.
    pub fn begin(&mut self, method: &str, args: &BlobMsgTable) -> Result<(), ClientError> {
        let obj_id = self.object;
        self.begun.clear();
        self.start(OutboundMsg::Invoke { obj_id, method, args })
    }

    /// Reads once and returns what [`Self::call`] would, or `None` while the answer is not whole.
    /// Does not block when the socket is readable.
    pub fn turn(&mut self) -> Result<Option<Vec<u8>>, ClientError> {
        self.fill()?;
        while let Some((header, payload)) = self.pop()? {
            let begun = &mut self.begun;
            let done = answer(self.seq, &header, &payload, |payload| {
                if let Some(data) = envelope::find(payload, UbusAttr::Data) {
                    *begun = data.payload.to_vec();
                }
            });
            if let Some(result) = done {
                return result.map(|()| Some(std::mem::take(&mut self.begun)));
            }
        }
        Ok(None)
    }

    /// Time that is left for what was begun.
    pub fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    fn lookup(&mut self, path: &str) -> Result<ObjId, ClientError> {
        let mut id = None;
        let found = self.request(OutboundMsg::Lookup { obj_path: path }, |payload| {
            id = envelope::find(payload, UbusAttr::ObjId).and_then(|attr| attr.as_u32());
        });
        match found {
            Err(ClientError::Status(StatusCode::NotFound, _)) => Err(ClientError::NoDaemon),
            Err(error) => Err(error),
            // The broker finds objects none of whose methods we may call, but does not show them.
            Ok(()) => id
                .and_then(ObjId::new)
                .ok_or(ClientError::Status(StatusCode::PermissionDenied, None)),
        }
    }

    /// Sends a request and hands each data message of the answer to `on_data`.
    fn request(
        &mut self,
        message: OutboundMsg<'_>,
        mut on_data: impl FnMut(&[u8]),
    ) -> Result<(), ClientError> {
        self.start(message)?;
        loop {
            let (header, payload) = self.receive()?;
            if let Some(result) = answer(self.seq, &header, &payload, &mut on_data) {
                return result;
            }
        }
    }

    fn start(&mut self, message: OutboundMsg<'_>) -> Result<(), ClientError> {
        self.seq = self.seq.wrapping_add(1);
        self.send(&message.into_frame(self.seq))
    }

    fn send(&mut self, frame: &Frame) -> Result<(), ClientError> {
        self.stream.set_write_timeout(Some(self.patience()?))?;
        self.stream.write_all(&frame.hdr.encode())?;
        Ok(self.stream.write_all(&frame.payload)?)
    }

    fn receive(&mut self) -> Result<(Header, Vec<u8>), ClientError> {
        loop {
            match self.pop()? {
                Some(message) => return Ok(message),
                None => self.fill()?,
            }
        }
    }

    fn pop(&mut self) -> Result<Option<(Header, Vec<u8>)>, ClientError> {
        loop {
            match self.inbox.pop()? {
                Some(Message::Whole(header, payload)) => return Ok(Some((header, payload))),
                // The daemon sends none, and other messages are not for us.
                Some(Message::TooLong(_)) => {}
                None => return Ok(None),
            }
        }
    }

    fn fill(&mut self) -> Result<(), ClientError> {
        self.stream.set_read_timeout(Some(self.patience()?))?;
        match self.inbox.fill(&mut self.stream)? {
            Fill::Closed => Err(ClientError::Lost("closed by ubusd".to_owned())),
            Fill::Some(_) | Fill::Blocked => Ok(()),
        }
    }

    /// Time until the deadline, never zero, which would mean "wait for ever".
    fn patience(&self) -> Result<Duration, ClientError> {
        let left = self.left();
        if left.is_zero() {
            return Err(ClientError::Timeout);
        }
        // The kernel counts in ticks; less than one would become none.
        Ok(left.max(Duration::from_millis(1)))
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// Takes a message of the answer to the request `seq`; its result once the answer is whole.
fn answer(
    seq: u16,
    header: &Header,
    payload: &[u8],
    on_data: impl FnOnce(&[u8]),
) -> Option<Result<(), ClientError>> {
    match header.ty {
        _ if header.seq != seq => None,
        MsgType::Data => {
            on_data(payload);
            None
        }
        MsgType::Status => Some(match envelope::read_status(payload) {
            Ok(0) => Ok(()),
            Ok(code) => Err(ClientError::Status(StatusCode::from_wire(code), None)),
            Err(_) => Err(ClientError::Lost("status without a code".to_owned())),
        }),
        _ => None,
    }
}

/// Connects to the first that accepts. When none does, the error that is not "no such file" tells
/// most, else that of the first.
fn open(sockets: &[PathBuf]) -> Result<UnixStream, ClientError> {
    let mut failure = (PathBuf::new(), io::Error::from(ErrorKind::NotFound));
    for path in sockets {
        match UnixStream::connect(path) {
            Ok(stream) => return Ok(stream),
            Err(error) => {
                if error.kind() != ErrorKind::NotFound || failure.0.as_os_str().is_empty() {
                    failure = (path.clone(), error);
                }
            }
        }
    }
    Err(ClientError::NoBus(failure.0, failure.1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;

    #[test]
    fn the_most_telling_failure_is_reported() {
        let dir = std::env::temp_dir().join(format!("flowtable-client-{}", std::process::id()));
        std::fs::create_dir(&dir).unwrap();
        let (absent, dead) = (dir.join("absent"), dir.join("dead"));
        drop(UnixListener::bind(&dead).unwrap());
        let tell = |sockets: &[&PathBuf]| {
            let sockets: Vec<_> = sockets.iter().map(|p| p.to_path_buf()).collect();
            match open(&sockets).unwrap_err() {
                ClientError::NoBus(path, error) => (path, error.kind()),
                other => panic!("{other}"),
            }
        };
        assert_eq!(tell(&[&absent, &dead]), (dead.clone(), ErrorKind::ConnectionRefused));
        assert_eq!(tell(&[&dead, &absent]), (dead.clone(), ErrorKind::ConnectionRefused));
        let other = dir.join("other");
        assert_eq!(tell(&[&absent, &other]), (absent.clone(), ErrorKind::NotFound));
        std::fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn a_time_out_is_told_from_a_loss() {
        let of = |kind: ErrorKind| ClientError::from(io::Error::from(kind));
        assert!(matches!(of(ErrorKind::WouldBlock), ClientError::Timeout));
        assert!(matches!(of(ErrorKind::TimedOut), ClientError::Timeout));
        assert!(matches!(of(ErrorKind::BrokenPipe), ClientError::Lost(_)));
    }
}
