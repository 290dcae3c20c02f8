// SPDX-License-Identifier: GPL-2.0-or-later
//! The MT7621's packet engine on a board: with the switch behind GDM1, whose ports count from
//! [`SWITCH_PORT_0`], or with plain Ethernet there.

use hw_drivers::mt7621_ppe::memory::Memory;
use hw_drivers::mt7621_ppe::translate::SWITCH_PORT_0;
use hw_simulators::mt7621_ppe::Mt7621Ppe;
use hw_simulators::{Chip, Out};
use std::time::Duration;

const ETHERTYPE_VLAN: [u8; 2] = [0x81, 0x00];
/// Where the type, or the switch's tag, stands in a frame.
const TYPE: usize = 12;

/// The engine with what is around it.
#[derive(Debug, Clone)]
pub struct Board {
    pub ppe: Mt7621Ppe,
    /// Frames of GDM1 are those of a switch.
    switch: bool,
}

impl Board {
    pub fn new(ppe: Mt7621Ppe, switch: bool) -> Board {
        Board { ppe, switch }
    }

    /// As a frame of the switch's port leaves the switch towards the engine.
    fn tag(port: u8, frame: &[u8]) -> Option<Vec<u8>> {
        let (macs, rest) = frame.split_at_checked(TYPE)?;
        let mut tagged = macs.to_vec();
        match rest {
            [0x81, 0x00, vlan @ .., _, _] if vlan.len() >= 2 => {
                tagged.extend([1, port, vlan[0], vlan[1]]);
                tagged.extend(&rest[4..]);
            }
            [_, _, ..] => {
                tagged.extend([0, port, 0, 0]);
                tagged.extend(rest);
            }
            _ => return None,
        }
        Some(tagged)
    }

    /// What the switch does with a frame of the engine: the port that the tag says, one of its own,
    /// and the frame without it.
    fn untag(frame: &[u8]) -> Option<Out> {
        let (macs, rest) = frame.split_at_checked(TYPE)?;
        let [kind, ports, vlan @ ..] = rest.first_chunk::<4>()?;
        let port = SWITCH_PORT_0 + ports.trailing_zeros() as u8;
        let mut bytes = macs.to_vec();
        match kind {
            0 if *vlan == [0, 0] => {}
            1 => bytes.extend(ETHERTYPE_VLAN.iter().chain(vlan)),
            _ => return None,
        }
        bytes.extend(&rest[4..]);
        ports.is_power_of_two().then_some(Out { port, bytes })
    }
}

impl Chip for Board {
    fn cpu_port(&self) -> u8 {
        self.ppe.cpu_port()
    }

    fn receive(&mut self, port: u8, frame: &[u8]) -> Vec<Out> {
        let (mac, bytes) = match port.checked_sub(SWITCH_PORT_0) {
            None => (port, frame.to_vec()),
            // A switch lets no frame through that ends in its header.
            Some(port) => match Board::tag(port, frame) {
                Some(tagged) => (1, tagged),
                None => return Vec::new(),
            },
        };
        let cpu = self.cpu_port();
        let outs = self.ppe.receive(mac, &bytes).into_iter().map(|out| match out {
            // The tag is the kernel's driver's to take off.
            Out { port, bytes: same } if port == cpu && same == bytes => {
                Out { port, bytes: frame.to_vec() }
            }
            Out { port: 1, bytes } if self.switch => {
                Board::untag(&bytes).unwrap_or(Out { port: u8::MAX, bytes })
            }
            out => out,
        });
        outs.collect()
    }

    fn pass(&mut self, time: Duration) {
        self.ppe.pass(time);
    }

    fn reset(&mut self) {
        self.ppe.reset();
    }
}

impl Memory for Board {
    fn read(&mut self, register: u32) -> u32 {
        self.ppe.read(register)
    }

    fn write(&mut self, register: u32, value: u32) {
        self.ppe.write(register, value);
    }

    fn table(&self) -> u32 {
        self.ppe.table()
    }

    fn read_word(&mut self, at: u32) -> u32 {
        self.ppe.read_word(at)
    }

    fn write_word(&mut self, at: u32, value: u32) {
        self.ppe.write_word(at, value);
    }

    fn barrier(&mut self) {
        self.ppe.barrier();
    }
}
