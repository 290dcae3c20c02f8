// SPDX-License-Identifier: GPL-2.0-or-later
//! The hosts that talk: an echo server, and a client that makes round trips on command.
//!
//! Traffic is counted in round trips, because each is at least one packet each way whatever
//! segmentation offload does; so the number of packets that must have crossed the router is known
//! and a counter can be compared with it. The client reads commands (`exchange N`, `stream`, `large`, `gentle`,
//! `steady`, `mark`, `look`, `stop`, `close`, `reset`) on standard input and answers each with
//! `ok ROUNDS`, `seen JSON` or `error WHY`. The server tells who calls it, and all who have at `callers`.

use super::steady;
use crate::error::{Context, Error, Result};
use rustix::net::sockopt::set_socket_linger;
use std::collections::BTreeSet;
use std::io::{BufRead, Read, Write};
use std::net::{Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc::{channel, Receiver, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Bytes of a request and of its reply.
pub const MESSAGE_LEN: usize = 512;
/// Bytes of those that fill a packet.
pub const LARGE_LEN: usize = 1400;
/// What a packet starts with that is no round trip's, so that its echo is not taken for a reply.
pub const PROBE_MARK: [u8; 4] = [0xff; 4];
/// A reply that takes longer is lost. Generous: the machine may be busy with another guest.
const REPLY_TIMEOUT: Duration = Duration::from_secs(8);
/// Messages that a TCP server sends after the client has closed its direction.
const FAREWELL: usize = 20;
/// Pause between the round trips of a stream, so that it does not starve the guest.
const STREAM_PAUSE: Duration = Duration::from_millis(5);
/// The same of a stream of large messages: some 130 kB/s both ways together.
const LARGE_PAUSE: Duration = Duration::from_millis(20);
/// Of a stream that leaves the guest time for other things: some 25 kB/s both ways together.
const GENTLE_PAUSE: Duration = Duration::from_millis(100);

/// Callers of a server that are told, so that a server whom nobody listens to does not stand still.
const CALLERS_MAX: usize = 16;

/// Who has called a server.
#[derive(Clone, Default)]
struct Callers(Arc<Mutex<BTreeSet<SocketAddr>>>);

impl Callers {
    /// Prints `caller ADDRESS:PORT` for one that has not called before.
    fn note(&self, from: SocketAddr) {
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() < CALLERS_MAX && all.insert(from) {
            // Whoever started the server need not be interested.
            let _ = writeln!(std::io::stdout(), "caller {from}");
        }
    }

    /// All of them, sorted: `callers ADDRESS:PORT...`.
    fn line(&self) -> String {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().fold("callers".to_string(), |line, caller| format!("{line} {caller}"))
    }

    /// Answers each `callers` on standard input, until that ends. Whoever got a reply has been noted
    /// before it was sent.
    fn answer(&self) {
        let callers = self.clone();
        thread::spawn(move || {
            for order in std::io::stdin().lock().lines().map_while(|line| line.ok()) {
                if order == "callers" {
                    let _ = writeln!(std::io::stdout(), "{}", callers.line());
                }
            }
        });
    }
}

/// Serves forever; prints `ready` when clients may connect, then who they are as seen from here.
pub fn echo(protocol: &str, port: u16) -> Result<()> {
    let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    let callers = Callers::default();
    callers.answer();
    if protocol == "udp" {
        let socket = UdpSocket::bind(any).context("echo server")?;
        println!("ready");
        let mut buffer = [0; 2048];
        loop {
            let (len, from) = socket.recv_from(&mut buffer).context("echo server")?;
            callers.note(from);
            // An unreachable client is that client's problem.
            let _ = socket.send_to(buffer.get(..len).unwrap_or_default(), from);
        }
    }
    let listener = TcpListener::bind(any).context("echo server")?;
    println!("ready");
    loop {
        let (mut stream, from) = listener.accept().context("echo server")?;
        callers.note(from);
        thread::spawn(move || -> std::io::Result<()> {
            stream.set_nodelay(true)?;
            let mut buffer = [0; 4096];
            loop {
                let len = stream.read(&mut buffer)?;
                if len == 0 {
                    // The other direction is still open, and what goes there must arrive.
                    return (0..FAREWELL).try_for_each(|_| stream.write_all(&[0x2b; MESSAGE_LEN]));
                }
                stream.write_all(buffer.get(..len).unwrap_or_default())?;
            }
        });
    }
}

/// A connection, as its client has it.
pub(super) enum Wire {
    Tcp(TcpStream),
    Udp(UdpSocket),
}

impl Wire {
    /// Connects, and gives up after [`REPLY_TIMEOUT`].
    pub fn open(protocol: &str, to: SocketAddr) -> Result<Wire> {
        if protocol == "udp" {
            let any = if to.is_ipv6() { "[::]:0" } else { "0.0.0.0:0" };
            let socket = UdpSocket::bind(any).context("binding")?;
            socket.connect(to).context(format!("connecting to {to}"))?;
            socket.set_read_timeout(Some(REPLY_TIMEOUT)).context("socket")?;
            return Ok(Wire::Udp(socket));
        }
        let stream = TcpStream::connect_timeout(&to, REPLY_TIMEOUT)
            .context(format!("connecting to {to}"))?;
        stream.set_nodelay(true).context("socket")?;
        stream.set_read_timeout(Some(REPLY_TIMEOUT)).context("socket")?;
        Ok(Wire::Tcp(stream))
    }

    /// Closes our direction and reads the other to its end.
    pub fn close(&mut self) -> Result<()> {
        let Wire::Tcp(stream) = self else { return Err(Error::new("only TCP is closed")) };
        stream.shutdown(Shutdown::Write).context("closing one direction")?;
        let mut farewell = Vec::new();
        stream.read_to_end(&mut farewell).context("reading the other direction")?;
        if farewell != [0x2b; MESSAGE_LEN * FAREWELL] {
            return Err(Error::new(format!("only {} bytes came after our end", farewell.len())));
        }
        Ok(())
    }

    /// Closing a socket that may not linger sends a reset.
    fn reset(self) -> Result<()> {
        let Wire::Tcp(stream) = self else { return Err(Error::new("only TCP is reset")) };
        set_socket_linger(&stream, Some(Duration::ZERO)).context("socket")?;
        drop(stream);
        println!("ok 0");
        Ok(())
    }

    fn steady(&self, orders: &Receiver<Order>, number: &mut u32) -> Result<u32> {
        let Wire::Udp(socket) = self else {
            return Err(Error::new("TCP sends what is not answered at its own pace"));
        };
        let replies = steady::run(socket, orders, number)?;
        // Replies that are late are no replies to what comes next.
        while socket.recv(&mut [0; MESSAGE_LEN]).is_ok() {}
        socket.set_read_timeout(Some(REPLY_TIMEOUT)).context("socket")?;
        Ok(replies)
    }

    /// Sends a message of its own for each `number` and compares the reply.
    pub fn round_trip(&mut self, number: u32, length: usize) -> Result<()> {
        let mut message = vec![0x2a; length];
        for (to, from) in message.iter_mut().zip(number.to_be_bytes()) {
            *to = from;
        }
        let mut reply = vec![0; length];
        match self {
            Wire::Tcp(stream) => {
                stream.write_all(&message).context("sending")?;
                stream.read_exact(&mut reply).context("no reply")?;
            }
            Wire::Udp(socket) => {
                socket.send(&message).context("sending")?;
                socket.recv(&mut reply).context("no reply")?;
                while reply.starts_with(&PROBE_MARK) {
                    socket.recv(&mut reply).context("no reply")?;
                }
            }
        }
        if reply != message {
            return Err(Error::new("the reply differs from what was sent"));
        }
        Ok(())
    }
}

/// What a client is told to do.
pub enum Order {
    /// So many round trips.
    Exchange(u32),
    /// Round trips until the next order.
    Stream,
    /// The same with large messages.
    Large,
    /// The same with long pauses.
    Gentle,
    /// Datagrams at a steady rate until [`Order::Stop`].
    Steady,
    /// What is seen counts from now.
    Mark,
    /// Tells what was seen.
    Look,
    /// The end of either.
    Stop,
    /// Our direction is closed, the other read to its end.
    Close,
    /// The connection is reset, and the client ends.
    Reset,
}

fn orders() -> Receiver<Order> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(|line| line.ok()) {
            let order = match line.split_once(' ') {
                Some(("exchange", rounds)) => Order::Exchange(rounds.parse().unwrap_or(0)),
                _ => match line.as_str() {
                    "stream" => Order::Stream,
                    "large" => Order::Large,
                    "gentle" => Order::Gentle,
                    "steady" => Order::Steady,
                    "mark" => Order::Mark,
                    "look" => Order::Look,
                    "close" => Order::Close,
                    "reset" => Order::Reset,
                    _ => Order::Stop,
                },
            };
            if sender.send(order).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Connects, prints `ok 0`, then obeys until standard input ends or the connection is reset.
pub fn client(protocol: &str, to: SocketAddr) -> Result<()> {
    let mut wire = match Wire::open(protocol, to) {
        Ok(wire) => wire,
        Err(e) => {
            println!("error {e}");
            return Ok(());
        }
    };
    println!("ok 0");
    let orders = orders();
    let mut number = 0;
    while let Ok(order) = orders.recv() {
        let (rounds, result) = match order {
            Order::Exchange(rounds) => exchange(&mut wire, rounds, &mut number),
            Order::Stream => stream(&mut wire, &orders, &mut number, (MESSAGE_LEN, STREAM_PAUSE)),
            Order::Large => stream(&mut wire, &orders, &mut number, (LARGE_LEN, LARGE_PAUSE)),
            Order::Gentle => stream(&mut wire, &orders, &mut number, (LARGE_LEN, GENTLE_PAUSE)),
            Order::Close => (0, wire.close()),
            // Nothing can be ordered any more.
            Order::Reset => return wire.reset(),
            Order::Steady => match wire.steady(&orders, &mut number) {
                Ok(replies) => (replies, Ok(())),
                Err(e) => (0, Err(e)),
            },
            Order::Mark | Order::Look | Order::Stop => (0, Ok(())),
        };
        match result {
            Ok(()) => println!("ok {rounds}"),
            Err(e) => println!("error after {rounds} round trips: {e}"),
        }
    }
    Ok(())
}

fn exchange(wire: &mut Wire, rounds: u32, number: &mut u32) -> (u32, Result<()>) {
    for done in 0..rounds {
        *number = number.wrapping_add(1);
        if let Err(e) = wire.round_trip(*number, MESSAGE_LEN) {
            return (done, Err(e));
        }
    }
    (rounds, Ok(()))
}

/// Makes round trips until the next order, which is `stop`.
fn stream(
    wire: &mut Wire,
    orders: &Receiver<Order>,
    number: &mut u32,
    (length, pause): (usize, Duration),
) -> (u32, Result<()>) {
    let mut rounds = 0;
    let mut result = Ok(());
    loop {
        match orders.try_recv() {
            Ok(_) | Err(TryRecvError::Disconnected) => return (rounds, result),
            Err(TryRecvError::Empty) => {}
        }
        if result.is_ok() {
            *number = number.wrapping_add(1);
            result = wire.round_trip(*number, length);
            rounds += u32::from(result.is_ok());
        }
        thread::sleep(pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_come_back() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut buffer = [0; MESSAGE_LEN];
            while stream.read_exact(&mut buffer).is_ok() {
                stream.write_all(&buffer).unwrap();
            }
        });
        let mut wire = Wire::open("tcp", to).unwrap();
        let mut number = 0;
        let (rounds, result) = exchange(&mut wire, 3, &mut number);
        result.unwrap();
        assert_eq!((rounds, number), (3, 3));
    }

    #[test]
    fn callers_are_told_apart_by_their_port() {
        let callers = Callers::default();
        assert_eq!(callers.line(), "callers");
        for caller in ["[::ffff:192.0.2.1]:40000", "192.0.2.1:40000", "192.0.2.1:40001"] {
            callers.note(caller.parse().unwrap());
        }
        assert_eq!(callers.line(), "callers 192.0.2.1:40000 192.0.2.1:40001");
    }

    #[test]
    fn a_changed_reply_is_noticed() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let to = server.local_addr().unwrap();
        thread::spawn(move || {
            let mut buffer = [0; MESSAGE_LEN];
            let (len, from) = server.recv_from(&mut buffer).unwrap();
            buffer[9] = 0;
            server.send_to(&buffer[..len], from).unwrap();
        });
        let mut wire = Wire::open("udp", to).unwrap();
        assert!(wire.round_trip(1, MESSAGE_LEN).unwrap_err().to_string().contains("differs"));
    }
}
