// SPDX-License-Identifier: GPL-2.0-or-later
//! What may be done with the page while the kernel has a driver of its own for the switch, as a
//! function of facts that the caller has read from sysfs.
//!
//! Linux' qca8k remembers the page and writes it only where it changes (`qca8k_set_page` in
//! `drivers/net/dsa/qca/qca8k-8xxx.c`). So a page left behind sends its next access to a wrong
//! register, and a write there can break forwarding. Other drivers write the page each time.

use super::probe::ReadBack;
use super::PageAfter;
use std::fmt;

/// Name of Linux' driver in `/sys/bus/mdio_bus/drivers`, also the beginning of the name of the bus
/// that it makes for its ports.
const QCA8K: &str = "qca8k";

/// A device on an MDIO bus with its driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound<'a> {
    /// The device's folder, by any path: `/sys/bus/mdio_bus/devices/mdio-bus:1f`.
    pub device: &'a str,
    /// Where the link `driver` in it leads to: `../../../../bus/mdio_bus/drivers/qca8k`.
    pub driver: &'a str,
}

/// What is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts<'a> {
    /// Name of the MDIO bus, as in `/sys/class/mdio_bus`. Behind the MII ioctls it is the part
    /// before the colon of what `/sys/class/net/NAME/phydev` leads to.
    pub bus: &'a str,
    /// Whether our way to the bus keeps others out ([`crate::bus::Bus::atomic`]).
    pub atomic: bool,
    /// All devices that have a driver, of this bus and of others.
    pub bound: &'a [Bound<'a>],
    /// Whether the page that is read was seen to follow the kernel ([`super::probe::Watch`]).
    pub follows: bool,
    /// What the probe has shown; `None` if it was not made.
    pub read_back: Option<ReadBack>,
}

/// Why the registers must be left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The bus is one that qca8k makes for the PHYs of its ports: it does not reach the registers,
    /// and its lock is not that of the bus that the switch is on.
    PortsBus,
    /// qca8k is bound on this bus, and can come in between with another page.
    NotAtomic,
    /// qca8k is bound on this bus, and the page that it relies on cannot be read back, or nothing
    /// has shown yet that it can.
    PageUnknown,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::PortsBus => "this bus belongs to the ports of the kernel's qca8k",
            Refusal::NotAtomic => {
                "the kernel's qca8k uses this bus, and mii ioctls cannot keep it out"
            }
            Refusal::PageUnknown => {
                "the kernel's qca8k relies on the page, which is not known to be readable"
            }
        })
    }
}

impl std::error::Error for Refusal {}

