// SPDX-License-Identifier: GPL-2.0-or-later
//! Packages for OpenWrt 25.12 and newer, in the format of apk 3. Its own tool is the only one that
//! writes it, and no registry that this project draws on has that; so they are made where `apk`
//! is on the path, by the same call as OpenWrt's, and otherwise left out. A router's own apk can make
//! one of a kit, if it was built with that applet.
//!
//! What opkg finds in a control file, the router's functions find in files that OpenWrt puts into
//! the package, below `lib/apk/packages`.

use super::ipk;
use super::recipe::Recipe;
use super::tree::Tree;
use crate::command::run;
use crate::error::{Context, Error, Result};
use crate::host::apt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Scripts of a package, by what apk calls them.
const POST_INSTALL: &str = include_str!("scripts/apk-post-install.sh");
const PRE_DEINSTALL: &str = include_str!("scripts/apk-pre-deinstall.sh");

/// What stands for the package's name in the scripts.
const NAME: &str = "@NAME@";
/// What stands for the recipe's own commands.
const OWN: &str = "# @OWN@\n";

/// The tool, if it is there and can write packages.
pub fn tool() -> Option<PathBuf> {
    let tool = apt::find_program("apk")?;
    let version = run(Command::new(&tool).arg("--version")).ok()?;
    is_new(&version).then_some(tool)
}

/// `apk-tools 3.0.6, compiled for x86_64.`; version 2 writes another format.
fn is_new(version: &str) -> bool {
    let number = version.split_whitespace().nth(1).and_then(|text| text.split('.').next());
    number.and_then(|major| major.parse::<u32>().ok()).is_some_and(|major| major >= 3)
}

/// Writes the package into `out` and returns its file; `work` is a folder to work in.
pub fn pack(
    tool: &Path,
    recipe: &Recipe,
    tree: Tree,
    time_s: u64,
    work: &Path,
    out: &Path,
) -> Result<PathBuf> {
    let _ = fs::remove_dir_all(work);
    fs::create_dir_all(work).context(format!("making {}", work.display()))?;
    let root = work.join("root");
    with_records(recipe, tree)?.write(&root, time_s)?;
    let file = out.join(format!("{}-{}.apk", recipe.name, recipe.version));
    for (kind, text) in scripts(recipe)? {
        let path = work.join(kind);
        fs::write(&path, text).context(format!("writing {}", path.display()))?;
    }
    let mut command = command(tool)?;
    command.env("SOURCE_DATE_EPOCH", time_s.to_string());
    command.args(call(recipe, &work.display().to_string(), &file.display().to_string())?);
    run(&mut command)?;
    Ok(file)
}

/// What apk is asked for: a package of `WORK/root` with the scripts in `WORK`.
fn call(recipe: &Recipe, work: &str, file: &str) -> Result<Vec<String>> {
    let mut words = vec!["mkpkg".to_string()];
    for (key, value) in information(recipe) {
        words.extend(["--info".into(), format!("{key}:{value}")]);
    }
    for (kind, _) in scripts(recipe)? {
        words.extend(["--script".into(), format!("{kind}:{work}/{kind}")]);
    }
    words.extend(["--files".into(), format!("{work}/root")]);
    words.extend(["--output".into(), file.into()]);
    Ok(words)
}

/// The shell script in a kit, to be run in the kit's folder.
pub const KIT_SCRIPT: &str = "make";

/// A compressed tar with which an apk elsewhere makes the package, with no tool but tar and a
/// shell; `file` is where the package is to be written there.
pub fn kit(recipe: &Recipe, tree: Tree, time_s: u64, file: &str) -> Result<Vec<u8>> {
    let mut kit = with_records(recipe, tree)?.inside("root");
    for (kind, text) in scripts(recipe)? {
        let script = text.starts_with("#!");
        kit.file(kind, text.into_bytes(), script)?;
    }
    let quoted = |word: String| format!(" '{}'", word.replace('\'', "'\\''"));
    let call: String = call(recipe, ".", file)?.into_iter().map(quoted).collect();
    let script = format!("#!/bin/sh\nSOURCE_DATE_EPOCH={time_s} exec apk{call}\n");
    kit.file(KIT_SCRIPT, script.into_bytes(), true)?;
    ipk::gzip(&ipk::archive(&kit, time_s)?)
}

/// The files belong to who packs them; who is not root plays it.
fn command(tool: &Path) -> Result<Command> {
    if apt::is_root() {
        return Ok(Command::new(tool));
    }
    let fakeroot = apt::find_program("fakeroot");
    let mut command = Command::new(fakeroot.context("apk mkpkg needs root, or fakeroot")?);
    command.arg(tool);
    Ok(command)
}

fn information(recipe: &Recipe) -> Vec<(&'static str, String)> {
    vec![
        ("name", recipe.name.clone()),
        ("version", recipe.version.clone()),
        ("description", recipe.description.join(" ")),
        ("arch", recipe.architecture.clone().unwrap_or_else(|| "noarch".into())),
        ("license", recipe.license.clone()),
        ("origin", recipe.source.clone()),
        ("maintainer", recipe.maintainer.clone()),
        ("depends", recipe.depends.join(" ")),
    ]
}

