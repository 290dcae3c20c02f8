// SPDX-License-Identifier: GPL-2.0-or-later
//! The lab's own kernel modules, simulated hardware: built from `tests/lab/module` against the
//! headers of each kernel, again when their source changes.
//!
//! The headers come from the suite that the kernel is from and are unpacked, not installed: they
//! depend on the kernel's image, and installing that would touch this machine's boot loader.

use super::kernel::Kernel;
use super::{apt, paths, progress};
use crate::command::run;
use crate::error::{Context, Result};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Programs that the build needs.
pub const TOOLS: [apt::Tool; 3] = [("gcc", "gcc"), ("make", "make"), ("strip", "binutils")];

/// The modules: ports that flows can be offloaded to, and a switch behind MDIO.
pub const NAMES: [&str; 2] = ["labhw.ko", "labmdio.ko"];

/// What the tools in the headers of a newer Debian are linked with.
const LIBRARIES: [&str; 4] = ["libc6", "libelf1t64", "zlib1g", "libzstd1"];
/// Those of the tools that are, below the folder of kbuild.
const NEWER_TOOLS: [&str; 2] =
    ["scripts/mod/modpost.real-lsb-64", "tools/objtool/objtool.real-x86"];
const LIBRARY_DIR: &str = "usr/lib/x86_64-linux-gnu";
const LOADER: &str = "ld-linux-x86-64.so.2";

/// Debian describes modules for debuggers with a program that nobody here needs.
const OPTIONS: [&str; 1] = ["CONFIG_DEBUG_INFO_BTF_MODULES="];
/// Debian 12's compiler in place of a newer one: what it does not know is left out.
const NEWER_OPTIONS: [&str; 3] =
    ["CC=gcc", "CONFIG_CC_HAS_MIN_FUNCTION_ALIGNMENT=", "KCFLAGS=-Wno-attributes"];

/// The folder with the modules for a kernel, from the cache or built.
pub fn build(kernel: &Kernel) -> Result<PathBuf> {
    let sources = sources()?;
    let mut stamp = format!("{}\n", kernel.release);
    for (name, text) in &sources {
        stamp.push_str(&format!("{name}\n{text}"));
    }
    let dir = paths::cache("module")?.join(kernel.name);
    let stamp_file = dir.join("stamp");
    if fs::read_to_string(&stamp_file).is_ok_and(|old| old == stamp) {
        return Ok(dir);
    }
    let headers = headers(kernel)?;
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(&dir).context(format!("making {}", dir.display()))?;
    for (name, text) in &sources {
        fs::write(dir.join(name), text).context(format!("copying {name}"))?;
    }
    progress::step(&format!("building the lab's modules for {}", kernel.release), || {
        let mut make = Command::new("make");
        make.arg("-s").arg("-C").arg(headers).arg(format!("M={}", dir.display())).arg("modules");
        make.args(OPTIONS);
        if kernel.newer {
            make.args(NEWER_OPTIONS);
        }
        run(&mut make)?;
        let modules = NAMES.map(|name| dir.join(name));
        run(Command::new("strip").arg("--strip-debug").args(modules))
    })?;
    // Written last: without it the modules do not count.
    fs::write(&stamp_file, stamp).context("the stamp of the lab's modules")?;
    Ok(dir)
}

/// The modules' sources by name, sorted.
fn sources() -> Result<Vec<(String, String)>> {
    let dir = paths::lab("module");
    let mut sources = Vec::new();
    for entry in dir.read_dir().context(format!("reading {}", dir.display()))?.flatten() {
        let text = fs::read_to_string(entry.path()).context(entry.path().display())?;
        sources.push((entry.file_name().to_string_lossy().into_owned(), text));
    }
    sources.sort();
    Ok(sources)
}

/// The folder to build modules for a kernel in, from the cache or from its suite.
fn headers(kernel: &Kernel) -> Result<PathBuf> {
    let root = kernel.modules.with_file_name("headers");
    let dir = root.join("usr/src").join(format!("linux-headers-{}", kernel.release));
    // They hold their own place, so those of a copied folder are of no use.
    let (complete, place) = (root.join("complete"), root.display().to_string());
    if fs::read_to_string(&complete).is_ok_and(|old| old == place) {
        return Ok(dir);
    }
    let _ = fs::remove_dir_all(&root);
    fs::create_dir_all(&root).context(format!("making {}", root.display()))?;
    let view = apt::View::open(kernel.suite, kernel.architecture)?;
    let package = format!("linux-headers-{}", kernel.release);
    let old = format!(
        "no headers for this kernel; its suite may have another by now: delete {}",
        root.with_file_name("").display()
    );
    let mut packages = vec![package.clone()];
    for prefix in ["linux-headers-", "linux-kbuild-"] {
        packages.push(view.dependency(&package, prefix).context(&old)?);
    }
    if kernel.newer {
        packages.extend(LIBRARIES.map(str::to_string));
    }
    for package in &packages {
        let file = view.download(package, &root.join("download"))?;
        run(Command::new("dpkg-deb").arg("-x").arg(file).arg(&root))?;
    }
    fs::remove_dir_all(root.join("download")).context("clearing up")?;
    // Debian's makefiles name one another by where they would be installed.
    let makefile = dir.join("Makefile");
    let text = fs::read_to_string(&makefile).context(makefile.display())?;
    let moved = moved(&text, &root);
    fs::write(&makefile, moved).context(makefile.display())?;
    if kernel.newer {
        with_own_libraries(&root, &dir)?;
    }
    fs::write(complete, place).context("keeping the headers")?;
    Ok(dir)
}

/// The makefile with the places of others below `root`.
fn moved(text: &str, root: &Path) -> String {
    text.replace("/usr/src/", &format!("{}/usr/src/", root.display()))
}

/// Has the tools of a newer Debian start with the libraries of that.
fn with_own_libraries(root: &Path, headers: &Path) -> Result<()> {
    let libraries = root.join(LIBRARY_DIR);
    for name in NEWER_TOOLS {
        // `scripts` and `tools` lead to the folder of kbuild.
        let tool = headers.join(name);
        let binary = tool.with_extension("binary");
        fs::rename(&tool, &binary).context(format!("moving {}", tool.display()))?;
        let script = format!(
            "#!/bin/sh\nexec '{libraries}/{LOADER}' --library-path '{libraries}' '{}' \"$@\"\n",
            binary.display(),
            libraries = libraries.display(),
        );
        fs::write(&tool, script).context(tool.display())?;
        fs::set_permissions(&tool, Permissions::from_mode(0o755)).context(tool.display())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makefiles_find_one_another_where_they_were_unpacked() {
        let text = "KBUILD_OUTPUT=/usr/src/linux-headers-7\ninclude /usr/src/x-common/Makefile\n";
        let moved = moved(text, Path::new("/cache"));
        assert!(moved.contains("KBUILD_OUTPUT=/cache/usr/src/linux-headers-7\n"), "{moved}");
        assert!(moved.contains("include /cache/usr/src/x-common/Makefile\n"), "{moved}");
    }

    #[test]
    fn the_build_file_is_among_the_sources() {
        let sources = sources().unwrap();
        let (_, kbuild) = sources.iter().find(|(name, _)| name == "Kbuild").unwrap();
        for name in NAMES {
            let prefix = format!("{}-y := ", name.trim_end_matches(".ko"));
            let objects = kbuild.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap();
            for object in objects.split(' ') {
                let source = object.replace(".o", ".c");
                assert!(sources.iter().any(|(name, _)| *name == source), "{source}");
            }
        }
    }
}
