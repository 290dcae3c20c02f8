// SPDX-License-Identifier: GPL-2.0-or-later
//! `/etc/config/network`: which devices are below which interface.
//!
//! Only `config interface` is read, and of it only what leads to a device.

use super::error::Error;
use super::files::Source;
use super::view::View;
use super::warnings::Warnings;
use crate::core::settings::Interface;

/// The interfaces of the network's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Network {
    /// Interfaces that are not disabled, in file order.
    pub interfaces: Vec<Interface>,
    /// Values that netifd takes for something else than they seem to say.
    pub warnings: Warnings,
}

impl Network {
    /// Reads the parts that matter. `auto 0` does not leave an interface out: it can still be
    /// brought up by hand.
    pub fn from_source(source: &Source) -> Result<Self, Error> {
        let mut network = Network::default();
        for view in View::of_kind(source, "interface") {
            if let Some(disabled) = view.single("disabled", "1 or 0")? {
                match disabled.text.as_str() {
                    "1" => continue,
                    "0" => {}
                    // netifd compares with "1" and nothing else.
                    other => network.warnings.push(view.warn(
                        disabled.place,
                        &format!("disabled '{}' leaves the interface on", other.escape_debug()),
                    )),
                }
            }
            let proto = view.single("proto", "the name of a protocol")?;
            let mut devices = view.words("device");
            if devices.is_empty() {
                devices = view.words("ifname");
            }
            devices.retain(|device| {
                // `@` names an interface, and with `/` it is a path.
                let is_name = !device.text.starts_with('@') && !device.text.contains('/');
                let warning = view.no_device(&device.text, device.place).filter(|_| is_name);
                let good = warning.is_none();
                warning.into_iter().for_each(|warning| network.warnings.push(warning));
                good
            });
            network.interfaces.push(Interface {
                name: view.section.name.clone(),
                proto: proto.map(|word| word.text).unwrap_or_default(),
                devices: devices.into_iter().map(|word| word.text).collect(),
            });
        }
        Ok(network)
    }
}

#[cfg(test)]
mod tests {
    use super::super::view::tests::source;
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Network, Error> {
        Network::from_source(&source("network", text))
    }

    #[test]
    fn devices_come_from_either_option_in_either_form() {
        let network = read(
            "config interface lan\noption proto static\noption device br-lan\noption ifname old\n\
             config interface old\noption ifname 'eth0 eth1'\n\
             config interface wan6\noption proto dhcpv6\nlist device @wan\n\
             config device\noption name br-lan\n",
        )
        .unwrap();
        let [lan, old, wan6] = network.interfaces.as_slice() else { panic!("{network:?}") };
        assert_eq!((lan.name.as_str(), lan.proto.as_str()), ("lan", "static"));
        assert_eq!(lan.devices, ["br-lan"]);
        assert_eq!(
            (old.proto.as_str(), old.devices.as_slice()),
            ("", &["eth0", "eth1"].map(String::from)[..])
        );
        assert_eq!(wan6.devices, ["@wan"]);
    }

    #[test]
    fn disabled_is_netifds() {
        let network = read(
            "config interface a\noption disabled 1\nconfig interface b\noption disabled 0\n\
             config interface c\noption disabled yes\nconfig interface d\noption auto 0\n",
        )
        .unwrap();
        let names: Vec<_> = network.interfaces.iter().map(|i| i.name.as_str()).collect();
        assert_eq!(names, ["b", "c", "d"]);
        assert_eq!(
            network.warnings.into_lines("x"),
            ["/c/network:6: disabled 'yes' leaves the interface on"]
        );
    }

    #[test]
    fn a_name_that_no_device_can_have_is_left_out_with_a_warning() {
        let network = read(
            "config interface a\noption device 'br-lan.4094 @a_long_interface_name bridge-of-guests'\n\
             config interface b\noption device /dev/cdc-wdm0-of-modem\n",
        )
        .unwrap();
        assert_eq!(network.interfaces[0].devices, ["br-lan.4094", "@a_long_interface_name"]);
        assert_eq!(network.interfaces[1].devices, ["/dev/cdc-wdm0-of-modem"]);
        assert_eq!(
            network.warnings.into_lines("x"),
            ["/c/network:2: device 'bridge-of-guests' is left out, no device has a name of more than \
              15 bytes"]
        );
    }

    #[test]
    fn a_list_where_one_value_belongs_is_an_error() {
        let error = read("config interface a\nlist proto dhcp\n").unwrap_err().to_string();
        assert!(error.starts_with("/c/network:2: bad value 'dhcp' of option 'proto'"), "{error}");
    }

    proptest! {
        #[test]
        fn any_value_is_read_or_refused(
            command in "option|list",
            option in "proto|device|ifname|disabled",
            value in "[^'\\x00]*",
        ) {
            let _ = read(&format!("config interface a\n{command} {option} '{value}'\n"));
        }
    }
}
