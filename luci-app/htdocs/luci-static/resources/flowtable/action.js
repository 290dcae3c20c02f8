// SPDX-License-Identifier: GPL-2.0-or-later
// What changes something: flows are handed back to the classic path, kept there or released. Each
// asks before it is done and tells what came of it; then the focus is back where it was.
'use strict';
'require baseclass';
'require dom';
'require ui';
'require flowtable.bus as bus';
'require flowtable.words as words';

const DURATIONS = [
	[ 60, _('one minute') ],
	[ 600, _('ten minutes') ],
	[ 3600, _('one hour') ],
	[ 86400, _('one day') ],
	[ 0, _('their next packet only') ]
];

function counts(rows) {
	return rows.map((row) => E('p', {}, [ '%s: %s'.format(row[0], words.known(row[1])) ]));
}

// Asks for `title` with `children`; `run` resolves to a reply or an Error, of which `result` makes
// labels and numbers. `opener` is what was pressed, `done` is called when something was changed.
function confirm(title, children, verb, run, result, opener, done) {
	const close = () => {
		ui.hideModal();

		// It may be gone, with the flow that it was about.
		if (opener.isConnected)
			opener.focus();
	};

	const told = (reply) => {
		const leave = E('button', { 'class': 'btn cbi-button', 'click': close }, [ _('Close') ]);

		ui.showModal(title, [
			E('div', { 'role': 'status' }, reply instanceof Error
				? [ E('p', {}, [ words.failure(reply) ]) ] : counts(result(reply))),
			E('div', { 'class': 'right' }, [ leave ])
		]);
		leave.focus();

		if (!(reply instanceof Error))
			done();
	};

	const sure = E('button', {
		'class': 'btn cbi-button cbi-button-negative important', 'click': () => {
			sure.disabled = true;
			sure.classList.add('spinning');
			run().then(told);
		}
	}, [ verb ]);
	const cancel = E('button', { 'class': 'btn cbi-button', 'click': close }, [ _('Cancel') ]);

	// Escape presses the first button.
	ui.showModal(title, children.concat([ E('div', { 'class': 'right' }, [ cancel, ' ', sure ]) ]));
	cancel.focus();
}

// How many flows a filter is about; filled in when the daemon has told.
function matching(filter) {
	const node = E('p', { 'role': 'status' }, []);

	bus.flows(Object.assign({ limit: 1 }, filter)).then((reply) => dom.content(node, [
		reply instanceof Error ? words.failure(reply)
			: '%s: %s'.format(_('Flows that match'), words.known(reply.matched))
	]));

	return node;
}

return baseclass.extend({
	/** Hands the flows of `filter` back and keeps them; `about` says in words which these are. */
	evict(filter, about, opener, done) {
		const duration = E('select', { 'class': 'cbi-input-select', 'id': 'ft-duration' },
			DURATIONS.map(([ seconds, text ]) =>
				E('option', { 'value': seconds, 'selected': seconds == 600 ? '' : null }, [ text ])));

		confirm(_('Return to the classic path'), [
			E('p', {}, [ about ]),
			matching(filter),
			E('p', {}, [ E('label', { 'for': 'ft-duration' }, [ _('Keep them there for') ]), ' ', duration ]),
			E('p', {}, [ _('No connection breaks. Other flows return for a packet.') ])
		], _('Return'), () => bus.evict(Object.assign({ duration_s: Number(duration.value) }, filter)), (reply) => [
			[ _('Flows that match'), reply.matched ],
			[ _('Flows that have returned'), reply.evicted ],
			[ _('Kept on the classic path from now on'), reply.bypassed ]
		], opener, done);
	},

	/** Lets the flows of `filter` leave the classic path again. */
	release(filter, about, opener, done) {
		confirm(_('Release from the classic path'), [
			E('p', {}, [ about ]),
			E('p', {}, [ _('Those that are kept there may leave it with their next packet.') ])
		], _('Release'), () => bus.release(filter), (reply) => [
			[ _('Flows released'), reply.released ]
		], opener, done);
	},

	/** Hands all flows back once. */
	flush(opener, done) {
		confirm(_('Return all flows once'), [
			E('p', {}, [ _('All offloaded flows return to the classic path, and leave it again with their next packet.') ])
		], _('Return all'), () => bus.flush(), (reply) => [
			[ _('Flows that have returned'), reply.flows ]
		], opener, done);
	}
});
