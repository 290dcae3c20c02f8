// SPDX-License-Identifier: GPL-2.0-or-later
//! Loading a package with libuci: unsafe code.
//!
//! libuci is C with linked lists inside its structures. One context is made for each load and
//! freed after its tree has been copied, so no pointer outlives the call. Contexts are not
//! independent: all share a buffer for the text of errors, a backend that each links into its
//! list, and `strtok`. So one load runs at a time.

use std::ffi::{c_char, CStr, CString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;
use std::sync::{Mutex, PoisonError};

use libuci_sys::{
    uci_alloc_context, uci_context, uci_free_context, uci_get_errorstr, uci_list, uci_load,
    uci_option, uci_option_type_UCI_TYPE_STRING, uci_package, uci_section, uci_set_confdir,
    uci_set_savedir,
};

use super::tree::{Branch, Bytes, Content, Tree};

extern "C" {
    fn free(pointer: *mut std::ffi::c_void);
}

/// Held from making a context to freeing it, for what libuci shares between contexts.
static LIBUCI: Mutex<()> = Mutex::new(());

/// A context that is freed with the value.
struct Context(*mut uci_context);

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: the pointer came from uci_alloc_context, was checked, and is freed once; the
        // trees copied from it own their memory.
        unsafe { uci_free_context(self.0) }
    }
}

/// Loads `name` from a configuration directory with the changes in a save directory; the error is
/// libuci's own message.
pub fn load(config_dir: &Path, save_dir: &Path, name: &str) -> Result<Tree, String> {
    let config_dir = c_string(config_dir.as_os_str().as_bytes())?;
    let save_dir = c_string(save_dir.as_os_str().as_bytes())?;
    let name = c_string(name.as_bytes())?;

    // Declared before the context, so released after it.
    let _alone = LIBUCI.lock().unwrap_or_else(PoisonError::into_inner);
    // SAFETY: takes no arguments; null is checked below.
    let context = Context(unsafe { uci_alloc_context() });
    if context.0.is_null() {
        return Err("uci_alloc_context: out of memory".to_string());
    }
    let mut package: *mut uci_package = ptr::null_mut();
    // SAFETY: the context is valid, the strings end in NUL and are copied by libuci, and
    // `package` outlives the call. libuci's longjmp stays within its own frames.
    let code = unsafe {
        uci_set_confdir(context.0, config_dir.as_ptr());
        uci_set_savedir(context.0, save_dir.as_ptr());
        uci_load(context.0, name.as_ptr(), &mut package)
    };
    if code != 0 || package.is_null() {
        return Err(message(&context));
    }
    // SAFETY: libuci returned success, so `package` is one of the context's packages, whose lists
    // are complete and unchanged until the context is freed.
    Ok(unsafe { copy_package(package) })
}

fn c_string(bytes: &[u8]) -> Result<CString, String> {
    CString::new(bytes).map_err(|error| error.to_string())
}

/// The context's last error.
fn message(context: &Context) -> String {
    let mut text: *mut c_char = ptr::null_mut();
    // SAFETY: the context is valid, `text` outlives the call, and a null prefix is allowed. The
    // caller holds the lock for the shared buffer that the text goes through. The string, if there
    // is one, ends in NUL and is ours to free with the C library's `free`.
    unsafe {
        uci_get_errorstr(context.0, &mut text, ptr::null());
        if text.is_null() {
            return "no message".to_string();
        }
        let copied = CStr::from_ptr(text).to_string_lossy().into_owned();
        free(text.cast());
        copied
    }
}

/// Copies a C string; null is empty.
///
/// # Safety
/// `text` is null or points to a string that ends in NUL.
unsafe fn copy_text(text: *const c_char) -> Bytes {
    if text.is_null() {
        return Bytes(Vec::new());
    }
    // SAFETY: promised by the caller.
    Bytes(unsafe { CStr::from_ptr(text) }.to_bytes().to_vec())
}

/// Calls `copy` for the node of each element of a list.
///
/// # Safety
/// `head` is the head of one of libuci's circular lists, and stays so meanwhile.
unsafe fn each<T>(head: *const uci_list, mut copy: impl FnMut(*const uci_list) -> T) -> Vec<T> {
    let mut copied = Vec::new();
    // SAFETY: promised by the caller; every node of a circular list leads back to its head.
    let mut node: *const uci_list = unsafe { (*head).next };
    while node != head {
        copied.push(copy(node));
        // SAFETY: as above.
        node = unsafe { (*node).next };
    }
    copied
}

/// # Safety
/// `package` is a package of a context that is alive.
unsafe fn copy_package(package: *const uci_package) -> Tree {
    // SAFETY: promised by the caller. `e` is the first field of a package, section, option and
    // list item and `list` the first of `e`, so a node's address is that of its element.
    unsafe {
        Tree {
            name: copy_text((*package).e.name),
            sections: each(&(*package).sections, |node| copy_section(node.cast())),
        }
    }
}

/// # Safety
/// `section` is a section of a context that is alive.
unsafe fn copy_section(section: *const uci_section) -> Branch {
    // SAFETY: promised by the caller; see `copy_package` for the casts.
    unsafe {
        Branch {
            kind: copy_text((*section).type_),
            name: copy_text((*section).e.name),
            anonymous: (*section).anonymous,
            options: each(&(*section).options, |node| copy_option(node.cast())),
        }
    }
}

/// # Safety
/// `option` is an option of a context that is alive.
unsafe fn copy_option(option: *const uci_option) -> (Bytes, Content) {
    // SAFETY: promised by the caller; `type_` tells which field of the union is in use, and a
    // list's items are elements whose name is their value.
    unsafe {
        let content = if (*option).type_ == uci_option_type_UCI_TYPE_STRING {
            Content::Text(copy_text((*option).v.string))
        } else {
            let item = |node: *const uci_list| {
                let item: *const libuci_sys::uci_element = node.cast();
                copy_text((*item).name)
            };
            Content::List(each(&raw const (*option).v.list, item))
        };
        (copy_text((*option).e.name), content)
    }
}
