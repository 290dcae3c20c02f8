// SPDX-License-Identifier: GPL-2.0-or-later
//! Switches as they are written.

use super::super::flowtable::tests::defaults;
use super::super::flowtable::Flowtable;
use super::super::view::tests::source;
use super::super::view::BOOLEAN;
use super::*;
use proptest::prelude::*;

/// The least that a chip with a table needs besides its driver, on three lines.
const AROUND: &str = "option bus mdio-bus\nlist port wan=1\nlist port lan=2\n";

fn load(text: &str) -> Result<Flowtable, String> {
    let read = Flowtable::from_source(&source("flowtable", text), defaults(), &[]);
    read.map_err(|error| error.to_string())
}

fn switch(options: &str) -> Result<SwitchSettings, String> {
    Ok(load(&format!("config switch\n{options}"))?.switches.remove(0))
}

fn refusal(line: u32, option: &str, value: &str, accepted: &str) -> String {
    format!("/c/flowtable:{line}: bad value '{value}' of option '{option}', expected {accepted}")
}

fn port(device: &str, port: u8, vlan: u16) -> SwitchPort {
    SwitchPort { device: device.into(), port, vlan }
}

#[test]
fn every_option_is_read() {
    let read = load(
        "config switch\noption name main-1_a\noption driver ar8327\noption device eth0\n\
         option force yes\nlist port wan=5/2\nlist port 'lan=x=0'\nlist port lan3=6/4094\n\
         option private 192.168.0.0/20\noption enabled 1\n\
         config switch\noption driver qca8337\noption bus 90000.mdio-1\n\
         option port 'lan1=1 wan=2'\noption force 0\n",
    )
    .unwrap();
    let main = SwitchSettings {
        name: "main-1_a".into(),
        driver: SwitchDriver::Ar8327,
        way: Some(SwitchWay::Device("eth0".into())),
        force: true,
        ports: vec![port("wan", 5, 2), port("lan=x", 0, 1), port("lan3", 6, 4094)],
        private: Some(([192, 168, 0, 0].into(), 20)),
    };
    let second = SwitchSettings {
        name: "qca8337".into(),
        driver: SwitchDriver::Qca8337,
        way: Some(SwitchWay::Bus("90000.mdio-1".into())),
        force: false,
        ports: vec![port("lan1", 1, 1), port("wan", 2, 1)],
        private: None,
    };
    assert_eq!(read.switches, [main, second]);
    assert!(read.warnings.into_lines("x").is_empty());
}

#[test]
fn chips_without_a_table_of_ours_need_less() {
    let read = switch("option driver mt7621\n").unwrap();
    assert_eq!((read.driver, read.way, read.ports), (SwitchDriver::Mt7621, None, Vec::new()));
    let read = switch("option driver mt7530\noption bus mdio-bus\nlist port wan=4\n").unwrap();
    assert_eq!((read.driver, read.ports), (SwitchDriver::Mt7530, vec![port("wan", 4, 1)]));
    assert!(switch("option driver mt7530\noption bus mdio-bus\n").is_ok());
}

#[test]
fn one_that_is_not_enabled_is_left_out() {
    let read = load(&format!(
        "config switch\noption enabled 0\noption driver nothing\n\
         config switch\noption driver qca8337\n{AROUND}option enabled on\n"
    ))
    .unwrap();
    assert_eq!(read.switches.len(), 1);
    assert_eq!(
        switch("option driver mt7621\noption enabled maybe\n").unwrap_err(),
        refusal(3, "enabled", "maybe", BOOLEAN)
    );
}

#[test]
fn bad_values_say_what_is_accepted() {
    // Behind the driver and what it needs.
    let qca = |option: &str, value: &str, accepted: &str| {
        let text = format!("option driver qca8337\n{AROUND}option {option} '{value}'\n");
        assert_eq!(switch(&text).unwrap_err(), refusal(6, option, value, accepted));
    };
    for name in ["A", "a b", "seventeen-letters", "ä", "a/b", "a.b"] {
        qca("name", name, NAME);
    }
    for private in [
        "192.168.1.0",
        "192.168.1.0/31",
        "192.0.0.0/7",
        "0.0.0.0/0",
        "192.168.1.1/24",
        "192.168.1.128/24",
        "192.168.1.0/+24",
        "192.168.1.0/255.255.255.0",
        "192.168.1/24",
        "fd00::/16",
    ] {
        qca("private", private, PRIVATE);
    }
    qca("force", "often", BOOLEAN);
    qca("force", "1", FORCE);
    qca("device", "eth0", ONE_WAY);
    for device in [".", "..", "a/b", "a b", "a:1", "sixteen_letters_"] {
        qca("device", device, DEVICE);
    }
    assert!(switch("option driver qca8337\noption private 10.0.0.0/8\n").is_err());
    for private in ["10.0.0.0/8", "192.168.1.4/30"] {
        let text = format!("option driver qca8337\n{AROUND}option private {private}\n");
        assert!(switch(&text).unwrap().private.is_some(), "{private}");
    }

    assert_eq!(switch("").unwrap_err(), "/c/flowtable:1: missing option 'driver' in config switch");
    for driver in ["QCA8337", "mt7620"] {
        let text = format!("option driver '{driver}'\n");
        assert_eq!(switch(&text).unwrap_err(), refusal(2, "driver", driver, DRIVER));
    }
    assert_eq!(
        switch("option driver ar8327\n").unwrap_err(),
        "/c/flowtable:1: missing option 'bus' or 'device' in config switch"
    );
    let long = "b".repeat(BUS_MAX + 1);
    for bus in [".", "a/b", "a b", &long] {
        let text = format!("option driver mt7530\noption bus '{bus}'\n");
        assert_eq!(switch(&text).unwrap_err(), refusal(3, "bus", bus, BUS));
    }
    assert!(switch(&format!("option driver mt7530\noption bus {}\n", &long[1..])).is_ok());
}

