// SPDX-License-Identifier: GPL-2.0-or-later
//! The only unsafe code of this crate: the two MII ioctls, and the socket that they need.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixDatagram;

// Linux include/uapi/linux/sockios.h; the same on every architecture. The type of an ioctl number
// is the C library's.
const SIOCGMIIREG: libc::Ioctl = 0x8948;
const SIOCSMIIREG: libc::Ioctl = 0x8949;

/// Size of an interface name with its NUL (include/uapi/linux/if.h).
pub const IFNAMSIZ: usize = 16;

/// `struct ifreq` with `struct mii_ioctl_data` in its union (include/uapi/linux/mii.h). The kernel
/// copies 40 bytes on 64-bit and 32 on 32-bit; the padding makes room for the larger.
#[repr(C)]
struct MiiRequest {
    name: [u8; IFNAMSIZ],
    phy_id: u16,
    reg_num: u16,
    val_in: u16,
    val_out: u16,
    padding: [u8; 16],
}

/// The descriptor that interface ioctls need: any socket, so one that reaches nobody.
pub fn ioctl_socket() -> io::Result<OwnedFd> {
    UnixDatagram::unbound().map(OwnedFd::from)
}

/// Reads register `reg_num` of the device at `phy_id` on the bus of the interface `name`.
pub fn mii_read(
    socket: &OwnedFd,
    name: &[u8; IFNAMSIZ],
    phy_id: u16,
    reg_num: u16,
) -> io::Result<u16> {
    mii(socket, SIOCGMIIREG, MiiRequest::new(name, phy_id, reg_num, 0))
}

/// Writes register `reg_num` of the device at `phy_id` on the bus of the interface `name`.
pub fn mii_write(
    socket: &OwnedFd,
    name: &[u8; IFNAMSIZ],
    phy_id: u16,
    reg_num: u16,
    value: u16,
) -> io::Result<()> {
    mii(socket, SIOCSMIIREG, MiiRequest::new(name, phy_id, reg_num, value)).map(|_| ())
}

impl MiiRequest {
    fn new(name: &[u8; IFNAMSIZ], phy_id: u16, reg_num: u16, val_in: u16) -> MiiRequest {
        MiiRequest { name: *name, phy_id, reg_num, val_in, val_out: 0, padding: [0; 16] }
    }
}

fn mii(socket: &OwnedFd, number: libc::Ioctl, mut request: MiiRequest) -> io::Result<u16> {
    // SAFETY: both ioctls read and write one ifreq. The request lives on this stack frame, is
    // repr(C) of at least that size and is borrowed for writing, every bit pattern the kernel may
    // leave is valid for its integer fields, and the borrowed socket stays open for the call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), number, &mut request) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(request.val_out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::{offset_of, size_of};

    /// Offsets of `mii_ioctl_data` in `ifreq`, and room for what the C library calls an ifreq.
    #[test]
    fn layout_is_the_kernels() {
        assert_eq!(offset_of!(MiiRequest, phy_id), 16);
        assert_eq!(offset_of!(MiiRequest, reg_num), 18);
        assert_eq!(offset_of!(MiiRequest, val_in), 20);
        assert_eq!(offset_of!(MiiRequest, val_out), 22);
        assert!(size_of::<MiiRequest>() >= size_of::<libc::ifreq>());
    }

    #[test]
    fn numbers_are_the_c_librarys() {
        assert_eq!(SIOCGMIIREG, libc::SIOCGMIIREG as libc::Ioctl);
        assert_eq!(SIOCSMIIREG, libc::SIOCSMIIREG as libc::Ioctl);
    }
}
