// SPDX-License-Identifier: GPL-2.0-or-later
//! The guest's root file system: a base of tools and modules that is packed once for each kernel,
//! and what changes between two runs appended to it.

use super::artifacts::{Artifacts, Daemon, Tools};
use super::cpio::Archive;
use super::kernel::Kernel;
use super::userland::{self, Userland};
use super::{kernel_module, modules, paths, progress};
use crate::error::{Context, Error, Result};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// To be changed whenever the base is packed differently.
const LAYOUT: u32 = 10;

/// Packs what all boots of a kernel share, where it is missing or old.
pub fn prepare(kernel: &Kernel) -> Result<()> {
    base(kernel)?;
    lab_modules(kernel).map(drop)
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
    let modules = lab_modules(kernel)?;
    let userland = Userland::of(kernel.architecture)?;
    let path = paths::cache("boot")?.join(format!("{}-{label}.cpio", kernel.name));
    fs::copy(&base, &path).context("copying the base initramfs")?;
    let file = File::options().append(true).open(&path).context("the initramfs")?;
    let mut archive = Archive::new(BufWriter::new(file));
    let mut programs = Programs { userland: &userland, packed: BTreeSet::new() };
    match &artifacts.daemon {
        Daemon::Program(program) => {
            programs.add(&mut archive, "usr/sbin/flowtabled", program)?;
            archive.link("usr/bin/flowtable", "../sbin/flowtabled")?;
        }
        Daemon::Package(package) => {
            archive.copy("lab/packages/flowtabled.ipk", package)?;
            // Where package and init script look for them.
            archive.link("etc/rc.common", "../lab/openwrt/rc.common")?;
            archive.link("lib/functions.sh", "../lab/openwrt/functions.sh")?;
        }
    }
    programs.add(&mut archive, "usr/bin/lab-guest", &artifacts.driver)?;
    programs.add(&mut archive, "usr/sbin/ubusd", &artifacts.ubusd)?;
    programs.add(&mut archive, "usr/bin/ubus", &artifacts.ubus)?;
    archive.link("usr/bin/ubus-client", "ubus")?;
    archive.copy("init", &paths::lab("guest/init"))?;
    add_tree(&mut archive, "lab/openwrt", &paths::lab("guest/openwrt"))?;
    archive.copy("lab/firewall.nft", &paths::lab("guest/firewall.nft"))?;
    for (name, file) in &modules {
        archive.copy(&format!("lab/{name}"), file)?;
    }
    add_tree(&mut archive, "lab/scenarios", &paths::lab("scenarios"))?;
    let files = paths::repository().join("files");
    add_tree(&mut archive, "lab/files", &files)?;
    // The bus broker's access lists are where it looks for them.
    add_tree(&mut archive, "usr/share/acl.d", &files.join("usr/share/acl.d"))?;
    add_pages(&mut archive)?;
    add_firewall4(&mut archive)?;
    let plan: String = plan.iter().map(|name| format!("{name}\n")).collect();
    archive.file("lab/plan", 0o644, plan.as_bytes())?;
    archive.finish()?;
    Ok(path)
}

/// Packs a system that stands in for OpenWrt, with its console and commands, for one boot; with `apk`
/// that is its package manager, and `depends` are the packages that are there.
pub fn pack_stand_in(
    kernel: &Kernel,
    tools: &Tools,
    (apk, depends): (Option<&Path>, &[String]),
) -> Result<PathBuf> {
    let userland = Userland::of(kernel.architecture)?;
    let path = paths::cache("boot")?.join(format!("{}-stand-in.cpio", kernel.name));
    fs::copy(base(kernel)?, &path).context("copying the base initramfs")?;
    let file = File::options().append(true).open(&path).context("the initramfs")?;
    let mut archive = Archive::new(BufWriter::new(file));
    let mut programs = Programs { userland: &userland, packed: BTreeSet::new() };
    programs.add(&mut archive, "usr/sbin/ubusd", &tools.ubusd)?;
    programs.add(&mut archive, "usr/bin/ubus", &tools.ubus)?;
    if let Some(apk) = apk {
        programs.add(&mut archive, "usr/sbin/apk", apk)?;
    }
    let depends: String = depends.iter().map(|name| format!("{name}\n")).collect();
    archive.file("lab/depends", 0o644, depends.as_bytes())?;
    archive.copy("init", &paths::lab("guest/stand-in/init"))?;
    archive.copy("lab/firewall.nft", &paths::lab("guest/firewall.nft"))?;
    for folder in ["openwrt", "stand-in"] {
        let name = format!("lab/{folder}");
        add_tree(&mut archive, &name, &paths::lab("guest").join(folder))?;
    }
    archive.link("etc/rc.common", "../lab/openwrt/rc.common")?;
    archive.link("lib/functions.sh", "../lab/openwrt/functions.sh")?;
    archive.finish()?;
    Ok(path)
}

