// SPDX-License-Identifier: GPL-2.0-or-later
//! The processors that the lab's guests have, each with what is to be known of it in one place:
//! QEMU's program and machine, Debian's names, and Rust's target.

use super::apt;

/// A processor, and a machine that has it.
#[derive(Debug)]
pub struct Architecture {
    /// Debian's name.
    pub debian: &'static str,
    /// The folder of its libraries, as Debian's policy for several architectures names it.
    pub libraries: &'static str,
    /// QEMU's program for it, with the package it comes from.
    pub qemu: apt::Tool,
    /// QEMU's options for accelerator, processor and machine.
    pub machine: &'static [&'static str],
    /// What the kernel needs to be told of this machine.
    pub kernel_words: &'static str,
    /// How it is built for when it is not this machine's own.
    pub foreign: Option<Foreign>,
}

/// What building for another architecture needs to know.
#[derive(Debug)]
pub struct Foreign {
    /// The target's name, which is OpenWrt's.
    pub target: &'static str,
}

/// This machine's own.
pub static AMD64: Architecture = Architecture {
    debian: "amd64",
    libraries: "x86_64-linux-gnu",
    qemu: ("qemu-system-x86_64", "qemu-system-x86"),
    // QEMU 7.2's emulation of cmpxchg16b is what `-cx16` keeps newer kernels away from.
    machine: &[
        "-accel",
        "tcg,thread=multi",
        "-cpu",
        "max,-cx16",
        "-M",
        "q35",
        "-m",
        "1024",
        "-nodefaults",
    ],
    kernel_words: "console=ttyS0 mitigations=off",
    foreign: None,
};

/// The processor of MT7621 and its kin: 32 bits, the low byte first, no floating point.
pub static MIPSEL: Architecture = Architecture {
    debian: "mipsel",
    libraries: "mipsel-linux-gnu",
    qemu: ("qemu-system-mipsel", "qemu-system-mips"),
    // Debian's own programs are for processors with floating point; ours have to do without, which
    // tests under a 24Kc show. Not `-nodefaults`: the serial console is one of the defaults. 256 MB
    // are what the kernel sees below its window for devices.
    machine: &["-cpu", "24Kf", "-M", "malta", "-m", "256", "-nic", "none", "-vga", "none"],
    kernel_words: "console=ttyS0",
    foreign: Some(Foreign { target: "mipsel_24kc" }),
};

/// The processor of Filogic and of most new routers: 64 bits.
pub static ARM64: Architecture = Architecture {
    debian: "arm64",
    libraries: "aarch64-linux-gnu",
    qemu: ("qemu-system-aarch64", "qemu-system-arm"),
    machine: &["-cpu", "cortex-a53", "-M", "virt", "-m", "512", "-nodefaults"],
    kernel_words: "console=ttyAMA0",
    foreign: Some(Foreign { target: "aarch64_cortex-a53" }),
};

/// The processor of IPQ40xx and its kin: 32 bits.
pub static ARMHF: Architecture = Architecture {
    debian: "armhf",
    libraries: "arm-linux-gnueabihf",
    qemu: ("qemu-system-arm", "qemu-system-arm"),
    machine: &["-cpu", "cortex-a7", "-M", "virt", "-m", "512", "-nodefaults"],
    kernel_words: "console=ttyAMA0",
    foreign: Some(Foreign { target: "arm_cortex-a7_neon-vfpv4" }),
};
