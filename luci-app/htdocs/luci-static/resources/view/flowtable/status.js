// SPDX-License-Identifier: GPL-2.0-or-later
// Status, Flow Offload: the mode and its reason, and below it tabs with what the daemon tells.
// There is one poll; it asks for the status and for what the tab in front needs, and for nothing
// while the browser shows something else.
'use strict';
'require view';
'require poll';
'require dom';
'require ui';
'require flowtable.bus as bus';
'require flowtable.clients as clients';
'require flowtable.devices as devices';
'require flowtable.flows as flows';
'require flowtable.hardware as hardware';
'require flowtable.health as health';
'require flowtable.overview as overview';
'require flowtable.tables as tables';
'require flowtable.words as words';

const POLL_S = 5;

const TABS = [
	[ 'overview', _('Overview'), overview ],
	[ 'flows', _('Flows'), flows ],
	[ 'clients', _('Clients'), clients ],
	[ 'devices', _('Devices'), devices ],
	[ 'tables', _('Tables'), tables ],
	[ 'hardware', _('Hardware'), hardware ],
	[ 'health', _('Kernel and daemon'), health ]
];

// Only what no theme has.
const STYLE = `
.ft-row { display: flex; flex-wrap: wrap; gap: .5em 1em; align-items: center; margin: .5em 0 1em }
.ft-row label { width: 8em; float: none; text-align: left; padding: 0 }
.ft-row label > * { width: 100%; min-width: 0; margin: 0; box-sizing: border-box }
.ft-row > select { width: auto; min-width: 0 }
.ft-row > button { align-self: end }
.ft-frame { overflow-x: auto }
.ft-frame[aria-busy] { opacity: .6 }
.ft-graphs { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24em), 1fr)); gap: 0 2em }
.ft-plot { position: relative; height: 11em; margin: 0 0 1.5em 5.5em }
.ft-plot > svg { width: 100%; height: 100% }
.ft-plot > span { position: absolute; font-size: 85% }
.ft-top, .ft-middle { right: 100%; margin-right: .5em; transform: translateY(-50%); white-space: nowrap }
.ft-top { top: 0 }
.ft-middle { top: 50% }
.ft-time { top: 100%; transform: translateX(50%) }
.ft-swatch { width: 2em; height: .7em }
.ft-fact { font-weight: normal; width: 33% }
.ft-sort, .ft-toggle { all: unset; cursor: pointer }
.ft-sort:focus-visible, .ft-toggle:focus-visible { outline: 2px solid }
.ft-toggle { display: inline-flex; align-items: center }
.ft-toggle::before { content: '▸'; flex: none; width: 1em }
.ft-toggle[aria-expanded=true]::before { content: '▾' }
[aria-sort=descending] > .ft-sort::after { content: ' ▾' }
[aria-sort=ascending] > .ft-sort::after { content: ' ▴' }
.ft-action { text-align: right; white-space: nowrap }
.ft-detail dl { display: grid; grid-template-columns: fit-content(40%) 1fr; gap: .2em 1em; margin: 0 }
.ft-detail dd { margin: 0; overflow-wrap: anywhere }
.ft-page [hidden] { display: none !important }
@media (min-width: 601px) {
	.ft-frame .th, .ft-frame .td { padding: .5em .4em }
	.ft-narrow { display: none }
}
@media (max-width: 600px) {
	.ft-wide { display: none !important }
	.ft-row label { width: calc(50% - .5em) }
}
`;

function renderMode(status) {
	const differs = status.requested != status.effective;

	return [
		E('p', {}, [
			words.badge(status.effective, differs), ' ', words.reason(status)
		].concat(differs ? [ ' ', _('Requested:'), ' ', words.badge(status.requested) ] : []))
	];
}

// What somebody should look at.
function renderTroubles(status) {
	const alert = (title, texts) => E('div', { 'class': 'alert-message warning' },
		[ E('h4', {}, [ title ]) ].concat(texts.map((text) => E('p', {}, [ text ]))));

	return [].concat(
		status.last_error ? [ alert(_('Last error'), [ status.last_error ]) ] : [],
		Array.isArray(status.warnings) && status.warnings.length
			? [ alert(_('Configuration warnings'), status.warnings) ] : [],
		status.truncated ? [ E('p', {}, [ _('Some lists were too long for one reply and are cut short.') ]) ] : []);
}

