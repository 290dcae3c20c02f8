// SPDX-License-Identifier: GPL-2.0-or-later
//! What a scenario is made of: steps in the order of the file, each with the place it came from.
//!
//! The text format is described in `docs/lab.md`; `parse` reads it.

mod mdio;
mod parse;
mod shape;
mod words;

pub use mdio::{Beside, Door, MdioTask};
pub use parse::{parse, release, Load};
pub use shape::Shape;

use crate::error::{Context, Result};
use serde_json::Value as Json;
use std::time::Duration;

/// The step by which a scenario says that it takes long.
pub const LONG: &str = "long";
/// The first word of the step by which a scenario says that it takes longer than any test.
pub const SOAK: &str = "soak";

/// A whole scenario.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The file's name without its ending.
    pub name: String,
    /// What it shows, in one sentence.
    pub about: String,
    /// The steps, those of `use` files in place.
    pub lines: Vec<Line>,
}

/// One step and where it stands.
#[derive(Debug, Clone)]
pub struct Line {
    /// File and line, `plain.scenario:12`.
    pub place: String,
    /// The text as written, without its block.
    pub text: String,
    /// What to do.
    pub step: Step,
}

/// What to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// A host: a namespace whose `eth0` is the other end of the router's `device`.
    Host {
        /// Name of the host and its namespace.
        name: String,
        /// The router's end of the cable.
        device: String,
        /// The router's end is a port that can offload to (simulated) hardware.
        hardware: bool,
        /// The host talks on this VLAN.
        vlan: Option<u16>,
        /// Its addresses with prefix lengths.
        addresses: Vec<String>,
        /// Its default gateways.
        via: Vec<String>,
    },
    /// A bridge of the router with its ports.
    Bridge {
        /// Name of the bridge.
        name: String,
        /// Devices that become ports.
        ports: Vec<String>,
    },
    /// A simulated switch behind a real MDIO bus, reached by the ioctls of its device.
    Switch {
        /// The device.
        device: String,
    },
    /// A VLAN device `LOWER.ID` of the router.
    Vlan {
        /// The device below.
        lower: String,
        /// VLAN id.
        id: u16,
    },
    /// Addresses of a device of the router.
    Address {
        /// The device.
        device: String,
        /// Addresses with prefix lengths.
        addresses: Vec<String>,
    },
    /// A firewall like firewall4's, masquerading out of the WAN device, counting what it forwards.
    Firewall {
        /// The WAN device.
        wan: String,
    },
    /// Writes a file of `/etc/config`.
    Config {
        /// Its name.
        file: String,
        /// Its content.
        text: String,
    },
    /// Replaces a text that must stand exactly once in a file of `/etc/config`.
    Edit {
        /// Its name.
        file: String,
        /// The text to replace.
        old: String,
        /// The text to put there.
        new: String,
    },
    /// Loads an nf_tables ruleset.
    Nft {
        /// In nft's syntax.
        ruleset: String,
    },
    /// Something about the bus broker.
    Ubusd(Action),
    /// Something about the daemon under test.
    Daemon(Action),
    /// A program is killed at random instants and started again, many times.
    Storm {
        /// The bus broker, else the daemon.
        ubusd: bool,
        /// How often.
        times: u32,
        /// Longest time between a start and the next kill.
        within: Duration,
        /// What the router's shell does before each start.
        command: String,
    },
    /// Opens a connection and keeps it.
    Flow {
        /// Name by which later steps mean it.
        name: String,
        /// Protocol and family.
        kind: FlowKind,
        /// The host that opens it.
        from: String,
        /// The host that answers.
        to: String,
        /// Where to connect instead of that host's address: what the router translates, or another
        /// of its addresses.
        target: Option<Target>,
    },
    /// Starts or stops traffic on a flow that runs beside the following steps.
    Stream {
        /// The flow.
        flow: String,
        /// What to do.
        streaming: Streaming,
    },
    /// Packets of a flow meet its entry in a simulated switch.
    Meet {
        /// The switch's device.
        device: String,
        /// The flow.
        flow: String,
    },
    /// Ends a TCP connection from the side that opened it.
    Close {
        /// The flow.
        flow: String,
        /// By a reset; else by closing one direction and reading the other to its end.
        reset: bool,
    },
    /// Datagrams at a steady rate that run beside the following steps, answered or not.
    Steady {
        /// The flow.
        flow: String,
        /// What to do.
        pace: Pace,
    },
    /// A shell command on the router that must succeed.
    Run {
        /// For `sh -c`.
        command: String,
    },
    /// Keeps a value under a name.
    Remember {
        /// For `$name`.
        name: String,
        /// What to look at.
        value: Value,
    },
    /// Compares a value, at once or until a deadline.
    Check {
        /// How long it may take to come true; `None` when it must hold already.
        patience: Option<Duration>,
        /// What to look at.
        value: Value,
        /// How to compare.
        relation: Relation,
        /// With what.
        operand: Operand,
    },
    /// Requires that a comparison holds the whole time: for things that must not happen.
    Throughout {
        /// How long.
        time: Duration,
        /// What to look at.
        value: Value,
        /// How to compare.
        relation: Relation,
        /// With what.
        operand: Operand,
    },
    /// The steps that follow need this kernel release or later; else the scenario is skipped.
    Needs {
        /// Major and minor number.
        release: (u32, u32),
    },
    /// The steps that follow need a kernel release before this one; else the scenario is skipped.
    NeedsBefore {
        /// Major and minor number.
        release: (u32, u32),
    },
    /// The steps that follow need the daemon to be installed from its package; else the scenario is
    /// skipped.
    NeedsPackage,
    /// Nothing is done: the scenario takes long, and CI runs it on one kernel only.
    Long,
    /// Nothing is done: the scenario takes very long, and runs only where it is named.
    Soak {
        /// It has hung when it takes longer.
        within: Duration,
    },
    /// A heading for the reader of the results.
    Phase {
        /// The heading.
        text: String,
    },
}

