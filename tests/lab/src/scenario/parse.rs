// SPDX-License-Identifier: GPL-2.0-or-later
//! Reading a scenario: one step a line, indented lines belong to the step above them.

use super::words::{split, Word};
use super::{
    Action, Door, FlowKind, Line, MdioTask, Operand, Pace, Relation, Scenario, Shape, Step,
    Streaming, Target, Value, LONG, SOAK,
};
use crate::error::{Context, Error, Result};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// `use` inside a used file is allowed this deep; a deeper one is a circle.
const MAX_DEPTH: usize = 4;

/// Gives the text of the file that `use NAME` names.
pub type Load<'a> = &'a dyn Fn(&str) -> Result<String>;

/// Reads the scenario `name` from its text.
pub fn parse(name: &str, text: &str, load: Load) -> Result<Scenario> {
    let mut scenario = Scenario { name: name.into(), about: String::new(), lines: Vec::new() };
    add_lines(&mut scenario, &format!("{name}.scenario"), text, load, 0)?;
    if scenario.about.is_empty() {
        return Err(Error::new(format!("{name}.scenario: no `about` line")));
    }
    Ok(scenario)
}

fn add_lines(out: &mut Scenario, file: &str, text: &str, load: Load, depth: usize) -> Result<()> {
    let mut lines = text.lines().enumerate().peekable();
    while let Some((index, line)) = lines.next() {
        let place = format!("{file}:{}", index + 1);
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        if line.starts_with(char::is_whitespace) {
            return Err(Error::new(format!("{place}: indented, but no step above takes a block")));
        }
        let mut block = Vec::new();
        while let Some((_, next)) = lines.peek() {
            if !next.is_empty() && !next.starts_with(char::is_whitespace) {
                break;
            }
            block.push(*next);
            lines.next();
        }
        let block = dedent(&block);
        let words = split(line).context(&place)?;
        let rest = |n: usize| rest_of(line, &words, n);
        match words.first().map(|w| w.text.as_str()) {
            Some("about") if depth == 0 => out.about = rest(1).to_string(),
            Some("use") => {
                let part = rest(1);
                if depth == MAX_DEPTH {
                    return Err(Error::new(format!("{place}: `use` goes round in circles")));
                }
                let text = load(part).context(&place)?;
                add_lines(out, &format!("{part}.steps"), &text, load, depth + 1)?;
            }
            _ => {
                let step = step(line, &words, &block).context(&place)?;
                out.lines.push(Line { place, text: line.trim_end().to_string(), step });
            }
        }
    }
    Ok(())
}

/// The block's lines without the indentation that they share.
fn dedent(lines: &[&str]) -> String {
    let indent_of = |line: &&str| line.len() - line.trim_start().len();
    let indent =
        lines.iter().filter(|l| !l.trim().is_empty()).map(indent_of).min().unwrap_or_default();
    let mut text = String::new();
    for line in lines {
        text.push_str(line.get(indent..).unwrap_or_default());
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

/// The raw text behind the first `n` words.
fn rest_of<'a>(line: &'a str, words: &[Word], n: usize) -> &'a str {
    let end = n.checked_sub(1).and_then(|i| words.get(i)).map_or(0, |w| w.end);
    line.get(end..).unwrap_or_default().trim()
}

