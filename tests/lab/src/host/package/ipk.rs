// SPDX-License-Identifier: GPL-2.0-or-later
//! Writes packages for opkg: a compressed tar of `debian-binary`, `data.tar.gz` with the files and
//! `control.tar.gz` with what opkg has to know. The same input gives the same bytes: the order is
//! that of the paths, everything belongs to root, and the one time is given.

use super::recipe::Recipe;
use super::tree::{Node, Tree};
use crate::error::{Context, Error, Result};
use flate2::{Compression, GzBuilder};
use std::io::Write;
use tar::{Builder, EntryType, Header};

/// What opkg runs for every package: the router's functions do the work.
const POSTINST: &str = include_str!("scripts/postinst.sh");
const PRERM: &str = include_str!("scripts/prerm.sh");

/// The name of a package's file.
pub fn file_name(recipe: &Recipe) -> String {
    let architecture = recipe.architecture.as_deref().unwrap_or("all");
    format!("{}_{}_{architecture}.ipk", recipe.name, recipe.version)
}

/// The package's bytes. `time_s` is the time of all files and of the source, seconds since 1970.
pub fn pack(recipe: &Recipe, tree: &Tree, time_s: u64) -> Result<Vec<u8>> {
    let data = archive(tree, time_s)?;
    let mut about = Tree::default();
    about.file("control", control(recipe, data.len(), time_s).into_bytes(), false)?;
    about.file("postinst", POSTINST.into(), true)?;
    about.file("prerm", PRERM.into(), true)?;
    for (name, text) in &recipe.scripts {
        // The router's functions call these two by this name.
        let name = match name.as_str() {
            "postinst" | "prerm" => format!("{name}-pkg"),
            _ => name.clone(),
        };
        let text = with_interpreter(text);
        about.file(&name, text.into_bytes(), true)?;
    }
    if !recipe.conffiles.is_empty() {
        for path in &recipe.conffiles {
            let file = tree.get(path.trim_start_matches('/'));
            file.context(format!("{path} is a conffile, but no file of {}", recipe.name))?;
        }
        about.file("conffiles", (recipe.conffiles.join("\n") + "\n").into_bytes(), false)?;
    }
    let mut outer = Builder::new(Vec::new());
    append(&mut outer, "./debian-binary", &file(b"2.0\n"), time_s)?;
    append(&mut outer, "./data.tar.gz", &file(&gzip(&data)?), time_s)?;
    append(&mut outer, "./control.tar.gz", &file(&gzip(&archive(&about, time_s)?)?), time_s)?;
    gzip(&outer.into_inner().context("closing the package")?)
}

fn file(content: &[u8]) -> Node {
    Node::File { content: content.to_vec(), mode: 0o644 }
}

/// A script as the recipe has it may leave the interpreter to who packs it.
fn with_interpreter(text: &str) -> String {
    match text.starts_with("#!") {
        true => text.to_string(),
        false => format!("#!/bin/sh\n{text}"),
    }
}

/// The control file, with the fields in OpenWrt's order. `size` is that of the unpacked archive.
fn control(recipe: &Recipe, size: usize, time_s: u64) -> String {
    let fields = [
        ("Package", Some(recipe.name.clone())),
        ("Version", Some(recipe.version.clone())),
        ("Depends", Some(recipe.depends.join(", "))),
        ("Source", Some(recipe.source.clone())),
        ("SourceName", Some(recipe.name.clone())),
        ("License", Some(recipe.license.clone())),
        ("LicenseFiles", recipe.license_files.clone()),
        ("Section", Some(recipe.section.clone())),
        ("Require-User", recipe.user.clone()),
        ("SourceDateEpoch", Some(time_s.to_string())),
        ("Maintainer", Some(recipe.maintainer.clone())),
        ("Architecture", Some(recipe.architecture.clone().unwrap_or_else(|| "all".into()))),
        ("Installed-Size", Some(size.to_string())),
    ];
    let mut text = String::new();
    for (name, value) in fields {
        if let Some(value) = value {
            text.push_str(&format!("{name}: {value}\n"));
        }
    }
    text.push_str(&format!("Description:  {}\n", recipe.description.join("\n ")));
    text
}

/// A tar of a tree, the root's folder included.
pub fn archive(tree: &Tree, time_s: u64) -> Result<Vec<u8>> {
    let mut builder = Builder::new(Vec::new());
    append(&mut builder, "./", &Node::Folder, time_s)?;
    for (path, node) in tree.entries() {
        let slash = if matches!(node, Node::Folder) { "/" } else { "" };
        append(&mut builder, &format!("./{path}{slash}"), node, time_s)?;
    }
    builder.into_inner().context("closing an archive")
}

fn append(to: &mut Builder<Vec<u8>>, path: &str, node: &Node, time_s: u64) -> Result<()> {
    let mut header = Header::new_gnu();
    header.set_mode(node.mode());
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(time_s);
    let none: &[u8] = &[];
    let (kind, content) = match node {
        Node::Folder => (EntryType::Directory, none),
        Node::File { content, .. } => (EntryType::Regular, content.as_slice()),
        Node::Link(target) => {
            header.set_link_name(target).context(format!("the link {path}"))?;
            (EntryType::Symlink, none)
        }
    };
    header.set_entry_type(kind);
    header.set_size(content.len() as u64);
    // opkg takes names as they are: with the `./` that the crate's own function would remove.
    let name = header.as_gnu_mut().context("a header of another kind")?;
    let field = name.name.get_mut(..path.len());
    let field = field.ok_or_else(|| Error::new(format!("{path} is too long for a package")))?;
    field.copy_from_slice(path.as_bytes());
    header.set_cksum();
    to.append(&header, content).context(format!("packing {path}"))
}

/// Compressed as well as the format can, with no name and no time.
pub fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzBuilder::new().write(Vec::new(), Compression::best());
    encoder.write_all(bytes).context("compressing")?;
    encoder.finish().context("compressing")
}

#[cfg(test)]
#[path = "ipk_tests.rs"]
mod tests;
