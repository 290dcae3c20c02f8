// SPDX-License-Identifier: GPL-2.0-or-later
//! Registers and directly written tables of QCA8337 and AR8327, by byte address, with the fields
//! that the driver uses. From Qualcomm's switch SDK (`isisc` for QCA8337, `isis` for AR8327) and
//! Linux' qca8k; nothing here has met silicon.

use super::Model;

/// Identification: device in bits 15:8, revision below.
pub const MASK_CTL: u32 = 0x0000;
/// Field of [`MASK_CTL`].
pub const DEVICE_ID: u32 = 0xff00;

/// Engines switched on; shared with the kernel's driver, which has the MIB counters there.
pub const MOD_ENABLE: u32 = 0x0030;
/// Routing and NAT.
pub const L3_EN: u32 = 1 << 2;
/// The rules of the classifier.
pub const ACL_EN: u32 = 1 << 1;

/// Which frame types are recognised; shared.
pub const FRAME_ACK_CTL1: u32 = 0x0214;
/// PPPoE is.
pub const PPPOE_EN: u32 = 1 << 25;

/// QCA8337: VLAN translation and isolation. AR8327: base of the private addresses.
pub const VLAN_TRANS: u32 = 0x0418;
/// QCA8337: frames from the WAN for a private address are dropped.
pub const NET_ISO: u32 = 1;
/// AR8327: which twelve bits of a private address an entry holds.
pub const BASEADDR_SEL: u32 = 1 << 28;
/// AR8327: the other twenty.
pub const BASEADDR: u32 = 0xf_ffff;
/// AR8327: their copy beside the table engine.
pub const BASEADDR_COPY: u32 = 0x0e5c;

/// QCA8337: the private network.
pub const PRVIP_ADDR: u32 = 0x0470;
/// QCA8337: its mask.
pub const PRVIP_MASK: u32 = 0x0474;

/// Where frames go that nothing else decides about; shared.
pub const FORWARD_CTL0: u32 = 0x0620;
/// There is a port towards the processor.
pub const CPU_PORT_EN: u32 = 1 << 10;
/// What no entry matches is dropped in place of going to the processor.
pub const NAT_NOT_FOUND_DROP: u32 = 1 << 17;

/// Handling of packets towards the processor; shared.
pub const PKT_CTRL: u32 = 0x0c00;
/// CPU_VID_EN and RTD_PPPOE_EN.
pub const PKT_CTRL_BITS: u32 = 0b11;

/// How routed frames leave a port: two bits at four times its number.
pub const ROUTER_EG: u32 = 0x0c80;

/// The router.
pub const ROUTER_CTRL: u32 = 0x0e00;
/// It is on.
pub const ROUTER_EN: u32 = 1;
/// Host entries age and stop at their last age.
pub const ARP_AGE_MODE: u32 = 1 << 1;
/// How long the table engine may keep the tables to itself.
pub const GLB_LOCKTIME: u32 = 0b11 << 16;
/// 100 microseconds.
pub const GLB_LOCKTIME_100US: u32 = 1 << 16;

/// Learning of hosts from ARP.
pub const ROUTER_PTCTRL2: u32 = 0x0e0c;
/// By requests and replies, for each port.
pub const ARP_LEARN: u32 = 0x7f7f;

/// NAT and NAPT.
pub const NAT_CTRL: u32 = 0x0e38;
/// What the vendor starts with: NAT and NAPT on, symmetric, hash over address and port, ageing
/// that stops at 1. Its ageing bits are known only as a whole.
pub const NAT_CTRL_START: u32 = 0x015f_01cb;
/// ADD may overwrite.
pub const NAPT_OVERRIDE: u32 = 1 << 4;

/// Command word of the table engine.
pub const TABLE_COMMAND: u32 = 0x0e58;

/// Interfaces: the copy that is looked up; 16 bytes each.
pub const INTERFACE_LOOKUP: u32 = 0x5_a900;
/// Interfaces: the copy that frames are edited from.
pub const INTERFACE_EDIT: u32 = 0x2000;
/// Interfaces of the chip.
pub const INTERFACES: u8 = 8;
/// IPv4 is routed by the interface; in its word at +8.
pub const IP4_ROUTE: u32 = 1 << 8;

/// Public addresses: the copy that frames are edited from; 16 bytes each.
pub const PUBLIC_EDIT: u32 = 0x2100;
/// Public addresses: the copy that is looked up; 16 bytes each, the valid bit at +4.
pub const PUBLIC_LOOKUP: u32 = 0x5_aa00;
/// Public addresses of the chip.
pub const PUBLICS: u8 = 16;

/// PPPoE sessions to be taken off; 4 bytes each.
pub const SESSION_REMOVE: u32 = 0x5_f000;
/// In use; beside the session's id.
pub const SESSION_VALID: u32 = 1 << 16;
/// PPPoE sessions to be put on; 16 bytes each.
pub const SESSION_INSERT: u32 = 0x2200;
/// PPPoE sessions of the chip.
pub const SESSIONS: u8 = 16;

/// Rules of the classifier: values, five words, 0x20 bytes each.
pub const RULE_VALUE: u32 = 0x5_8000;
/// Their masks, the same way.
pub const RULE_MASK: u32 = 0x5_9000;
/// Their results, three words, 0x10 bytes each.
pub const RULE_RESULT: u32 = 0x5_a000;
/// Rules of the chip.
pub const RULES: u8 = 96;

/// Counters of flows: 16 bytes each.
pub const FLOW_COUNTER: u32 = 0x2_b000;
/// Counters of flows that the chip has.
pub const FLOW_COUNTERS: u8 = 8;

/// Data words of the table engine.
pub fn data_words(model: Model) -> &'static [u32] {
    match model {
        Model::Qca8337 => &[0x0e80, 0x0e84, 0x0e88, 0x0e8c, 0x0e90, 0x0e94, 0x0e98],
        Model::Ar8327 => &[0x0e48, 0x0e4c, 0x0e50, 0x0e54],
    }
}

/// Public addresses: the copy of the engine that takes packets off; 4 bytes each.
pub fn public_offload(model: Model) -> u32 {
    match model {
        Model::Qca8337 => 0x2_f000,
        Model::Ar8327 => 0x2_a000,
    }
}

/// Which of them are valid, a bit each.
pub fn public_bitmap(model: Model) -> u32 {
    match model {
        Model::Qca8337 => 0x2_f040,
        Model::Ar8327 => 0x2_a040,
    }
}

/// Entry `index` of a table whose entries are `size` bytes apart.
pub fn at(table: u32, size: u32, index: u8) -> u32 {
    table.saturating_add(size.saturating_mul(u32::from(index)))
}
