// SPDX-License-Identifier: GPL-2.0-or-later
//! Programs of the longest transactions, and words that no program gives. That programs do what
//! their transactions say is shown in the backend's own tests, on the machine.

use super::*;

const AT: Address = Address::truncated(0x11, 0x0d);
const BUSY: Fault = Fault::Exhausted { tries: 3, last: 0x8000 };

fn poll() -> Transaction {
    let mut transaction = Transaction::new();
    transaction.poll(AT, 0x8000, 0, 3).unwrap();
    transaction
}

/// Every step as long as it can be: the limits of a transaction are those of a program.
#[test]
fn longest_transactions_fit() {
    for restores in 0..=MAX_RESTORES {
        let mut transaction = Transaction::new();
        let mut polls = Vec::new();
        for _ in 0..MAX_STEPS - restores {
            polls.push(transaction.poll(AT, 1, 0, 2).unwrap());
        }
        for slot in &polls[..restores] {
            transaction.restore(*slot).unwrap();
        }
        let len = compile(&transaction).len();
        assert!(len <= MAX_INSTRUCTIONS, "{len}");
        // No operation and no restore was left out.
        assert_eq!(len, (MAX_STEPS - restores) * 9 + restores * (1 + 4));
    }
}

#[test]
fn a_poll_tells_its_reads() {
    let ended = decode(&poll(), &[2, 0x0001], None).unwrap();
    assert_eq!(ended.done, [Done { value: 1, transfers: 2 }]);
    let ended = decode(&poll(), &[0, 0x8000], None).unwrap();
    assert_eq!(ended.failure.map(|failure| failure.fault), Some(BUSY));
}

#[test]
fn words_that_no_program_gives() {
    let mut write = Transaction::new();
    write.write(AT, 7).unwrap();
    let mut restored = Transaction::new();
    restored.restore_value(AT, 7).unwrap();
    let io = Some(Fault::Os(libc::EIO));
    for (transaction, words, error, why) in [
        (poll(), &[][..], None, "stopped without an error"),
        (poll(), &[1], None, "half a poll without an error"),
        (poll(), &[4, 0], None, "more reads left than there were"),
        (poll(), &[0, 0], None, "exhausted and met"),
        (poll(), &[1, 0x8000], None, "neither exhausted nor met"),
        (poll(), &[1, 0, 0], None, "a word too many"),
        (poll(), &[1, 0], io, "an error after the end"),
        (write.clone(), &[8], None, "another value written"),
        (restored.clone(), &[8], None, "another value restored"),
        (restored, &[], None, "no restore"),
    ] {
        assert_eq!(decode(&transaction, words, error), Err(Nonsense), "{why}");
    }
}
