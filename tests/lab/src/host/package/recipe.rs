// SPDX-License-Identifier: GPL-2.0-or-later
//! What the packages are, read from the recipes for OpenWrt's SDK, so that a package made here says
//! the same of itself as one made there. The version has its one place in Cargo.toml.

use crate::error::{Context, Error, Result};
use crate::host::paths;
use std::fs;

/// One package, without its files.
#[derive(Debug)]
pub struct Recipe {
    /// Name.
    pub name: String,
    /// Version and release, `0.1.0-r1`.
    pub version: String,
    /// Packages that it needs.
    pub depends: Vec<String>,
    /// Where a feed has it.
    pub source: String,
    /// SPDX expression.
    pub license: String,
    /// Files of the source that hold it.
    pub license_files: Option<String>,
    /// OpenWrt's section.
    pub section: String,
    /// User and group that installing makes, `NAME[=ID]:NAME[=ID]`.
    pub user: Option<String>,
    /// Who looks after it.
    pub maintainer: String,
    /// OpenWrt's architecture; None for any.
    pub architecture: Option<String>,
    /// Configuration that an upgrade leaves as it is, by path.
    pub conffiles: Vec<String>,
    /// Lines for people.
    pub description: Vec<String>,
    /// Scripts of its own: opkg's name (`postinst`, `prerm`, `postrm`, `preinst`) and the text.
    pub scripts: Vec<(String, String)>,
}

/// Scripts that a recipe may define.
const SCRIPTS: [&str; 4] = ["preinst", "postinst", "prerm", "postrm"];

/// What installing a LuCI application does if its recipe says nothing else.
const LUCI_POSTINST: &str = include_str!("scripts/luci-postinst.sh");

impl Recipe {
    /// The daemon's, for an architecture.
    pub fn daemon(architecture: &str) -> Result<Recipe> {
        let text = read("Makefile.openwrt")?;
        let mut recipe = Recipe::parse(&text, "flowtabled").context("Makefile.openwrt")?;
        recipe.architecture = Some(architecture.to_string());
        Ok(recipe)
    }

    /// The LuCI application's. What luci.mk adds by itself is added here.
    pub fn luci() -> Result<Recipe> {
        let text = read("luci-app/Makefile")?;
        let name = "luci-app-flowtable";
        let luci = |of: &str| variable(&text, of).unwrap_or_default();
        let block = format!(
            "define Package/{name}\nSECTION:=luci\nTITLE:={}\nDEPENDS:={}\nendef\n\
             PKG_RELEASE:={}\nPKG_MAINTAINER:={}\n",
            luci("LUCI_TITLE"),
            luci("LUCI_DEPENDS"),
            variable(&text, "PKG_RELEASE").unwrap_or_else(|| "1".into()),
            luci("LUCI_MAINTAINER"),
        );
        let mut recipe =
            Recipe::parse(&format!("{text}\n{block}"), name).context("luci-app/Makefile")?;
        if !recipe.scripts.iter().any(|(script, _)| script == "postinst") {
            recipe.scripts.push(("postinst".into(), LUCI_POSTINST.into()));
        }
        Ok(recipe)
    }

    fn parse(text: &str, name: &str) -> Result<Recipe> {
        let own = block(text, &format!("Package/{name}")).context("defines no such package")?;
        let own = own.join("\n");
        let need = |from: &str, of: &str| variable(from, of).context(format!("has no {of}"));
        let version = need(text, "PKG_VERSION")?;
        let crates = env!("CARGO_PKG_VERSION");
        if version != crates {
            return Err(Error::new(format!("says {version}, and Cargo.toml {crates}")));
        }
        let title = need(&own, "TITLE")?;
        let lines = |of: &str| block(text, &format!("Package/{name}/{of}"));
        let trimmed = |lines: Vec<&str>| lines.iter().map(|l| l.trim().to_string()).collect();
        Ok(Recipe {
            name: name.to_string(),
            version: format!("{version}-r{}", need(text, "PKG_RELEASE")?),
            depends: depends(&need(&own, "DEPENDS")?)?,
            source: format!("feeds/flowtable/{name}"),
            license: need(text, "PKG_LICENSE")?,
            license_files: variable(text, "PKG_LICENSE_FILES"),
            section: need(&own, "SECTION")?,
            user: variable(&own, "USERID"),
            maintainer: need(text, "PKG_MAINTAINER")?,
            architecture: None,
            conffiles: lines("conffiles").map(trimmed).unwrap_or_default(),
            description: lines("description").map_or_else(|| vec![title], trimmed),
            scripts: SCRIPTS
                .iter()
                .filter_map(|script| Some((*script, lines(script)?)))
                .map(|(script, lines)| (script.to_string(), shell(&lines)))
                .collect(),
        })
    }
}