fn step(line: &str, words: &[Word], block: &str) -> Result<Step> {
    let texts: Vec<&str> = words.iter().map(|w| w.text.as_str()).collect();
    let takes_block = matches!(texts.as_slice(), ["config" | "nft" | "run", ..] | [_, "storm", ..]);
    if !block.is_empty() && !takes_block {
        return Err(Error::new("this step takes no indented block"));
    }
    Ok(match texts.as_slice() {
        ["host", name, device, rest @ ..] => host(name, device, rest)?,
        ["bridge", name, ports @ ..] => Step::Bridge { name: owned(name), ports: list(ports) },
        ["switch", device] => Step::Switch { device: owned(device) },
        ["vlan", lower, id] => Step::Vlan { lower: owned(lower), id: vlan_id(id)? },
        ["address", device, addresses @ ..] => {
            Step::Address { device: owned(device), addresses: list(addresses) }
        }
        ["firewall", wan] => Step::Firewall { wan: owned(wan) },
        ["config", file] => Step::Config { file: owned(file), text: owned(block) },
        ["edit", file, old, "->", new] => {
            Step::Edit { file: owned(file), old: owned(old), new: owned(new) }
        }
        ["nft"] => Step::Nft { ruleset: owned(block) },
        ["daemon", "start", "unprivileged"] => Step::Daemon(Action::StartUnprivileged),
        ["daemon", "start", "starved", mib] => {
            let mib = mib.strip_suffix('M').and_then(|number| number.parse().ok());
            Step::Daemon(Action::StartStarved(mib.context("not as 8M")?))
        }
        [program @ ("ubusd" | "daemon"), "storm", times, within] => Step::Storm {
            ubusd: *program == "ubusd",
            times: times.parse().context(format!("not a number: {times}"))?,
            within: duration(within)?,
            command: owned(block),
        },
        ["ubusd", what] => Step::Ubusd(action(what)?),
        ["daemon", what] => Step::Daemon(action(what)?),
        ["flow", name, kind, from, "->", to, rest @ ..] => Step::Flow {
            name: owned(name),
            kind: FlowKind::named(kind)?,
            from: owned(from),
            to: owned(to),
            target: target(rest)?,
        },
        ["stream", flow, what @ ..] => {
            let streaming = match what {
                ["start"] => Streaming::Start,
                ["start", "large"] => Streaming::StartLarge,
                ["stop"] => Streaming::Stop,
                _ => return Err(Error::new("not start, start large or stop")),
            };
            Step::Stream { flow: owned(flow), streaming }
        }
        ["meet", device, flow] => Step::Meet { device: owned(device), flow: owned(flow) },
        ["steady", flow, pace] => {
            let pace = match *pace {
                "start" => Pace::Start,
                "mark" => Pace::Mark,
                "stop" => Pace::Stop,
                _ => return Err(Error::new(format!("not start, mark or stop: {pace}"))),
            };
            Step::Steady { flow: owned(flow), pace }
        }
        ["close", flow] => Step::Close { flow: owned(flow), reset: false },
        ["reset", flow] => Step::Close { flow: owned(flow), reset: true },
        ["run"] => Step::Run { command: owned(block) },
        ["run", ..] => Step::Run { command: format!("{}\n{block}", rest_of(line, words, 1)) },
        ["remember", name, value @ ..] => {
            Step::Remember { name: owned(name), value: self::value(value)? }
        }
        ["expect", ..] => {
            let (value, relation, operand) = comparison(line, words, 1)?;
            Step::Check { patience: None, value, relation, operand }
        }
        ["eventually", within, ..] => {
            let (value, relation, operand) = comparison(line, words, 2)?;
            Step::Check { patience: Some(duration(within)?), value, relation, operand }
        }
        ["throughout", time, ..] => {
            let (value, relation, operand) = comparison(line, words, 2)?;
            Step::Throughout { time: duration(time)?, value, relation, operand }
        }
        ["needs", "kernel", release] => Step::Needs { release: self::release(release)? },
        ["needs", "kernel", "before", release] => {
            Step::NeedsBefore { release: self::release(release)? }
        }
        ["needs", "package"] => Step::NeedsPackage,
        [LONG] => Step::Long,
        [SOAK, within] => Step::Soak { within: duration(within)? },
        ["phase", ..] => Step::Phase { text: owned(rest_of(line, words, 1)) },
        _ => return Err(Error::new(format!("not a step: {line}"))),
    })
}

fn owned(text: &str) -> String {
    text.to_string()
}

fn list(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|t| t.to_string()).collect()
}

fn vlan_id(text: &str) -> Result<u16> {
    match text.parse() {
        Ok(id @ 1..=4094) => Ok(id),
        _ => Err(Error::new(format!("not a VLAN id: {text}"))),
    }
}

