// SPDX-License-Identifier: GPL-2.0-or-later
// Status, Flow Offload: what the daemon flowtabled tells about itself, and the firewall's switch.
// The switch is the firewall's own pair of options; nothing is stored twice. A value that the
// daemon leaves out is unknown and becomes a dash, never a zero.
'use strict';
'require view';
'require poll';
'require dom';
'require uci';
'require form';
'require flowtable.bus as bus';
'require flowtable.words as words';

const POLL_S = 5;
// Rows of the tables of flows and clients. The daemon sorts; it is the fastest that matter.
const ROWS = 10;
const ABILITIES = [
	[ 'flowtable', _('Flowtables for IPv4 and IPv6 in one table') ],
	[ 'named_hooks', _('Flowtables may name devices that do not exist yet') ],
	[ 'conntrack', _('Connections can be listed') ],
	[ 'accounting', _('Connections count packets and bytes') ]
];

function section(title, children) {
	return E('div', { 'class': 'cbi-section' }, [ E('h3', {}, [ title ]) ].concat(children));
}

function facts(rows) {
	return E('table', { 'class': 'table' }, rows.map((row) =>
		E('tr', { 'class': 'tr' }, [
			E('td', { 'class': 'td left', 'width': '33%' }, [ row[0] ]),
			E('td', { 'class': 'td left' }, [ row[1] ])
		])));
}

// A column is a title and whether it is of interest on a narrow screen too. `records` that are no
// array are unknown: one row that says so, as an empty list has one.
function grid(columns, records, cells) {
	const rows = Array.isArray(records) ? records.map(cells) : [];
	const placeholder = Array.isArray(records) ? _('none') : words.UNKNOWN;
	const style = (name, column) => column[1] ? name : name + ' hide-xs';

	return E('table', { 'class': 'table' }, [
		E('tr', { 'class': 'tr table-titles' }, columns.map((column) =>
			E('th', { 'class': style('th', column) }, [ column[0] ])))
	].concat(rows.map((row) =>
		E('tr', { 'class': 'tr' }, row.map((cell, i) =>
			E('td', { 'class': style('td', columns[i]), 'data-title': columns[i][0] }, [ cell ]))))
	).concat(rows.length ? [] : [
		E('tr', { 'class': 'tr placeholder' }, [
			E('td', { 'class': 'td', 'colspan': columns.length }, [ E('em', {}, [ placeholder ]) ])
		])
	]));
}

function renderMode(status) {
	const differs = status.requested != status.effective;

	return section(_('Mode'), [ facts([
		[ _('Requested'), words.badge(status.requested) ],
		[ _('In force'), words.badge(status.effective, differs) ],
		[ _('Reason'), words.reason(status, words.REASONS) ],
		[ _('Last error'), status.last_error || _('none') ],
		[ _('Configuration warnings'), words.list(status.warnings) ],
		[ _('Running for'), status.uptime_s == null ? words.UNKNOWN : '%t'.format(status.uptime_s) ],
		[ _('Version'), words.known(status.version) ]
	]) ]);
}

// How often a change made flows return, and the last one.
function evictions(evicted) {
	if (evicted?.count == null)
		return words.UNKNOWN;
	if (evicted.cause == null)
		return String(evicted.count);

	const cause = words.lookup(words.CAUSES, evicted.cause) || evicted.cause_text || evicted.cause;

	return _('%d, the last one %t ago: %s').format(evicted.count, evicted.age_s || 0, cause);
}

function renderFlows(status) {
	const flows = status.flows || {};

	return section(_('Flows'), [ facts([
		[ _('In hardware'), words.known(flows.hardware) ],
		[ _('In software'), words.known(flows.software) ],
		[ _('On the classic path'), words.known(flows.classic) ],
		[ _('Of these, being closed'), words.known(flows.closing) ],
		[ _('Kept on the classic path'), words.known(status.bypassed) ],
		[ _('Handed back because something changed'), evictions(status.evictions) ],
		[ _('Packets of offloaded flows seen on the classic path'), words.known(status.leaked_packets) ]
	]) ]);
}

