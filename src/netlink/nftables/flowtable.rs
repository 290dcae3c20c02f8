// SPDX-License-Identifier: GPL-2.0-or-later
//! Flowtables: the kernel's fast path, hooked at the ingress of its devices.

use std::fmt;

use netlink_packet_core::DecodeError;

use super::{split_header, write_header, Table};
use crate::netlink::attribute::{self, Writer};
use crate::netlink::message::Message;

pub(super) const NFT_MSG_NEWFLOWTABLE: u16 = 22;
pub(super) const NFT_MSG_GETFLOWTABLE: u16 = 23;
pub(super) const NFT_MSG_DELFLOWTABLE: u16 = 24;

const NFTA_FLOWTABLE_TABLE: u16 = 1;
const NFTA_FLOWTABLE_NAME: u16 = 2;
const NFTA_FLOWTABLE_HOOK: u16 = 3;
const NFTA_FLOWTABLE_USE: u16 = 4;
const NFTA_FLOWTABLE_HANDLE: u16 = 5;
const NFTA_FLOWTABLE_FLAGS: u16 = 7;

const NFTA_FLOWTABLE_HOOK_NUM: u16 = 1;
const NFTA_FLOWTABLE_HOOK_PRIORITY: u16 = 2;
const NFTA_FLOWTABLE_HOOK_DEVS: u16 = 3;

const NFTA_DEVICE_NAME: u16 = 1;

const NF_NETDEV_INGRESS: u32 = 0;

const NFT_FLOWTABLE_HW_OFFLOAD: u32 = 1;
const NFT_FLOWTABLE_COUNTER: u32 = 2;

/// A flowtable with its devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flowtable {
    /// The table it lives in.
    pub table: Table,
    /// Name, unique within the table.
    pub name: String,
    /// Priority of the ingress hook; lower runs earlier.
    pub priority: i32,
    /// Names of the hooked devices, sorted. At most 255 in one message (kernel limit).
    pub devices: Vec<String>,
    /// Offload flows to the devices' hardware.
    pub hardware: bool,
    /// Count packets and bytes of offloaded flows into conntrack's accounting.
    pub counter: bool,
    /// The kernel's handle; 0 in what is wanted.
    pub handle: u64,
}

impl Flowtable {
    /// Reads a NEWFLOWTABLE answer or event.
    ///
    /// # Errors
    /// The message is shorter than its lengths say.
    pub fn parse(message: &Message<'_>) -> Result<Flowtable, DecodeError> {
        let (family, _, attributes) = split_header(message)?;
        let mut flowtable = Flowtable {
            table: Table { family, name: String::new() },
            name: String::new(),
            priority: 0,
            devices: Vec::new(),
            hardware: false,
            counter: false,
            handle: 0,
        };
        attribute::for_each(attributes, |kind, value| {
            match kind {
                NFTA_FLOWTABLE_TABLE => flowtable.table.name = attribute::string(value),
                NFTA_FLOWTABLE_NAME => flowtable.name = attribute::string(value),
                NFTA_FLOWTABLE_HOOK => flowtable.parse_hook(value)?,
                NFTA_FLOWTABLE_HANDLE => flowtable.handle = attribute::u64_be(value)?,
                NFTA_FLOWTABLE_FLAGS => {
                    let flags = attribute::u32_be(value)?;
                    flowtable.hardware = flags & NFT_FLOWTABLE_HW_OFFLOAD != 0;
                    flowtable.counter = flags & NFT_FLOWTABLE_COUNTER != 0;
                }
                _ => (),
            }
            Ok(())
        })?;
        flowtable.devices.sort();
        Ok(flowtable)
    }

    /// Reads from a NEWFLOWTABLE answer how many rules refer to the flowtable.
    ///
    /// # Errors
    /// The message is shorter than its lengths say.
    pub fn parse_users(message: &Message<'_>) -> Result<u32, DecodeError> {
        let (_, _, attributes) = split_header(message)?;
        let mut users = 0;
        attribute::for_each(attributes, |kind, value| {
            if kind == NFTA_FLOWTABLE_USE {
                users = attribute::u32_be(value)?;
            }
            Ok(())
        })?;
        Ok(users)
    }

    fn parse_hook(&mut self, nest: &[u8]) -> Result<(), DecodeError> {
        attribute::for_each(nest, |kind, value| {
            match kind {
                NFTA_FLOWTABLE_HOOK_PRIORITY => {
                    self.priority = attribute::u32_be(value)?.cast_signed();
                }
                NFTA_FLOWTABLE_HOOK_DEVS => attribute::for_each(value, |kind, name| {
                    if kind == NFTA_DEVICE_NAME {
                        self.devices.push(attribute::string(name));
                    }
                    Ok(())
                })?,
                _ => (),
            }
            Ok(())
        })
    }

    fn flags(&self) -> u32 {
        let hardware = if self.hardware { NFT_FLOWTABLE_HW_OFFLOAD } else { 0 };
        let counter = if self.counter { NFT_FLOWTABLE_COUNTER } else { 0 };
        hardware | counter
    }

    /// Everything: creation, or adding devices to an existing flowtable.
    pub(super) fn emit(&self, writer: &mut Writer) {
        self.emit_devices(writer);
        writer.u32_be(NFTA_FLOWTABLE_FLAGS, self.flags());
    }

    /// Name alone: deleting the flowtable.
    pub(super) fn emit_name(&self, writer: &mut Writer) {
        write_header(writer, self.table.family.number(), 0);
        writer.string(NFTA_FLOWTABLE_TABLE, &self.table.name);
        writer.string(NFTA_FLOWTABLE_NAME, &self.name);
    }

    /// Name and devices: taking devices away.
    pub(super) fn emit_devices(&self, writer: &mut Writer) {
        self.emit_name(writer);
        writer.nest(NFTA_FLOWTABLE_HOOK, |hook| {
            hook.u32_be(NFTA_FLOWTABLE_HOOK_NUM, NF_NETDEV_INGRESS);
            hook.u32_be(NFTA_FLOWTABLE_HOOK_PRIORITY, self.priority.cast_unsigned());
            hook.nest(NFTA_FLOWTABLE_HOOK_DEVS, |devices| {
                for name in &self.devices {
                    devices.string(NFTA_DEVICE_NAME, name);
                }
            });
        });
    }
}

impl fmt::Display for Flowtable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "flowtable {} of {}", self.name, self.table)
    }
}
