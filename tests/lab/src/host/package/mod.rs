// SPDX-License-Identifier: GPL-2.0-or-later
//! `cargo xtask package`: the packages for a router's architecture, without OpenWrt's SDK, into
//! `target/packages/TARGET`, and a table of what they take.
//!
//! What is said of the packages comes from the recipes for the SDK (`recipe`), the files from
//! git (`tree`), the program from the cross toolchain.

mod apk;
mod ipk;
mod minify;
mod recipe;
mod sizes;
mod strip;
mod tree;

use super::cross::{self, Target, Toolchain};
use super::{artifacts, paths, progress};
use crate::bench::figure::Figure;
use crate::command::run;
use crate::error::{Context, Result};
pub use apk::{tool as apk_tool, KIT_SCRIPT};
pub use ipk::gzip;
pub use recipe::Recipe;
use sizes::Sizes;
pub use sizes::LUCI_BOUND;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
pub use tree::{Node, Tree};

/// Folders of the repository that mirror the router's, and where they go.
const DAEMON_FOLDERS: [(&str, &str); 3] =
    [("files/etc", "etc"), ("files/lib", "lib"), ("files/usr", "usr")];
const LUCI_FOLDERS: [(&str, &str); 2] = [("luci-app/htdocs", "www"), ("luci-app/root", "")];

/// The packages of one target.
#[derive(Debug)]
pub struct Packages {
    /// The daemon's, for opkg.
    pub daemon: PathBuf,
    /// The daemon's, for apk, where there is the tool that makes it.
    pub daemon_apk: Option<PathBuf>,
    /// The LuCI application's, for opkg.
    pub luci: PathBuf,
    sizes: Sizes,
}

impl Packages {
    /// What they take, as findings of a benchmark.
    pub fn figures(&self) -> Vec<Figure> {
        self.sizes.figures()
    }
}

/// The folder that a target's packages are written to.
pub fn folder(target: &Target) -> PathBuf {
    paths::target().join("packages").join(target.name)
}

/// Makes the packages of the targets and prints their sizes.
pub fn command(targets: &[&'static Target]) -> Result<()> {
    let mut all = Vec::new();
    for target in targets {
        all.push(make(&cross::toolchain(target)?)?);
    }
    print!("{}", table(&all));
    let sizes = all.iter().map(|packages| &packages.sizes);
    sizes::write(sizes, &paths::target().join("packages/sizes.json"))?;
    if apk::tool().is_none() {
        println!("no .apk: there is no apk of version 3 or newer on the path (docs/openwrt.md)");
    }
    Ok(())
}

/// The sizes of packages, as lines for people.
pub fn table(all: &[Packages]) -> String {
    sizes::table(all.iter().map(|packages| &packages.sizes))
}

/// Makes the packages of one target.
pub fn make(toolchain: &Toolchain) -> Result<Packages> {
    let target = toolchain.target;
    let out = folder(target);
    let _ = fs::remove_dir_all(&out);
    fs::create_dir_all(&out).context(format!("making {}", out.display()))?;
    let time_s = source_time_s()?;
    let program = program(toolchain)?;
    let mut sizes = Sizes::new(target.name, &program)?;
    let mut pack = |recipe: Recipe, tree: Tree| -> Result<(PathBuf, Option<PathBuf>)> {
        let file = out.join(ipk::file_name(&recipe));
        let bytes = ipk::pack(&recipe, &tree, time_s)?;
        sizes.package(&recipe.name, "ipk", bytes.len() as u64);
        fs::write(&file, bytes).context(format!("writing {}", file.display()))?;
        let Some(tool) = apk::tool() else { return Ok((file, None)) };
        let work = paths::target().join("packages/work");
        let apk = apk::pack(&tool, &recipe, tree, time_s, &work, &out)?;
        let size = fs::metadata(&apk).context(apk.display())?.len();
        sizes.package(&recipe.name, "apk", size);
        Ok((file, Some(apk)))
    };
    let (daemon, daemon_apk) = pack(Recipe::daemon(target.name)?, daemon_tree(program)?)?;
    let (luci, _) = pack(Recipe::luci()?, luci_tree()?)?;
    Ok(Packages { daemon, daemon_apk, luci, sizes })
}

/// What an apk elsewhere makes the daemon's package of, at `file` there.
pub fn apk_kit(toolchain: &Toolchain, file: &str) -> Result<Vec<u8>> {
    let tree = daemon_tree(program(toolchain)?)?;
    apk::kit(&Recipe::daemon(toolchain.target.name)?, tree, source_time_s()?, file)
}

/// The daemon, built for release and stripped.
fn program(toolchain: &Toolchain) -> Result<Vec<u8>> {
    strip::stripped(&build(toolchain)?)
}

/// Builds the daemon as packages have it, and tells where it is.
pub fn build(toolchain: &Toolchain) -> Result<PathBuf> {
    let name = "flowtabled";
    progress::step(&format!("building {name} for {}", toolchain.target.name), || {
        let mut cargo = toolchain.cargo_for_package();
        artifacts::visible(cargo.args([
            "build",
            "--release",
            "--locked",
            "-p",
            name,
            "--bin",
            name,
        ]))
    })?;
    Ok(toolchain.output("release").join(name))
}

/// The daemon's files with the program and its second name.
pub fn daemon_tree(program: Vec<u8>) -> Result<Tree> {
    let mut tree = folders(&DAEMON_FOLDERS)?;
    tree.file("usr/sbin/flowtabled", program, true)?;
    tree.link("usr/bin/flowtable", "../sbin/flowtabled")?;
    Ok(tree)
}

/// The LuCI application's files.
pub fn luci_tree() -> Result<Tree> {
    minify::ensure_tool()?;
    let mut tree = folders(&LUCI_FOLDERS)?;
    tree.rewrite(".js", minify::script)?;
    Ok(tree)
}

fn folders(all: &[(&str, &str)]) -> Result<Tree> {
    let mut tree = Tree::default();
    for (folder, at) in all {
        tree.add_folder(&paths::repository(), folder, at)?;
    }
    Ok(tree)
}

/// Seconds since 1970 of the last commit, or what the convention of reproducible builds says.
fn source_time_s() -> Result<u64> {
    if let Ok(text) = std::env::var("SOURCE_DATE_EPOCH") {
        return text.trim().parse().context("SOURCE_DATE_EPOCH");
    }
    let mut git = Command::new("git");
    git.current_dir(paths::repository()).args(["log", "-1", "--format=%ct"]);
    run(&mut git)?.trim().parse().context("the time of the last commit")
}

/// Reads a package's file.
pub fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).context(format!("reading {}", file.display()))
}
