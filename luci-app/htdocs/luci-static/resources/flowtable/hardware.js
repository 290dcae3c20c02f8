// SPDX-License-Identifier: GPL-2.0-or-later
// The tab of switch chips: what became of each that the configuration names, and how full its
// table of flows is.
'use strict';
'require baseclass';
'require dom';
'require flowtable.bus as bus';
'require flowtable.table as table';
'require flowtable.words as words';

const CHIP_STATES = {
	off: _('nobody wants it'),
	setting_up: _('is being set up'),
	ready: _('takes flows'),
	stopping: _('is being stopped'),
	quarantined: _('is left alone for a while'),
	wrong_chip: _('is another chip'),
	unusable: _('cannot be used'),
	watched: _('is only looked at')
};

// Those that a driver does not count are left out; of others that are missing nobody knows.
const COUNTS = [
	[ 'queued', _('Flows that wait') ],
	[ 'inserted', _('Entries made') ],
	[ 'removed', _('Entries taken out') ],
	[ 'full', _('Found the table full') ],
	[ 'collisions', _('Collisions') ],
	[ 'faults', _('Failed transactions') ],
	[ 'resets', _('Resets of the chip') ],
	[ 'bound', _('Entries that forward') ],
	[ 'unbound', _('Entries that wait') ],
	[ 'malformed', _('Unreadable lines of the listing') ]
];

// How much of its table is taken, as label and value. Of the engine of an MT7621 only entries can
// be counted, two for a flow that goes both ways.
function occupancy(chip) {
	if (chip.capacity === 0)
		return [ _('Flows in its table'), _('has no table of flows') ];

	const entries = chip.used == null && chip.bound != null;
	const label = entries ? _('Entries in its table') : _('Flows in its table');
	const used = entries ? words.sum([ chip.bound, chip.unbound ]) : chip.used;

	if (used == null || chip.capacity == null)
		return [ label, '%s / %s'.format(words.known(used), words.known(chip.capacity)) ];

	const capacity = entries ? 2 * chip.capacity : chip.capacity;
	const percent = Math.floor(100 * used / capacity);
	const text = '%d / %d (%d%%)'.format(used, capacity, percent);

	return [ label, E('div', {
		'class': 'cbi-progressbar', 'title': text, 'role': 'meter', 'aria-label': label,
		'aria-valuemin': 0, 'aria-valuemax': capacity, 'aria-valuenow': used, 'aria-valuetext': text
	}, [ E('div', { 'style': 'width:%d%%'.format(Math.min(percent, 100)) }, []) ]) ];
}

function state(chip) {
	const failed = [ 'quarantined', 'wrong_chip', 'unusable' ].includes(chip.state);

	return E('span', {}, [
		E('span', { 'class': failed ? 'label warning' : (chip.state == 'ready' ? 'label success' : 'label') },
			[ words.known(chip.state) ]),
		' ', [ words.lookup(CHIP_STATES, chip.state), chip.detail ].filter((text) => text).join(': ')
	]);
}

function chip(record) {
	return E('div', { 'class': 'cbi-section' }, [
		E('h3', {}, [ words.known(record.name) ]),
		table.facts([
			[ _('Driver'), words.known(record.driver) ],
			[ _('State'), state(record) ],
			occupancy(record)
		].concat(COUNTS.filter(([ key ]) => record[key] != null)
			.map(([ key, label ]) => [ label, String(record[key]) ])))
	]);
}

class Hardware {
	constructor() {
		this.node = E('div', {}, [ E('p', {}, [ words.UNKNOWN ]) ]);
	}

	ask() {
		return bus.hardware();
	}

	show(reply) {
		const chips = reply.switches;

		if (!Array.isArray(chips))
			dom.content(this.node, [ E('p', {}, [ reply instanceof Error ? words.failure(reply) : words.UNKNOWN ]) ]);
		else if (!chips.length)
			dom.content(this.node, [ E('p', {}, [
				_('No switch chip is configured. Hardware that the kernel drives needs none.')
			]) ]);
		else
			dom.content(this.node, chips.map(chip));
	}
}

return baseclass.extend({
	create() {
		return new Hardware();
	}
});
