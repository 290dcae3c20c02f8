// SPDX-License-Identifier: GPL-2.0-or-later
//! `flowtable top` as a process, on a terminal and without one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use super::fixture::broker::Broker;
use super::fixture::terminal::Terminal;
use super::{each_broker, Answers, Daemon};

const HINT: &str = "q quit  ? help";

/// An empty directory with the command in it; removed when dropped.
struct Home(PathBuf);

impl Home {
    fn new() -> Home {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let dir =
            std::env::temp_dir().join(format!("flowtable-top-{}-{number}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        let binary = env!("CARGO_BIN_EXE_flowtabled");
        std::os::unix::fs::symlink(binary, dir.join("flowtable")).unwrap();
        Home(dir)
    }

    fn terminal(&self, socket: &Path, columns: u16, rows: u16) -> Terminal {
        let line = format!("./flowtable top --interval 1 --ubus-socket {}", socket.display());
        Terminal::run(&line, &self.0, columns, rows)
    }

    fn once(&self, socket: &Path, columns: &str) -> Output {
        Command::new(self.0.join("flowtable"))
            .args(["top", "--ubus-socket"])
            .arg(socket)
            .envs([("COLUMNS", columns), ("LINES", "12")])
            .output()
            .unwrap()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn keys_change_what_is_shown() {
    each_broker(|kind, path| {
        let home = Home::new();
        let _broker = Broker::start(kind, path);
        let daemon = Daemon::start(path, Answers::AtOnce);
        daemon.wait_registered(true);
        let mut top = home.terminal(path, 80, 24);
        for (row, text) in [
            (0, "mode classic: -"),
            (1, "classic   software   hardware     leaked"),
            (4, "17 of 250 flows by rate"),
            (6, "classic tcp   192.0.2.250:40000 198.51.100.1:250"),
            (22, "classic tcp   192.0.2.234:40000 "),
            (23, HINT),
        ] {
            top.wait_for(row, text);
        }
        let screen = top.screen();
        assert!(screen.taken && screen.cursor_hidden);

        // Pages, by a key and by sequences.
        top.press(" ");
        top.wait_for(4, "page 2");
        top.wait_for(6, "192.0.2.233:");
        top.press("\x1b[6~");
        top.wait_for(4, "page 3");
        top.press("\x1b[5~");
        top.wait_for(4, "page 2");
        top.press("\x1b[1~");
        top.wait_for(6, "192.0.2.250:");

        // Filters and orders.
        top.press("ss");
        top.wait_for(4, "0 of 0 flows by rate, software");
        top.press("spp");
        top.wait_for(4, "0 of 0 flows by rate, hardware, udp");
        top.press("cb");
        top.wait_for(4, "17 of 250 flows by bytes");
        top.press("/192.0.2.9/3");
        top.wait_for(23, "address or prefix: 192.0.2.9/3_");
        top.press("3\r");
        top.wait_for(23, "'192.0.2.9/33' is neither an address nor a prefix");
        top.press("\x7f2\r");
        top.wait_for(4, "1 of 1 flows by bytes, with 192.0.2.9/32");
        top.press("c:77\r");
        top.wait_for(4, "1 of 1 flows by bytes, port 77");
        top.wait_for(6, "192.0.2.77:40000");
        top.press("/");
        top.wait_for(23, "address or prefix: _");
        top.press("\x1b");
        top.wait_for(23, HINT);

        top.press("?");
        top.wait_for(0, "quit");
        top.press("x");
        top.wait_for(0, "mode classic");
        top.press("\x0c");
        top.press("q");
        assert_eq!(top.end(), "0");
    });
}

#[test]
fn the_view_follows_its_window_and_survives_the_bus() {
    each_broker(|kind, path| {
        let home = Home::new();
        let daemon = Daemon::start(path, Answers::AtOnce);
        let mut top = home.terminal(path, 80, 24);
        top.wait_for(23, "status: no bus: connecting to ");
        let broker = Broker::start(kind, path);
        daemon.wait_registered(true);
        top.wait_for(4, "17 of 250 flows");

        top.resize(40, 10);
        top.wait_for(5, "2 of 250 flows by rate");
        top.wait_for(6, "S SOURCE           DESTINATION      RATE");
        top.resize(100, 30);
        top.wait_for(4, "23 of 250 flows");

        drop(broker);
        top.wait_for(29, "no bus");
        // What is not known is not shown.
        top.wait_for(4, "- flows by rate");
        let _broker = Broker::start(kind, path);
        top.wait_for(4, "23 of 250 flows");
        top.wait_for(29, HINT);
        drop(daemon);
        top.wait_for(29, "is it running?");
        let daemon = Daemon::start(path, Answers::AtOnce);
        daemon.wait_registered(true);
        top.wait_for(4, "23 of 250 flows");
        top.press("\x03");
        assert_eq!(top.end(), "0");
    });
}

#[test]
fn the_terminal_is_restored_however_it_ends() {
    each_broker(|kind, path| {
        let _broker = Broker::start(kind, path);
        // Even while an answer is waited for.
        let daemon = Daemon::start(path, Answers::Never);
        daemon.wait_registered(true);
        for ending in ["q", "\x03", "TERM", "INT", "HUP", "QUIT"] {
            let home = Home::new();
            let mut top = home.terminal(path, 80, 24);
            top.wait_for(23, HINT);
            match ending {
                key @ ("q" | "\x03") => top.press(key),
                name => top.signal(name),
            }
            assert_eq!(top.end(), "0", "{ending:?}");
        }
    });
}

#[test]
fn without_a_terminal_one_frame_is_printed() {
    each_broker(|kind, path| {
        let home = Home::new();
        assert_eq!(home.once(path, "80").status.code(), Some(3));
        let _broker = Broker::start(kind, path);
        let output = home.once(path, "80");
        assert_eq!(output.status.code(), Some(4));
        let words = "flowtable: top: flowtabled is not on the bus; is it running?\n";
        assert_eq!(String::from_utf8_lossy(&output.stderr), words);
        let daemon = Daemon::start(path, Answers::AtOnce);
        daemon.wait_registered(true);
        let output = home.once(path, "40");
        assert_eq!(output.status.code(), Some(0));
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(
            text,
            "\
mode classic: -
           classic   software   hardware
flows            -          -          -
rate             -          -          -
leaked - packets
4 of 250 flows by rate
S SOURCE           DESTINATION      RATE
c 192....250:40000 198.51.100.1:250    -
c 192....249:40000 198.51.100.1:249    -
c 192....248:40000 198.51.100.1:248    -
c 192....247:40000 198.51.100.1:247    -
"
        );
    });
}