class Page {
	constructor(writable) {
		this.writable = writable;
		this.refresh = () => this.update();
		this.serial = 0;
		this.panes = {};
		this.mode = E('div', { 'role': 'status', 'tabindex': -1 }, []);
		this.troubles = E('div', {}, []);
		this.group = E('div', {}, TABS.map(([ name, title, module ]) => {
			this.panes[name] = module.create(this);

			return E('div', {
				'data-tab': name, 'data-tab-title': title, 'cbi-tab-active': this.refresh
			}, [ this.panes[name].node ]);
		}));
		this.tabs = E('div', {}, [ this.group ]);
		this.node = E('div', { 'class': 'ft-page' }, [
			E('style', {}, [ STYLE ]),
			E('h2', {}, [ _('Flow Offload') ]),
			this.mode,
			E('p', {}, [ E('a', { 'href': L.url('admin/network/flowtable') }, [ _('Change the settings') ]) ]),
			this.troubles,
			this.tabs
		]);
		ui.tabs.initTabGroup(this.group.childNodes);
	}

	/** The pane of the tab in front. */
	front() {
		const node = [ ...this.group.childNodes ].find((pane) => pane.getAttribute('data-tab-active') == 'true');

		return this.panes[node.getAttribute('data-tab')];
	}

	/** Brings a tab to the front, with only the flows of `filter` in it. */
	open(name, filter) {
		this.panes[name].filterBy(filter);

		const entry = [ ...this.group.previousElementSibling.childNodes ]
			.find((tab) => tab.getAttribute('data-tab') == name).firstChild;

		entry.click();
		entry.focus();
	}

	// The newest question is the one whose answer is shown: an older one that comes late is about
	// another tab, page or filter.
	update() {
		const pane = this.front();
		const serial = ++this.serial;
		const asked = this.absent ? Promise.resolve(null) : pane.ask();

		return Promise.all([ bus.status(), asked ]).then(([ status, reply ]) => {
			if (serial != this.serial)
				return;

			const back = this.absent && !(status instanceof Error);

			this.showStatus(status);

			if (back)
				return this.update();
			if (!this.absent)
				pane.show(reply, status);
		});
	}

	showStatus(status) {
		this.absent = status instanceof Error;

		if (!this.absent)
			this.started = '';

		this.tabs.hidden = this.absent;
		this.put(this.mode, this.absent ? this.renderAbsence(status) : renderMode(status));
		this.put(this.troubles, this.absent ? [] : renderTroubles(status));
	}

	// What is the same as before is left alone: it may have the focus, and would be read out again.
	put(node, children) {
		const newer = E('div', {}, children);
		const inside = node.contains(document.activeElement);

		if (newer.childNodes.length == node.childNodes.length
			&& [ ...newer.childNodes ].every((child, i) => child.isEqualNode(node.childNodes[i])))
			return;

		dom.content(node, children);

		if (inside)
			node.focus();
	}

	renderAbsence(error) {
		const stopped = bus.isAbsence(error);

		return [ E('div', { 'class': 'alert-message warning' }, [
			E('h4', {}, [ stopped ? _('The daemon does not run') : _('The daemon does not answer') ]),
			E('p', {}, [ stopped
				? _('Connections go on without it; which path they take cannot be told here.')
				: words.failure(error) ])
		].concat(stopped && this.writable ? [
			E('p', {}, [ this.starter(), ' ', this.started || '' ])
		] : [])) ];
	}

	starter() {
		return E('button', {
			'class': 'btn cbi-button cbi-button-apply',
			'disabled': this.starting ? '' : null,
			'click': () => {
				this.starting = true;
				this.started = _('Starting…');
				this.update();
				bus.start().then((error) => {
					this.starting = false;
					this.started = error ? words.failure(error) : _('It was started; its answer is awaited.');
					this.update();
				});
			}
		}, [ _('Start the daemon') ]);
	}
}

return view.extend({
	load() {
		return bus.status();
	},

	render(status) {
		const page = new Page(L.hasViewPermission() === true);

		page.showStatus(status);
		poll.add(() => document.hidden ? Promise.resolve() : page.update(), POLL_S);

		// Who comes back to the page sees the present and not what was five seconds ago.
		document.addEventListener('visibilitychange', () => {
			if (!document.hidden)
				page.update();
		});

		return page.node;
	},

	handleSave: null,
	handleSaveApply: null,
	handleReset: null
});
