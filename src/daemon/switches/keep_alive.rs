// SPDX-License-Identifier: GPL-2.0-or-later
//! Connections whose packets pass a switch: conntrack sees none of them, and would forget the
//! connection, and its translation with it, after the time-out of a silent one.

use hw_drivers::flow::{Flow, Protocol};

use crate::netlink::conntrack::request::refresh_request;
use crate::netlink::conntrack::tuple::{Tuple, IPPROTO_TCP, IPPROTO_UDP};
use crate::netlink::nftables::NETLINK_NETFILTER;
use crate::netlink::socket::Socket;
use crate::netlink::Error;

const DOING: &str = "keep connections in switches alive";
/// Requests in one datagram: the kernel takes them one after the other within the call.
const TOGETHER: usize = 64;

/// What each packet sets the time-out of a connection to, where the kernel says nothing.
const TCP_ESTABLISHED_S: u32 = 7440;
const UDP_STREAM_S: u32 = 120;

/// The socket.
#[derive(Debug, Default)]
pub struct KeepAlive {
    socket: Option<Socket>,
}

impl KeepAlive {
    /// Sets the time-outs of these connections as a packet would.
    ///
    /// # Errors
    /// The requests could not be sent. That one of the connections has ended is none.
    pub fn refresh<'f>(&mut self, flows: impl Iterator<Item = &'f Flow>) -> Result<(), Error> {
        let socket = match &mut self.socket {
            Some(socket) => socket,
            empty => empty.insert(Socket::open(NETLINK_NETFILTER, &[], DOING)?),
        };
        // What the kernel said of connections that have ended.
        socket.discard_stale();
        let tcp_s = setting("nf_conntrack_tcp_timeout_established", TCP_ESTABLISHED_S);
        let udp_s = setting("nf_conntrack_udp_timeout_stream", UDP_STREAM_S);
        let mut requests: Vec<Vec<u8>> = Vec::new();
        for flow in flows {
            let (protocol, timeout_s) = match flow.protocol {
                Protocol::Tcp => (IPPROTO_TCP, tcp_s),
                Protocol::Udp => (IPPROTO_UDP, udp_s),
            };
            let (from, to) = (flow.original.source, flow.original.destination);
            let tuple = Tuple::new(protocol, (from.ip(), from.port()), (to.ip(), to.port()));
            let sequence = socket.next_sequence();
            requests.extend(tuple.map(|tuple| refresh_request(sequence, &tuple, timeout_s)));
        }
        for together in requests.chunks(TOGETHER) {
            socket.send(&together.concat(), DOING)?;
        }
        Ok(())
    }
}

/// A time-out of conntrack in this network namespace, in seconds.
fn setting(name: &str, otherwise: u32) -> u32 {
    let text = std::fs::read_to_string(format!("/proc/sys/net/netfilter/{name}"));
    text.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(otherwise)
}