#[test]
fn ports_are_given_once_and_two_are_needed() {
    let with = |ports: &str| switch(&format!("option driver ar8327\noption bus b\n{ports}"));
    for bad in ["lan1", "lan1=", "=1", "lan1=7", "lan1=-1", "lan1=+1", "lan1=1/0", "lan1=1/4095"]
        .into_iter()
        .chain(["lan1=1/", "lan1=a", "a b=1", "a/b=1", "sixteen_letters_=1", "lan1=1/+2"])
    {
        let text = format!("list port wan=0\nlist port '{bad}'\n");
        assert_eq!(with(&text).unwrap_err(), refusal(5, "port", bad, PORT));
    }
    for twice in ["wan=2", "lan=1"] {
        let text = format!("list port wan=1\nlist port {twice}\n");
        assert_eq!(with(&text).unwrap_err(), refusal(5, "port", twice, PORT_ONCE));
    }
    let one = with("list port wan=1\n").unwrap_err();
    assert_eq!(one, refusal(4, "port", "wan=1", TWO_PORTS));
    let none = with("").unwrap_err();
    assert_eq!(none, "/c/flowtable:1: missing option 'port' in config switch");
}

#[test]
fn what_a_driver_has_no_use_for_is_refused() {
    let mt7621 = |option: &str, value: &str, accepted: &str| {
        let text = format!("option driver mt7621\noption {option} '{value}'\n");
        assert_eq!(switch(&text).unwrap_err(), refusal(3, option, value, accepted));
    };
    mt7621("bus", "mdio-bus", NO_WAY);
    mt7621("device", "eth0", NO_WAY);
    mt7621("force", "1", FORCE);
    mt7621("port", "lan1=1", NO_PORT);
    mt7621("private", "10.0.0.0/8", NO_PRIVATE);
    let text = "option driver mt7530\noption bus b\noption private 10.0.0.0/8\n";
    assert_eq!(switch(text).unwrap_err(), refusal(4, "private", "10.0.0.0/8", NO_PRIVATE));
}

#[test]
fn names_differ_and_switches_are_few() {
    let named = |name: &str| format!("config switch\noption driver mt7621\noption name {name}\n");
    let message = load(&format!("{}{}", named("a"), named("a"))).unwrap_err();
    assert_eq!(message, refusal(6, "name", "a", NAME));
    let unnamed = "config switch\noption driver mt7621\n";
    let message = load(&format!("{unnamed}{unnamed}")).unwrap_err();
    assert_eq!(message, refusal(4, "name", "mt7621", NAME), "the driver's name is the default");

    let most: String = (0..MAX_SWITCHES).map(|number| named(&format!("s{number}"))).collect();
    assert_eq!(load(&most).unwrap().switches.len(), MAX_SWITCHES);
    let message = load(&format!("{most}{}", named("more"))).unwrap_err();
    assert_eq!(message, refusal(14, "driver", "mt7621", FEWER));
    let off = format!("{most}{}option enabled 0\n", named("more"));
    assert_eq!(load(&off).unwrap().switches.len(), MAX_SWITCHES, "what is off does not count");
    assert!(FEWER.contains(&MAX_SWITCHES.to_string()));
}

#[test]
fn unknown_options_are_warned_of() {
    let read = load("config switch\noption driver mt7621\noption colour blue\n").unwrap();
    let lines = read.warnings.into_lines("x");
    assert_eq!(lines, ["/c/flowtable:3: unknown option 'colour' in config switch"]);
}

proptest! {
    #[test]
    fn any_value_is_read_or_refused(
        command in "option|list",
        option in prop::sample::select(KNOWN.to_vec()),
        driver in prop::sample::select(SwitchDriver::ALL.to_vec()),
        value in "[^'\\x00]*",
    ) {
        let name = driver.name();
        let line = format!("{command} {option} '{value}'\n");
        let _ = load(&format!("config switch\noption driver {name}\n{line}"));
        let _ = load(&format!("config switch\noption driver {name}\n{AROUND}{line}"));
    }

    #[test]
    fn every_port_and_prefix_is_read_as_written(
        number in PORTS,
        vlan in VLANS,
        address in any::<u32>(),
        length in LENGTHS,
    ) {
        let address = Ipv4Addr::from(address & !(u32::MAX >> length));
        let read = switch(&format!(
            "option driver qca8337\noption device eth0\nlist port x={number}/{vlan}\n\
             list port y={}\noption private {address}/{length}\n", (number + 1) % 7
        )).unwrap();
        prop_assert_eq!(&read.ports[0], &port("x", number, vlan));
        prop_assert_eq!(read.private, Some((address, length)));
    }
}