fn read(name: &str) -> Result<String> {
    fs::read_to_string(paths::repository().join(name)).context(format!("reading {name}"))
}

/// The value of the last `NAME:=value`; None too when it is empty.
fn variable(text: &str, name: &str) -> Option<String> {
    let value = text.lines().rev().find_map(|line| {
        let (left, right) = line.split_once('=')?;
        (left.trim().trim_end_matches([':', '?']) == name).then(|| right.trim().to_string())
    })?;
    (!value.is_empty()).then_some(value)
}

/// The lines between `define NAME` and `endef`.
fn block<'a>(text: &'a str, name: &str) -> Option<Vec<&'a str>> {
    let mut lines = text.lines();
    lines.find(|line| line.trim().strip_prefix("define ").is_some_and(|n| n.trim() == name))?;
    Some(lines.take_while(|line| line.trim() != "endef").collect())
}

/// The packages of `DEPENDS`: `+NAME`, and `libc`, which OpenWrt adds to all. Conditions on the
/// architecture (`@...`, `$(...)`) select nothing that could be installed.
fn depends(text: &str) -> Result<Vec<String>> {
    let mut names = vec!["libc".to_string()];
    for word in text.split_whitespace() {
        if word.starts_with(['@', '$']) {
            continue;
        }
        let name = word.trim_start_matches('+');
        if name.contains([':', '@', '$', '(']) {
            return Err(Error::new(format!("depends on {word:?}, which only make understands")));
        }
        names.push(name.to_string());
    }
    Ok(names)
}

/// A script of a recipe as the shell reads it.
fn shell(lines: &[&str]) -> String {
    let mut text = lines.join("\n").replace("$$", "$");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recipes_of_the_repository() {
        let daemon = Recipe::daemon("mipsel_24kc").unwrap();
        assert_eq!(daemon.version, concat!(env!("CARGO_PKG_VERSION"), "-r1"));
        assert_eq!(daemon.conffiles, ["/etc/config/flowtable"]);
        let wanted = ["libc", "firewall4", "kmod-nft-offload", "kmod-nf-conntrack-netlink"];
        for name in wanted {
            assert!(daemon.depends.iter().any(|own| own == name), "{:?}", daemon.depends);
        }
        let luci = Recipe::luci().unwrap();
        assert_eq!(luci.depends, ["libc", "luci-base", "flowtabled"]);
        assert_eq!((&*luci.section, &luci.architecture), ("luci", &None));
        assert!(luci
            .scripts
            .iter()
            .any(|(name, text)| name == "postinst" && text.contains("rpcd")));
    }

    #[test]
    fn what_only_make_understands_is_refused() {
        assert_eq!(depends("$(RUST_ARCH_DEPENDS) @IPV6 +a b").unwrap(), ["libc", "a", "b"]);
        assert!(depends("+PACKAGE_x:y").is_err());
    }

    #[test]
    fn another_version_than_cargo_s_is_refused() {
        let text = "PKG_VERSION:=9.9\nPKG_RELEASE:=1\ndefine Package/x\n  TITLE:=t\nendef\n";
        let error = Recipe::parse(text, "x").unwrap_err().to_string();
        assert!(error.contains("9.9") && error.contains(env!("CARGO_PKG_VERSION")), "{error}");
    }

    #[test]
    fn scripts_of_a_recipe_are_shell() {
        assert_eq!(shell(&["#!/bin/sh", "echo $${A}"]), "#!/bin/sh\necho ${A}\n");
        let lines = block("define A\n1\nendef\ndefine B \n2\nendef\n", "B").unwrap();
        assert_eq!(lines, ["2"]);
    }
}
