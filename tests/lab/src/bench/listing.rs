// SPDX-License-Identifier: GPL-2.0-or-later
//! What a list of all flows costs: read and accounted as the daemon does it, received and dropped,
//! and by the usual programs. All take turns.

use super::figure::{median, milliseconds, quantile, Bound, Figure};
use super::{accountant::Accountant, entries, networks};
use crate::error::{Context, Error, Result};
use flowtabled::core::control::{Control, Event};
use flowtabled::daemon::flow_poll::{FlowPoll, Progress};
use flowtabled::netlink::conntrack::request::dump_request;
use flowtabled::netlink::conntrack::{Conntrack, Filter};
use flowtabled::netlink::ext_ack::NLMSG_DONE;
use flowtabled::netlink::message::Messages;
use flowtabled::netlink::nftables::NETLINK_NETFILTER;
use flowtabled::netlink::route::{self, NETLINK_ROUTE};
use flowtabled::netlink::socket::Socket;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Numbers of flows.
pub const SIZES: [u32; 3] = [1024, 16_384, 65_536];
/// Turns of each at the greatest size; smaller lists get more, for they are quicker.
const ROUNDS: u32 = 15;
const ROUNDS_MAX: u32 = 100;

const DOING: &str = "list conntrack entries";
const PROC: &str = "/proc/net/nf_conntrack";

/// Times of each contestant, in milliseconds, a turn each.
#[derive(Default)]
struct Times {
    ours: Vec<f64>,
    /// All flows placed anew.
    moved: Vec<f64>,
    dropped: Vec<f64>,
    /// As nlbwmon accounts, with the neighbours known, and once by asking for them at each flow.
    nlbwmon: Vec<f64>,
    asking: Option<f64>,
    conntrack: Vec<f64>,
    proc: Vec<f64>,
}

/// Fills the namespace up to the greatest size and measures at each.
///
/// # Errors
/// A list failed or was not complete.
pub fn measure(conntrack: &mut Conntrack) -> Result<Vec<Figure>> {
    let mut figures = Vec::new();
    let mut poll = FlowPoll::open(Instant::now()).context("FlowPoll")?;
    let mut control = Control::new(Instant::now());
    let mut devices =
        Socket::open(NETLINK_ROUTE, &[], "open the route socket").context("socket")?;
    control.handle(Event::Links(route::links(&mut devices)), Instant::now());
    let mut socket =
        Socket::open(NETLINK_NETFILTER, &[], "open the conntrack socket").context("socket")?;
    let mut accountant = Accountant::open()?;
    if let Err(error) = File::open(PROC) {
        eprintln!("   {PROC} is left out: {error}");
    }
    let mut made = 0;
    for size in SIZES {
        entries::make(conntrack, made..size)?;
        made = size;
        let first = milliseconds(ours(&mut poll, &control, size)?);
        check_conntrack(size)?;
        // The list of a router that has been up for a while is not in the order of the first one.
        entries::renew(conntrack, (0..size).step_by(4))?;
        let rounds = (ROUNDS * 65_536 / size).min(ROUNDS_MAX);
        eprintln!("   {size} flows, {rounds} rounds");
        let asking = Some(milliseconds(accounted(&mut accountant, true, size)?));
        let mut times = Times { asking, ..Times::default() };
        for round in 0..rounds {
            // Whoever comes first finds the caches as the other programs have left them.
            let early = (round % 2 == 0).then(|| dropped(&mut socket)).transpose()?;
            times.ours.push(milliseconds(ours(&mut poll, &control, size)?));
            let dropped = early.map_or_else(|| dropped(&mut socket), Ok)?;
            times.dropped.push(milliseconds(dropped));
            networks::change(round)?;
            times.moved.push(milliseconds(ours(&mut poll, &control, size)?));
            times.nlbwmon.push(milliseconds(accounted(&mut accountant, false, size)?));
            times.conntrack.push(milliseconds(conntrack_program()?));
            times.proc.extend(proc_file(size)?.map(milliseconds));
        }
        figures.extend(of(size, first, &times));
    }
    Ok(figures)
}