fn host(name: &str, device: &str, rest: &[&str]) -> Result<Step> {
    let (hardware, rest) = match rest {
        ["hardware", rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let (vlan, rest) = match rest {
        ["vlan", id, rest @ ..] => (Some(vlan_id(id)?), rest),
        rest => (None, rest),
    };
    let mut halves = rest.splitn(2, |word| *word == "via");
    let addresses = list(halves.next().unwrap_or_default());
    let via = list(halves.next().unwrap_or_default());
    Ok(Step::Host { name: owned(name), device: owned(device), hardware, vlan, addresses, via })
}

fn action(text: &str) -> Result<Action> {
    Ok(match text {
        "start" => Action::Start,
        "stop" => Action::Stop,
        "kill" => Action::Kill,
        "hup" => Action::Hup,
        _ => return Err(Error::new(format!("not start, stop, kill or hup: {text}"))),
    })
}

/// What follows the hosts of a flow: nothing, `as ADDRESS` or `as ADDRESS:PORT`, where an address of
/// IPv6 with a port stands in brackets.
fn target(words: &[&str]) -> Result<Option<Target>> {
    let text = match words {
        [] => return Ok(None),
        ["as", text] => *text,
        _ => return Err(Error::new(format!("not as ADDRESS[:PORT]: {}", words.join(" ")))),
    };
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(Some(Target { address: address.to_string(), port: None }));
    }
    let whole: SocketAddr = text.parse().context(format!("not an address: {text}"))?;
    Ok(Some(Target { address: whole.ip().to_string(), port: Some(whole.port()) }))
}

fn duration(text: &str) -> Result<Duration> {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let number = text.strip_suffix(unit).and_then(|number| number.parse::<u64>().ok());
    let of = |unit_ms: u64| number?.checked_mul(unit_ms).map(Duration::from_millis);
    let found = match unit {
        "ms" => of(1),
        "s" => of(1000),
        "m" => of(60_000),
        _ => None,
    };
    found.context(format!("not a time like 5s, 200ms or 2m: {text}"))
}

/// Major and minor number of a release such as `6.12` or `6.12.95-cloud-amd64`.
pub fn release(text: &str) -> Result<(u32, u32)> {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(major)), Some(Ok(minor))) => Ok((major, minor)),
        _ => Err(Error::new(format!("not a kernel release: {text}"))),
    }
}

fn relation(word: &Word) -> Option<Relation> {
    if word.quoted {
        return None;
    }
    Some(match word.text.as_str() {
        "==" => Relation::Equal,
        "!=" => Relation::Unequal,
        "<=" => Relation::AtMost,
        ">=" => Relation::AtLeast,
        "contains" => Relation::Contains,
        "lacks" => Relation::Lacks,
        _ => return None,
    })
}

/// `VALUE RELATION OPERAND`, from the word `from` on.
fn comparison(line: &str, words: &[Word], from: usize) -> Result<(Value, Relation, Operand)> {
    let found = words.iter().enumerate().skip(from).find_map(|(i, w)| Some((i, relation(w)?)));
    let (at, relation) = found.context("no comparison (==, !=, <=, >=, contains, lacks)")?;
    let texts: Vec<&str> =
        words.iter().take(at).skip(from).map(|word| word.text.as_str()).collect();
    let right = rest_of(line, words, at + 1);
    let operand = match right.strip_prefix('$') {
        Some(name) => Operand::Remembered(name.to_string()),
        None => Operand::Literal(
            serde_json::from_str(right).context(format!("not JSON and not $name: {right}"))?,
        ),
    };
    Ok((value(&texts)?, relation, operand))
}

fn value(words: &[&str]) -> Result<Value> {
    Ok(match words {
        ["status", path] => Value::Status(pointer(path)?),
        ["device", name, path] => Value::Device(owned(name), pointer(path)?),
        ["flowtable", table, path] => Value::Flowtable(owned(table), pointer(path)?),
        ["tables"] => Value::Tables,
        ["generation"] => Value::Generation,
        ["path", flow] => Value::Path(owned(flow)),
        ["received", flow, number, path] => {
            Value::Received(owned(flow), rounds(number)?, pointer(path)?)
        }
        ["probe", flow, shape @ .., path] => {
            Value::Probe(owned(flow), Shape::parse(shape)?, pointer(path)?)
        }
        ["forwarded", flow, number] => Value::Forwarded(owned(flow), rounds(number)?),
        ["engine_forwarded", flow, number] => Value::EngineForwarded(owned(flow), rounds(number)?),
        ["punted", flow, number] => Value::Punted(owned(flow), rounds(number)?),
        ["sent", flow] => Value::Sent(owned(flow)),
        ["steady", flow, path] => Value::Steady(owned(flow), pointer(path)?),
        ["callers", flow] => Value::Callers(owned(flow)),
        ["storm", path] => Value::Storm(pointer(path)?),
        ["listed", flow, path] => Value::Listed(owned(flow), pointer(path)?),
        ["explained", flow, path] => Value::Explained(owned(flow), pointer(path)?),
        ["mdio", device, task @ .., path] => {
            let (door, task) = Door::parse(task);
            Value::Mdio(owned(device), door, MdioTask::parse(task)?, pointer(path)?)
        }
        ["entries", device] => Value::Entries(owned(device)),
        ["engine", device] => Value::Engine(owned(device)),
        ["hardware", name, path] => Value::Hardware(owned(name), pointer(path)?),
        ["client", address, path] => Value::Client(owned(address), pointer(path)?),
        ["daemon"] => Value::Daemon,
        ["log"] => Value::Log,
        ["output", command] => Value::Output(owned(command)),
        ["exit", command] => Value::Exit(owned(command)),
        _ => return Err(Error::new(format!("nothing to look at: {}", words.join(" ")))),
    })
}

