// SPDX-License-Identifier: GPL-2.0-or-later
// One line about flow offload on LuCI's overview page. Who may not ask the daemon is shown nothing.
'use strict';
'require baseclass';
'require rpc';
'require flowtable.bus as bus';
'require flowtable.words as words';

const callAccess = rpc.declare({
	object: 'session',
	method: 'access',
	params: [ 'scope', 'object', 'function' ],
	expect: { access: false }
});

// Bytes a second of all states together, between the daemon's last two looks at the flows.
function throughput(history) {
	const sample = Array.isArray(history.samples) ? history.samples[history.samples.length - 1] : null;

	if (!sample || !sample.span_ms)
		return null;

	const bytes = words.sum(words.STATES.map((state) => (sample[state] || [])[1]));

	return bytes == null ? null : bytes * 1000 / sample.span_ms;
}

function count(title, value) {
	return E('span', {}, [ title, ': ', E('strong', {}, [ words.known(value) ]) ]);
}

return baseclass.extend({
	title: _('Flow Offload'),

	load() {
		// The overview gives up an include that fails once.
		return L.resolveDefault(callAccess('ubus', 'flowtable', 'status'), false).then((granted) =>
			granted === true ? Promise.all([ bus.status(), bus.history(1) ]) : null);
	},

	render(replies) {
		if (replies == null)
			return null;

		const [ status, history ] = replies;

		if (status instanceof Error)
			return E('em', {}, [ _('The daemon does not answer') ]);

		const flows = status.flows || {};

		return E('div', { 'style': 'display:flex;flex-wrap:wrap;gap:.25em 1.5em' }, [
			E('a', { 'href': L.url('admin/status/flowtable') }, [
				words.badge(status.effective, status.effective != status.requested)
			]),
			count(_('In hardware'), flows.hardware),
			count(_('In software'), flows.software),
			count(_('On the classic path'), flows.classic),
			E('span', {}, [ _('Rate'), ': ', words.scaled(history instanceof Error ? null : throughput(history), 'B/s') ])
		]);
	}
});