fn scripts(recipe: &Recipe) -> Result<Vec<(&'static str, String)>> {
    let own = |name: &str| recipe.scripts.iter().find(|(script, _)| script == name);
    let with = |frame: &str, name: &str| {
        let own = own(name).map_or("", |(_, text)| text.as_str());
        frame.replace(NAME, &recipe.name).replace(OWN, own)
    };
    let post_install = with(POST_INSTALL, "postinst");
    let after_upgrade = format!("#!/bin/sh\nexport PKG_UPGRADE=1\n{post_install}");
    let mut scripts = vec![
        ("post-install", post_install),
        ("post-upgrade", after_upgrade),
        ("pre-deinstall", with(PRE_DEINSTALL, "prerm")),
    ];
    for (name, kind) in [("preinst", "pre-install"), ("postrm", "post-deinstall")] {
        if let Some((_, text)) = own(name) {
            scripts.push((kind, text.clone()));
        }
    }
    Ok(scripts)
}

/// Adds the lists that the router's functions look into.
fn with_records(recipe: &Recipe, mut tree: Tree) -> Result<Tree> {
    let path = |kind: &str| format!("lib/apk/packages/{}.{kind}", recipe.name);
    let list: String = tree.paths().map(|path| format!("/{path}\n")).collect();
    if let Some(user) = &recipe.user {
        tree.file(&path("rusers"), format!("{user}\n").into_bytes(), false)?;
    }
    if !recipe.conffiles.is_empty() {
        let mut sums = String::new();
        for conffile in &recipe.conffiles {
            let node = tree.get(conffile.trim_start_matches('/'));
            let node = node.context(format!("{conffile} is a conffile, but no file"))?;
            sums.push_str(&format!("{conffile} {}\n", sha256(node)?));
        }
        let names = recipe.conffiles.join("\n") + "\n";
        tree.file(&path("conffiles"), names.into_bytes(), false)?;
        tree.file(&path("conffiles_static"), sums.into_bytes(), false)?;
    }
    tree.file(&path("list"), list.into_bytes(), false)?;
    Ok(tree)
}

fn sha256(node: &super::tree::Node) -> Result<String> {
    use super::tree::Node;
    let Node::File { content, .. } = node else {
        return Err(Error::new("a conffile is a file"));
    };
    let text = String::from_utf8(content.clone()).context("a conffile is text")?;
    let sum = crate::command::run_with_input(&mut Command::new("sha256sum"), &text)?;
    Ok(sum.split_whitespace().next().context("sha256sum")?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_version_3_writes_packages() {
        assert!(is_new("apk-tools 3.0.6, compiled for x86_64."));
        assert!(!is_new("apk-tools 2.14.4, compiled for x86_64."));
        assert!(!is_new("something else"));
    }

    #[test]
    fn records_for_the_router_s_functions() {
        let recipe = Recipe::daemon("x86_64").unwrap();
        let mut tree = Tree::default();
        tree.file("etc/config/flowtable", b"abc".to_vec(), false).unwrap();
        tree.link("usr/bin/flowtable", "../sbin/flowtabled").unwrap();
        let tree = with_records(&recipe, tree).unwrap();
        let text = |kind: &str| match tree.get(&format!("lib/apk/packages/flowtabled.{kind}")) {
            Some(super::super::tree::Node::File { content, .. }) => {
                String::from_utf8(content.clone()).unwrap()
            }
            _ => String::new(),
        };
        assert_eq!(text("list"), "/etc/config/flowtable\n/usr/bin/flowtable\n");
        // FIPS 180-2, the first example of SHA-256.
        let sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(text("conffiles_static"), format!("/etc/config/flowtable {sum}\n"));
    }

    #[test]
    fn scripts_carry_the_recipe_s_own() {
        let recipe = Recipe::luci().unwrap();
        let scripts = scripts(&recipe).unwrap();
        let text = |kind: &str| &scripts.iter().find(|(name, _)| *name == kind).unwrap().1;
        assert!(text("post-install").contains("pkgname=\"luci-app-flowtable\""));
        assert!(text("post-install").contains("killall -HUP rpcd"));
        assert!(text("post-upgrade").contains("PKG_UPGRADE=1"));
        assert!(text("pre-deinstall").contains("default_prerm"));
        assert!(scripts.iter().all(|(_, text)| !text.contains('@')), "{scripts:?}");
    }

    #[test]
    fn a_kit_calls_apk_with_what_it_holds() {
        let mut recipe = Recipe::daemon("x86_64").unwrap();
        recipe.description = vec!["somebody's daemon".into()];
        let mut tree = Tree::default();
        tree.file("etc/config/flowtable", b"abc".to_vec(), false).unwrap();
        let bytes = kit(&recipe, tree, 7, "/tmp/x.apk").unwrap();
        let dir = std::env::temp_dir().join(format!("lab-kit-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("kit"), bytes).unwrap();
        // In place of apk: every file that is named is there, and every word arrives as it was.
        let script = "tar -xzf kit && apk() { [ \"$1\" = mkpkg ] && shift; \
            while [ $# -gt 1 ]; do case $1 in --script) [ -s \"${2#*:}\" ] || return;; \
            --files) [ -s \"$2/etc/config/flowtable\" ] || return;; esac; echo \"$2\"; shift 2; done; }; \
            eval \"$(sed -n 's/ exec apk / apk /p' make)\"";
        let said = run(Command::new("sh").args(["-ec", script]).current_dir(&dir)).unwrap();
        let lines: Vec<&str> = said.lines().collect();
        assert!(lines.contains(&"description:somebody's daemon"), "{said}");
        assert!(lines.contains(&"post-install:./post-install"), "{said}");
        assert_eq!(lines.last(), Some(&"/tmp/x.apk"));
        fs::remove_dir_all(dir).unwrap();
    }
}
