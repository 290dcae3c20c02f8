// SPDX-License-Identifier: GPL-2.0-or-later
//! The shell files that the package installs, run by the shell of routers (busybox) in a root file
//! system of their own. What they call of OpenWrt is stood in for: `rc.common` by the lab's, `ujail`
//! and `uci` by scripts that note how they were called.

// The exceptions for tests do not reach their helper functions.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod fixture;

use std::fs;
use std::os::unix::fs::{symlink, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use fixture::namespace::in_namespace;

/// What procd's jail is told with all parts there, `-l` and further folders apart.
const JAIL: &str =
    "-n flowtabled -U flowtabled -G flowtabled -C /etc/capabilities/flowtabled.json \
                    -c -p -s -o -w /proc/sys/net/netfilter";
const FOLDERS: [&str; 4] = ["/etc/config", "/tmp", "/var/run", "/sys/kernel/debug"];
const PROGRAM: &str = "command /usr/sbin/flowtabled";

/// Takes a part of the jail away.
type Break = fn(&Root);

/// A root file system with the package's files; removed when dropped.
struct Root(PathBuf);

impl Root {
    fn new(name: &str) -> Root {
        let root = std::env::temp_dir().join(format!("flowtabled-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&root);
        let root = Root(root);
        for dir in ["bin", "sbin", "usr/bin", "usr/sbin", "dev", "tmp", "etc"] {
            fs::create_dir_all(root.0.join(dir)).unwrap();
        }
        let busybox = Command::new("sh").args(["-c", "command -v busybox"]).output().unwrap();
        let busybox = String::from_utf8(busybox.stdout).unwrap();
        assert!(!busybox.trim().is_empty(), "busybox (Debian's busybox-static) is needed");
        fs::copy(busybox.trim(), root.0.join("bin/busybox")).unwrap();
        // Without /proc, so that what signals processes by name finds none.
        root.script("bin/logger", "#!/bin/sh\necho \"$*\" >>/tmp/logged\n");
        for applet in ["sh", "awk", "grep", "mkdir"] {
            symlink("busybox", root.0.join("bin").join(applet)).unwrap();
        }
        fs::write(root.0.join("dev/null"), "").unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR"));
        copy_tree(&source.join("files/etc"), &root.0.join("etc"));
        root.script("etc/rc.common", include_str!("lab/guest/openwrt/rc.common"));
        root.script("usr/sbin/flowtabled", "#!/bin/sh\necho 0.1.0\n");
        // Like procd's: all options but the program are swallowed, its exit code comes back.
        root.script(
            "sbin/ujail",
            "#!/bin/sh\nprintf '%s\\n' \"$*\" >/tmp/ujail\nwhile [ \"$1\" != -- ]; do shift; done\nshift\n\
             exec \"$@\"\n",
        );
        root
    }

    fn script(&self, name: &str, text: &str) {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap_or_default()
    }

    /// Runs busybox's shell with these words in the root.
    fn shell(&self, words: &[&str]) -> Output {
        let mut chroot = Command::new("chroot");
        chroot.arg(&self.0).args(["/bin/busybox", "ash"]).args(words);
        chroot.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").output().unwrap()
    }

    /// What procd would be told at a start of the service.
    fn start(&self) -> Vec<String> {
        let _ = fs::remove_file(self.0.join("tmp/ujail"));
        let output = self.shell(&["/etc/rc.common", "/etc/init.d/flowtabled", "start"]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && errors.is_empty(), "{errors}");
        self.read("var/run/procd/flowtabled").lines().map(str::to_owned).collect()
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy_tree(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}

/// The options of the jail that was tried, and the folders that it shows.
fn tried(root: &Root) -> (String, Vec<String>) {
    let line = root.read("tmp/ujail");
    let words = line.trim().strip_suffix(" -- /usr/sbin/flowtabled --version").unwrap();
    let (options, folders) = words.split_once(" -r ").unwrap();
    (options.to_owned(), folders.split(" -r ").map(str::to_owned).collect())
}

#[test]
fn the_service_runs_in_the_jail_that_was_tried() {
    in_namespace("the_service_runs_in_the_jail_that_was_tried", || {
        let root = Root::new("jail");
        let told = root.start();
        assert_eq!(tried(&root), (JAIL.to_owned(), FOLDERS.map(str::to_owned).to_vec()));
        let folders = FOLDERS.join(" ");
        let expected = [
            PROGRAM,
            "stderr 1",
            "respawn 3600 10 0",
            "jail flowtabled procfs sysfs ronly",
            &format!("mount {folders}"),
            "mount_rw /proc/sys/net/netfilter",
            "user flowtabled",
            "group flowtabled",
            "capabilities /etc/capabilities/flowtabled.json",
            "no_new_privs 1",
        ];
        assert_eq!(told, expected);
        assert_eq!(root.read("var/run/procd/flowtabled.triggers"), "firewall network flowtable\n");

        // The log is asked for where it is there: the jail cannot be made with one that is not.
        let _log = UnixListener::bind(root.0.join("dev/log")).unwrap();
        let told = root.start();
        assert_eq!(tried(&root).0, format!("{JAIL} -l"));
        assert!(told.contains(&"jail flowtabled procfs sysfs ronly log".to_owned()), "{told:?}");
    });
}

#[test]
fn a_jail_that_lacks_a_part_does_not_keep_the_service_from_running() {
    in_namespace("a_jail_that_lacks_a_part_does_not_keep_the_service_from_running", || {
        let breaks: [(&str, &str, Break); 4] = [
            ("no ujail", "there is no /sbin/ujail", |root| {
                fs::remove_file(root.0.join("sbin/ujail")).unwrap();
            }),
            ("it fails", "its jail does not work: no user", |root| {
                root.script("sbin/ujail", "#!/bin/sh\necho no user >&2\nexit 1\n");
            }),
            ("the program does not run in it", "its jail does not work: ", |root| {
                root.script("usr/sbin/flowtabled", "#!/bin/sh\nexit 127\n");
            }),
            ("no capabilities", "there is no /etc/capabilities/flowtabled.json", |root| {
                fs::remove_file(root.0.join("etc/capabilities/flowtabled.json")).unwrap();
            }),
        ];
        for (what, why, break_it) in breaks {
            let root = Root::new("broken");
            break_it(&root);
            let told = root.start();
            assert!(told.contains(&PROGRAM.to_owned()), "{what}: {told:?}");
            // With the user and without the jail it would have no rights at all.
            let rest = ["user", "group", "capabilities", "no_new_privs", "jail", "mount"];
            let wrong = told.iter().find(|line| rest.iter().any(|word| line.starts_with(word)));
            assert_eq!(wrong, None, "{what}");
            let logged = root.read("tmp/logged");
            assert!(logged.contains("runs as root, because") && logged.contains(why), "{logged}");
        }
    });
}

#[test]
fn lease_files_are_seen_in_the_jail() {
    in_namespace("lease_files_are_seen_in_the_jail", || {
        let root = Root::new("leases");
        let files = [
            ("/tmp/hosts/odhcpd", None),
            ("/mnt/stick/dhcp.leases", Some("/mnt/stick")),
            ("/etc/hosts", Some("/etc/hosts")),
            ("/etc/leases/a", Some("/etc/leases")),
            ("/mnt/*/leases", None),
            ("/mnt/a:b/leases", None),
            ("relative", None),
            ("/leases", None),
        ];
        let lists: String =
            files.iter().map(|(file, _)| format!("\tlist lease_file '{file}'\n")).collect();
        let text = format!("config flowtable 'global'\n{lists}");
        fs::write(root.0.join("etc/config/flowtable"), text).unwrap();
        root.start();
        let expected = FOLDERS.into_iter().chain(files.into_iter().filter_map(|(_, shown)| shown));
        assert_eq!(tried(&root).1, expected.collect::<Vec<_>>());
    });
}

#[test]
fn the_first_boot_adds_the_section_that_is_missing_and_nothing_else() {
    in_namespace("the_first_boot_adds_the_section_that_is_missing_and_nothing_else", || {
        let root = Root::new("defaults");
        root.script(
            "usr/bin/uci",
            "#!/bin/sh\nshift\necho \"$@\" >>/tmp/uci\ncase \"$1\" in\n\
             get) grep -q \"config flowtable 'global'\" /etc/config/flowtable ;;\n\
             set) echo \"config flowtable 'global'\" >>/etc/config/flowtable ;;\nesac\n",
        );
        let config = root.0.join("etc/config/flowtable");
        let run = || {
            let _ = fs::remove_file(root.0.join("tmp/uci"));
            let output = root.shell(&["/etc/uci-defaults/60_flowtabled"]);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            root.read("tmp/uci")
        };
        let installed = fs::read(&config).unwrap();
        assert_eq!(run(), "get flowtable.global\n");
        assert_eq!(fs::read(&config).unwrap(), installed);

        for old in [Some("config device\n\toption name 'wg0'\n"), None] {
            match old {
                Some(text) => fs::write(&config, text).unwrap(),
                None => fs::remove_file(&config).unwrap(),
            }
            let called = "get flowtable.global\nset flowtable.global=flowtable\ncommit flowtable\n";
            assert_eq!(run(), called);
            let text = fs::read_to_string(&config).unwrap();
            assert_eq!(text, format!("{}config flowtable 'global'\n", old.unwrap_or_default()));
            assert_eq!(run(), "get flowtable.global\n");
        }
    });
}

/// Copies a program and the libraries that it is linked with into the root.
fn install_program(root: &Root, program: &str, place: &str) {
    let listed = Command::new("ldd").arg(program).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let words = listed.split_whitespace().filter(|word| word.starts_with('/'));
    for (from, to) in words.map(|path| (path, &path[1..])).chain([(program, place)]) {
        let to = root.0.join(to);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        let _ = fs::remove_file(&to);
        fs::copy(from, to).unwrap();
    }
}

#[test]
fn a_feeds_ci_finds_the_package_whole() {
    in_namespace("a_feeds_ci_finds_the_package_whole", || {
        let root = Root::new("feed");
        let source = Path::new(env!("CARGO_MANIFEST_DIR"));
        copy_tree(&source.join("files/usr"), &root.0.join("usr"));
        install_program(&root, env!("CARGO_BIN_EXE_flowtabled"), "usr/sbin/flowtabled");
        symlink("../sbin/flowtabled", root.0.join("usr/bin/flowtable")).unwrap();
        for applet in ["cat", "cp", "ls", "mktemp", "readlink", "rm", "sed", "tee"] {
            symlink("busybox", root.0.join("bin").join(applet)).unwrap();
        }
        root.script("test.sh", include_str!("openwrt/test.sh"));
        root.script("test-version.sh", include_str!("openwrt/test-version.sh"));
        let version = env!("CARGO_PKG_VERSION");
        let whole = |root: &Root| {
            let output = root.shell(&["/test.sh", "flowtabled", version]);
            let text = String::from_utf8(output.stdout).unwrap();
            (output.status.success(), text)
        };
        let (done, text) = whole(&root);
        assert!(done, "{text}");
        let versions = |version: &str| {
            let set =
                format!("export PKG_NAME=flowtabled PKG_VERSION={version}; . /test-version.sh");
            root.shell(&["-c", &set]).status.success()
        };
        assert!(versions(version) && !versions("9.9.9"));

        let list = root.0.join("usr/share/acl.d/flowtabled.json");
        fs::set_permissions(&list, fs::Permissions::from_mode(0o664)).unwrap();
        assert!(!whole(&root).0);
        fs::set_permissions(&list, fs::Permissions::from_mode(0o644)).unwrap();
        fs::remove_file(root.0.join("usr/bin/flowtable")).unwrap();
        assert!(!whole(&root).0);
    });
}