fn of(size: u32, first: f64, times: &Times) -> Vec<Figure> {
    let (low, high) = (quantile(&times.ours, 0.0), quantile(&times.ours, 1.0));
    let mut time = Figure::new(format!("list and account {size} flows"), median(&times.ours), "ms")
        .peer("least", low)
        .peer("most", high)
        .peer("first list", first)
        .peer("all placed anew", median(&times.moved))
        .peer("receive only", median(&times.dropped))
        .peer("as nlbwmon, neighbours known", median(&times.nlbwmon))
        .peer("conntrack -L", median(&times.conntrack));
    if let Some(asking) = times.asking {
        time = time.peer("as nlbwmon", asking);
    }
    if !times.proc.is_empty() {
        time = time.peer(PROC, median(&times.proc));
    }
    let bounded = |figure: Figure, bound| match size {
        65_536 => figure.bound(bound),
        _ => figure,
    };
    let costs = ratio(format!("{size} flows: account / receive only"), &times.ours, &times.dropped);
    let gain =
        ratio(format!("{size} flows: conntrack -L / account"), &times.conntrack, &times.ours);
    let peer = format!("{size} flows: as nlbwmon, neighbours known / account");
    let peer = ratio(peer, &times.nlbwmon, &times.ours);
    vec![time, bounded(costs, Bound::AtMost(1.3)), bounded(gain, Bound::AtLeast(3.0)), peer]
}

/// The middle of the ratios of each round, whose parts the same noise has met.
fn ratio(name: String, above: &[f64], below: &[f64]) -> Figure {
    let ratios: Vec<f64> = above.iter().zip(below).map(|(above, below)| above / below).collect();
    Figure::new(name, median(&ratios), "times")
        .peer("least", quantile(&ratios, 0.0))
        .peer("most", quantile(&ratios, 1.0))
}

/// As in the daemon's loop, but for waiting: the kernel makes a list while it is read.
fn ours(poll: &mut FlowPoll, control: &Control, size: u32) -> Result<Duration> {
    let begun = Instant::now();
    poll.look(begun);
    poll.start(control, begun).context("start")?;
    loop {
        match poll.on_lists(Instant::now()) {
            Progress::Done(result) => break result.context("list")?,
            Progress::More => (),
            Progress::Waiting => std::thread::yield_now(),
        }
    }
    let time = begun.elapsed();
    if poll.table().len() != size as usize {
        return Err(Error::new(format!("{} flows instead of {size}", poll.table().len())));
    }
    Ok(time)
}

/// The same socket, buffer and question; of each datagram only the first message is looked at,
/// since the end comes in one of its own.
fn dropped(socket: &mut Socket) -> Result<Duration> {
    let begun = Instant::now();
    let sequence = socket.next_sequence();
    socket.send(&dump_request(sequence, &Filter::default()), DOING).context(DOING)?;
    loop {
        let Some(datagram) = socket.receive(DOING).context(DOING)? else {
            std::thread::yield_now();
            continue;
        };
        let first = Messages::new(datagram).next().context("an empty datagram")?.context(DOING)?;
        if first.kind == NLMSG_DONE {
            return Ok(begun.elapsed());
        }
    }
}

fn accounted(accountant: &mut Accountant, asks: bool, size: u32) -> Result<Duration> {
    let begun = Instant::now();
    let flows = accountant.account(asks)?;
    let time = begun.elapsed();
    match flows == size && accountant.records() > 0 {
        true => Ok(time),
        false => Err(Error::new(format!("{flows} flows accounted instead of {size}"))),
    }
}

fn conntrack_program() -> Result<Duration> {
    let begun = Instant::now();
    let mut command = Command::new("conntrack");
    command.arg("-L").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.status().context("conntrack -L")?;
    match status.success() {
        true => Ok(begun.elapsed()),
        false => Err(Error::new(format!("conntrack -L: {status}"))),
    }
}

/// The program lists all of them, and not one family only.
fn check_conntrack(size: u32) -> Result<()> {
    let text = crate::command::run(Command::new("conntrack").arg("-L"))?;
    match text.lines().count() {
        lines if lines == size as usize => Ok(()),
        lines => Err(Error::new(format!("conntrack -L: {lines} lines instead of {size}"))),
    }
}

/// `None` where the kernel has no such file, or not for the root of a user namespace.
fn proc_file(size: u32) -> Result<Option<Duration>> {
    let begun = Instant::now();
    let mut file = match File::open(PROC) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => {
            return Ok(None);
        }
        file => file.context(PROC)?,
    };
    let (mut lines, mut buffer) = (0, vec![0; 65_536]);
    loop {
        let length = file.read(&mut buffer).context(PROC)?;
        let bytes = buffer.get(..length).unwrap_or_default();
        lines += bytes.iter().filter(|byte| **byte == b'\n').count();
        if length == 0 {
            break;
        }
    }
    match lines {
        lines if lines == size as usize => Ok(Some(begun.elapsed())),
        lines => Err(Error::new(format!("{PROC}: {lines} lines instead of {size}"))),
    }
}
