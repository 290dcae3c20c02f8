// SPDX-License-Identifier: GPL-2.0-or-later
//! Another revision's sources in a work tree of git's below `target/against`, which is kept and used
//! again, as what was built of it is.

use super::run::git;
use crate::command::run;
use crate::error::{Context, Error, Result};
use std::fs;
use std::path::Path;

/// Characters by which a commit is called.
const SHORT: usize = 12;

/// Checks a revision of `repository` out into `tree`, and returns its commit in short.
///
/// # Errors
/// It names no commit, or git cannot make the work tree.
pub(super) fn check_out(repository: &Path, revision: &str, tree: &Path) -> Result<String> {
    let commit = commit(repository, revision)?;
    if is_work_tree(tree) {
        run(git(tree).args(["checkout", "--quiet", "--force", "--detach", &commit]))?;
    } else {
        if tree.exists() {
            fs::remove_dir_all(tree).context(tree.display())?;
        }
        // By force where git still knows a work tree here whose folder was deleted.
        let mut add = git(repository);
        add.args(["worktree", "add", "--quiet", "--force", "--detach"]).arg(tree).arg(&commit);
        run(&mut add)?;
    }
    Ok(commit.get(..SHORT).unwrap_or(&commit).to_owned())
}

/// The commit's whole name.
fn commit(repository: &Path, revision: &str) -> Result<String> {
    let unknown =
        || Error::new(format!("--against {revision}: this repository has no such commit"));
    if revision.starts_with('-') {
        return Err(unknown());
    }
    let wanted = format!("{revision}^{{commit}}");
    let found = run(git(repository).args(["rev-parse", "--verify", "--quiet", &wanted]));
    found.map(|commit| commit.trim().to_owned()).map_err(|_| unknown())
}

/// Whether the folder is a work tree by itself; within one of another git would change that one.
fn is_work_tree(tree: &Path) -> bool {
    let top = run(git(tree).args(["rev-parse", "--show-toplevel"]));
    let (Ok(top), Ok(tree)) = (top, tree.canonicalize()) else { return false };
    Path::new(top.trim()) == tree
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    /// A repository with two commits, removed when dropped.
    struct Repository(PathBuf);

    impl Repository {
        fn new(name: &str) -> Repository {
            let name = format!("lab-revision-{name}-{}", std::process::id());
            let root = std::env::temp_dir().join(name);
            fs::create_dir_all(&root).unwrap();
            let repository = Repository(root);
            repository.git(&["init", "--quiet"]);
            for text in ["first", "second"] {
                fs::write(repository.0.join("file"), text).unwrap();
                repository.git(&["add", "file"]);
                let author = ["-c", "user.name=a", "-c", "user.email=a@localhost"];
                let message = ["-c", "commit.gpgsign=false", "commit", "--quiet", "-m", text];
                repository.git(&[&author[..], &message[..]].concat());
            }
            repository
        }

        fn git(&self, args: &[&str]) {
            run(git(&self.0).args(args)).unwrap();
        }
    }

    impl Drop for Repository {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_tree_is_made_and_used_again() {
        let repository = Repository::new("again");
        let tree = repository.0.join("target/against/tree");
        let first = check_out(&repository.0, "HEAD~1", &tree).unwrap();
        assert_eq!(
            (first.len(), fs::read_to_string(tree.join("file")).unwrap()),
            (12, "first".into())
        );
        // What somebody has changed there does not stay.
        fs::write(tree.join("file"), "changed").unwrap();
        let second = check_out(&repository.0, "HEAD", &tree).unwrap();
        assert_ne!(first, second);
        assert_eq!(fs::read_to_string(tree.join("file")).unwrap(), "second");
        assert_eq!(fs::read_to_string(repository.0.join("file")).unwrap(), "second");
    }

    #[test]
    fn a_deleted_tree_is_made_anew() {
        let repository = Repository::new("deleted");
        let tree = repository.0.join("target/against/tree");
        check_out(&repository.0, "HEAD", &tree).unwrap();
        fs::remove_dir_all(&tree).unwrap();
        check_out(&repository.0, "HEAD~1", &tree).unwrap();
        assert_eq!(fs::read_to_string(tree.join("file")).unwrap(), "first");
        // An ordinary folder of the repository is no work tree of its own.
        fs::remove_dir_all(&tree).unwrap();
        fs::create_dir_all(tree.join("build")).unwrap();
        check_out(&repository.0, "HEAD~1", &tree).unwrap();
        assert_eq!(fs::read_to_string(tree.join("file")).unwrap(), "first");
        assert_eq!(fs::read_to_string(repository.0.join("file")).unwrap(), "second");
    }

    #[test]
    fn what_is_no_commit_is_named() {
        let repository = Repository::new("unknown");
        let tree = repository.0.join("target/against/tree");
        for revision in ["v9.9.9", "--all", "", "HEAD:file"] {
            let error = check_out(&repository.0, revision, &tree).unwrap_err().to_string();
            assert!(error.contains(revision) && error.contains("no such commit"), "{error}");
        }
        assert!(!tree.exists());
    }
}
