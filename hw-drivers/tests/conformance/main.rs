// SPDX-License-Identifier: GPL-2.0-or-later
//! One suite that every chip with a table of flows passes, whatever its registers are.
//!
//! A driver is judged by where frames come out of the simulator of its chip and what they look
//! like, before, in and after every operation, with trouble on the bus at every place, and under
//! every option of the simulator that stands for something nobody has confirmed. A [`rig::Rig`]
//! is what the suite has to know about a chip. That the suite itself notices defects is shown
//! on a small chip of its own, in [`model`].
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod cases;
mod line;
mod model;
mod mt7621;
mod qca8337;
mod rig;
mod traffic;
mod world;

/// Makes a test of every case for a rig. Each runs under all variants; where every place of an
/// operation gets its trouble, the usual variant has every `usual`-th place and each of the others
/// every `stride`-th, shifted, so that together they have most.
macro_rules! conformance {
    ($rig:ty, usual: $usual:literal, stride: $stride:literal, sequences: $sequences:expr) => {
        $crate::conformance!(@plain $rig:
            forwarding::every_kind, forwarding::nothing_else, forwarding::refused_untouched,
            forwarding::once_only, forwarding::moved_neighbour,
            lifecycle::not_ready, lifecycle::interrupted_set_up, lifecycle::interrupted_disable,
            lifecycle::disable_empties, lifecycle::network_changed, lifecycle::reset_noticed,
            lifecycle::reset_unnoticed,
            capacity::fill_and_empty, capacity::collisions, capacity::neighbours_full,
            watching::sweep_tells_hits, watching::sweep_while_changing, watching::counters,
            watching::verify_finds_corruption
        );
        mod trouble {
            use super::*;
            $crate::conformance!(@trouble $rig, $usual, $stride;
                insert, first_insert, insert_without_room, remove, verify, alive, sweep, set_up, disable
            );
        }
        #[test]
        fn sequences() {
            for options in <$rig as $crate::rig::Rig>::variants() {
                let _context = $crate::cases::faults::Context(format!("{options:?}"));
                $crate::cases::random::sequences::<$rig>(&options, $sequences);
            }
        }
    };
    (@plain $rig:ty: $($module:ident :: $case:ident),*) => {
        $(
            #[test]
            fn $case() {
                for options in <$rig as $crate::rig::Rig>::variants() {
                    let _context = $crate::cases::faults::Context(format!("{options:?}"));
                    $crate::cases::$module::$case::<$rig>(&options);
                }
            }
        )*
    };
    (@trouble $rig:ty, $usual:literal, $stride:literal; $($case:ident),*) => {
        $(
            #[test]
            fn $case() {
                let variants = <$rig as $crate::rig::Rig>::variants();
                for (number, options) in variants.into_iter().enumerate() {
                    let _context = $crate::cases::faults::Context(format!("{options:?}"));
                    let stride = if number == 0 { $usual } else { $stride };
                    let first = (number % stride) as u32;
                    let places = $crate::cases::faults::Places { first, stride };
                    $crate::cases::faults::$case::<$rig>(&options, places);
                }
            }
        )*
    };
}
pub(crate) use conformance;
