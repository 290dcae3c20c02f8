// SPDX-License-Identifier: GPL-2.0-or-later
//! Account groups, whether reading clears them or not.

use super::rig::*;
use super::table::{strangers, sweep};
use hw_drivers::mt7621_ppe::direct::{Options, Unseen};
use hw_drivers::table::{Counted, FlowTable};
use hw_simulators::mt7621_ppe as simulator;

const COUNTING: Options = Options { unseen: Unseen::TakeFree, counting: true };

#[test]
fn counts_are_right_either_way() {
    for account_clears in [false, true] {
        let chip = simulator::Options { account_clears, ..simulator::Options::default() };
        let mut rig = Rig::new(chip, COUNTING);
        let [first, second, third] = strangers(3)[..] else { panic!() };
        let entry = rig.driver.insert(&first).unwrap();
        rig.driver.insert(&second).unwrap();
        let length = wire(&first, Original).1.len() as u64;
        let counted = |rig: &mut Rig| {
            sweep(&mut rig.driver).iter().map(|sight| sight.counted).collect::<Vec<_>>()
        };
        for _ in 0..5 {
            rig.send(&first, Original);
        }
        assert_eq!(counted(&mut rig), [None, None], "not told before it is known how to reckon");
        for _ in 0..100 {
            rig.send(&first, Original);
        }
        rig.send(&first, Reply);
        let of = |packets: u64| Counted { packets, bytes: packets * length };
        let expected = [Some([of(105), of(1)]), Some([of(0), of(0)])];
        // The second round has not been read since the way is known.
        assert_eq!(counted(&mut rig), expected);
        rig.send(&second, Reply);
        assert_eq!(counted(&mut rig), [expected[0], Some([of(0), of(1)])]);

        // The groups are another flow's afterwards, which begins at nothing.
        rig.driver.remove(entry).unwrap();
        rig.driver.insert(&third).unwrap();
        rig.send(&third, Original);
        assert_eq!(counted(&mut rig), [Some([of(0), of(1)]), Some([of(1), of(0)])]);
    }
}

#[test]
fn as_many_flows_are_counted_as_are_told() {
    let mut rig = Rig::new(simulator::Options::default(), COUNTING);
    for flow in strangers(40) {
        rig.driver.insert(&flow).unwrap();
        for _ in 0..100 {
            rig.send(&flow, Original);
        }
    }
    sweep(&mut rig.driver);
    let counted = sweep(&mut rig.driver).iter().filter(|sight| sight.counted.is_some()).count();
    assert_eq!(counted, rig.driver.capabilities().counted as usize);
}
