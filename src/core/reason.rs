// SPDX-License-Identifier: GPL-2.0-or-later
//! The closed list of reasons why a mode or a device is what it is.
//!
//! The bus, the command line, the web page and the manual share it: each reason has a stable code
//! for programs and a sentence for people. Details (a device, the kernel's own words) travel
//! beside the reason, not inside it.

/// Why the effective mode, or a device's state, is what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It is what the configuration asks for.
    AsConfigured,
    /// `flowtable.global.enabled` is 0.
    Disabled,
    /// `firewall.@defaults[0].flow_offloading` is 0.
    OffloadOff,
    /// No settings could be read yet.
    NoConfiguration,
    /// No firewall zone has a device that exists.
    NoDevice,
    /// The kernel has no flowtable support.
    NoKernelSupport,
    /// The kernel refused for lack of CAP_NET_ADMIN, or because another program owns the table.
    NoPermission,
    /// The kernel refused the transaction; the last good state stays.
    Refused,
    /// No device accepts hardware offload.
    NoHardware,
    /// Only some devices accept hardware offload.
    SomeHardware,
    /// The hardware flag was accepted, yet live flows show that nothing is in hardware.
    NoHardwareSeen,
    /// `flowtable.global.takeover` is 0: firewall4's own offloading is left alone.
    Observing,
    /// firewall4's own offloading could not be taken out of the way, or loads too often for that.
    TakeoverLeft,
    /// A good part of the packets of offloaded flows still crosses the forward hook.
    OffloadedInName,
    /// The device does not accept hardware offload.
    DeviceNoHardware,
    /// A `config device` section says so.
    DeviceOverride,
    /// A shaper is in charge of its traffic.
    DeviceShaped,
    /// No such network device at present.
    DeviceAbsent,
    /// The devices below it are covered in its place.
    LowerCovered,
    /// The device below it lives in another network namespace.
    LowerElsewhere,
    /// There is no device below it: a bridge without ports.
    NoLower,
}

impl Reason {
    /// Every reason, in the order of the manual.
    pub const ALL: [Reason; 21] = [
        Reason::AsConfigured,
        Reason::Disabled,
        Reason::OffloadOff,
        Reason::NoConfiguration,
        Reason::NoDevice,
        Reason::NoKernelSupport,
        Reason::NoPermission,
        Reason::Refused,
        Reason::NoHardware,
        Reason::SomeHardware,
        Reason::NoHardwareSeen,
        Reason::Observing,
        Reason::TakeoverLeft,
        Reason::OffloadedInName,
        Reason::DeviceNoHardware,
        Reason::DeviceOverride,
        Reason::DeviceShaped,
        Reason::DeviceAbsent,
        Reason::LowerCovered,
        Reason::LowerElsewhere,
        Reason::NoLower,
    ];

    /// The stable code for programs.
    pub fn code(self) -> &'static str {
        match self {
            Reason::AsConfigured => "as_configured",
            Reason::Disabled => "disabled",
            Reason::OffloadOff => "offload_off",
            Reason::NoConfiguration => "no_configuration",
            Reason::NoDevice => "no_device",
            Reason::NoKernelSupport => "no_kernel_support",
            Reason::NoPermission => "no_permission",
            Reason::Refused => "refused",
            Reason::NoHardware => "no_hardware",
            Reason::SomeHardware => "some_hardware",
            Reason::NoHardwareSeen => "no_hardware_seen",
            Reason::Observing => "observing",
            Reason::TakeoverLeft => "takeover_left",
            Reason::OffloadedInName => "offloaded_in_name",
            Reason::DeviceNoHardware => "device_no_hardware",
            Reason::DeviceOverride => "device_override",
            Reason::DeviceShaped => "device_shaped",
            Reason::DeviceAbsent => "device_absent",
            Reason::LowerCovered => "lower_covered",
            Reason::LowerElsewhere => "lower_elsewhere",
            Reason::NoLower => "no_lower",
        }
    }

    /// One sentence for people, without a full stop.
    pub fn text(self) -> &'static str {
        match self {
            Reason::AsConfigured => "as configured",
            Reason::Disabled => "switched off by flowtable.global.enabled",
            Reason::OffloadOff => "firewall flow_offloading is off",
            Reason::NoConfiguration => "no usable configuration has been read yet",
            Reason::NoDevice => "no firewall zone has a device that exists",
            Reason::NoKernelSupport => "the kernel has no flowtable support",
            Reason::NoPermission => "no permission to change nf_tables",
            Reason::Refused => "the kernel refused the change, the last good state stays in force",
            Reason::NoHardware => "no device accepts hardware offload",
            Reason::SomeHardware => "only some devices accept hardware offload",
            Reason::NoHardwareSeen => {
                "hardware offload was accepted but live flows are not in hardware"
            }
            Reason::Observing => "offloading by firewall4 itself is left alone and observed",
            Reason::TakeoverLeft => "firewall4's own offloading is in force beside ours",
            Reason::OffloadedInName => "offloaded flows still take the classic path",
            Reason::DeviceNoHardware => "the device does not accept hardware offload",
            Reason::DeviceOverride => "set by a device section of /etc/config/flowtable",
            Reason::DeviceShaped => "a shaper is in charge of its traffic",
            Reason::DeviceAbsent => "there is no such device at present",
            Reason::LowerCovered => "covered by the devices below it",
            Reason::LowerElsewhere => "the device below it is in another network namespace",
            Reason::NoLower => "there is no device below it",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Reason;
    use std::collections::HashSet;

    #[test]
    fn codes_are_unique_snake_case() {
        let codes: HashSet<_> = Reason::ALL.iter().map(|r| r.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        for code in codes {
            assert!(code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{code}");
        }
    }
}
