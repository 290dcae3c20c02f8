// SPDX-License-Identifier: GPL-2.0-or-later
//! Which kernel modules the router needs, and in which order they load.

use super::architecture::{Architecture, MIPSEL};
use crate::command::run;
use crate::error::{Context, Error, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The lab cannot work without these.
const REQUIRED: [&str; 13] = [
    "nf_tables",
    "nft_ct",
    "nft_nat",
    "nft_masq",
    "nft_chain_nat",
    "nf_flow_table",
    "nf_flow_table_inet",
    "nft_flow_offload",
    "nf_conntrack_netlink",
    "veth",
    "bridge",
    "8021q",
    "dummy",
];

/// Taken along where the kernel has them; some flavours lack a few.
const OPTIONAL: [&str; 37] = [
    // Part of nf_tables since 6.2.
    "nft_objref",
    "nft_reject_inet",
    "nft_fib_inet",
    "nft_limit",
    "nft_redir",
    "nft_log",
    "nfnetlink_hook",
    "macvlan",
    "tun",
    "wireguard",
    "pppoe",
    // The PPPoE server's end goes through a terminal.
    "ppp_async",
    "ipip",
    "ip_gre",
    // Radios without air: what one of them sends, the others hear.
    "mac80211_hwsim",
    "sch_fq_codel",
    "sch_cake",
    "sch_ingress",
    "sch_netem",
    "sch_htb",
    "ifb",
    "act_mirred",
    "cls_matchall",
    "cls_u32",
    "pktgen",
    // The card that a browser on the host comes in by, and its bus.
    "virtio_net",
    "virtio_pci",
    "nf_conntrack_ftp",
    "nf_nat_ftp",
    "xfrm_user",
    "esp4",
    "authenc",
    "echainiv",
    "ecb",
    "crypto_null",
    "sha256_generic",
    // MDIO buses and PHYs; built in on the newest.
    "libphy",
];

/// Beside those, on 32-bit MIPS: the card that OpenWrt's images for malta have a driver for.
const MIPSEL_ONLY: [&str; 1] = ["pcnet32"];

fn optional(architecture: &Architecture) -> impl Iterator<Item = &'static str> {
    let own: &[&str] = if architecture.debian == MIPSEL.debian { &MIPSEL_ONLY } else { &[] };
    OPTIONAL.into_iter().chain(own.iter().copied())
}

/// All that is taken along, one a line.
pub fn wish(architecture: &Architecture) -> String {
    let names = REQUIRED.into_iter().chain(optional(architecture));
    names.map(|name| format!("{name}\n")).collect()
}

/// Copies the modules and all they depend on, uncompressed, from an unpacked kernel package into
/// a folder, and writes their loading order to `modules.order` in it.
pub fn select(
    architecture: &Architecture,
    (root, release): (&Path, &str),
    into: &Path,
) -> Result<()> {
    run(Command::new("depmod").arg("-b").arg(root).arg(release))?;
    let mut order: Vec<PathBuf> = Vec::new();
    for name in REQUIRED {
        add(root, release, name, &mut order)
            .context(format!("the kernel {release} has no module {name}"))?;
    }
    for name in optional(architecture) {
        // Absence is allowed; whoever needs the module sees that it is not there.
        let _ = add(root, release, name, &mut order);
    }
    fs::create_dir_all(into).context(format!("making {}", into.display()))?;
    let mut names = String::new();
    for path in order {
        let name = copy_plain(&path, into)?;
        names.push_str(&name);
        names.push('\n');
    }
    fs::write(into.join("modules.order"), names).context("writing modules.order")
}

fn add(root: &Path, release: &str, name: &str, order: &mut Vec<PathBuf>) -> Result<()> {
    let mut command = Command::new("modprobe");
    command.args(["-C", "/dev/null", "-S", release, "--show-depends", name]).arg("-d").arg(root);
    for path in module_paths(&run(&mut command)?) {
        if !order.contains(&path) {
            order.push(path);
        }
    }
    Ok(())
}

fn module_paths(text: &str) -> Vec<PathBuf> {
    let words = text.lines().filter_map(|line| line.strip_prefix("insmod "));
    words.map(|rest| PathBuf::from(rest.trim())).collect()
}

/// Copies a module, unpacking it, and returns its plain file name.
fn copy_plain(from: &Path, into: &Path) -> Result<String> {
    let name = from.file_name().context("a module without a name")?.to_string_lossy().into_owned();
    let unpacker = match from.extension().map(|e| e.to_string_lossy().into_owned()).as_deref() {
        Some("xz") => Some("xz"),
        Some("zst") => Some("zstd"),
        _ => None,
    };
    let Some(unpacker) = unpacker else {
        fs::copy(from, into.join(&name)).context(format!("copying {}", from.display()))?;
        return Ok(name);
    };
    let plain = name.rsplit_once('.').map_or(name.as_str(), |(plain, _)| plain).to_string();
    let output = Command::new(unpacker).arg("-dc").arg(from).output().context(unpacker)?;
    if !output.status.success() {
        return Err(Error::new(format!("{unpacker} cannot unpack {}", from.display())));
    }
    fs::write(into.join(&plain), output.stdout).context(format!("writing {plain}"))?;
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_modules_need_no_file() {
        let text = "builtin nf_tables\ninsmod /k/lib/modules/6/net/veth.ko.xz \n";
        assert_eq!(module_paths(text), [PathBuf::from("/k/lib/modules/6/net/veth.ko.xz")]);
    }
}
