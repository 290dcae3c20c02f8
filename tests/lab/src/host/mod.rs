// SPDX-License-Identifier: GPL-2.0-or-later
//! What runs on the developer's machine: set-up, boot, and the commands of `cargo xtask`.

pub mod apt;
pub mod architecture;
pub mod artifacts;
pub mod bench;
pub mod browser;
pub mod check;
pub mod cpio;
pub mod cross;
pub mod demo;
pub mod fuzz;
pub mod initramfs;
pub mod kernel;
pub mod kernel_module;
pub mod machine;
pub mod modules;
pub mod openwrt;
pub mod package;
pub mod paths;
pub mod progress;
pub mod shell;
pub mod suite;
pub mod userland;