/// Whether Linux' qca8k is bound to a device on the bus.
pub fn qca8k_bound(bus: &str, bound: &[Bound<'_>]) -> bool {
    bound.iter().any(|Bound { device, driver }| {
        // The address behind the last colon: names of buses may hold colons themselves.
        let on = last(device).rsplit_once(':').map(|(on, _)| on);
        on == Some(bus) && last(driver) == QCA8K
    })
}

/// Whether probing can do no harm: it loses the page if that cannot be read back.
///
/// # Errors
/// [`Refusal`] if it can. On [`Refusal::PageUnknown`] watching the page helps, if it is readable.
pub fn may_probe(facts: &Facts<'_>) -> Result<(), Refusal> {
    match relies_on_page(facts)? {
        true if !facts.follows => Err(Refusal::PageUnknown),
        _ => Ok(()),
    }
}

/// How the page has to be left, from what is known.
///
/// # Errors
/// [`Refusal`] if the page that qca8k relies on cannot be kept.
pub fn page_after(facts: &Facts<'_>) -> Result<PageAfter, Refusal> {
    match (relies_on_page(facts)?, facts.read_back) {
        (false, _) => Ok(PageAfter::Any),
        (true, Some(ReadBack::Readable)) => Ok(PageAfter::ReadBack),
        (true, _) => Err(Refusal::PageUnknown),
    }
}

/// Whether a driver relies on the page of the switch on this bus.
fn relies_on_page(facts: &Facts<'_>) -> Result<bool, Refusal> {
    // The bus of the ports has the name of the driver, then "-" and two numbers.
    if facts.bus.strip_prefix(QCA8K).is_some_and(|rest| rest.starts_with('-')) {
        return Err(Refusal::PortsBus);
    }
    match qca8k_bound(facts.bus, facts.bound) {
        true if !facts.atomic => Err(Refusal::NotAtomic),
        bound => Ok(bound),
    }
}

/// The last part of a path.
fn last(path: &str) -> &str {
    let path = path.trim_end_matches('/');
    path.rsplit_once('/').map_or(path, |(_, last)| last)
}

#[cfg(test)]
mod tests {
    use super::*;

    const QCA: Bound<'_> = Bound {
        device: "/sys/bus/mdio_bus/devices/90000.mdio-1:10",
        driver: "../../../../../../bus/mdio_bus/drivers/qca8k",
    };
    const PHY: Bound<'_> = Bound {
        device: "/sys/bus/mdio_bus/devices/90000.mdio-1:03",
        driver: "../../../../../../bus/mdio_bus/drivers/Qualcomm Atheros 8337 internal PHY",
    };

    fn facts<'a>(bus: &'a str, bound: &'a [Bound<'a>]) -> Facts<'a> {
        Facts { bus, atomic: true, bound, follows: false, read_back: None }
    }

    #[test]
    fn qca8k_is_found_on_its_own_bus_only() {
        assert!(qca8k_bound("90000.mdio-1", &[PHY, QCA]));
        assert!(!qca8k_bound("90000.mdio-1", &[PHY]));
        assert!(!qca8k_bound("90000.mdio", &[QCA]));
        assert!(!qca8k_bound("1", &[QCA]));
        let bare = Bound { device: "gpio:0:1d/", driver: "qca8k/" };
        assert!(qca8k_bound("gpio:0", &[bare]));
        let other = Bound { driver: "drivers/qca8k-leds", ..QCA };
        assert!(!qca8k_bound("90000.mdio-1", &[other]));
    }

    #[test]
    fn nobody_else_cares_for_the_page() {
        let alone = Facts { atomic: false, ..facts("90000.mdio-1", &[PHY]) };
        assert_eq!(page_after(&alone), Ok(PageAfter::Any));
        assert_eq!(may_probe(&alone), Ok(()));
    }

    #[test]
    fn with_qca8k_only_a_page_that_can_be_read() {
        let bound = [QCA, PHY];
        let unprobed = facts("90000.mdio-1", &bound);
        let stuck = ReadBack::Stuck { written: 0x155, read: 0 };
        for (read_back, after) in [
            (None, Err(Refusal::PageUnknown)),
            (Some(ReadBack::NoPage(0xffff)), Err(Refusal::PageUnknown)),
            (Some(stuck), Err(Refusal::PageUnknown)),
            (Some(ReadBack::Readable), Ok(PageAfter::ReadBack)),
        ] {
            let facts = Facts { read_back, ..unprobed };
            assert_eq!(page_after(&facts), after, "{read_back:?}");
            let racing = Facts { atomic: false, ..facts };
            assert_eq!(page_after(&racing), Err(Refusal::NotAtomic), "{read_back:?}");
        }
    }

    #[test]
    fn with_qca8k_a_probe_only_after_watching() {
        let bound = [QCA];
        let unwatched = facts("90000.mdio-1", &bound);
        assert_eq!(may_probe(&unwatched), Err(Refusal::PageUnknown));
        let watched = Facts { follows: true, ..unwatched };
        assert_eq!(may_probe(&watched), Ok(()));
        assert_eq!(page_after(&watched), Err(Refusal::PageUnknown), "watching is not enough");
        let racing = Facts { atomic: false, ..watched };
        assert_eq!(may_probe(&racing), Err(Refusal::NotAtomic));
        assert_eq!(may_probe(&Facts { bus: "qca8k-0.0", ..watched }), Err(Refusal::PortsBus));
    }

    #[test]
    fn the_bus_of_the_ports_is_no_way() {
        assert_eq!(page_after(&facts("qca8k-0.0", &[])), Err(Refusal::PortsBus));
        assert_eq!(page_after(&facts("qca8kx", &[])), Ok(PageAfter::Any));
    }
}
