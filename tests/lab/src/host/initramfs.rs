// SPDX-License-Identifier: GPL-2.0-or-later
//! The guest's root file system: a base of tools and modules that is packed once for each kernel,
//! and what changes between two runs appended to it.

use super::artifacts::Artifacts;
use super::cpio::Archive;
use super::kernel::Kernel;
use super::{apt, kernel_module, modules, paths, progress};
use crate::command::run;
use crate::error::{Context, Error, Result};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// To be changed whenever the base is packed differently.
const LAYOUT: u32 = 7;

/// Programs of this machine that the guest gets, with the packages that have them.
pub const TOOLS: [apt::Tool; 18] = [
    ("busybox", "busybox-static"),
    // Debian's busybox shell takes its own applets before programs, and its `ip` knows too little.
    ("dash", "dash"),
    ("bash", "bash"),
    ("ip", "iproute2"),
    ("tc", "iproute2"),
    ("bridge", "iproute2"),
    ("nft", "nftables"),
    ("conntrack", "conntrack"),
    ("ethtool", "ethtool"),
    ("iperf3", "iperf3"),
    ("tcpdump", "tcpdump"),
    ("pppd", "ppp"),
    ("pppoe-server", "pppoe"),
    ("pppoe", "pppoe"),
    ("wg", "wireguard-tools"),
    ("socat", "socat"),
    ("hostapd", "hostapd"),
    ("iw", "iw"),
];

/// Packs what all boots of a kernel share, where it is missing or old.
pub fn prepare(kernel: &Kernel) -> Result<()> {
    base(kernel)?;
    kernel_module::build(kernel).map(drop)
}

/// Packs an initramfs for one boot: the base of this kernel, the programs as they are now, and
/// the scenarios to run.
pub fn pack(
    kernel: &Kernel,
    artifacts: &Artifacts,
    plan: &[String],
    label: &str,
) -> Result<PathBuf> {
    let base = base(kernel)?;
    let modules = kernel_module::build(kernel)?;
    let path = paths::cache("boot")?.join(format!("{}-{label}.cpio", kernel.name));
    fs::copy(&base, &path).context("copying the base initramfs")?;
    let file = File::options().append(true).open(&path).context("the initramfs")?;
    let mut archive = Archive::new(BufWriter::new(file));
    let mut packed = BTreeSet::new();
    add_program(&mut archive, &mut packed, "usr/sbin/flowtabled", &artifacts.daemon)?;
    add_program(&mut archive, &mut packed, "usr/bin/lab-guest", &artifacts.driver)?;
    add_program(&mut archive, &mut packed, "usr/sbin/ubusd", &artifacts.ubusd)?;
    add_program(&mut archive, &mut packed, "usr/bin/ubus", &artifacts.ubus)?;
    archive.link("usr/bin/ubus-client", "ubus")?;
    archive.link("usr/bin/flowtable", "../sbin/flowtabled")?;
    archive.copy("init", &paths::lab("guest/init"))?;
    add_tree(&mut archive, "lab/openwrt", &paths::lab("guest/openwrt"))?;
    archive.copy("lab/firewall.nft", &paths::lab("guest/firewall.nft"))?;
    for name in kernel_module::NAMES {
        archive.copy(&format!("lab/{name}"), &modules.join(name))?;
    }
    add_tree(&mut archive, "lab/scenarios", &paths::lab("scenarios"))?;
    add_tree(&mut archive, "lab/files", &paths::repository().join("files"))?;
    add_pages(&mut archive)?;
    let plan: String = plan.iter().map(|name| format!("{name}\n")).collect();
    archive.file("lab/plan", 0o644, plan.as_bytes())?;
    archive.finish()?;
    Ok(path)
}

/// Adds what a browser loads: the package's own files, and LuCI's from the checkout that `LUCI_DIR`
/// names, or the repository's stand-in for it.
fn add_pages<W: Write>(archive: &mut Archive<W>) -> Result<()> {
    let app = paths::repository().join("luci-app");
    let harness = paths::repository().join("tests/luci/harness");
    let luci: Vec<PathBuf> = match luci_dir() {
        Some(dir) => vec![
            dir.join("modules/luci-base/htdocs"),
            dir.join("themes/luci-theme-bootstrap/htdocs"),
        ],
        None => vec![harness.join("www")],
    };
    for dir in &luci {
        if !dir.is_dir() {
            return Err(Error::new(format!(
                "LUCI_DIR is no checkout of LuCI: no {}",
                dir.display()
            )));
        }
        add_tree(archive, "www", dir)?;
    }
    add_tree(archive, "www/lab", &harness.join("lab"))?;
    add_tree(archive, "www", &harness.join("views"))?;
    add_tree(archive, "www", &app.join("htdocs"))?;
    add_tree(archive, "usr", &app.join("root/usr"))?;
    add_tree(archive, "usr/share/rpcd/acl.d", &harness.join("acl.d"))?;
    add_tree(archive, "usr/share/luci/menu.d", &harness.join("menu.d"))
}

