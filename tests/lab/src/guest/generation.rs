// SPDX-License-Identifier: GPL-2.0-or-later
//! The number of nf_tables' generation, which moves with every commit by anybody. No tool prints
//! it without also dumping, so it is asked for directly.

use crate::error::{Context, Error, Result};
use netlink_sys::{Socket, SocketAddr};

const NETLINK_NETFILTER: isize = 12;
const NFT_MSG_NEWGEN: u16 = 10 << 8 | 15;
const NFT_MSG_GETGEN: u16 = 10 << 8 | 16;
const NLM_F_REQUEST: u16 = 1;
const NFTA_GEN_ID: u16 = 1;
/// nlmsghdr and nfgenmsg.
const HEADER_LEN: usize = 20;

/// Asks the kernel for the generation of this network namespace.
pub fn current() -> Result<u32> {
    let doing = "asking for nf_tables' generation";
    let mut socket = Socket::new(NETLINK_NETFILTER).context(doing)?;
    socket.bind_auto().context(doing)?;
    let mut request = Vec::with_capacity(HEADER_LEN);
    request.extend((HEADER_LEN as u32).to_ne_bytes());
    request.extend(NFT_MSG_GETGEN.to_ne_bytes());
    request.extend(NLM_F_REQUEST.to_ne_bytes());
    request.extend(1u32.to_ne_bytes());
    request.extend([0u8; 8]);
    socket.send_to(&request, &SocketAddr::new(0, 0), 0).context(doing)?;
    let (reply, _) = socket.recv_from_full().context(doing)?;
    parse(&reply).context(format!("{doing}: unexpected reply {reply:02x?}"))
}

fn parse(reply: &[u8]) -> Option<u32> {
    let kind = u16::from_ne_bytes(reply.get(4..6)?.try_into().ok()?);
    if kind != NFT_MSG_NEWGEN {
        return None;
    }
    let mut rest = reply.get(HEADER_LEN..)?;
    loop {
        let len = usize::from(u16::from_ne_bytes(rest.get(0..2)?.try_into().ok()?));
        let attribute = u16::from_ne_bytes(rest.get(2..4)?.try_into().ok()?);
        if attribute == NFTA_GEN_ID {
            return Some(u32::from_be_bytes(rest.get(4..8)?.try_into().ok()?));
        }
        if len < 4 {
            return None;
        }
        rest = rest.get(len.next_multiple_of(4)..)?;
    }
}

/// Is the kernel's nf_tables there at all?
pub fn probe() -> Result<()> {
    current().map(drop).map_err(|e| Error::new(format!("this kernel has no nf_tables ({e})")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generation_is_found_among_other_attributes() {
        let mut reply = vec![44, 0, 0, 0];
        reply.extend(NFT_MSG_NEWGEN.to_ne_bytes());
        reply.extend([0; 14]);
        reply.extend([8, 0, 2, 0, 0, 0, 0, 9]);
        reply.extend([8, 0, 1, 0, 0, 0, 1, 2]);
        assert_eq!(parse(&reply), Some(258));
        assert_eq!(parse(&reply[..30]), None);
        assert_eq!(parse(&[]), None);
    }
}
