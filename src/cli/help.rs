// SPDX-License-Identifier: GPL-2.0-or-later
//! What `flowtable --help` says.

/// One line, shown with a usage error.
pub const USAGE: &str = "usage: flowtable COMMAND [OPTION]... (--help lists them)";

/// The text of `--help`.
pub const HELP: &str = "\
usage: flowtable COMMAND [OPTIONS]

Shows and steers flow offloading through the daemon flowtabled.

Commands:
  status          what is offloaded, and why not more
  devices [NAME]  state of each network device, or of one
  flows           the flows that conntrack knows, the greatest first
  hosts           the clients of this router, and what they carry
  explain SOURCE[:PORT] DESTINATION[:PORT] [PROTOCOL]
                  why a flow takes the path that it takes
  history         what was carried by each path, in all and lately
  hardware        the switches of the configuration, and how full they are
  top             a live view of the flows
  flush           return all flows to the classic path; they come back
  evict           return some flows to the classic path and keep them there
  release         let flows that evict keeps there come back
  reload          read the configuration again

Options of flows, evict and release:
  --state STATE        only classic, software or hardware flows
  --address ADDRESS    only with this address or prefix at either end
  --port PORT          only with this port at either end
  --protocol PROTOCOL  only of this protocol, by name or number
  --device DEVICE      only by this device, in or out
  --host HOST          only of this client: MAC address, address or name
  --partition TABLE    only those that the flowtable in this table has

Options of flows and hosts:
  --sort ORDER         by rate (the default), bytes or age
  --limit NUMBER       at most so many, 1 to 100 (else 50)
  --all                all of them; with --json a reply a line

Option of history:
  --points NUMBER      only so many lines, the newest, 0 to 300

Option of hosts:
  --host HOST          only this client: MAC address, address or name

Option of evict:
  --for TIME           how long, as 90, 90s, 10m (the default), 2h or 1d, a
                       day at most; with 0 they may come back at once

Options of top:
  --interval SECONDS   ask so often, 1 to 60 (else 2)
  --once               print one frame and end, as into a file or a pipe

Options:
  --json               print the daemon's reply as JSON
  --ubus-socket PATH   socket of ubusd
                       (else /var/run/ubus/ubus.sock, then /var/run/ubus.sock)
  -h, --help           this text
  -V, --version        the version

A dash stands for what cannot be known.

Exit codes:
  0  done
  1  the daemon answered with an error, or the output could not be written
  2  usage
  3  no bus: ubusd cannot be reached
  4  the daemon is not on the bus
  5  time-out
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_fits_a_terminal() {
        assert!(HELP.lines().chain(USAGE.lines()).all(|line| line.len() < 80));
    }
}
