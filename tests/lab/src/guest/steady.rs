// SPDX-License-Identifier: GPL-2.0-or-later
//! Datagrams at a steady rate whether or not anything comes back, and when replies came: how long
//! packets still get through after something was blocked, and how long none does after a move.

use super::peer::{Order, MESSAGE_LEN};
use crate::error::{Context, Result};
use std::net::UdpSocket;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

/// Between two datagrams. Replies take a fraction of it.
const PERIOD: Duration = Duration::from_millis(5);

/// What was seen since the mark.
#[derive(Debug)]
struct Seen {
    mark: Instant,
    /// Replies.
    received: u32,
    /// When the last reply came, whether since the mark or before.
    last: Instant,
    /// The longest time without a reply.
    gap: Duration,
}

impl Seen {
    fn new(now: Instant, last: Instant) -> Seen {
        Seen { mark: now, received: 0, last, gap: Duration::ZERO }
    }

    fn reply(&mut self, now: Instant) {
        self.gap = self.gap_at(now);
        self.last = now;
        self.received = self.received.saturating_add(1);
    }

    fn gap_at(&self, now: Instant) -> Duration {
        self.gap.max(now.saturating_duration_since(self.last.max(self.mark)))
    }

    /// As JSON; all times in milliseconds.
    fn line(&self, now: Instant) -> String {
        let last = self.last.saturating_duration_since(self.mark).as_millis();
        let quiet = now.saturating_duration_since(self.last).as_millis();
        let gap = self.gap_at(now).as_millis();
        let received = self.received;
        format!(r#"{{"received":{received},"last_ms":{last},"quiet_ms":{quiet},"gap_ms":{gap}}}"#)
    }
}

/// Sends until told to stop; returns how many replies came.
pub fn run(socket: &UdpSocket, orders: &Receiver<Order>, number: &mut u32) -> Result<u32> {
    socket.set_read_timeout(Some(PERIOD)).context("socket")?;
    let mut replies: u32 = 0;
    let now = Instant::now();
    let mut seen = Seen::new(now, now);
    let mut next = now;
    loop {
        match orders.try_recv() {
            Ok(Order::Mark) => {
                seen = Seen::new(Instant::now(), seen.last);
                println!("ok 0");
            }
            Ok(Order::Look) => println!("seen {}", seen.line(Instant::now())),
            Ok(_) | Err(TryRecvError::Disconnected) => return Ok(replies),
            Err(TryRecvError::Empty) => {}
        }
        let now = Instant::now();
        if now >= next {
            next = now + PERIOD;
            *number = number.wrapping_add(1);
            // What is blocked may be refused; that is what is to be seen.
            let _ = socket.send(&message(*number));
        }
        let mut reply = [0; MESSAGE_LEN];
        if socket.recv(&mut reply).is_ok_and(|length| length == MESSAGE_LEN) {
            replies = replies.saturating_add(1);
            seen.reply(Instant::now());
        }
    }
}

fn message(number: u32) -> [u8; MESSAGE_LEN] {
    let mut message = [0x2a; MESSAGE_LEN];
    for (to, from) in message.iter_mut().zip(number.to_be_bytes()) {
        *to = from;
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_counts_from_the_mark() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut seen = Seen::new(at(100), at(90));
        assert_eq!(seen.line(at(110)), r#"{"received":0,"last_ms":0,"quiet_ms":20,"gap_ms":10}"#);
        seen.reply(at(130));
        seen.reply(at(135));
        assert_eq!(seen.line(at(140)), r#"{"received":2,"last_ms":35,"quiet_ms":5,"gap_ms":30}"#);
        assert_eq!(
            seen.line(at(1135)),
            r#"{"received":2,"last_ms":35,"quiet_ms":1000,"gap_ms":1000}"#
        );
    }
}
