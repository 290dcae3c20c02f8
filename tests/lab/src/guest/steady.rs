// SPDX-License-Identifier: GPL-2.0-or-later
//! Datagrams at a steady rate whether or not anything comes back, and when replies came: how long
//! packets still get through after something was blocked, and how long none does after a move.

use super::peer::{Order, MESSAGE_LEN};
use crate::error::{Context, Result};
use rustix::time::{clock_gettime, ClockId};
use std::net::UdpSocket;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

/// Between two datagrams. Replies take a fraction of it.
const PERIOD: Duration = Duration::from_millis(5);

/// The machine's monotonic clock, which all processes in it read alike.
pub fn clock() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or_default())
}

/// What was seen since the mark.
#[derive(Debug)]
struct Seen {
    mark: Instant,
    /// Number of the first datagram that was sent since.
    first: u32,
    /// Replies.
    received: u32,
    /// Replies to what was sent since the mark, and the datagrams up to the last one of these.
    answered: u32,
    due: u32,
    /// When the last reply came, whether since the mark or before.
    last: Instant,
    /// The longest time without a reply.
    gap: Duration,
}

impl Seen {
    fn new(now: Instant, last: Instant, first: u32) -> Seen {
        Seen { mark: now, first, received: 0, answered: 0, due: 0, last, gap: Duration::ZERO }
    }

    /// A reply to this datagram has come.
    fn reply(&mut self, number: u32, now: Instant) {
        // Numbers go round; those from before the mark are far ahead.
        let place = number.wrapping_sub(self.first);
        if place <= u32::MAX / 2 {
            self.answered = self.answered.saturating_add(1);
            self.due = self.due.max(place.saturating_add(1));
        }
        self.gap = self.gap_at(now);
        self.last = now;
        self.received = self.received.saturating_add(1);
    }

    fn gap_at(&self, now: Instant) -> Duration {
        self.gap.max(now.saturating_duration_since(self.last.max(self.mark)))
    }

    /// Datagrams that have no reply although a later one has.
    fn lost(&self) -> u32 {
        self.due.saturating_sub(self.answered)
    }

    /// As JSON; times in milliseconds, but for that of the last reply by [`clock`], which shows
    /// `clock` now, in microseconds.
    fn line(&self, now: Instant, clock: Duration) -> String {
        let last = self.last.saturating_duration_since(self.mark).as_millis();
        let quiet = now.saturating_duration_since(self.last).as_millis();
        let gap = self.gap_at(now).as_millis();
        let (received, lost) = (self.received, self.lost());
        let at = clock.saturating_sub(now.saturating_duration_since(self.last)).as_micros();
        format!(
            r#"{{"received":{received},"lost":{lost},"last_ms":{last},"last_at_us":{at},"quiet_ms":{quiet},"gap_ms":{gap}}}"#
        )
    }
}

/// Sends until told to stop; returns how many replies came.
pub fn run(socket: &UdpSocket, orders: &Receiver<Order>, number: &mut u32) -> Result<u32> {
    socket.set_read_timeout(Some(PERIOD)).context("socket")?;
    let mut replies: u32 = 0;
    let now = Instant::now();
    let mut seen = Seen::new(now, now, number.wrapping_add(1));
    let mut next = now;
    loop {
        match orders.try_recv() {
            Ok(Order::Mark) => {
                seen = Seen::new(Instant::now(), seen.last, number.wrapping_add(1));
                println!("ok 0");
            }
            Ok(Order::Look) => println!("seen {}", seen.line(Instant::now(), clock())),
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
            let number = reply.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
            seen.reply(number, Instant::now());
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
    use serde_json::{json, Value as Json};

    fn line(seen: &Seen, now: Instant) -> Json {
        serde_json::from_str(&seen.line(now, Duration::from_secs(7))).unwrap()
    }

    #[test]
    fn silence_counts_from_the_mark() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut seen = Seen::new(at(100), at(90), 1);
        let expected = json!({
            "received": 0, "lost": 0, "last_ms": 0, "last_at_us": 6_980_000,
            "quiet_ms": 20, "gap_ms": 10,
        });
        assert_eq!(line(&seen, at(110)), expected);
        seen.reply(1, at(130));
        seen.reply(2, at(135));
        let expected = json!({
            "received": 2, "lost": 0, "last_ms": 35, "last_at_us": 6_995_000,
            "quiet_ms": 5, "gap_ms": 30,
        });
        assert_eq!(line(&seen, at(140)), expected);
        let later = line(&seen, at(1135));
        assert_eq!((&later["quiet_ms"], &later["gap_ms"]), (&json!(1000), &json!(1000)));
    }

    #[test]
    fn what_is_under_way_is_not_lost() {
        let now = Instant::now();
        let mut seen = Seen::new(now, now, u32::MAX);
        // Sent before the mark.
        seen.reply(u32::MAX - 1, now);
        assert_eq!((seen.received, seen.answered, seen.lost()), (1, 0, 0));
        for number in [u32::MAX, 2, 1] {
            seen.reply(number, now);
        }
        // 0 has no reply, 3 may still get one.
        assert_eq!((seen.received, seen.answered, seen.lost()), (4, 3, 1));
        seen.reply(0, now);
        assert_eq!(seen.lost(), 0, "it was only late");
    }

    #[test]
    fn the_clock_goes_on_with_the_machines_time() {
        let (begun, before) = (Instant::now(), clock());
        let span = clock().saturating_sub(before);
        assert!(before > Duration::ZERO && span <= begun.elapsed());
    }
}
