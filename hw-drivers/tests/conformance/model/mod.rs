// SPDX-License-Identifier: GPL-2.0-or-later
//! The suite's own proof: a small chip with a right driver passes it, and each defect that the
//! driver can be given makes a case fail.

mod chip;
mod defect;
mod driver;

use crate::cases::faults::Places;
use crate::cases::{capacity, faults, forwarding, lifecycle, watching};
use crate::line::{Line, Spot, Trouble};
use crate::rig::Rig;
use crate::traffic::BOTH;
use chip::{key, ModelChip, VALID, WORDS};
use defect::Defect;
use driver::{words, ModelTable};
use hw_drivers::flow::{Flow, Mac, Pppoe, Protocol, Side, Tuple};
use hw_drivers::table::{Network, Part};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// The small chip.
enum Model {}

/// What varies.
#[derive(Debug, Clone)]
struct Options {
    chip: chip::Options,
    defect: Option<Defect>,
}

impl Rig for Model {
    type Chip = ModelChip;
    type Table = ModelTable<Line<ModelChip>>;
    type Options = Options;

    const SWEEP: Duration = Duration::from_secs(1);
    const LONG_STRIDE: usize = 1;
    const TROUBLES: &'static [Trouble] = Trouble::OF_A_BUS;
    const TELLS: bool = true;
    const ENDS_AT_FIN: bool = false;
    const LOOKS_FOR_ROUTER: bool = true;

    fn variants() -> Vec<Options> {
        let usual = chip::Options { busy: 1, ways: 16, override_same: false };
        [
            usual.clone(),
            chip::Options { busy: 0, ..usual.clone() },
            chip::Options { busy: 9, ..usual.clone() },
            chip::Options { ways: 4, ..usual.clone() },
            chip::Options { ways: chip::SLOTS, ..usual.clone() },
            chip::Options { override_same: true, ..usual },
        ]
        .map(|chip| Options { chip, defect: None })
        .to_vec()
    }

    fn chip(options: &Options) -> ModelChip {
        ModelChip::new(options.chip.clone())
    }

    fn prepare(chip: &mut ModelChip) {
        chip.control = 0x5a00;
        chip.page = 7;
    }

    fn table(options: &Options, line: Line<ModelChip>) -> Self::Table {
        ModelTable::new(line, options.defect)
    }

    fn network(number: u32) -> Network {
        Network { private: (Ipv4Addr::new(192, 168, 1, 0), 24), public: vec![public(number)] }
    }

    fn flow(network: u32, number: u32) -> Flow {
        let (udp, tagged, plain) = (number % 2 == 1, number % 4 >= 2, number % 8 >= 6);
        let host = 2 + (number % 5) as u8;
        let (vlan, router) = (if tagged { 9 } else { 1 }, Mac([2, 0, 0, 0, 0, 1]));
        let inside = Side::ethernet(1 + host % 3, vlan, Mac([2, 0, 0, 1, 0, host]), router);
        let opener = Side { tagged, ..inside };
        let outside = Side::ethernet(4, 2, Mac([2, 0, 0, 2, 0, 1]), Mac([2, 0, 0, 0, 0, 2]));
        let answerer = Side { mtu: 1492, ..outside };
        let port = 20_000 + number as u16;
        let private = SocketAddr::from(([192, 168, 1, host], port));
        let far = SocketAddr::from(([203, 0, 113, 5], 443));
        let public = SocketAddr::from((public(network), port + 1000));
        let translated = if plain { private } else { public };
        Flow {
            protocol: if udp { Protocol::Udp } else { Protocol::Tcp },
            original: Tuple { source: private, destination: far },
            reply: Tuple { source: far, destination: translated },
            opener,
            answerer,
        }
    }

    fn lonely(number: u32) -> Flow {
        let mut flow = Model::flow(0, 100 + number);
        let [high, low] = (number as u16).to_be_bytes();
        flow.opener.neighbour = Mac([2, 0, 0, 9, high, low]);
        flow
    }

    fn refused() -> Vec<(Flow, Part)> {
        let good = Model::flow(0, 0);
        let mut session = good;
        session.answerer.pppoe = Some(Pppoe { session: 1, peer: good.answerer.neighbour });
        let other = Model::flow(1, 0);
        vec![(session, Part::Pppoe), (other, Part::PublicAddress(public(1)))]
    }

    fn never_collides(options: &Options) -> bool {
        options.chip.ways == chip::SLOTS
    }

    fn about_room(_: &Options) -> bool {
        true
    }

    fn held(chip: &ModelChip) -> Vec<u32> {
        vec![chip.table.iter().filter(|words| words[0] & VALID != 0).count() as u32]
    }

    fn footprint(chip: &ModelChip) -> Vec<u32> {
        vec![chip.page.into(), (chip.control & !1).into()]
    }

    fn excuses(spot: Spot, trouble: Trouble) -> bool {
        spot == Spot::Transfer(chip::PAGE) || trouble.misread()
    }