/// The checkout of LuCI to use in place of the stand-in.
pub fn luci_dir() -> Option<PathBuf> {
    std::env::var_os("LUCI_DIR").filter(|dir| !dir.is_empty()).map(PathBuf::from)
}

/// The base initramfs of a kernel, packed anew only when a tool or the kernel changed.
fn base(kernel: &Kernel) -> Result<PathBuf> {
    let mut tools = Vec::new();
    let mut stamp = format!("layout {LAYOUT}\nkernel {}\n{}", kernel.release, modules::wish());
    for (name, _) in TOOLS {
        let path = apt::find_program(name).context(format!("no program {name}"))?;
        let data = fs::metadata(&path).context(path.display())?;
        stamp.push_str(&format!("{} {} {}\n", path.display(), data.len(), data.mtime()));
        tools.push((name, path));
    }
    let dir = paths::cache("base")?;
    let (image, stamp_file) =
        (dir.join(format!("{}.cpio", kernel.name)), dir.join(format!("{}.stamp", kernel.name)));
    if image.exists() && fs::read_to_string(&stamp_file).is_ok_and(|old| old == stamp) {
        return Ok(image);
    }
    let _ = fs::remove_file(&stamp_file);
    progress::step(&format!("packing the base initramfs for {}", kernel.release), || {
        let file = File::create(&image).context(format!("making {}", image.display()))?;
        let mut archive = Archive::new(BufWriter::new(file));
        let mut packed = BTreeSet::new();
        archive.device("dev/console", 5, 1)?;
        archive.device("dev/null", 1, 3)?;
        // The bus broker asks for the names of its clients' user and group.
        archive.file("etc/group", 0o644, b"root:x:0:\n")?;
        archive.file("etc/passwd", 0o644, b"root:x:0:0:root:/root:/bin/sh\n")?;
        archive.link("bin/sh", "../usr/sbin/dash")?;
        for (name, path) in &tools {
            let place = if *name == "busybox" { "bin" } else { "usr/sbin" };
            add_program(&mut archive, &mut packed, &format!("{place}/{name}"), path)?;
        }
        add_pppd_plugin(&mut archive)?;
        add_tree(&mut archive, "lab/modules", &kernel.modules)?;
        archive.copy("lab/modules.order", &kernel.modules.join("modules.order"))?;
        archive.finish().map(drop)
    })?;
    fs::write(&stamp_file, stamp).context("the stamp of the base initramfs")?;
    Ok(image)
}

/// Adds pppd's plugin for PPPoE where pppd looks for it: in a folder that has pppd's version as name.
fn add_pppd_plugin<W: Write>(archive: &mut Archive<W>) -> Result<()> {
    let versions = Path::new("/usr/lib/pppd").read_dir().context("the plugins of pppd")?;
    let mut plugins = versions.flatten().map(|version| version.path().join("pppoe.so"));
    let plugin = plugins.find(|path| path.is_file()).context("pppd has no plugin for PPPoE")?;
    let place = plugin.to_string_lossy().trim_start_matches('/').to_string();
    archive.copy(&place, &plugin)
}

/// Adds a program and the libraries that it is linked with, at the places where it looks for them.
fn add_program<W: Write>(
    archive: &mut Archive<W>,
    packed: &mut BTreeSet<PathBuf>,
    name: &str,
    program: &Path,
) -> Result<()> {
    archive.copy(name, program)?;
    // A static program has none, and ldd says so with a failure.
    let listing = run(Command::new("ldd").arg(program)).unwrap_or_default();
    for library in libraries(&listing) {
        if packed.insert(library.clone()) {
            let place = library.to_string_lossy().trim_start_matches('/').to_string();
            archive.copy(&place, &library)?;
        }
    }
    Ok(())
}

/// Absolute paths in what ldd prints: `name => /path (address)` or `/path (address)`.
fn libraries(listing: &str) -> Vec<PathBuf> {
    let words = listing.lines().filter_map(|line| {
        let right = line.split_once("=>").map_or(line, |(_, right)| right);
        right.split_whitespace().next()
    });
    words.filter(|word| word.starts_with('/')).map(PathBuf::from).collect()
}

/// Adds all files below a folder; nothing if there is no such folder.
fn add_tree<W: Write>(archive: &mut Archive<W>, name: &str, dir: &Path) -> Result<()> {
    let Ok(entries) = dir.read_dir() else { return Ok(()) };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        let Some(file) = path.file_name() else { continue };
        let inner = format!("{name}/{}", file.to_string_lossy());
        if path.is_dir() {
            add_tree(archive, &inner, &path)?;
        } else {
            archive.copy(&inner, &path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_as_ldd_names_them() {
        let listing = "\tlinux-vdso.so.1 (0x1)\n\tlibc.so.6 => /lib/x/libc.so.6 (0x2)\n\
                       \t/lib64/ld-linux-x86-64.so.2 (0x3)\n\tgone.so => not found\n";
        let expected = ["/lib/x/libc.so.6", "/lib64/ld-linux-x86-64.so.2"];
        assert_eq!(libraries(listing), expected.map(PathBuf::from));
    }
}
