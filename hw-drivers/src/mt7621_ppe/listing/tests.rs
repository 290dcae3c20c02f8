// SPDX-License-Identifier: GPL-2.0-or-later
use super::*;
use crate::flow::Side;
use proptest::prelude::*;

const BOUND: &str = "001e8 BND IPv4 5T orig=192.168.1.100:40000->203.0.113.10:443 \
    new=198.51.100.2:40000->203.0.113.10:443 eth=02:00:00:00:00:02->02:00:00:00:00:03 \
    etype=1000 vlan=0,0 ib1=21411234 ib2=007ff037 packets=0 bytes=0";

fn flow() -> Flow {
    let tuple = |source: &str, destination: &str| Tuple {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
    };
    let side = Side::ethernet(1, 1, Mac([2, 0, 0, 0, 0, 3]), Mac([2, 0, 0, 0, 0, 2]));
    Flow {
        protocol: Protocol::Tcp,
        original: tuple("192.168.1.100:40000", "203.0.113.10:443"),
        reply: tuple("203.0.113.10:443", "198.51.100.2:40000"),
        opener: side,
        answerer: side,
    }
}

#[test]
fn a_bound_line_is_read() {
    let line = Line::parse(BOUND).unwrap();
    assert_eq!((line.index, line.state, line.kind), (0x1e8, State::Bound, Some(Kind::V4Five)));
    assert_eq!(line.new.unwrap().source, "198.51.100.2".parse::<IpAddr>().unwrap());
    assert_eq!((line.source, line.destination), (flow().opener.router, flow().opener.neighbour));
    assert_eq!((line.etype, line.vlans, line.ib2.port()), (0x0010, [0, 0], 1));
    assert_eq!(line.counters, Some([0, 0]));
    assert!(!line.torn());
    assert_eq!(line.to_string(), BOUND);
}

#[test]
fn kernels_before_the_counters() {
    let old = BOUND.strip_suffix(" packets=0 bytes=0").unwrap();
    let line = Line::parse(old).unwrap();
    assert_eq!((line.counters, line.to_string().as_str()), (None, old));
    let half = Line::parse(&format!("{old} packets=7"));
    assert_eq!(half, Err(Fault::Missing("bytes")));
    let later = format!("{BOUND} later=1");
    assert_eq!(Line::parse(&later), Line::parse(BOUND), "an unknown field is skipped");
}

#[test]
fn every_type_is_read() {
    let six = "2001:0db8:0001:0000:0000:0000:0000:0100";
    let tail = |ib1: &str| {
        format!("eth=02:00:00:00:00:02->02:00:00:00:00:03 etype=dd86 vlan=7,65535 ib1={ib1} ib2=00000020")
    };
    let lines = [
        (
            format!(
                "00000 UNB IPv4 3T orig=1.2.3.4->5.6.7.8 new=0.0.0.0->0.0.0.0 {}",
                tail("12000102")
            ),
            Some(Kind::V4Three),
        ),
        (
            format!(
                "03fff FIN DS-LITE orig=1.2.3.4:5->6.7.8.9:10 new=255.1.2.3:65535->0.0.0.0:0 {}",
                tail("36000000")
            ),
            Some(Kind::DsLite),
        ),
        (format!("00002 UNB IPv6 3T orig={six}->{six} {}", tail("18000102")), Some(Kind::V6Three)),
        (
            format!("00003 BND IPv6 5T orig={six}:1->{six}:65535 {}", tail("2a000000")),
            Some(Kind::V6Five),
        ),
        (format!("00004 BND     6RD orig={six}->{six} {}", tail("2e000000")), Some(Kind::SixRd)),
        (format!("00005 BND UNKNOWN orig=(null)->(null) {}", tail("24000000")), None),
    ];
    let mut summary = Summary::default();
    for (text, kind) in &lines {
        let line = Line::parse(text);
        summary.add(&line.map_err(|fault| Malformed { line: 1, fault }));
        let line = line.unwrap();
        assert_eq!((line.kind, line.torn(), &line.to_string()), (*kind, false, text));
        assert_eq!((line.etype, line.vlans), (0x86dd, [7, 65535]));
    }
    assert_eq!((summary.occupied(), summary.bound(), summary.in_state(State::Fin)), (6, 3, 1));
    assert_eq!(Summary::usable(), 15360);
}

