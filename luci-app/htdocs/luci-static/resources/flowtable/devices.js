// SPDX-License-Identifier: GPL-2.0-or-later
// The tab of devices: which of them take part, why, and what each carries by each path.
'use strict';
'require baseclass';
'require flowtable.bus as bus';
'require flowtable.carried as carried';
'require flowtable.table as table';
'require flowtable.words as words';

class Devices {
	constructor(page) {
		this.table = table.create({
			label: _('Devices'),
			sort: _('Device'),
			key: (device) => String(device.name),
			columns: [
				{ title: _('Device'), cell: (device) => words.known(device.name), sort: (device) => device.name },
				{ title: _('State'), cell: (device) => words.badge(device.state), sort: (device) => device.state },
				{ title: _('Reason'), cell: (device) => words.reason(device) },
				{ title: _('Zones'), cell: (device) => words.list(device.zones), wide: true },
				{ title: _('Flows'), cell: (device) => words.known(carried.flows(device)), sort: carried.flows, wide: true },
				{ title: _('Rate'), cell: (device) => words.scaled(carried.rate(device), 'B/s'), sort: carried.rate },
				{ title: _('Carried'), cell: (device) => words.scaled(carried.bytes(device), 'B'), sort: carried.bytes, wide: true }
			],
			detail: (device) => [
				[ _('Kind'), words.known(device.kind) ],
				[ _('Reached through'), words.list(device.upper) ],
				[ _('Zones'), words.list(device.zones) ],
				[ _('Table'), words.known(device.table) ]
			].concat(carried.details(device)),
			actions: [ {
				label: () => _('Flows'),
				run: (device) => page.open('flows', { device: device.name })
			} ]
		});
		this.node = E('div', {}, [ this.table.node ]);
	}

	ask() {
		return bus.devices();
	}

	show(reply) {
		this.table.show(reply instanceof Error ? reply : reply.devices, reply.total);
	}
}

return baseclass.extend({
	create(page) {
		return new Devices(page);
	}
});
