// SPDX-License-Identifier: GPL-2.0-or-later
//! The packages, unpacked by GNU tar and compared with the repository; their program, started as
//! the router's processor would start it.

use super::{foreign, Tally};
use crate::command::run;
use crate::error::{Context, Error, Result};
use crate::host::cross::{self, Target};
use crate::host::package::{self, Packages};
use crate::host::{apt, paths};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// In CI: the smallest router's.
pub fn smallest(tally: &mut Tally) -> Result<()> {
    check(cross::one("mipsel_24kc")?, tally)
}

/// Every target's.
pub fn all(tally: &mut Tally) -> Result<()> {
    for target in &cross::TARGETS {
        check(target, tally)?;
    }
    Ok(())
}

fn check(target: &'static Target, tally: &mut Tally) -> Result<()> {
    let Some(toolchain) = foreign::toolchain(target, tally)? else { return Ok(()) };
    toolchain.ensure_emulator()?;
    apt::ensure_tools(&[("node", "nodejs")])?;
    let packages = package::make(&toolchain)?;
    let first = bytes(&packages)?;
    let unpacked = paths::cache("unpacked")?;
    let daemon = unpack(&packages.daemon, &unpacked.join("daemon"))?;
    let luci = unpack(&packages.luci, &unpacked.join("luci"))?;
    let mut count = |what: &str, result: Result<()>| match result {
        Ok(()) => {
            println!("ok     {} {what}", target.name);
            tally.passed(1);
        }
        Err(e) => {
            println!("{e}");
            tally.failed(&format!("package {} {what}", target.name));
        }
    };
    count("flowtabled: files", daemon_files(&daemon));
    count("flowtabled: control", control(&daemon, "flowtabled", target.name));
    count("flowtabled: program", program(target, &daemon));
    count("luci-app-flowtable: files", luci_files(&luci));
    count("luci-app-flowtable: control", control(&luci, "luci-app-flowtable", "all"));
    count("luci-app-flowtable: size", within(first.get(1), package::LUCI_BOUND));
    let again = package::make(&toolchain).and_then(|packages| bytes(&packages));
    count("made again, the same bytes", again.and_then(|again| same(&first, &again)));
    print!("{}", package::table(&[packages]));
    Ok(())
}

fn same(first: &[Vec<u8>], again: &[Vec<u8>]) -> Result<()> {
    if first == again {
        return Ok(());
    }
    Err(Error::new("a package made twice from the same files is not the same"))
}

/// A package is no larger than it may be.
fn within(package: Option<&Vec<u8>>, bound: u64) -> Result<()> {
    let size = package.context("no such package")?.len();
    if u64::try_from(size).is_ok_and(|size| size <= bound) {
        return Ok(());
    }
    Err(Error::new(format!("{size} bytes, and the bound is {bound}")))
}

fn bytes(packages: &Packages) -> Result<Vec<Vec<u8>>> {
    [&packages.daemon, &packages.luci].into_iter().map(|file| package::read(file)).collect()
}

/// Unpacks a package into an empty folder: its files into `data`, the rest into `control`.
fn unpack(package: &Path, into: &Path) -> Result<PathBuf> {
    let _ = fs::remove_dir_all(into);
    let tar = |archive: &Path, to: &Path| {
        fs::create_dir_all(to).context(format!("making {}", to.display()))?;
        run(Command::new("tar").arg("-xpzf").arg(archive).arg("-C").arg(to))
    };
    tar(package, into)?;
    tar(&into.join("data.tar.gz"), &into.join("data"))?;
    tar(&into.join("control.tar.gz"), &into.join("control"))?;
    Ok(into.to_path_buf())
}

/// What is at a path: bytes and mode of a file, or where a link leads.
#[derive(PartialEq, Eq)]
enum Found {
    File(Vec<u8>, u32),
    Link(PathBuf),
}

type Files = BTreeMap<String, Found>;

fn found(root: &Path) -> Result<Files> {
    fn walk(root: &Path, folder: &Path, into: &mut Files) -> std::io::Result<()> {
        for entry in folder.read_dir()?.flatten() {
            let path = entry.path();
            let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
            let data = entry.metadata()?;
            if data.is_dir() {
                walk(root, &path, into)?;
            } else if data.is_symlink() {
                into.insert(name, Found::Link(fs::read_link(&path)?));
            } else {
                let mode = data.permissions().mode() & 0o7777;
                into.insert(name, Found::File(fs::read(&path)?, mode));
            }
        }
        Ok(())
    }
    let mut files = Files::new();
    walk(root, root, &mut files).context(format!("reading {}", root.display()))?;
    Ok(files)
}

/// The work tree's files of these folders, as they have to stand on a router.
fn wanted(folders: &[(&str, &str)]) -> Result<Files> {
    let mut all = Files::new();
    for (folder, at) in folders {
        let root = paths::repository().join(folder);
        if !root.is_dir() {
            continue;
        }
        for (name, file) in found(&root)? {
            let path = format!("{at}/{name}").trim_start_matches('/').to_string();
            // The masks of whoever has cloned do not count, but who may run it does.
            let file = match file {
                Found::File(bytes, mode) if mode & 0o111 != 0 => Found::File(bytes, 0o755),
                Found::File(bytes, _) if at == &"etc" && name.starts_with("config/") => {
                    Found::File(bytes, 0o600)
                }
                Found::File(bytes, _) => Found::File(bytes, 0o644),
                link => link,
            };
            all.insert(path, file);
        }
    }
    Ok(all)
}