/// What can be done to a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Streaming {
    /// Start it.
    Start,
    /// Start it with messages that fill packets.
    StartLarge,
    /// Stop it and require that every byte came back.
    Stop,
}

/// What can be done to a steady flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Start it.
    Start,
    /// What is seen of its replies counts from now.
    Mark,
    /// Stop it.
    Stop,
}

/// What can be done to a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Start it and go on.
    Start,
    /// Start it as the user and with the capabilities that procd's jail gives it.
    StartUnprivileged,
    /// Start it with room for so many MiB of address space and no more.
    StartStarved(u32),
    /// SIGTERM, then wait for its end.
    Stop,
    /// SIGKILL, then wait for its end.
    Kill,
    /// SIGHUP.
    Hup,
}

/// Protocol and family of a flow; the firewall has a counter of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowKind {
    /// TCP, else UDP.
    pub tcp: bool,
    /// IPv6, else IPv4.
    pub v6: bool,
}

/// Where a flow connects to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The address.
    pub address: String,
    /// The port, if not the one that the server has.
    pub port: Option<u16>,
}

impl FlowKind {
    /// All there are.
    pub const ALL: [FlowKind; 4] = [
        FlowKind { tcp: true, v6: false },
        FlowKind { tcp: true, v6: true },
        FlowKind { tcp: false, v6: false },
        FlowKind { tcp: false, v6: true },
    ];

    /// The kind of this name.
    pub fn named(name: &str) -> Result<FlowKind> {
        let found = FlowKind::ALL.into_iter().find(|kind| kind.name() == name);
        found.context(format!("not tcp4, tcp6, udp4 or udp6: {name}"))
    }

    /// `tcp4` and the like.
    pub fn name(self) -> &'static str {
        match (self.tcp, self.v6) {
            (true, false) => "tcp4",
            (true, true) => "tcp6",
            (false, false) => "udp4",
            (false, true) => "udp6",
        }
    }
}

