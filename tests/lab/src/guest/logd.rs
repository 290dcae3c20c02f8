// SPDX-License-Identifier: GPL-2.0-or-later
//! What stands in for logd: writes down what programs that run as on a router log.

use crate::error::{Context, Result};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::thread;

/// Where programs log to.
pub const SOCKET: &str = "/dev/log";
/// Longer messages are cut, as logd does it.
const MAX_MESSAGE: usize = 2048;

/// Writes each message that comes to the socket to a file, as a line, for as long as this process
/// lives. It listens already when this returns.
pub fn start(socket: &Path, file: &str) -> Result<()> {
    // That of the scenario before.
    let _ = fs::remove_file(socket);
    let listener = UnixDatagram::bind(socket).context(socket.display())?;
    let log = OpenOptions::new().create(true).append(true).open(file);
    let mut log = log.context(format!("opening {file}"))?;
    thread::spawn(move || {
        let mut message = [0; MAX_MESSAGE];
        while let Ok(len) = listener.recv(&mut message) {
            let text = String::from_utf8_lossy(message.get(..len).unwrap_or_default());
            // In one piece, since others append to the file as well.
            let _ = log.write_all(format!("{}\n", text.trim_end()).as_bytes());
        }
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    #[test]
    fn a_message_is_a_line() {
        let dir = std::env::temp_dir().join(format!("lab-logd-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let (socket, file) = (dir.join("log"), dir.join("file"));
        for _ in 0..2 {
            start(&socket, file.to_str().unwrap()).unwrap();
        }
        let sender = UnixDatagram::unbound().unwrap();
        sender.send_to(b"<30>one", &socket).unwrap();
        sender.send_to(b"<30>two\n", &socket).unwrap();
        let begun = Instant::now();
        while fs::read_to_string(&file).unwrap() != "<30>one\n<30>two\n" {
            assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", fs::read_to_string(&file));
            thread::yield_now();
        }
        fs::remove_dir_all(dir).unwrap();
    }
}
