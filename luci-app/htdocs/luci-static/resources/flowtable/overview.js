// SPDX-License-Identifier: GPL-2.0-or-later
// The first tab: what each path carries, and how many flows take it.
'use strict';
'require baseclass';
'require dom';
'require flowtable.bus as bus';
'require flowtable.graph as graph';
'require flowtable.table as table';
'require flowtable.words as words';

// How often a change made flows return, and the last one.
function evictions(evicted) {
	if (evicted == null || evicted.count == null)
		return words.UNKNOWN;
	if (evicted.cause == null)
		return String(evicted.count);

	return _('%d, the last one %s ago: %s').format(evicted.count, words.duration(evicted.age_s),
		words.said(evicted.cause_text));
}

// Packets of offloaded flows on the classic path, of flows in software and in hardware.
function leaked(status) {
	const part = (path) => ((status.leaked || {})[path] || {}).packets;

	return status.leaked_packets == null ? words.UNKNOWN
		: _('%d (in software %s, in hardware %s)').format(status.leaked_packets,
			words.known(part('software')), words.known(part('hardware')));
}

class Overview {
	constructor() {
		this.node = E('div', {}, [ E('p', {}, [ words.UNKNOWN ]) ]);
	}

	ask() {
		return bus.history();
	}

	show(history, status) {
		const flows = status.flows || {};

		dom.content(this.node, [
			history instanceof Error
				? E('p', {}, [ _('The history cannot be had: %s').format(words.failure(history)) ])
				: graph.render(history, status.uptime_s || 0),
			E('h3', {}, [ _('Flows') ]),
			table.facts([
				[ _('In hardware'), words.known(flows.hardware) ],
				[ _('In software'), words.known(flows.software) ],
				[ _('On the classic path'), words.known(flows.classic) ],
				[ _('Of these, being closed'), words.known(flows.closing) ],
				[ _('Kept on the classic path'), words.known(status.bypassed) ],
				[ _('Handed back because something changed'), evictions(status.evictions) ],
				[ _('Packets of offloaded flows seen on the classic path'), leaked(status) ]
			])
		]);
	}
}

return baseclass.extend({
	create() {
		return new Overview();
	}
});
