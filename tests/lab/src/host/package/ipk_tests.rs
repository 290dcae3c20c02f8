// SPDX-License-Identifier: GPL-2.0-or-later
//! Packages as other programs read them: GNU tar with gzip, and Python's own library.

use super::*;
use crate::command::{run, run_with_input};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

const TIME_S: u64 = 1_700_000_000;

fn tree() -> Tree {
    let mut tree = Tree::default();
    tree.file("etc/config/x", b"config x\n".to_vec(), false).unwrap();
    tree.file("etc/init.d/x", b"#!/bin/sh /etc/rc.common\n".to_vec(), true).unwrap();
    tree.file("usr/sbin/x", b"\x7fELF and more".to_vec(), true).unwrap();
    tree.link("usr/bin/y", "../sbin/x").unwrap();
    tree
}

fn recipe() -> Recipe {
    Recipe {
        name: "x".into(),
        version: "1.2-r3".into(),
        depends: vec!["libc".into(), "a".into()],
        source: "feeds/f/x".into(),
        license: "GPL-2.0-or-later".into(),
        license_files: None,
        section: "net".into(),
        user: Some("x=5:x=5".into()),
        maintainer: "somebody".into(),
        architecture: Some("mips_24kc".into()),
        conffiles: vec!["/etc/config/x".into()],
        description: vec!["One line.".into(), "Another.".into()],
        scripts: vec![("postinst".into(), "# Why.\ntrue # yes\n".into())],
    }
}

/// Writes the package into a folder of its own and unpacks the outer archive there.
fn unpacked(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("flowtabled-{name}-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    let file = dir.join(file_name(&recipe()));
    assert!(file.ends_with("x_1.2-r3_mips_24kc.ipk"));
    fs::write(&file, pack(&recipe(), &tree(), TIME_S).unwrap()).unwrap();
    run(Command::new("tar").arg("-xzf").arg(&file).arg("-C").arg(&dir)).unwrap();
    dir
}

#[test]
fn gnu_tar_finds_the_files_as_they_were_given() {
    let dir = unpacked("gnu");
    assert_eq!(fs::read_to_string(dir.join("debian-binary")).unwrap(), "2.0\n");
    let mut tar = Command::new("tar");
    tar.env("TZ", "UTC").args(["--numeric-owner", "--full-time", "-tvzf"]);
    let listed = run(tar.arg(dir.join("data.tar.gz"))).unwrap();
    let lines: Vec<String> =
        listed.lines().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let wanted = [
        "drwxr-xr-x 0/0 0 2023-11-14 22:13:20 ./",
        "drwxr-xr-x 0/0 0 2023-11-14 22:13:20 ./etc/",
        "drwxr-xr-x 0/0 0 2023-11-14 22:13:20 ./etc/config/",
        "-rw------- 0/0 9 2023-11-14 22:13:20 ./etc/config/x",
        "drwxr-xr-x 0/0 0 2023-11-14 22:13:20 ./etc/init.d/",
        "-rwxr-xr-x 0/0 25 2023-11-14 22:13:20 ./etc/init.d/x",
        "drwxr-xr-x 0/0 0 2023-11-14 22:13:20 ./usr/",
        "drwxr-xr-x 0/0 0 2023-11-14 22:13:20 ./usr/bin/",
        "lrwxrwxrwx 0/0 0 2023-11-14 22:13:20 ./usr/bin/y -> ../sbin/x",
        "drwxr-xr-x 0/0 0 2023-11-14 22:13:20 ./usr/sbin/",
        "-rwxr-xr-x 0/0 13 2023-11-14 22:13:20 ./usr/sbin/x",
    ];
    assert_eq!(lines, wanted);
    let content =
        run(Command::new("tar").arg("-xzOf").arg(dir.join("data.tar.gz")).arg("./etc/config/x"));
    assert_eq!(content.unwrap(), "config x\n");
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn python_reads_what_opkg_has_to_know() {
    let dir = unpacked("python");
    let script = "
import gzip, sys, tarfile
d = sys.argv[1]
size = len(gzip.open(d + '/data.tar.gz').read())
with tarfile.open(d + '/control.tar.gz') as t:
    for m in t:
        print(m.name, oct(m.mode), m.uid, m.gid, m.mtime)
    text = t.extractfile('./control').read().decode()
    print(text.replace(f'Installed-Size: {size}', 'Installed-Size: right'))
    print(t.extractfile('./conffiles').read().decode(), end='')
    print(t.extractfile('./postinst-pkg').read().decode(), end='')
    prerm = t.extractfile('./prerm').read().decode()
    print(prerm.splitlines()[0])
    print([line for line in prerm.splitlines()[1:] if line.startswith('#')])
";
    let told = run_with_input(Command::new("python3").arg("-").arg(&dir), script).unwrap();
    let wanted = "\
. 0o755 0 0 1700000000
./conffiles 0o644 0 0 1700000000
./control 0o644 0 0 1700000000
./postinst 0o755 0 0 1700000000
./postinst-pkg 0o755 0 0 1700000000
./prerm 0o755 0 0 1700000000
Package: x
Version: 1.2-r3
Depends: libc, a
Source: feeds/f/x
SourceName: x
License: GPL-2.0-or-later
Section: net
Require-User: x=5:x=5
SourceDateEpoch: 1700000000
Maintainer: somebody
Architecture: mips_24kc
Installed-Size: right
Description:  One line.
 Another.

/etc/config/x
#!/bin/sh
true # yes
#!/bin/sh
[]
";
    assert_eq!(told, wanted);
    fs::remove_dir_all(dir).unwrap();
}

#[test]
fn the_same_files_are_the_same_bytes() {
    let one = pack(&recipe(), &tree(), TIME_S).unwrap();
    assert_eq!(one, pack(&recipe(), &tree(), TIME_S).unwrap());
    assert_ne!(one, pack(&recipe(), &tree(), TIME_S + 1).unwrap());
}

#[test]
fn a_conffile_has_to_be_there() {
    let mut recipe = recipe();
    recipe.conffiles = vec!["/etc/config/y".into()];
    let error = pack(&recipe, &tree(), TIME_S).unwrap_err();
    assert!(error.to_string().contains("/etc/config/y"), "{error}");
}