fn compare(wanted: &Files, found: &Files) -> Result<()> {
    let differing: Vec<&str> = wanted
        .keys()
        .chain(found.keys())
        .filter(|path| wanted.get(*path) != found.get(*path))
        .map(String::as_str)
        .collect();
    if differing.is_empty() && !found.is_empty() {
        return Ok(());
    }
    Err(Error::new(format!("not as in the repository: {}", differing.join(", "))))
}

fn daemon_files(unpacked: &Path) -> Result<()> {
    let mut files = found(&unpacked.join("data"))?;
    let link = Found::Link("../sbin/flowtabled".into());
    if files.remove("usr/bin/flowtable") != Some(link) {
        return Err(Error::new("usr/bin/flowtable is not the link that it should be"));
    }
    match files.remove("usr/sbin/flowtabled") {
        Some(Found::File(bytes, 0o755)) if bytes.starts_with(b"\x7fELF") => {}
        _ => return Err(Error::new("usr/sbin/flowtabled is not the program that it should be")),
    }
    let folders = [("files/etc", "etc"), ("files/lib", "lib"), ("files/usr", "usr")];
    compare(&wanted(&folders)?, &files)
}

fn luci_files(unpacked: &Path) -> Result<()> {
    let folders = [("luci-app/htdocs", "www"), ("luci-app/root", "")];
    let (mut wanted, found) = (wanted(&folders)?, found(&unpacked.join("data"))?);
    for (path, file) in wanted.iter_mut().filter(|(path, _)| path.ends_with(".js")) {
        let (Found::File(whole, mode), Some(Found::File(small, _))) = (&*file, found.get(path))
        else {
            continue;
        };
        if small.is_empty() || small.len() >= whole.len() {
            return Err(Error::new(format!("{path} is no smaller than in the repository")));
        }
        run(Command::new("node").args(["-e", PARSE]).arg(unpacked.join("data").join(path)))?;
        *file = Found::File(small.clone(), *mode);
    }
    compare(&wanted, &found)
}

/// LuCI makes a function of a script in the same way.
const PARSE: &str = "new Function(require('fs').readFileSync(process.argv[1], 'utf8'))";

fn control(unpacked: &Path, name: &str, architecture: &str) -> Result<()> {
    let folder = unpacked.join("control");
    let text = fs::read_to_string(folder.join("control")).context("reading control")?;
    let version = concat!("Version: ", env!("CARGO_PKG_VERSION"), "-r");
    let tar = run(Command::new("gzip").args(["-l"]).arg(unpacked.join("data.tar.gz")))?;
    let size = tar.lines().nth(1).and_then(|line| line.split_whitespace().nth(1));
    let wanted = [
        format!("Package: {name}\n"),
        version.to_string(),
        format!("Architecture: {architecture}\n"),
        format!("Installed-Size: {}\n", size.context("gzip tells no size")?),
        "Depends: libc, ".to_string(),
    ];
    for line in wanted {
        if !text.contains(&line) {
            return Err(Error::new(format!("control has no {line:?}:\n{text}")));
        }
    }
    for script in ["postinst", "prerm"] {
        run(Command::new("sh").arg("-n").arg(folder.join(script)))?;
    }
    Ok(())
}

/// The program is of the architecture, needs no other file, and runs where there is no more than
/// such a router's processor.
fn program(target: &Target, unpacked: &Path) -> Result<()> {
    let program = unpacked.join("data/usr/sbin/flowtabled");
    let told = match target.emulator {
        Some([emulator, option, processor]) => {
            run(Command::new(emulator).args([option, processor]).arg(&program).arg("--version"))?
        }
        None => run(Command::new(&program).arg("--version"))?,
    };
    if !told.contains(env!("CARGO_PKG_VERSION")) {
        return Err(Error::new(format!("--version answers {told:?}")));
    }
    let program = fs::read(&program).context("reading the program")?;
    if program.windows(INTERPRETER.len()).any(|bytes| bytes == INTERPRETER) {
        return Err(Error::new("the program is not static"));
    }
    Ok(())
}

/// How the path of a dynamic program's loader begins with musl.
const INTERPRETER: &[u8] = b"/lib/ld-musl";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_holds_or_not() {
        assert!(within(Some(&vec![0; 3]), 3).is_ok());
        assert!(within(Some(&vec![0; 4]), 3).is_err());
        assert!(within(None, 3).is_err());
    }

    #[test]
    fn a_difference_has_a_name() {
        let files = |mode| Files::from([("etc/x".to_string(), Found::File(b"a".to_vec(), mode))]);
        assert!(compare(&files(0o644), &files(0o644)).is_ok());
        let error = compare(&files(0o644), &files(0o755)).unwrap_err().to_string();
        assert!(error.contains("etc/x"), "{error}");
        assert!(compare(&files(0o644), &Files::new()).is_err());
        assert!(compare(&Files::new(), &Files::new()).is_err());
    }
}
