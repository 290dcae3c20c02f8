// SPDX-License-Identifier: GPL-2.0-or-later
//! Debian packages: tools that this machine lacks are installed; kernels are only downloaded,
//! through a private view of other suites, so that the machine's own sources stay as they are.
//!
//! Mirrors are never written down here: they are the ones that apt is configured with.

use super::architecture::Architecture;
use super::{paths, progress};
use crate::command::run;
use crate::error::{Context, Error, Result};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program and the package it comes from.
pub type Tool = (&'static str, &'static str);

/// Where Debian keeps the keys of all its suites.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Finds a program, also in the folders that only root has on its path.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let own = std::env::split_paths(&path);
    let others = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"].into_iter().map(PathBuf::from);
    own.chain(others).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// Is this process the superuser's?
pub fn is_root() -> bool {
    run(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

/// Installs the packages of those programs that are missing.
pub fn ensure_tools(tools: &[Tool]) -> Result<()> {
    let missing = tools.iter().filter(|(program, _)| find_program(program).is_none());
    let mut packages: Vec<&str> = missing.map(|(_, package)| *package).collect();
    packages.sort_unstable();
    packages.dedup();
    ensure_packages(&packages)
}

/// Installs packages; none of them may be there yet.
pub fn ensure_packages(packages: &[&str]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let list = packages.join(" ");
    if !is_root() {
        return Err(Error::new(format!(
            "this machine lacks some tools and I am not root; please run: \
             sudo apt-get install --no-install-recommends {list}"
        )));
    }
    let apt = |args: &[&str]| {
        run(Command::new("apt-get").env("DEBIAN_FRONTEND", "noninteractive").args(args)).map(drop)
    };
    progress::step("apt-get update", || apt(&["-q", "update"]))?;
    progress::step(&format!("apt-get install {list}"), || {
        let mut args = vec!["-q", "-y", "--no-install-recommends", "install"];
        args.extend(packages);
        apt(&args)
    })
}

/// Installs those of the packages that are missing.
pub fn ensure_missing(packages: &[&str]) -> Result<()> {
    let missing: Vec<&str> = packages.iter().copied().filter(|name| !has_package(name)).collect();
    ensure_packages(&missing)
}

/// Is a Debian package installed?
fn has_package(package: &str) -> bool {
    let format = "-f=${db:Status-Status}";
    run(Command::new("dpkg-query").args(["-W", format, package]))
        .is_ok_and(|status| status == "installed")
}

/// A private view of one suite, as a machine of one architecture sees it.
pub struct View {
    dir: PathBuf,
    architecture: &'static str,
}

impl View {
    /// Opens the view and brings its lists up to date.
    pub fn open(suite: &str, architecture: &Architecture) -> Result<View> {
        let name = match architecture.foreign {
            None => suite.to_string(),
            Some(_) => format!("{suite}-{}", architecture.debian),
        };
        let dir = paths::cache("apt")?.join(&name);
        for part in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(dir.join(part)).context("making the apt view")?;
        }
        fs::write(dir.join("status"), "").context("making the apt view")?;
        let view = View { dir, architecture: architecture.debian };
        let title = format!("package lists of {name}");
        let (own, security) = sources(suite)?;
        let with = progress::step(&title, || view.update(&format!("{own}{security}")));
        // A mirror is at times halfway through fetching these for one architecture. What the lab
        // boots is reached by nobody.
        match with {
            Err(e) if !security.is_empty() => {
                eprintln!("{e}\n   {title}: once more, without security updates");
                view.update(&own)?;
            }
            other => other?,
        }
        Ok(view)
    }

    fn update(&self, sources: &str) -> Result<()> {
        fs::write(self.dir.join("view.sources"), sources).context("making the apt view")?;
        run(self.apt("apt-get").args(["-q", "update"])).map(drop)
    }

    fn apt(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let dir = self.dir.display();
        let options = [
            "Dir::Etc::sourceparts=/dev/null".to_string(),
            format!("Dir::Etc::sourcelist={dir}/view.sources"),
            format!("Dir::State::Lists={dir}/lists"),
            format!("Dir::State::status={dir}/status"),
            format!("Dir::Cache={dir}/cache"),
            format!("APT::Architecture={}", self.architecture),
            format!("APT::Architectures::={}", self.architecture),
            "APT::Sandbox::User=root".to_string(),
            "Acquire::Languages=none".to_string(),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_string(),
        ];
        for option in options {
            command.arg("-o").arg(option);
        }
        command
    }

    /// The first package that `package` depends on whose name starts with `prefix`.
    pub fn dependency(&self, package: &str, prefix: &str) -> Result<String> {
        let text = run(self.apt("apt-cache").args(["depends", package]))?;
        first_dependency(&text, prefix)
            .context(format!("{package} depends on no {prefix}... in this suite"))
    }

    /// Downloads packages and all that they depend on into an empty folder and returns the files.
    pub fn download_all(&self, packages: &[&str], into: &Path) -> Result<Vec<PathBuf>> {
        let _ = fs::remove_dir_all(into);
        fs::create_dir_all(into.join("partial")).context(format!("making {}", into.display()))?;
        let title = format!("downloading {} for {}", packages.join(" "), self.architecture);
        progress::step_with_size(&title, None, || {
            let mut apt = self.apt("apt-get");
            apt.arg("-o").arg(format!("Dir::Cache::archives={}", into.display()));
            apt.args(["-q", "-y", "--download-only", "--no-install-recommends", "install"]);
            run(apt.args(packages))
        })?;
        let files = into.read_dir().context("the download")?.flatten().map(|e| e.path());
        Ok(files.filter(|f| f.extension().is_some_and(|e| e == "deb")).collect())
    }

    /// The versions of a package that the suite has, the newest first.
    pub fn versions(&self, package: &str) -> Result<Vec<String>> {
        Ok(versions(&run(self.apt("apt-cache").args(["madison", package]))?))
    }

    /// Downloads a package (`NAME` or `NAME=VERSION`) into an empty folder and returns the file.
    pub fn download(&self, package: &str, into: &Path) -> Result<PathBuf> {
        let _ = fs::remove_dir_all(into);
        fs::create_dir_all(into).context(format!("making {}", into.display()))?;
        let about = run(self.apt("apt-cache").args(["show", package]))?;
        let size = about.lines().find_map(|line| line.strip_prefix("Size: ")?.trim().parse().ok());
        let title = format!("downloading {package}");
        progress::step_with_size(&title, Some((into, size.unwrap_or(0))), || {
            run(self.apt("apt-get").args(["-q", "download", package]).current_dir(into))
        })?;
        let mut files = into.read_dir().context("the download")?.flatten().map(|e| e.path());
        files.find(|f| f.extension().is_some_and(|e| e == "deb")).context("nothing came")
    }
}

/// The sources file of a view: the suite on this machine's mirror, and, empty unless the machine has
/// that, its security suite.
fn sources(suite: &str) -> Result<(String, String)> {
    let format = "$(REPO_URI) $(RELEASE)";
    // Without release info it also answers on a machine that never ran `apt-get update`.
    let targets = run(Command::new("apt-get").args([
        "indextargets",
        "--no-release-info",
        "--format",
        format,
    ]))?;
    sources_from(&targets, suite, Path::new(KEYRING).exists())
        .context("apt on this machine is configured with no Debian mirror")
}

fn sources_from(targets: &str, suite: &str, signed: bool) -> Option<(String, String)> {
    let pairs: Vec<(&str, &str)> =
        targets.lines().filter_map(|line| line.split_once(' ')).collect();
    let (mirror, _) = pairs.iter().find(|(_, release)| !release.contains('-'))?;
    let security = format!("{suite}-security");
    let more = pairs.iter().find(|(_, release)| *release == security);
    let source = |(uri, suite): (&str, &str)| {
        let mut text = format!("Types: deb\nURIs: {uri}\nSuites: {suite}\nComponents: main\n");
        if signed {
            text.push_str(&format!("Signed-By: {KEYRING}\n"));
        }
        text.push('\n');
        text
    };
    Some((source((*mirror, suite)), more.copied().map(source).unwrap_or_default()))
}

/// The second column of `apt-cache madison`.
fn versions(text: &str) -> Vec<String> {
    text.lines().filter_map(|line| Some(line.split('|').nth(1)?.trim().to_string())).collect()
}

fn first_dependency(text: &str, prefix: &str) -> Option<String> {
    text.lines()
        .filter_map(|line| line.trim().trim_start_matches('|').strip_prefix("Depends: "))
        .find(|name| name.starts_with(prefix))
        .map(str::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGETS: &str = "http://mirror/debian/ bookworm\nhttp://mirror/debian/ \
                           bookworm-updates\nhttp://sec/debian-security/ bookworm-security\n";

    #[test]
    fn views_use_the_configured_mirror() {
        let (text, security) = sources_from(TARGETS, "bookworm-backports", false).unwrap();
        assert!(text.contains("URIs: http://mirror/debian/\nSuites: bookworm-backports\n"));
        assert_eq!(security, "");
        assert_eq!(sources_from("", "bookworm", false), None);
    }

    #[test]
    fn security_updates_are_taken_where_the_machine_has_them() {
        let (own, text) = sources_from(TARGETS, "bookworm", true).unwrap();
        assert!(text.contains("URIs: http://sec/debian-security/\nSuites: bookworm-security\n"));
        assert_eq!(format!("{own}{text}").matches("Signed-By").count(), 2);
    }

    #[test]
    fn versions_of_a_package() {
        let text = " rust-src | 1.96.1+dfsg1-1 | mirror x/main amd64\n rust-src | 1.95.0-1 | y\n";
        assert_eq!(versions(text), ["1.96.1+dfsg1-1", "1.95.0-1"]);
        assert!(versions("").is_empty());
    }

    #[test]
    fn the_kernel_behind_the_meta_package() {
        let text = "linux-image-amd64\n  Depends: linux-image-6.1.0-1-amd64\n";
        let name = first_dependency(text, "linux-image-").unwrap();
        assert_eq!(name, "linux-image-6.1.0-1-amd64");
        assert_eq!(first_dependency("x\n", "linux-image-"), None);
    }
}