// `shown` of all that there are, or why there are none to show.
function below(reply, shown, cut, failed) {
	if (reply instanceof Error)
		return [ E('p', {}, [ failed.format(words.firstLine(reply)) ]) ];

	return Array.isArray(shown) && reply.matched > shown.length
		? [ E('p', {}, [ cut.format(shown.length, reply.matched) ]) ] : [];
}

function renderFastest(reply) {
	return section(_('Fastest flows'), [
		grid([
			[ _('State'), true ],
			[ _('Protocol'), false ],
			[ _('Source'), true ],
			[ _('Destination'), true ],
			[ _('Client'), false ],
			[ _('Rate'), true ],
			[ _('Reason'), true ]
		], reply.flows, (flow) => [
			words.badge(flow.state, flow.state != 'classic' && flow.reason != null),
			words.known(flow.protocol),
			words.endpoint(flow.source, flow.source_port),
			words.endpoint(flow.destination, flow.destination_port),
			words.known(flow.client),
			words.scaled(words.sum([ flow.rate_sent, flow.rate_received ]), 'B/s'),
			// An offloaded one needs none.
			flow.state != 'classic' && flow.reason == null ? _('none') : words.reason(flow, words.FLOW_REASONS)
		])
	].concat(below(reply, reply.flows, _('The %d fastest of %d flows.'),
		_('The list of flows cannot be had: %s'))));
}

function renderClients(reply) {
	// Over all paths; one without flows has no rate that could be missing.
	const rate = (host) => words.sum(words.STATES.map((state) => host[state] || {})
		.filter((carried) => carried.flows !== 0)
		.map((carried) => words.sum([ carried.rate_sent, carried.rate_received ])));
	const total = (host, keys) => words.sum(words.STATES.map((state) =>
		words.sum(keys.map((key) => (host[state] || {})[key]))));

	return section(_('Clients'), [
		grid([
			[ _('Client'), true ],
			[ _('Address'), true ],
			[ _('Device'), false ],
			[ _('State'), false ],
			[ _('Flows'), true ],
			[ _('Rate'), true ],
			[ _('Carried'), true ]
		], reply.hosts, (host) => [
			words.known(host.name || host.mac),
			words.endpoint(Array.isArray(host.addresses) ? host.addresses[0] : null),
			words.known(host.port || host.device),
			words.badge(host.state),
			words.known(total(host, [ 'flows' ])),
			words.scaled(rate(host), 'B/s'),
			words.scaled(total(host, [ 'bytes_sent', 'bytes_received' ]), 'B')
		])
	].concat(below(reply, reply.hosts, _('The %d fastest of %d clients.'),
		_('The list of clients cannot be had: %s'))));
}

function renderTables(status) {
	return section(_('Tables'), [
		grid([
			[ _('Table'), true ],
			[ _('Flowtable'), false ],
			[ _('Path'), true ],
			[ _('Counts traffic'), false ],
			[ _('Priority'), false ],
			[ _('Devices'), true ],
			[ _('Reason'), false ]
		], status.tables, (table) => [
			words.known(table.name),
			words.known(table.flowtable),
			table.hardware == null ? words.UNKNOWN : words.badge(table.hardware ? 'hardware' : 'software'),
			words.yesNo(table.counter),
			words.known(table.priority),
			words.list(table.devices),
			// Of the daemon's own tables the mode tells.
			table.reason == null ? '' : words.reason(table, words.REASONS)
		]),
		E('p', {}, [ _('Offloading by firewall4 itself: %s').format(words.lookup(words.TAKEOVER, status.takeover?.state) || words.UNKNOWN) ]),
		E('p', {}, [ _('Flowtables of other programs: %s').format(words.list(status.foreign_flowtables)) ])
	]);
}