#[test]
fn lines_are_tied_to_flows() {
    let line = Line::parse(BOUND).unwrap();
    assert_eq!(line.direction(&flow()), Some(Direction::Original));
    let udp = Line { ib1: Ib1(line.ib1.0 | 1 << 30), ..line };
    assert_eq!(udp.direction(&flow()), None);
    let mut turned = flow();
    (turned.original, turned.reply) = (turned.reply, turned.original);
    assert_eq!(line.direction(&turned), Some(Direction::Reply));
    turned.reply.source.set_port(1);
    assert_eq!(line.direction(&turned), None);
}

#[test]
fn a_line_that_disagrees_with_itself_is_torn() {
    let unbound = BOUND.replace("ib1=21411234", "ib1=10000102");
    let other = BOUND.replace("ib1=21411234", "ib1=2a411234");
    let mut summary = Summary::default();
    for text in [unbound.as_str(), other.as_str(), BOUND] {
        let line = Line::parse(text).unwrap();
        assert_eq!(line.torn(), text != BOUND);
        summary.add(&Ok(line));
    }
    assert_eq!(summary.torn(), 2);
}

#[test]
fn malformed_lines_name_the_field() {
    let changed = |from: &str, to: &str| {
        assert!(BOUND.contains(from), "{from}");
        Line::parse(&BOUND.replacen(from, to, 1)).unwrap_err()
    };
    assert_eq!(changed("001e8", "1e8"), Fault::Bad("index"));
    assert_eq!(changed("001e8", "04000"), Fault::Bad("index"));
    assert_eq!(changed("001e8", "fffff"), Fault::Bad("index"));
    assert_eq!(changed("BND", "INV"), Fault::Bad("state"));
    assert_eq!(changed("IPv4 5T", "IPv4 6T"), Fault::Bad("type"));
    assert_eq!(changed("orig=", "origin="), Fault::Missing("orig"));
    assert_eq!(changed(":40000", ""), Fault::Bad("orig"));
    assert_eq!(changed(":443", ":65536"), Fault::Bad("orig"));
    assert_eq!(changed(":443", ":0443"), Fault::Bad("orig"));
    assert_eq!(changed("192.168.1.100", "192.168.1"), Fault::Bad("orig"));
    assert_eq!(changed(" new=198.51.100.2:40000->203.0.113.10:443", ""), Fault::Missing("new"));
    assert_eq!(changed("new=198.51.100.2", "new=x"), Fault::Bad("new"));
    assert_eq!(changed("00:02->", "00->"), Fault::Bad("eth"));
    assert_eq!(changed("etype=1000", "etype=10"), Fault::Bad("etype"));
    assert_eq!(changed("vlan=0,0", "vlan=0"), Fault::Bad("vlan"));
    assert_eq!(changed("vlan=0,0", "vlan=0,0 vlan=0,0"), Fault::Twice("vlan"));
    assert_eq!(changed("ib1=21411234", "ib1=+1411234"), Fault::Bad("ib1"));
    assert_eq!(changed(" ib2=007ff037", ""), Fault::Missing("ib2"));
    assert_eq!(changed("packets=0", "packets=-1"), Fault::Bad("packets"));
    assert_eq!(changed(" vlan", " word vlan"), Fault::Bad("a field"));
    assert_eq!(Line::parse(""), Err(Fault::Missing("state")));
}

fn read(pieces: &[&[u8]]) -> Vec<Result<Line, Malformed>> {
    let mut lines = Vec::new();
    let mut reader = Reader::new();
    for piece in pieces {
        reader.feed(piece, &mut |line| lines.push(line));
    }
    reader.finish(&mut |line| lines.push(line));
    lines
}

#[test]
fn a_listing_with_faults_goes_on() {
    let long = format!("{BOUND} {}", "x".repeat(LINE_LIMIT));
    let text = format!("{BOUND}\nnonsense\n{long}\n\n{BOUND}");
    let mut bytes = text.into_bytes();
    bytes.extend(b"\n\xff\n");
    let lines = read(&[&bytes]);
    let faults: Vec<_> = lines.iter().filter_map(|line| line.err()).collect();
    assert_eq!(lines.len(), 5);
    let fault = |line, fault| Malformed { line, fault };
    assert_eq!(
        faults,
        [fault(2, Fault::Missing("state")), fault(3, Fault::TooLong), fault(5, Fault::NotText)]
    );
    let mut summary = Summary::default();
    lines.iter().for_each(|line| summary.add(line));
    assert_eq!(summary.malformed(), (3, Some(faults[0])));
    assert_eq!(summary.bound(), 2);
    assert_eq!(faults[0].to_string(), "line 2: no state");
}

