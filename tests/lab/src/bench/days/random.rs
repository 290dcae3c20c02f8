// SPDX-License-Identifier: GPL-2.0-or-later
//! Numbers at random that are the same for the same seed, and the distributions that traffic has.

/// Gamma of splitmix64 (Steele, Lea and Flood, OOPSLA 2014).
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// A stream of numbers.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// The stream of this seed.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GAMMA);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Even, above 0 and up to 1.
    pub fn share(&mut self) -> f64 {
        ((self.bits() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    /// True in this share of all cases.
    pub fn chance(&mut self, share: f64) -> bool {
        self.share() <= share
    }

    /// Even between two numbers.
    pub fn between(&mut self, least: f64, most: f64) -> f64 {
        least + (most - least) * self.share()
    }

    /// Exponential with this mean.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * self.share().ln()
    }

    /// Lognormal with this median; `sigma` is the deviation of the natural logarithm.
    pub fn lognormal(&mut self, median: f64, sigma: f64) -> f64 {
        let (radius, turn) = ((-2.0 * self.share().ln()).sqrt(), self.share());
        median * (sigma * radius * (std::f64::consts::TAU * turn).cos()).exp()
    }

    /// Pareto from `least` with this exponent, cut off at `most`.
    pub fn pareto(&mut self, least: f64, alpha: f64, most: f64) -> f64 {
        let beyond = (least / most).powf(alpha);
        least * (1.0 - (1.0 - self.share()) * (1.0 - beyond)).powf(-1.0 / alpha)
    }
}

/// Another number for each number, and none twice (the finalizer of MurmurHash3).
pub fn scramble(number: u32) -> u32 {
    let mut mixed = number;
    mixed = (mixed ^ (mixed >> 16)).wrapping_mul(0x85eb_ca6b);
    mixed = (mixed ^ (mixed >> 13)).wrapping_mul(0xc2b2_ae35);
    mixed ^ (mixed >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::figure::{median, quantile};
    use std::collections::BTreeSet;

    const MANY: usize = 20_000;

    fn draw(mut one: impl FnMut(&mut Random) -> f64) -> Vec<f64> {
        let mut random = Random::new(7);
        (0..MANY).map(|_| one(&mut random)).collect()
    }

    fn near(found: f64, expected: f64) -> bool {
        (found / expected - 1.0).abs() < 0.05
    }

    #[test]
    fn the_same_seed_gives_the_same_numbers() {
        // The first two of seed 0, as the authors' program prints them.
        let mut random = Random::new(0);
        assert_eq!([random.bits(), random.bits()], [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4]);
        let shares = draw(Random::share);
        assert!(shares.iter().all(|share| *share > 0.0 && *share <= 1.0));
        assert!(near(median(&shares), 0.5));
    }

    #[test]
    fn distributions_are_what_they_are_called() {
        let mean = |values: &[f64]| values.iter().sum::<f64>() / MANY as f64;
        assert!(near(mean(&draw(|r| r.exponential(30.0))), 30.0));
        let log = draw(|r| r.lognormal(100.0, 1.0));
        assert!(near(median(&log), 100.0));
        assert!(near(quantile(&log, 0.8413), 100.0 * 1f64.exp()));
        let pareto = draw(|r| r.pareto(10.0, 1.1, 1e6));
        assert!(pareto.iter().all(|value| (10.0..=1e6).contains(value)));
        assert!(near(median(&pareto), 10.0 * 2f64.powf(1.0 / 1.1)));
        // A hundredth of the values is as good as all of a heavy tail's weight.
        assert!(mean(&pareto) > 2.0 * median(&pareto));
    }

    #[test]
    fn no_number_is_given_twice() {
        assert_eq!((0..100_000).map(scramble).collect::<BTreeSet<_>>().len(), 100_000);
    }
}
