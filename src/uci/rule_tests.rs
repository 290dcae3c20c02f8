// SPDX-License-Identifier: GPL-2.0-or-later
//! Rules and tables as they are written.

use super::super::flowtable::tests::defaults;
use super::super::flowtable::Flowtable;
use super::super::flowtable::PRIORITY;
use super::super::view::tests::source;
use super::super::view::BOOLEAN;
use super::*;
use crate::core::policy::layers::RULES_MAX;
use proptest::prelude::*;

fn load(text: &str) -> Result<Flowtable, Error> {
    let zone = |name: &str| Zone { name: name.into(), ..Zone::default() };
    Flowtable::from_source(&source("flowtable", text), defaults(), &[zone("lan"), zone("wan")])
}

fn rule(options: &str) -> Result<Rule, String> {
    let read = load(&format!("config rule\n{options}")).map_err(|error| error.to_string())?;
    Ok(read.policy.rules()[0].clone())
}

fn refusal(options: &str) -> String {
    rule(options).unwrap_err()
}

#[test]
fn a_rule_without_options_keeps_everything_on_the_classic_path() {
    assert_eq!(rule("").unwrap().action, Action::Bypass);
    let all = Rule::all("cfg01b4c6", Action::Bypass);
    assert_eq!(Rule { name: all.name.clone(), ..rule("").unwrap() }, all);
    assert!(load("config rule\noption enabled 0\noption src nowhere\n").unwrap().policy.is_empty());
}

#[test]
fn every_option_is_read() {
    let read = load(
        "config rule\noption name 'a b'\noption src lan\noption dest wan\nlist src_ip 10.0.0.0/8\n\
         list src_ip fd00::1\noption dest_ip '::/0 1.2.3.4'\nlist src_port 80\n\
         option dest_port '1-9 443'\noption proto udp\nlist dscp ef\nlist dscp CS1\nlist dscp AF41\n\
         option mark 0x10/0xf0\noption device 'wl*'\noption target offload\noption min_packets 7\n\
         option min_bytes 1000\noption table bulk\nconfig table\noption name bulk\n",
    )
    .unwrap();
    let prefix = |text: &str| text.parse::<Prefix>().unwrap();
    let table = Some("bulk".to_owned());
    let expected = Rule {
        src: Some("lan".into()),
        dest: Some("wan".into()),
        src_ip: vec![prefix("10.0.0.0/8"), prefix("fd00::1")],
        dest_ip: vec![prefix("::/0"), prefix("1.2.3.4")],
        src_port: vec![(80, 80)],
        dest_port: vec![(1, 9), (443, 443)],
        protocols: (17, 17),
        dscp: vec![46, 8, 34],
        mark: Some(Mark { value: 0x10, mask: 0xf0 }),
        device: Some("wl*".into()),
        ..Rule::all("a b", Action::Offload { min_packets: 7, min_bytes: 1000, table })
    };
    assert_eq!(read.policy.rules(), [expected]);
    assert!(read.warnings.into_lines("x").is_empty());
}

#[test]
fn protocols_add_up() {
    let protocols = |options: &str| rule(options).map(|rule| rule.protocols);
    for (options, expected) in [
        ("option proto tcp\n", (6, 6)),
        ("option proto UDP\n", (17, 17)),
        ("option proto gre\n", (47, 47)),
        ("option proto 'tcp udp'\n", WITH_PORTS),
        ("option proto tcpudp\n", WITH_PORTS),
        ("option proto any\n", ALL_PROTOCOLS),
        ("", ALL_PROTOCOLS),
        ("option dest_port 80\n", WITH_PORTS),
    ] {
        assert_eq!(protocols(options), Ok(expected), "{options}");
    }
    assert!(protocols("option proto 'tcp gre'\n").is_err(), "what is between is not meant");
}

#[test]
fn dscp_has_firewall4s_names() {
    let named = [
        ("CS0", 0),
        ("CS7", 56),
        ("be", 0),
        ("LE", 1),
        ("AF11", 10),
        ("AF43", 38),
        ("EF", 46),
        ("63", 63),
        ("0x2e", 46),
    ];
    for (text, value) in named {
        assert_eq!(dscp(text), Some(value), "{text}");
    }
    for text in ["", "64", "CS8", "CS", "CS10", "AF", "AF1", "AF44", "AF50", "AF411", "-1", "CS/"] {
        assert_eq!(dscp(text), None, "{text}");
    }
}