    fn intrude(chip: &mut ModelChip) {
        chip.page ^= 0x31;
        chip.control ^= 0x3c00;
    }

    fn rebind(chip: &mut ModelChip) {
        chip.control = 0x5a00;
    }

    fn corrupt(chip: &mut ModelChip, flow: &Flow, part: u32) -> bool {
        let (direction, part) = (BOTH[part as usize % 2], part as usize / 2);
        let key = key(&words(flow, direction));
        let entry = chip.table.iter_mut().find(|words| self::key(words) == key);
        let entry = entry.expect("the flow is in");
        // The word of flags has no more bits than these; the hit is none of the entry's content.
        let bits = if part == 0 { 0x8000 } else { 1 << (part % 16) };
        if let Some(word) = entry.get_mut(part) {
            *word ^= bits;
        }
        part < WORDS
    }
}

fn public(network: u32) -> Ipv4Addr {
    Ipv4Addr::new(198, 51, 100, 1 + network as u8)
}

crate::conformance!(Model, usual: 1, stride: 3, sequences: 40);

/// A driver with a defect, on the usual chip.
fn with(defect: Defect) -> Options {
    let usual = Model::variants().remove(0);
    Options { defect: Some(defect), ..usual }
}

/// The same where most things collide.
fn crowded(defect: Defect) -> Options {
    let mut options = with(defect);
    options.chip.ways = 2;
    options
}

const ALL: Places = Places { first: 0, stride: 1 };

/// Makes a test that fails when the suite passes a driver with a defect.
macro_rules! notices {
    ($($name:ident, $expected:literal: $case:expr;)*) => {
        mod the_suite_notices {
            use super::*;
            $(
                #[test]
                #[should_panic(expected = $expected)]
                fn $name() {
                    $case
                }
            )*
        }
    };
}

notices! {
    half_an_entry_for_want_of_room, "is not to be forwarded":
        capacity::fill_and_empty::<Model>(&crowded(Defect::LeavesHalf));
    half_an_entry_after_a_fault, "is not to be forwarded":
        faults::insert::<Model>(&with(Defect::LeavesHalf), ALL);
    nothing_taken_back, "is not to be forwarded":
        faults::insert::<Model>(&with(Defect::NeverUndoes), ALL);
    a_misread_refusal, "is not to be forwarded":
        faults::insert::<Model>(&with(Defect::UndoesErrorsOnly), ALL);
    what_is_not_read_back, "said to be in":
        faults::insert_without_room::<Model>(&crowded(Defect::TrustsStatus), ALL);
    a_driver_that_does_not_give_up, "is not to be forwarded":
        faults::insert::<Model>(&with(Defect::StaysReady), ALL);
    a_forgotten_page, "the page and the kernel's part":
        forwarding::every_kind::<Model>(&with(Defect::ForgetsPage));
    a_lost_change_of_the_kernel, "the page and the kernel's part":
        faults::disable::<Model>(&with(Defect::ChangesInTwo), ALL);
    a_refusal_from_the_chip, "the bus was used":
        forwarding::refused_untouched::<Model>(&with(Defect::ChecksOnTheChip));
    a_flow_twice, "Exists":
        forwarding::once_only::<Model>(&with(Defect::InsertsTwice));
    a_neighbour_twice, "is to be forwarded":
        forwarding::moved_neighbour::<Model>(&with(Defect::InsertsTwice));
    a_victim, "is to be forwarded":
        capacity::collisions::<Model>(&crowded(Defect::EvictsSilently));
    the_way_back_left, "is not to be forwarded":
        forwarding::every_kind::<Model>(&with(Defect::RemovesHalf));
    a_forgotten_entry, "is not to be forwarded":
        faults::remove::<Model>(&with(Defect::ForgetsAtErrors), ALL);
    a_swallowed_error, "is not to be forwarded":
        faults::remove::<Model>(&with(Defect::SwallowsErrors), ALL);
    a_lost_hit, "flow 1":
        faults::sweep::<Model>(&with(Defect::LosesHits), ALL);
    a_shallow_look, "was changed":
        watching::verify_finds_corruption::<Model>(&with(Defect::VerifiesKeysOnly));
    a_reset_missed, "NotReady":
        lifecycle::reset_noticed::<Model>(&with(Defect::IgnoresReset));
    old_entries, "of the old network":
        lifecycle::network_changed::<Model>(&with(Defect::KeepsOldEntries));
    an_engine_on_too_early, "is not to be forwarded":
        lifecycle::interrupted_set_up::<Model>(&with(Defect::EnablesFirst));
    a_table_not_emptied, "entries are left":
        lifecycle::disable_empties::<Model>(&with(Defect::OnlySwitchesOff));
}

/// Sequences of operations find defects that the other cases are not about.
#[test]
#[should_panic(expected = "flow")]
fn sequences_notice_a_swallowed_error() {
    crate::cases::random::sequences::<Model>(&with(Defect::SwallowsErrors), 40);
}
