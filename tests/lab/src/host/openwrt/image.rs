// SPDX-License-Identifier: GPL-2.0-or-later
//! An image of OpenWrt that the user gives: what it is, by its first bytes, and how QEMU boots it.

use super::wires::{End, Wires};
use super::{LABWAN, LAN};
use crate::error::{Context, Error, Result};
use crate::host::architecture::{Architecture, AMD64, MIPSEL};
use crate::host::paths;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A disk with partitions and a boot loader.
    Disk,
    /// A file system, ext4 or squashfs, that needs a kernel beside it.
    Root,
    /// An archive that a kernel unpacks as its first root; needs a kernel beside it.
    Archive,
    /// A kernel of x86.
    KernelX86,
    /// A kernel of 32-bit MIPS, low byte first; with its root inside when it is the image.
    KernelMipsel,
}

/// How to boot what the user gave.
#[derive(Debug)]
pub struct Image {
    /// What it runs on.
    pub architecture: &'static Architecture,
    /// OpenWrt's name of the packages for it.
    pub packages: &'static str,
    args: Vec<String>,
}

/// What to get, for whoever gives no image or one that is of no use.
pub const WANTED: &str = "\
`cargo xtask lab --openwrt IMAGE` wants one of these files of a release, as OpenWrt's downloads have them below
releases/VERSION/targets/ (up to 24.10 they have opkg, from 25.12 on apk):
  x86/64/openwrt-VERSION-x86-64-generic-ext4-combined.img.gz        (or squashfs-combined)
  x86/64/openwrt-VERSION-x86-64-generic-ext4-rootfs.img.gz          with --kernel openwrt-VERSION-x86-64-generic-kernel.bin
  malta/le/openwrt-VERSION-malta-le-vmlinux-initramfs.elf
  malta/le/openwrt-VERSION-malta-le-rootfs-ext4.img.gz              with --kernel openwrt-VERSION-malta-le-vmlinux.elf
";

impl Image {
    /// Looks at an image and the kernel beside it; compressed ones are unpacked into the cache.
    pub fn open(image: &Path, kernel: Option<&Path>) -> Result<Image> {
        let image = unpacked(image)?;
        let kind = kind_of(&image)?.context(format!("{}: no image\n{WANTED}", image.display()))?;
        let kernel = kernel.map(unpacked).transpose()?;
        let kernel_kind = kernel.as_deref().map(kind_of).transpose()?.flatten();
        let path = image.display().to_string();
        let Some(of_kernel) = kernel else {
            return match kind {
                Kind::Disk => Ok(Image::new(&AMD64, disk(&path, "virtio"))),
                Kind::KernelMipsel => Ok(Image::new(&MIPSEL, boot(&path, &MIPSEL, ""))),
                _ => Err(Error::new(format!("{path} needs its kernel, --kernel K\n{WANTED}"))),
            };
        };
        let (architecture, bus, device) = match kernel_kind {
            Some(Kind::KernelX86) => (&AMD64, "virtio", "/dev/vda"),
            Some(Kind::KernelMipsel) => (&MIPSEL, "ide", "/dev/sda"),
            _ => return Err(Error::new(format!("{}: no kernel\n{WANTED}", of_kernel.display()))),
        };
        let of_kernel = of_kernel.display().to_string();
        let args = match kind {
            Kind::Root => {
                let words = format!("root={device} rootwait");
                [boot(&of_kernel, architecture, &words), disk(&path, bus)].concat()
            }
            Kind::Archive => {
                let archive = ["-initrd".to_string(), path];
                [boot(&of_kernel, architecture, "").as_slice(), &archive].concat()
            }
            _ => return Err(Error::new(format!("{path} needs no kernel beside it\n{WANTED}"))),
        };
        Ok(Image::new(architecture, args))
    }

    fn new(architecture: &'static Architecture, args: Vec<String>) -> Image {
        let packages = architecture.foreign.as_ref().map_or("x86_64", |foreign| foreign.target);
        Image { architecture, packages, args }
    }

    /// The network card that the image has a driver for.
    fn card(&self) -> &'static str {
        match self.architecture.foreign {
            None => "virtio-net-pci",
            Some(_) => "pcnet",
        }
    }

    /// The cards, in the order that gives the first two the parts that the image has for them: the
    /// board's file of malta has the WAN first, x86 the LAN. The third is in no configuration.
    fn cables(&self) -> [&'static str; 3] {
        match self.architecture.foreign {
            None => [LAN, WAN, LABWAN],
            Some(_) => [WAN, LAN, LABWAN],
        }
    }

    /// QEMU with this image, its console on standard input and output. The LAN's card and the third lead to
    /// the hosts beside it; the WAN's leads, translated, where this machine's network leads: what a
    /// package depends on comes from there. Nothing is written to the image.
    pub fn qemu(&self, wires: &Wires) -> Result<Command> {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", self.architecture.qemu.0]);
        command.args(self.architecture.machine);
        command.args(["-smp", "1", "-nographic", "-no-reboot", "-snapshot"]).args(&self.args);
        for cable in self.cables() {
            let netdev = match cable {
                WAN => format!("user,id={WAN}"),
                other => wires.netdev(other, End::Router)?,
            };
            command.args(["-netdev", &netdev]);
            command.args(["-device", &format!("{},netdev={cable},romfile=", self.card())]);
        }
        command.args(["-serial", "stdio", "-monitor", "none"]);
        Ok(command)
    }
}