#[test]
fn bad_values_say_what_is_accepted() {
    let line = |option: &str, value: &str, accepted: &str| {
        format!("/c/flowtable:2: bad value '{value}' of option '{option}', expected {accepted}")
    };
    for (option, value, accepted) in [
        ("src", "dmz", ZONE),
        ("dest", "LAN", ZONE),
        ("src_ip", "10.0.0.0/33", ADDRESS),
        ("src_ip", "host", ADDRESS),
        ("dest_port", "90-80", PORT),
        ("dest_port", "65536", PORT),
        ("src_port", "http", PORT),
        ("proto", "icmp", PROTOCOL),
        ("dscp", "EE", DSCP),
        ("mark", "0x10/0x0f", MARK),
        ("mark", "1/0", MARK),
        ("mark", "4294967296", MARK),
        ("device", "br[", DEVICE),
        ("target", "drop", TARGET),
        ("min_packets", "-1", COUNT),
        ("min_packets", "3", OFFLOAD_ONLY),
        ("min_bytes", "3", OFFLOAD_ONLY),
        ("table", "bulk", TABLE),
    ] {
        assert_eq!(refusal(&format!("option {option} '{value}'\n")), line(option, value, accepted));
    }
    let message = refusal("option src_ip 10.0.0.1\noption dest_ip fd00::1\n");
    assert!(message.starts_with("/c/flowtable:3: bad value 'fd00::1'"), "{message}");
    let message = load("config rule\noption colour blue\n").unwrap().warnings.into_lines("x");
    assert_eq!(message, ["/c/flowtable:2: unknown option 'colour' in config rule"]);
}

#[test]
fn the_rule_that_is_too_much_is_named() {
    let rules = "config rule\n".repeat(RULES_MAX + 1);
    let message = load(&rules).unwrap_err().to_string();
    assert!(message.starts_with("/c/flowtable:1025: bad value"), "{message}");
    assert!(message.ends_with("expected no more than 1024 rules"), "{message}");
}

#[test]
fn tables_have_names_and_devices() {
    let read = load(
        "config table\noption name a\nlist device 'br-*'\nlist device wan\noption priority -5\n\
         option counter 0\noption hardware on\nconfig table\noption name b_2\n",
    )
    .unwrap();
    let a = Partition {
        name: "a".into(),
        devices: vec!["br-*".into(), "wan".into()],
        priority: Some(-5),
        counter: Some(false),
        hardware: true,
    };
    let b = Partition {
        name: "b_2".into(),
        devices: Vec::new(),
        priority: None,
        counter: None,
        hardware: false,
    };
    assert_eq!(read.partitions, [a, b]);
    let error = |text: &str| load(&format!("config table\n{text}")).unwrap_err().to_string();
    assert_eq!(error(""), "/c/flowtable:1: missing option 'name' in config table");
    for name in ["A", "a-b", "seventeen_letters", "ä"] {
        let message = error(&format!("option name '{name}'\n"));
        assert!(message.starts_with("/c/flowtable:2: bad value"), "{message}");
    }
    let message = error("option name a\nconfig table\noption name a\n");
    assert!(message.starts_with("/c/flowtable:4: bad value 'a'"), "{message}");
    let bad = |option: &str, value: &str, accepted: &str| {
        let message = error(&format!("option name a\noption {option} '{value}'\n"));
        let words = format!("bad value '{value}' of option '{option}', expected {accepted}");
        assert_eq!(message, format!("/c/flowtable:3: {words}"));
    };
    bad("hardware", "auto", BOOLEAN);
    bad("counter", "2", BOOLEAN);
    bad("priority", "high", PRIORITY);
    let nine: String =
        (0..9).map(|number| format!("config table\noption name t{number}\n")).collect();
    assert!(load(&nine).unwrap_err().to_string().ends_with("expected no more than 8 tables"));
}

proptest! {
    #[test]
    fn any_value_is_read_or_refused(
        command in "option|list",
        option in prop::sample::select(KNOWN.to_vec()),
        value in "[^'\\x00]*",
    ) {
        let line = format!("option target offload\n{command} {option} '{value}'\n");
        let _ = load(&format!("config rule\n{line}config table\n{line}"));
    }
}