/// Something that can be looked at; always yields JSON.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A key of the bus object's `status` reply.
    Status(String),
    /// A key of one device of the `devices` reply.
    Device(String, String),
    /// A key of the flowtable in an inet table, as `nft -j` has it; null when there is none.
    Flowtable(String, String),
    /// All nf_tables tables, `family name`, sorted.
    Tables,
    /// The number of nf_tables' generation.
    Generation,
    /// The path that conntrack shows for a flow after one round trip.
    Path(String),
    /// Packets that crossed the firewall's forward chain during so many round trips of a flow.
    Forwarded(String, u32),
    /// A key of what arrived at either end during so many round trips of a flow.
    Received(String, u32, String),
    /// A key of what became of one packet of this shape, sent into a UDP flow.
    Probe(String, Shape, String),
    /// Packets that simulated hardware forwarded during so many round trips of a flow.
    EngineForwarded(String, u32),
    /// Packets that simulated hardware left to the router's stack during so many round trips.
    Punted(String, u32),
    /// Bytes of IP packets that a UDP flow's round trips were, each way.
    Sent(String),
    /// A key of what was seen of the replies of a steady flow since the mark.
    Steady(String, String),
    /// The addresses and ports from which a flow's server has been called, sorted.
    Callers(String),
    /// A key of what became of the last storm.
    Storm(String),
    /// A key of a flow as `flowtable flows` lists it; null when it is not listed.
    Listed(String, String),
    /// A key of what `explain` answers about a flow.
    Explained(String, String),
    /// A key of the report of something that is done to a switch's registers.
    Mdio(String, Door, MdioTask, String),
    /// For each entry of a simulated switch the flow that it is for, sorted, with what is wrong.
    Entries(String),
    /// Whether the engine of a simulated switch is `on` or `off`.
    Engine(String),
    /// A key of one switch of the bus object's `hardware`; null when it is not listed.
    Hardware(String, String),
    /// A key of the client with this address as `hosts` lists it; null when there is none.
    Client(String, String),
    /// `running`, `exit N`, `signal N` or `absent`.
    Daemon,
    /// Everything that the daemon wrote to its log.
    Log,
    /// Output of a shell command.
    Output(String),
    /// Exit code of a shell command.
    Exit(String),
}

/// How two values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// `==`
    Equal,
    /// `!=`
    Unequal,
    /// `<=`
    AtMost,
    /// `>=`
    AtLeast,
    /// `contains`: a part of a text, an element of a list.
    Contains,
    /// `lacks`: the opposite.
    Lacks,
}

/// What a value is compared with.
#[derive(Debug, Clone, PartialEq)]
pub enum Operand {
    /// A JSON literal.
    Literal(Json),
    /// A remembered value.
    Remembered(String),
}

impl Relation {
    /// Does it hold between what was seen and what was wanted?
    pub fn holds(self, seen: &Json, wanted: &Json) -> bool {
        match self {
            Relation::Equal => seen == wanted,
            Relation::Unequal => seen != wanted,
            Relation::AtMost => number(seen).zip(number(wanted)).is_some_and(|(a, b)| a <= b),
            Relation::AtLeast => number(seen).zip(number(wanted)).is_some_and(|(a, b)| a >= b),
            Relation::Contains => contains(seen, wanted) == Some(true),
            Relation::Lacks => contains(seen, wanted) == Some(false),
        }
    }
}

fn number(value: &Json) -> Option<f64> {
    value.as_f64()
}

/// `None` when the question makes no sense, so that neither `contains` nor `lacks` holds.
fn contains(seen: &Json, wanted: &Json) -> Option<bool> {
    match (seen, wanted) {
        (Json::Array(list), _) => Some(list.iter().any(|item| {
            item == wanted || contains(item, wanted) == Some(true) && item.is_string()
        })),
        (Json::String(text), Json::String(part)) => Some(text.contains(part.as_str())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn relations() {
        assert!(Relation::Equal.holds(&json!(["a"]), &json!(["a"])));
        assert!(Relation::AtMost.holds(&json!(3), &json!(3)));
        assert!(!Relation::AtMost.holds(&json!(4), &json!(3)));
        assert!(!Relation::AtMost.holds(&json!(null), &json!(3)));
        assert!(Relation::Contains.holds(&json!("abc"), &json!("b")));
        assert!(Relation::Contains.holds(&json!(["file:3: bad"]), &json!(":3:")));
        assert!(Relation::Lacks.holds(&json!(["inet a"]), &json!("inet b")));
    }

    #[test]
    fn lacks_needs_something_to_look_at() {
        assert!(!Relation::Lacks.holds(&json!(null), &json!("x")));
        assert!(!Relation::Contains.holds(&json!(null), &json!("x")));
    }
}