function renderDevices(reply) {
	const devices = reply instanceof Error ? null : reply.devices;
	const cut = Array.isArray(devices) && reply.total > devices.length;

	return section(_('Devices'), [
		grid([
			[ _('Device'), true ],
			[ _('State'), true ],
			[ _('Reason'), true ],
			[ _('Zones'), false ],
			[ _('Kind'), false ],
			[ _('Reached through'), false ],
			[ _('Table'), false ]
		], devices, (device) => [
			words.known(device.name),
			words.badge(device.state),
			words.reason(device, words.REASONS),
			words.list(device.zones),
			words.known(device.kind),
			words.list(device.upper),
			words.known(device.table)
		])
	].concat(cut ? [
		E('p', {}, [ _('The first %d of %d devices.').format(devices.length, reply.total) ])
	] : []).concat(reply instanceof Error ? [
		E('p', {}, [ _('The list of devices cannot be had: %s').format(words.firstLine(reply)) ])
	] : []));
}

function renderKernel(status) {
	const kernel = status.kernel || {};

	return section(_('Kernel'), [ facts([
		[ _('Release'), words.known(kernel.release) ]
	].concat(ABILITIES.map((ability) => [ ability[1], words.yesNo(kernel[ability[0]]) ]))) ]);
}

function renderAbsence(error) {
	return E('div', { 'class': 'alert-message warning' }, [
		E('h4', {}, [ _('The daemon does not answer') ]),
		E('p', {}, [ _('flowtabled is stopped, or it cannot be reached: %s').format(words.firstLine(error)) ]),
		E('p', {}, [ _('The switch below belongs to the firewall and can be changed all the same.') ]),
		E('p', {}, [
			E('a', { 'href': L.url('admin/system/startup') }, [ _('Start it on the startup page') ])
		])
	]);
}

function renderState(state) {
	const [ status, devices, flows, hosts ] = state;

	if (status instanceof Error)
		return [ renderAbsence(status) ];

	return [
		renderMode(status),
		renderFlows(status),
		renderFastest(flows),
		renderClients(hosts),
		renderTables(status),
		renderDevices(devices),
		renderKernel(status)
	].concat(status.truncated ? [
		E('p', {}, [ _('Some lists were too long for one reply and are cut short.') ])
	] : []);
}

function askAll() {
	return Promise.all([
		bus.status(),
		bus.devices(),
		bus.flows({ limit: ROWS }),
		bus.hosts({ limit: ROWS })
	]);
}

// What firewall4 takes for true.
function isTrue(value) {
	return [ '1', 'on', 'true', 'yes' ].indexOf(value) >= 0;
}

function renderSwitch() {
	const map = new form.Map('firewall');
	const defaults = map.section(form.TypedSection, 'defaults', _('Offloading'));

	defaults.anonymous = true;
	defaults.addremove = false;

	// One choice for two options, so that hardware without software cannot be asked for. The
	// name is that of the choice, not of an option: nothing is stored under it.
	const path = defaults.option(form.ListValue, '_offload', _('Offload flows'),
		_('The same setting as on the firewall page. Not fully compatible with QoS/SQM.'));

	path.value('off', _('No'));
	path.value('software', _('In software'));
	path.value('hardware', _('In hardware where there is any, else in software'));

	path.load = function(section_id) {
		if (!isTrue(uci.get('firewall', section_id, 'flow_offloading')))
			return 'off';

		return isTrue(uci.get('firewall', section_id, 'flow_offloading_hw')) ? 'hardware' : 'software';
	};

	path.write = function(section_id, value) {
		uci.set('firewall', section_id, 'flow_offloading', value == 'off' ? null : '1');
		uci.set('firewall', section_id, 'flow_offloading_hw', value == 'hardware' ? '1' : null);
	};

	return map.render();
}

return view.extend({
	load() {
		return askAll();
	},

	render(state) {
		const node = E('div', { 'id': 'flowtable-status' }, renderState(state));

		poll.add(() => {
			// Nobody looks at a hidden tab, and the daemon counts flows for each answer.
			if (document.hidden)
				return Promise.resolve();

			return askAll().then((newer) => dom.content(node, renderState(newer)));
		}, POLL_S);

		return renderSwitch().then((form_node) => E('div', {}, [
			E('h2', {}, [ _('Flow Offload') ]),
			E('div', { 'class': 'cbi-map-descr' }, [
				_('Flows that are offloaded pass the router without the work of the firewall and routing code for each packet.')
			]),
			node,
			form_node
		]));
	}
});
