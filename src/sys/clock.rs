// SPDX-License-Identifier: GPL-2.0-or-later
//! The processor's time, which the standard library does not tell.

use std::time::Duration;

/// How long this thread has kept a processor busy, in the kernel too; zero where nobody counts.
pub fn cpu_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes one timespec, which lives on this stack frame.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::cpu_time;
    use std::hint::black_box;
    use std::time::Instant;

    #[test]
    fn work_takes_processor_time_and_no_more_than_passes() {
        let (begun, before) = (Instant::now(), cpu_time());
        let mut sum = 0u64;
        while cpu_time() == before {
            sum = black_box(sum.wrapping_add(1));
        }
        let spent = cpu_time() - before;
        assert!(spent <= begun.elapsed(), "{spent:?} of {:?}", begun.elapsed());
    }
}