#[test]
fn a_listing_has_no_more_lines_than_the_table() {
    let mut reader = Reader::new();
    let mut given = [0, 0];
    let line = format!("{BOUND}\n");
    for _ in 0..ENTRIES + 3 {
        reader.feed(line.as_bytes(), &mut |line| match line {
            Ok(_) => given[0] += 1,
            Err(malformed) => {
                assert_eq!(malformed.fault, Fault::TooMany);
                given[1] += 1;
            }
        });
    }
    assert_eq!(given, [ENTRIES, 3]);
}

fn ends_of(kind: Kind) -> BoxedStrategy<Ends> {
    let v6 = matches!(kind, Kind::V6Three | Kind::V6Five | Kind::SixRd);
    let ported = matches!(kind, Kind::V4Five | Kind::DsLite | Kind::V6Five);
    any::<([u128; 2], [u16; 2])>()
        .prop_map(move |(addresses, ports)| {
            let [source, destination] = addresses.map(|bits| match v6 {
                true => IpAddr::V6(bits.into()),
                false => IpAddr::V4((bits as u32).into()),
            });
            Ends { source, destination, ports: ported.then_some(ports) }
        })
        .boxed()
}

fn line() -> impl Strategy<Value = Line> {
    let kinds =
        [Kind::V4Five, Kind::V4Three, Kind::DsLite, Kind::V6Three, Kind::V6Five, Kind::SixRd];
    let kind = prop::option::weighted(0.9, prop::sample::select(kinds.to_vec()));
    let ends = kind.prop_flat_map(|kind| match kind {
        None => Just((None, None, None)).boxed(),
        Some(kind) => {
            let four = matches!(kind, Kind::V4Five | Kind::V4Three | Kind::DsLite);
            (ends_of(kind), ends_of(kind))
                .prop_map(move |(original, new)| (Some(kind), Some(original), four.then_some(new)))
                .boxed()
        }
    });
    let state = prop::sample::select(vec![State::Unbound, State::Bound, State::Fin]);
    let rest = any::<([u8; 6], [u8; 6], u16, [u16; 2], u32, u32, Option<[u64; 2]>)>();
    (0u16..16384, state, ends, rest).prop_map(|(index, state, (kind, original, new), rest)| {
        let (source, destination, etype, vlans, ib1, ib2, counters) = rest;
        let (source, destination) = (Mac(source), Mac(destination));
        let (ib1, ib2) = (Ib1(ib1), Ib2(ib2));
        Line {
            index,
            state,
            kind,
            original,
            new,
            source,
            destination,
            etype,
            vlans,
            ib1,
            ib2,
            counters,
        }
    })
}

proptest! {
    #[test]
    fn what_is_printed_is_read(line in line()) {
        let text = line.to_string();
        prop_assert!(text.len() <= 267, "{}", text.len());
        prop_assert_eq!(Line::parse(&text), Ok(line));
    }

    #[test]
    fn any_bytes_in_any_pieces(bytes: Vec<u8>, cut: prop::sample::Index) {
        let cut = cut.index(bytes.len() + 1);
        let whole = read(&[&bytes]);
        prop_assert_eq!(read(&[&bytes[..cut], &bytes[cut..]]), whole);
    }

    #[test]
    fn a_damaged_line_is_refused_or_printed_again(
        line in line(), at: prop::sample::Index, byte in prop::sample::select(b" 0:->=,fx\n\xff".to_vec()),
        lost: bool,
    ) {
        let mut bytes = line.to_string().into_bytes();
        let at = at.index(bytes.len());
        if lost { bytes.remove(at); } else { bytes[at] = byte; }
        for again in read(&[&bytes]).into_iter().flatten() {
            prop_assert_eq!(Line::parse(&again.to_string()), Ok(again));
        }
    }

    #[test]
    fn lines_survive_any_cutting(lines in prop::collection::vec(line(), 0..8), size in 1usize..700) {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let pieces: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
        let read: Vec<Line> = read(&pieces).into_iter().map(Result::unwrap).collect();
        prop_assert_eq!(read, lines);
    }
}
