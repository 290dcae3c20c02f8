// SPDX-License-Identifier: GPL-2.0-or-later
//! What is refused, and why, from what a folder like sysfs says.

use std::os::unix::fs::symlink;

use hw_simulators::qca8337::{KernelDriver, Qca8337 as Chip};
use hw_simulators::Shared;

use super::*;
use crate::uci::files::tests::TempDir;

/// A folder with the device `eth0`, whose PHY is on the bus `mdio.0`, and the switch on it.
fn sysfs(driver: Option<&str>) -> (TempDir, Sysfs) {
    let dir = TempDir::new();
    let root = dir.path();
    let eth0 = root.join("class/net/eth0");
    let switch = root.join("bus/mdio_bus/devices/mdio.0:10");
    fs::create_dir_all(&eth0).unwrap();
    fs::create_dir_all(&switch).unwrap();
    symlink("../../../devices/soc/mdio.0/mdio.0:04", eth0.join("phydev")).unwrap();
    if let Some(driver) = driver {
        symlink(format!("../../drivers/{driver}"), switch.join("driver")).unwrap();
    }
    let sysfs = Sysfs(root.to_owned());
    (dir, sysfs)
}

fn settings(way: SwitchWay, force: bool) -> SwitchSettings {
    let (driver, name) = (SwitchDriver::Qca8337, "sw".to_owned());
    SwitchSettings { name, driver, way: Some(way), force, ports: Vec::new(), private: None }
}

fn refused(settings: &SwitchSettings, sysfs: &Sysfs) -> String {
    match open(settings, sysfs, Instant::now()) {
        Err(words) => words,
        Ok(_) => panic!("opened"),
    }
}

#[test]
fn ioctls_need_the_users_word() {
    let (_dir, sysfs) = sysfs(None);
    let eth0 = || SwitchWay::Device("eth0".into());
    let words = refused(&settings(eth0(), false), &sysfs);
    assert!(words.starts_with("mii ioctls of eth0 cannot keep the kernel out"), "{words}");
    assert!(words.contains("bus 'mdio.0'"), "{words}");
    assert!(matches!(open(&settings(eth0(), true), &sysfs, Instant::now()), Ok(Access::Open(_))));
    let other = SwitchWay::Device("eth1".into());
    assert_eq!(refused(&settings(other, true), &sysfs), "eth1 has no PHY");
    let bad = SwitchWay::Device("a name that is too long".into());
    assert!(refused(&settings(bad, true), &sysfs).contains("cannot be an interface name"));
}

#[test]
fn a_bus_that_is_not_there_is_named() {
    let (_dir, sysfs) = sysfs(None);
    let words = refused(&settings(SwitchWay::Bus("no-such-bus".into()), false), &sysfs);
    assert!(words.starts_with("no-such-bus: "), "{words}");
}

fn watching(chip: &Shared<Chip>, sysfs: &Sysfs, force: bool) -> Watching {
    Watching {
        bus: Box::new(chip.clone()),
        model: Model::Qca8337,
        name: "mdio.0".into(),
        force,
        sysfs: sysfs.clone(),
        watch: Watch::new(Model::Qca8337.device_id() as u8),
        next: Instant::now(),
        pause: LOOK_EVERY,
    }
}

fn chip() -> Shared<Chip> {
    Shared::new(Chip::new(hw_simulators::qca8337::Options {
        kernel: KernelDriver::Qca8k,
        ..Default::default()
    }))
}

#[test]
fn the_page_of_qca8k_is_watched_before_it_is_used() {
    let (_dir, sysfs) = sysfs(Some("qca8k"));
    let chip = chip();
    let mut access = watching(&chip, &sysfs, false).go_on(Instant::now());
    for register in [0x0, 0xe00, 0x0, 0x1000, 0x4] {
        let Ok(Access::Watching(watching)) = access else { panic!("opened too early") };
        chip.with(|chip| chip.kernel_read(register));
        let before = chip.with(|chip| chip.page());
        let due = watching.deadline();
        access = watching.go_on(due);
        assert_eq!(chip.with(|chip| chip.page()), before, "looks move no page");
        if matches!(access, Ok(Access::Open(_))) {
            break;
        }
    }
    assert!(matches!(access, Ok(Access::Open(_))), "it was seen in two pages");
}

#[test]
fn nobody_else_or_the_users_word_need_no_watching() {
    for (driver, force) in [(None, false), (Some("Atheros AR8216"), false), (Some("qca8k"), true)] {
        let (_dir, sysfs) = sysfs(driver);
        let opened = watching(&chip(), &sysfs, force).go_on(Instant::now());
        assert!(matches!(opened, Ok(Access::Open(_))), "{driver:?}");
    }
}

#[test]
fn the_bus_of_the_switchs_own_ports_is_refused() {
    let (_dir, sysfs) = sysfs(None);
    let ports = Watching { name: "qca8k-0.0".into(), ..watching(&chip(), &sysfs, true) };
    let words = ports.go_on(Instant::now()).err().unwrap();
    assert_eq!(words, "this bus belongs to the ports of the kernel's qca8k");
}