/// The card that leads to the network of this machine.
const WAN: &str = "wan";

fn disk(path: &str, bus: &str) -> Vec<String> {
    vec!["-drive".into(), format!("file={path},format=raw,if={bus}")]
}

fn boot(kernel: &str, architecture: &Architecture, more: &str) -> Vec<String> {
    let words = format!("{} {more}", architecture.kernel_words);
    ["-kernel", kernel, "-append", words.trim()].map(String::from).to_vec()
}

/// The file itself, or what it holds if it is compressed.
fn unpacked(file: &Path) -> Result<PathBuf> {
    let file = file.canonicalize().context(format!("{}\n{WANTED}", file.display()))?;
    if bytes_at(&file, 0, 2)? != [0x1f, 0x8b] {
        return Ok(file);
    }
    let name = file.file_stem().context("an image without a name")?;
    let plain = paths::cache("openwrt")?.join(name);
    let out = File::create(&plain).context(plain.display())?;
    let mut gzip = Command::new("gzip");
    gzip.arg("-dc").arg(&file).stdout(Stdio::from(out)).stderr(Stdio::null());
    let status = gzip.status().context("gzip")?;
    // Images have a signature behind the compressed data, which gzip warns of with 2.
    match status.code() {
        Some(0 | 2) => Ok(plain),
        _ => Err(Error::new(format!("gzip cannot unpack {}", file.display()))),
    }
}

fn kind_of(file: &Path) -> Result<Option<Kind>> {
    // Byte order, machine and class of ELF stand in its header.
    let head = bytes_at(file, 0, 20)?;
    let elf = [0x7f, b'E', b'L', b'F', 1, 1];
    let known = [
        (head.starts_with(&elf) && head.get(18..20) == Some(&[8, 0]), Kind::KernelMipsel),
        (bytes_at(file, 0x202, 4)? == b"HdrS", Kind::KernelX86),
        (head.starts_with(b"070701"), Kind::Archive),
        (head.starts_with(b"hsqs") || bytes_at(file, 0x438, 2)? == [0x53, 0xef], Kind::Root),
        (bytes_at(file, 510, 2)? == [0x55, 0xaa], Kind::Disk),
    ];
    Ok(known.into_iter().find_map(|(is, kind)| is.then_some(kind)))
}

/// Fewer than wanted at the file's end.
fn bytes_at(file: &Path, offset: u64, len: u64) -> Result<Vec<u8>> {
    let doing = format!("reading {}", file.display());
    let mut open = File::open(file).context(&doing)?;
    open.seek(SeekFrom::Start(offset)).context(&doing)?;
    let mut bytes = Vec::new();
    open.take(len).read_to_end(&mut bytes).context(&doing)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A file with bytes at an offset.
    fn file(name: &str, offset: usize, bytes: &[u8]) -> PathBuf {
        let path = std::env::temp_dir().join(format!("lab-image-{}-{name}", std::process::id()));
        let mut content = vec![0; 2048];
        content[offset..offset + bytes.len()].copy_from_slice(bytes);
        fs::write(&path, content).unwrap();
        path
    }

    #[test]
    fn images_by_their_bytes() {
        let mips = [0x7f, b'E', b'L', b'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 8, 0];
        let kernel = file("mips", 0, &mips);
        let root = file("ext4", 0x438, &[0x53, 0xef]);
        let disk = file("disk", 510, &[0x55, 0xaa]);
        let x86 = file("x86", 0x202, b"HdrS");
        let alone = Image::open(&kernel, None).unwrap();
        assert_eq!(alone.packages, "mipsel_24kc");
        assert_eq!(alone.cables(), ["wan", "lan", "labwan"]);
        let x86_disk = Image::open(&disk, None).unwrap();
        assert_eq!(x86_disk.packages, "x86_64");
        let wires = Wires::new().unwrap();
        let command = format!("{:?}", x86_disk.qemu(&wires).unwrap());
        let at = |text: &str| command.find(text).unwrap();
        assert!(at("dgram,id=lan,") < at("user,id=wan"), "{command}");
        assert!(at("user,id=wan") < at("dgram,id=labwan,"), "{command}");
        let both = Image::open(&root, Some(&x86)).unwrap();
        assert!(both.args.iter().any(|arg| arg.contains("root=/dev/vda")), "{both:?}");
        let both = Image::open(&root, Some(&kernel)).unwrap();
        assert!(both.args.iter().any(|arg| arg.contains("root=/dev/sda")), "{both:?}");
        for (image, beside) in [(&root, None), (&root, Some(&*disk)), (&disk, Some(&*x86))] {
            let error = Image::open(image, beside).unwrap_err().to_string();
            assert!(error.contains("ext4-combined.img.gz"), "{error}");
        }
        for file in [kernel, root, disk, x86] {
            fs::remove_file(file).unwrap();
        }
        assert!(Image::open(Path::new("/no/such"), None)
            .unwrap_err()
            .to_string()
            .contains("malta/le"));
    }
}