fn rounds(text: &str) -> Result<u32> {
    text.parse().context(format!("not a number: {text}"))
}

/// `.tables.0.name` as the JSON pointer `/tables/0/name`; a single dot is the whole reply.
fn pointer(path: &str) -> Result<String> {
    match path.strip_prefix('.') {
        Some("") => Ok(String::new()),
        Some(rest) => Ok(format!("/{}", rest.replace('.', "/"))),
        None => Err(Error::new(format!("a path starts with a dot: {path}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn steps(text: &str) -> Vec<Step> {
        let parts = |name: &str| match name {
            "wires" => Ok("bridge br-lan lan1 lan2\n".to_string()),
            "circle" => Ok("use circle\n".to_string()),
            _ => Err(Error::new("no such part")),
        };
        let text = format!("about test\n{text}");
        parse("t", &text, &parts).unwrap().lines.into_iter().map(|l| l.step).collect()
    }

    fn fails(text: &str) -> String {
        let circle = |_: &str| Ok("use circle\n".to_string());
        parse("t", &format!("about test\n{text}"), &circle).unwrap_err().to_string()
    }

    #[test]
    fn topology() {
        let got = steps("host wan wan0 vlan 7 10.0.0.2/24 fd00::2/64 via 10.0.0.1 fd00::1\n");
        let strings = |list: &[&str]| list.iter().map(|s| s.to_string()).collect::<Vec<_>>();
        assert_eq!(
            got,
            [Step::Host {
                name: "wan".into(),
                device: "wan0".into(),
                hardware: false,
                vlan: Some(7),
                addresses: strings(&["10.0.0.2/24", "fd00::2/64"]),
                via: strings(&["10.0.0.1", "fd00::1"]),
            }]
        );
        let got = steps("host wan wan0 hardware 10.0.0.2/24\n");
        assert!(matches!(&got[..], [Step::Host { hardware: true, vlan: None, .. }]), "{got:?}");
        assert_eq!(steps("vlan wan0 7"), [Step::Vlan { lower: "wan0".into(), id: 7 }]);
    }

    #[test]
    fn flows_connect_where_they_are_told() {
        let target = |text: &str| match steps(&format!("flow x tcp4 a -> b{text}\n")).remove(0) {
            Step::Flow { target, .. } => target.map(|target| (target.address, target.port)),
            _ => panic!("not a flow"),
        };
        assert_eq!(target(""), None);
        assert_eq!(target(" as 192.0.2.1"), Some(("192.0.2.1".into(), None)));
        assert_eq!(target(" as 192.0.2.1:80"), Some(("192.0.2.1".into(), Some(80))));
        assert_eq!(target(" as fd00::1"), Some(("fd00::1".into(), None)));
        assert_eq!(target(" as [fd00::1]:80"), Some(("fd00::1".into(), Some(80))));
        assert!(fails("flow x tcp4 a -> b as wan\n").contains("not an address: wan"));
        assert!(fails("flow x tcp4 a -> b via wan\n").contains("not as ADDRESS"));
    }

    #[test]
    fn blocks_are_dedented_and_keep_inner_indent() {
        let got = steps("config firewall\n    config defaults\n        option x '1'\n\n    end\n");
        let text = "config defaults\n    option x '1'\n\nend\n".to_string();
        assert_eq!(got, [Step::Config { file: "firewall".into(), text }]);
    }

    #[test]
    fn a_blank_line_ends_nothing_and_a_comment_is_skipped() {
        let got = steps("daemon start\n\n# why\ndaemon hup\n");
        assert_eq!(got, [Step::Daemon(Action::Start), Step::Daemon(Action::Hup)]);
        let got = steps("daemon start unprivileged\n");
        assert_eq!(got, [Step::Daemon(Action::StartUnprivileged)]);
    }

    #[test]
    fn used_files_stand_in_place() {
        let got = steps("use wires\ndaemon start\n");
        assert_eq!(got.len(), 2);
        assert!(matches!(got.first(), Some(Step::Bridge { .. })));
    }

    #[test]
    fn checks() {
        let got = steps(
            "eventually 5s status .tables.0.devices == [\"lan0\", \"wan0\"]\n\
             expect output \"a == b\" contains \"x y\"\n\
             expect generation == $before\n",
        );
        assert_eq!(
            got,
            [
                Step::Check {
                    patience: Some(Duration::from_secs(5)),
                    value: Value::Status("/tables/0/devices".into()),
                    relation: Relation::Equal,
                    operand: Operand::Literal(json!(["lan0", "wan0"])),
                },
                Step::Check {
                    patience: None,
                    value: Value::Output("a == b".into()),
                    relation: Relation::Contains,
                    operand: Operand::Literal(json!("x y")),
                },
                Step::Check {
                    patience: None,
                    value: Value::Generation,
                    relation: Relation::Equal,
                    operand: Operand::Remembered("before".into()),
                },
            ]
        );
    }

    #[test]
    fn what_is_listed_of_a_flow() {
        let got = steps("remember dns sent dns\nexpect listed dns .bytes_sent == $dns\n");
        let value = Value::Listed("dns".into(), "/bytes_sent".into());
        let operand = Operand::Remembered("dns".into());
        assert_eq!(
            got,
            [
                Step::Remember { name: "dns".into(), value: Value::Sent("dns".into()) },
                Step::Check { patience: None, value, relation: Relation::Equal, operand },
            ]
        );
    }

    #[test]
    fn what_a_fault_leaves() {
        let got = steps("remember dns callers dns\nexpect storm .committed >= 20\n");
        let value = Value::Storm("/committed".into());
        let (relation, operand) = (Relation::AtLeast, Operand::Literal(json!(20)));
        assert_eq!(
            got,
            [
                Step::Remember { name: "dns".into(), value: Value::Callers("dns".into()) },
                Step::Check { patience: None, value, relation, operand },
            ]
        );
    }

    #[test]
    fn a_steady_flow() {
        let got = steps("steady dns mark\nexpect steady dns .quiet_ms <= 100\n");
        let value = Value::Steady("dns".into(), "/quiet_ms".into());
        let (relation, operand) = (Relation::AtMost, Operand::Literal(json!(100)));
        assert_eq!(
            got,
            [
                Step::Steady { flow: "dns".into(), pace: Pace::Mark },
                Step::Check { patience: None, value, relation, operand },
            ]
        );
        assert!(fails("steady dns faster\n").contains("not start, mark or stop"));
    }

    #[test]
    fn a_switch() {
        let got = steps(
            "stream dns start large\nmeet sw0 dns\n\
             eventually 5s entries sw0 == [\"dns\"]\nexpect engine sw0 == \"on\"\n\
             expect hardware sw .used == 1\nstream dns stop\n",
        );
        let check = |seconds: Option<u64>, value, operand| Step::Check {
            patience: seconds.map(Duration::from_secs),
            value,
            relation: Relation::Equal,
            operand: Operand::Literal(operand),
        };
        let stream = |streaming| Step::Stream { flow: "dns".into(), streaming };
        assert_eq!(
            got,
            [
                stream(Streaming::StartLarge),
                Step::Meet { device: "sw0".into(), flow: "dns".into() },
                check(Some(5), Value::Entries("sw0".into()), json!(["dns"])),
                check(None, Value::Engine("sw0".into()), json!("on")),
                check(None, Value::Hardware("sw".into(), "/used".into()), json!(1)),
                stream(Streaming::Stop),
            ]
        );
        assert!(fails("stream dns start small\n").contains("not start, start large or stop"));
    }

    #[test]
    fn errors_name_the_place() {
        assert!(fails("dance\n").contains("t.scenario:2: not a step"));
        assert!(fails("daemon start\n  x\n").contains("takes no indented block"));
        assert!(fails("expect status .x\n").contains("no comparison"));
        assert!(fails("expect status .x == nonsense\n").contains("not JSON"));
        assert!(fails("use circle\n").contains("circles"));
    }

    #[test]
    fn releases() {
        assert_eq!(release("6.12.95+deb13-cloud-amd64").unwrap(), (6, 12));
        assert_eq!(release("7.2").unwrap(), (7, 2));
        assert!(release("six").is_err());
        assert_eq!(steps("needs kernel 6.16\n"), [Step::Needs { release: (6, 16) }]);
        let before = Step::NeedsBefore { release: (6, 19) };
        assert_eq!(steps("needs kernel before 6.19\n"), [before]);
    }
}
