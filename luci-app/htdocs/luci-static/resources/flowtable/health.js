// SPDX-License-Identifier: GPL-2.0-or-later
// The tab of the kernel and the daemon: what the kernel is able to do, how the flows are followed,
// and what has gone wrong or found no room.
'use strict';
'require baseclass';
'require dom';
'require flowtable.table as table';
'require flowtable.words as words';

const ABILITIES = [
	[ 'flowtable', _('Flowtables for IPv4 and IPv6 in one table') ],
	[ 'named_hooks', _('Flowtables may name devices that do not exist yet') ],
	[ 'conntrack', _('Connections can be listed') ],
	[ 'accounting', _('Connections count packets and bytes') ]
];

const POLLING = [
	[ 'lists', _('Lists') ],
	[ 'failed', _('Failed lists') ],
	[ 'entries', _('Entries of the last list') ],
	[ 'last_ms', _('Milliseconds of the last list') ],
	[ 'cpu_ms', _('Of these, of the processor') ],
	[ 'events', _('Ends of connections told') ],
	[ 'overruns', _('Times that some were lost') ],
	[ 'ended_unseen', _('Ends without last counts') ],
	[ 'left_out', _('Flows without room') ]
];

const LEFT_OUT = [
	[ 'links', _('Network devices') ],
	[ 'neighbours', _('Neighbours') ],
	[ 'stations', _('Stations behind bridges') ],
	[ 'hosts', _('Flows of clients') ],
	[ 'chains', _('Chains of devices') ],
	[ 'names', _('Names of clients') ]
];

function section(title, rows) {
	return E('div', { 'class': 'cbi-section' }, [ E('h3', {}, [ title ]), table.facts(rows) ]);
}

function counts(labels, values) {
	return labels.map(([ key, label ]) => [ label, words.known((values || {})[key]) ]);
}

class Health {
	constructor() {
		this.node = E('div', {}, [ E('p', {}, [ words.UNKNOWN ]) ]);
	}

	ask() {
		return Promise.resolve(null);
	}

	show(_reply, status) {
		const kernel = status.kernel || {};
		const polling = status.polling || {};

		dom.content(this.node, [
			section(_('Daemon'), [
				[ _('Version'), words.known(status.version) ],
				[ _('Running for'), words.duration(status.uptime_s) ],
				[ _('Transactions'), words.known(status.commits) ]
			]),
			section(_('Kernel'), [ [ _('Release'), words.known(kernel.release) ] ].concat(
				ABILITIES.map(([ key, label ]) => [ label, words.yesNo(kernel[key]) ]))),
			section(_('How the flows are followed'), [
				[ _('Time between two lists'), words.duration(polling.interval_s) ]
			].concat(counts(POLLING, polling))),
			section(_('Found no room'), counts(LEFT_OUT, status.left_out))
		]);
	}
}

return baseclass.extend({
	create() {
		return new Health();
	}
});
