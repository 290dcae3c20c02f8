// SPDX-License-Identifier: GPL-2.0-or-later
//! Listings in a folder that stands for debugfs.

use super::*;
use std::fmt::Write;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory that goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("flowtabled-ppe-{}-{number}", std::process::id());
        let folder = Folder(std::env::temp_dir().join(name));
        std::fs::create_dir_all(&folder.0).unwrap();
        folder
    }

    fn with(file: &str, text: &str) -> Folder {
        let folder = Folder::new();
        folder.write(file, text);
        folder
    }

    fn write(&self, file: &str, text: &str) {
        let path = self.0.join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn read(&self) -> Found {
        read(&self.0)
    }

    fn words(&self) -> String {
        self.read().unwrap_err().replace(self.0.to_str().unwrap(), "DIR")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Lines as kernels since 6.4 print them, one for each of these states.
fn lines(states: &[&str]) -> String {
    let mut text = String::new();
    for (index, state) in states.iter().enumerate() {
        let ib1 = match *state {
            "UNB" => "10000102",
            "FIN" => "31411234",
            _ => "21411234",
        };
        let _ = writeln!(
            text,
            "{index:05x} {state} IPv4 5T orig=192.168.1.100:40000->203.0.113.10:443 \
             new=198.51.100.2:40000->203.0.113.10:443 eth=02:00:00:00:00:02->02:00:00:00:00:03 \
             etype=1000 vlan=0,0 ib1={ib1} ib2=007ff037 packets=0 bytes=0"
        );
    }
    text
}

fn listed(bound: u32, unbound: u32, malformed: u32) -> Listed {
    Listed { bound, unbound, malformed }
}

/// Waits until the reading under way is over, and takes it.
fn take(listing: &mut PpeListing, now: Instant) {
    let end = Instant::now() + Duration::from_secs(30);
    while listing.reading.as_ref().is_some_and(|(_, thread)| !thread.is_finished()) {
        assert!(Instant::now() < end, "the reading does not end");
        std::thread::yield_now();
    }
    listing.look(now);
}

#[test]
fn entries_are_counted_by_state() {
    let text = lines(&["BND", "UNB", "BND", "FIN", "BND"]);
    assert_eq!(Folder::with("ppe0/entries", &text).read(), Ok(listed(3, 2, 0)));
    assert_eq!(Folder::with("ppe0/entries", "").read(), Ok(listed(0, 0, 0)));
    let odd = format!("nothing\n{text}00007 BND IPv4 5T orig=cut");
    assert_eq!(Folder::with("ppe0/entries", &odd).read(), Ok(listed(3, 2, 2)));
}

#[test]
fn older_kernels_have_another_name_and_no_counters() {
    let text = lines(&["BND", "UNB"]).replace(" packets=0 bytes=0", "");
    let folder = Folder::with("mtk_ppe/entries", &text);
    assert_eq!(folder.read(), Ok(listed(1, 1, 0)));
    folder.write("ppe0/entries", &lines(&["BND"]));
    assert_eq!(folder.read(), Ok(listed(1, 0, 0)), "the newer one counts");
}

#[test]
fn a_full_table_is_read_to_its_end() {
    let states: Vec<&str> = (0..16_384).map(|n| if n % 4 == 0 { "UNB" } else { "BND" }).collect();
    let text = lines(&states);
    assert!(text.len() > 200 * PIECE);
    assert_eq!(Folder::with("ppe0/entries", &text).read(), Ok(listed(12_288, 4096, 0)));
}

#[test]
fn why_there_is_no_listing() {
    let folder = Folder::new();
    assert_eq!(folder.words(), "debugfs is not mounted on DIR");
    folder.write("gpio", "");
    assert_eq!(folder.words(), "the kernel drives no packet engine: DIR has no ppe0/entries");
    std::fs::create_dir_all(folder.0.join("ppe0/entries")).unwrap();
    let words = folder.words();
    assert!(words.starts_with("cannot read DIR/ppe0/entries: "), "{words}");
    let nowhere = folder.0.join("gpio");
    let words = read(&nowhere).unwrap_err();
    assert!(words.starts_with(&format!("cannot open {}/ppe0/entries: ", nowhere.display())));
    let words = read(Path::new("/nowhere/at/all")).unwrap_err();
    assert_eq!(words, "the kernel has no debugfs: no /nowhere/at/all");
}

#[test]
fn what_was_found_is_shown() {
    let folder = Folder::with("ppe0/entries", &lines(&["BND", "BND", "UNB"]));
    let mut listing = PpeListing::new(folder.0.clone());
    let now = Instant::now();
    listing.look(now);
    take(&mut listing, now);
    let expected = SwitchView {
        name: "engine".into(),
        driver: SwitchDriver::Mt7621,
        condition: Condition::Watched,
        capacity: 7680,
        used: None,
        queued: 0,
        tally: Tally::default(),
        listed: Some(listed(2, 1, 0)),
    };
    assert_eq!(listing.view("engine"), expected);

    let mut listing = PpeListing::new("/nowhere/at/all".into());
    listing.look(now);
    take(&mut listing, now);
    let words = "the kernel has no debugfs: no /nowhere/at/all".to_owned();
    let condition = Condition::Unusable(words);
    assert_eq!(listing.view("engine"), SwitchView { condition, listed: None, ..expected });
}

/// A FIFO that nobody writes to yet is a kernel that has yet to write its listing.
#[test]
fn nobody_waits_for_a_reading() {
    let folder = Folder::new();
    let fifo = folder.0.join("ppe0/entries");
    std::fs::create_dir(folder.0.join("ppe0")).unwrap();
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let mut listing = PpeListing::new(folder.0.clone());
    let start = Instant::now();
    listing.look(start);
    for seconds in 0..100 {
        listing.look(start + Duration::from_secs(seconds));
        let view = listing.view("engine");
        assert_eq!((view.condition, view.listed), (Condition::Watched, None));
        let begun = listing.reading.as_ref().map(|(begun, _)| *begun);
        assert_eq!(begun, Some(start), "one is read, not one beside the other");
    }
    std::fs::write(&fifo, lines(&["BND"])).unwrap();
    take(&mut listing, start);
    assert_eq!(listing.view("engine").listed, Some(listed(1, 0, 0)));
}

#[test]
fn it_is_read_again_when_somebody_asks_later() {
    let folder = Folder::with("ppe0/entries", &lines(&["BND"]));
    let mut listing = PpeListing::new(folder.0.clone());
    let start = Instant::now();
    listing.look(start);
    take(&mut listing, start);
    folder.write("ppe0/entries", &lines(&["BND", "UNB"]));

    let soon = start + FRESH - Duration::from_millis(1);
    listing.look(soon);
    assert!(listing.reading.is_none(), "the last one is fresh");
    let later = start + FRESH;
    listing.look(later);
    let known = listing.view("engine").listed;
    assert_eq!(known, Some(listed(1, 0, 0)), "the last one is told meanwhile");
    take(&mut listing, later);
    assert_eq!(listing.view("engine").listed, Some(listed(1, 1, 0)));

    let next_day = later + Duration::from_secs(86_400);
    listing.look(next_day);
    assert_eq!(listing.view("engine").listed, None, "nobody knows what it is today");
    take(&mut listing, next_day);
    assert_eq!(listing.view("engine").listed, Some(listed(1, 1, 0)));
}

/// Whoever asks and never comes back leaves a reading behind.
#[test]
fn a_reading_that_nobody_took_is_too_old() {
    let folder = Folder::with("ppe0/entries", &lines(&["BND"]));
    let mut listing = PpeListing::new(folder.0.clone());
    let start = Instant::now();
    listing.look(start);
    take(&mut listing, start + STALE);
    assert_eq!(listing.view("engine").listed, None);
    assert!(listing.reading.is_some(), "and is made anew");
}
