// SPDX-License-Identifier: GPL-2.0-or-later
// Pickers of devices and of the firewall's zones.
'use strict';
'require baseclass';
'require form';
'require rpc';
'require uci';
'require ui';

const callDevices = rpc.declare({ object: 'luci-rpc', method: 'getNetworkDevices', expect: { '': {} }, reject: true });

const DeviceSelect = form.ListValue.extend({
	async load(section_id) {
		this.devices = Object.keys(await callDevices()).filter((name) => name != 'lo').sort(L.naturalCompare);

		return form.ListValue.prototype.load.call(this, section_id);
	},

	widget(section_id, value) {
		const choices = Object.fromEntries(this.devices.map((name) => [ name, name ]));

		return new ui.Dropdown(this.multiple ? L.toArray(value) : value, choices, this.widgetOptions(section_id, {
			multiple: this.multiple, create: !this.nocreate
		}));
	},

	textvalue(section_id) {
		return L.toArray(this.cfgvalue(section_id)).join(', ');
	}
});

const ZoneSelect = form.ListValue.extend({
	async load(section_id) {
		await uci.load('firewall');
		this.zones = uci.sections('firewall', 'zone').map((zone) => ({ getName: () => zone.name }));

		return form.ListValue.prototype.load.call(this, section_id);
	},

	widget(section_id, value) {
		const names = this.zones.map((zone) => zone.getName());
		const choices = Object.fromEntries((this.allowany ? [ [ '*', _('Any zone') ] ] : [])
			.concat(names.map((name) => [ name, name ])));

		return new ui.Dropdown(value, choices, this.widgetOptions(section_id, {
			create: !this.nocreate, optional: this.optional || this.rmempty, sort: Object.keys(choices)
		}));
	}
});

return baseclass.extend({ DeviceSelect, ZoneSelect });
