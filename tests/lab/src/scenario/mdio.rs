// SPDX-License-Identifier: GPL-2.0-or-later
//! What a scenario does to the registers of a switch, by the bus of the chip drivers.

use crate::error::{Context, Error, Result};
use hw_drivers::qca8k_page::PageAfter;

/// The way to the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// The MII ioctls of a device, by force where that is needed.
    Ioctl,
    /// Programs by generic netlink.
    Netlink,
}

impl Door {
    /// The way that the first word names, and the others; without a name it is the ioctls.
    pub fn parse<'a, 'b>(words: &'a [&'b str]) -> (Door, &'a [&'b str]) {
        match words {
            ["netlink", rest @ ..] => (Door::Netlink, rest),
            rest => (Door::Ioctl, rest),
        }
    }
}

/// Something to do to a switch; always yields a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MdioTask {
    /// Reads the identifier of the PHY, each half by itself.
    Phy,
    /// Reads a register on a bus that does not run what others could come between.
    Unforced(u32),
    /// Reads a register.
    Read(u32, PageAfter),
    /// Writes a register, then reads it.
    Write(u32, u32, PageAfter),
    /// Reads a register so many times and counts what differs from the value.
    Sample(u32, u32, u32, PageAfter),
    /// Puts so many flows into the NAPT table by the engine's commands, lists, deletes, flushes.
    Engine(u32, PageAfter),
    /// The same with the QCA8337 driver.
    Driver(u32, PageAfter, Beside),
}

/// What happens to the switch beside a driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    /// Nothing.
    Nothing,
    /// The kernel's driver makes an access between any two calls.
    Accesses,
    /// It is reset when all flows are in.
    Reset,
}

impl MdioTask {
    /// Reads a task's words. Numbers may be hexadecimal; a page is `readback`, `known=N` or `any`.
    pub fn parse(words: &[&str]) -> Result<MdioTask> {
        Ok(match words {
            ["phy"] => MdioTask::Phy,
            ["unforced", register] => MdioTask::Unforced(number(register)?),
            ["read", register, after] => MdioTask::Read(number(register)?, page(after)?),
            ["write", register, value, after] => {
                MdioTask::Write(number(register)?, number(value)?, page(after)?)
            }
            ["sample", times, register, value, after] => {
                MdioTask::Sample(number(times)?, number(register)?, number(value)?, page(after)?)
            }
            ["engine", flows, after] => MdioTask::Engine(number(flows)?, page(after)?),
            ["driver", flows, after, beside @ ..] => {
                let beside = match beside {
                    [] => Beside::Nothing,
                    ["accesses"] => Beside::Accesses,
                    ["reset"] => Beside::Reset,
                    _ => return Err(Error::new("beside a driver: accesses or reset")),
                };
                MdioTask::Driver(number(flows)?, page(after)?, beside)
            }
            _ => return Err(Error::new(format!("nothing to do by MDIO: {}", words.join(" ")))),
        })
    }
}

fn number(text: &str) -> Result<u32> {
    let parsed = match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    };
    parsed.context(format!("not a number: {text}"))
}

fn page(text: &str) -> Result<PageAfter> {
    match text.split_once('=') {
        None if text == "readback" => Ok(PageAfter::ReadBack),
        None if text == "any" => Ok(PageAfter::Any),
        Some(("known", page)) => {
            let bad = format!("not a page: {page}");
            Ok(PageAfter::Known(u16::try_from(number(page)?).context(bad)?))
        }
        _ => Err(Error::new(format!("not readback, known=PAGE or any: {text}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_task() {
        let parse = |text: &str| MdioTask::parse(&text.split(' ').collect::<Vec<_>>());
        assert_eq!(parse("phy").unwrap(), MdioTask::Phy);
        assert_eq!(parse("read 0x30 any").unwrap(), MdioTask::Read(0x30, PageAfter::Any));
        let sample = MdioTask::Sample(9, 0, 0x1302, PageAfter::Known(7));
        assert_eq!(parse("sample 9 0x0 0x1302 known=0x7").unwrap(), sample);
        assert_eq!(parse("engine 64 readback").unwrap(), MdioTask::Engine(64, PageAfter::ReadBack));
        let driver = MdioTask::Driver(8, PageAfter::Any, Beside::Reset);
        assert_eq!(parse("driver 8 any reset").unwrap(), driver);
        for bad in [
            "driver 8 any twice",
            "read 0x30",
            "read x any",
            "read 4 known",
            "read 4 known=70000",
            "dance",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
