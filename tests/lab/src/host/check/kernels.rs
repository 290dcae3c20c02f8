// SPDX-License-Identifier: GPL-2.0-or-later
//! Which scenario runs on which kernel.
//!
//! Emulation takes most of the time of all tests, and a scenario that fails on one kernel mostly
//! fails on all. So CI runs each on the kernel that OpenWrt's next release has and on one of the two
//! others, those that speak of kernels themselves, and so differ between them, on all three, and those that
//! call themselves long on the first alone. Those that take hours run where they are named, and in no test.

use super::lab::Plan;
use super::Breadth;
use crate::error::Result;
use crate::host::suite;
use crate::scenario::LONG;

/// Kernels that the scenarios run on.
const KERNELS: [&str; 3] = ["6.1", "6.12", "newest"];
/// The one that every scenario runs on.
const ALWAYS: &str = "6.12";
/// Of these CI takes one for each scenario.
const EITHER: [&str; 2] = ["6.1", "newest"];

/// The scenarios by kernel; kernels without any are left out.
pub fn plans(breadth: Breadth<'_>) -> Result<Vec<Plan>> {
    let mut plans: Vec<Plan> = KERNELS.iter().map(|kernel| (*kernel, Vec::new())).collect();
    for name in suite::tests()? {
        let text = suite::text(&name)?;
        for (kernel, plan) in &mut plans {
            let heavy = !in_ci(kernel, &name, &text);
            if breadth.wants(&format!("lab {kernel} {name}"), heavy) {
                plan.push(name.clone());
            }
        }
    }
    plans.retain(|(_, plan)| !plan.is_empty());
    Ok(plans)
}

/// Whether CI runs a scenario, by its name and text, on a kernel.
fn in_ci(kernel: &str, name: &str, text: &str) -> bool {
    let of_kernels = text.lines().any(|line| line.trim_start().starts_with("needs kernel"));
    // By the name alone: a scenario that is added moves none of the others.
    let turn = name.bytes().map(usize::from).sum::<usize>() % EITHER.len();
    let long = text.lines().any(|line| line.trim() == LONG);
    kernel == ALWAYS || of_kernels || (!long && EITHER.get(turn) == Some(&kernel))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernels(name: &str, text: &str) -> Vec<&'static str> {
        KERNELS.into_iter().filter(|kernel| in_ci(kernel, name, text)).collect()
    }

    #[test]
    fn ci_runs_a_scenario_on_two_kernels_or_on_all_that_it_speaks_of() {
        assert_eq!(kernels("a", "about a\n"), ["6.12", "newest"]);
        assert_eq!(kernels("b", "about a\n"), ["6.1", "6.12"]);
        assert_eq!(kernels("a", "about a\nneeds kernel 6.12\n"), KERNELS);
        assert_eq!(kernels("a", "about a\nlong\n"), ["6.12"]);
        assert_eq!(kernels("a", "about a long day\n"), ["6.12", "newest"]);
    }

    #[test]
    fn both_old_and_new_kernels_have_their_share() {
        let plans = plans(Breadth::Ci).unwrap();
        let all = suite::tests().unwrap().len();
        for (kernel, plan) in plans {
            assert!(plan.len() > all / 4, "{kernel}: {} of {all}", plan.len());
        }
    }

    #[test]
    fn the_full_run_and_a_name_leave_nothing_out() {
        let all = suite::tests().unwrap();
        let full = plans(Breadth::Full).unwrap();
        assert!(full.iter().all(|(_, plan)| *plan == all), "{full:?}");
        let named = plans(Breadth::Named("lab newest")).unwrap();
        assert_eq!(named, [("newest", all)]);
    }
}