/// Packs the machine of the hosts beside a router that is another machine, for one boot.
pub fn pack_peers(kernel: &Kernel, driver: &Path) -> Result<PathBuf> {
    let userland = Userland::of(kernel.architecture)?;
    let path = paths::cache("boot")?.join(format!("{}-peers.cpio", kernel.name));
    fs::copy(base(kernel)?, &path).context("copying the base initramfs")?;
    let file = File::options().append(true).open(&path).context("the initramfs")?;
    let mut archive = Archive::new(BufWriter::new(file));
    let mut programs = Programs { userland: &userland, packed: BTreeSet::new() };
    programs.add(&mut archive, "usr/bin/lab-guest", driver)?;
    archive.copy("init", &paths::lab("guest/init"))?;
    archive.finish()?;
    Ok(path)
}

/// The lab's own kernel modules; none for another architecture, where nothing is built that the
/// kernel's headers would need, and the guest skips what needs them.
fn lab_modules(kernel: &Kernel) -> Result<Vec<(&'static str, PathBuf)>> {
    if kernel.architecture.foreign.is_some() {
        return Ok(Vec::new());
    }
    let dir = kernel_module::build(kernel)?;
    Ok(kernel_module::NAMES.map(|name| (name, dir.join(name))).to_vec())
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

/// Lays the folder that `FIREWALL4_DIR` names over the root: the real firewall4, with all it needs.
fn add_firewall4<W: Write>(archive: &mut Archive<W>) -> Result<()> {
    let named = std::env::var_os("FIREWALL4_DIR").filter(|dir| !dir.is_empty());
    let Some(dir) = named.map(PathBuf::from) else { return Ok(()) };
    let command = dir.join("sbin/fw4");
    if !command.is_file() {
        return Err(Error::new(format!("FIREWALL4_DIR: no {}", command.display())));
    }
    add_tree(archive, ".", &dir)
}

/// The base initramfs of a kernel, packed anew only when a tool or the kernel changed.
fn base(kernel: &Kernel) -> Result<PathBuf> {
    let mut tools = Vec::new();
    let mut stamp = format!(
        "layout {LAYOUT}\nkernel {}\n{}",
        kernel.release,
        modules::wish(kernel.architecture)
    );
    let userland = Userland::of(kernel.architecture)?;
    for (name, _) in userland::PROGRAMS {
        let path = userland.program(name)?;
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
        let mut programs = Programs { userland: &userland, packed: BTreeSet::new() };
        archive.device("dev/console", 5, 1)?;
        archive.device("dev/null", 1, 3)?;
        // The bus broker asks for the names of its clients' user and group.
        let groups = b"root:x:0:\nflowtabled:x:32768:\n";
        archive.file("etc/group", 0o644, groups)?;
        let users = b"root:x:0:0:root:/root:/bin/sh\n\
            flowtabled:x:32768:32768:flowtabled:/var/run/flowtabled:/bin/false\n";
        archive.file("etc/passwd", 0o644, users)?;
        archive.link("bin/sh", "../usr/sbin/dash")?;
        for (name, path) in &tools {
            let place = if *name == "busybox" { "bin" } else { "usr/sbin" };
            programs.add(&mut archive, &format!("{place}/{name}"), path)?;
        }
        let plugin = userland.pppd_plugin("pppoe.so")?;
        archive.copy(&userland.place(&plugin), &plugin)?;
        add_tree(&mut archive, "lab/modules", &kernel.modules)?;
        archive.copy("lab/modules.order", &kernel.modules.join("modules.order"))?;
        archive.finish().map(drop)
    })?;
    fs::write(&stamp_file, stamp).context("the stamp of the base initramfs")?;
    Ok(image)
}

/// Programs of a userland, with what is in the archive already.
struct Programs<'a> {
    userland: &'a Userland,
    packed: BTreeSet<PathBuf>,
}

impl Programs<'_> {
    /// Adds a program, and the libraries that it is linked with where it looks for them.
    fn add<W: Write>(
        &mut self,
        archive: &mut Archive<W>,
        name: &str,
        program: &Path,
    ) -> Result<()> {
        archive.copy(name, program)?;
        for library in self.userland.libraries(program)? {
            if self.packed.insert(library.clone()) {
                archive.copy(&self.userland.place(&library), &library)?;
            }
        }
        Ok(())
    }
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
