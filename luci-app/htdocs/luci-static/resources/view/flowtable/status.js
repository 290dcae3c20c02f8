// SPDX-License-Identifier: GPL-2.0-or-later
// Status, Flow Offload: what the daemon flowtabled tells about itself, and the firewall's switch.
// The switch is the firewall's own pair of options; nothing is stored twice. A value that the
// daemon leaves out is unknown and becomes a dash, never a zero.
'use strict';
'require view';
'require rpc';
'require poll';
'require dom';
'require uci';
'require form';

const POLL_S = 5;
// Rows of the tables of flows and clients. The daemon sorts; it is the fastest that matter.
const ROWS = 10;
const UNKNOWN = '-';

// Replies of 64 KiB each that the list of devices may take: room for some hundreds.
const PAGES_MAX = 8;

// Without "reject" a failed call would resolve to a bare number.
const callStatus = rpc.declare({ object: 'flowtable', method: 'status', reject: true });
const callDevices = rpc.declare({ object: 'flowtable', method: 'devices', params: [ 'cursor' ], reject: true });
const callFlows = rpc.declare({ object: 'flowtable', method: 'flows', params: [ 'limit' ], reject: true });
const callHosts = rpc.declare({ object: 'flowtable', method: 'hosts', params: [ 'limit' ], reject: true });

// The same sentences as in src/core/reason.rs, here to be translated.
const REASONS = {
	as_configured: _('as configured'),
	disabled: _('switched off by flowtable.global.enabled'),
	offload_off: _('firewall flow_offloading is off'),
	no_configuration: _('no usable configuration has been read yet'),
	no_device: _('no firewall zone has a device that exists'),
	no_kernel_support: _('the kernel has no flowtable support'),
	no_permission: _('no permission to change nf_tables'),
	refused: _('the kernel refused the change, the last good state stays in force'),
	no_hardware: _('no device accepts hardware offload'),
	some_hardware: _('only some devices accept hardware offload'),
	no_hardware_seen: _('hardware offload was accepted but live flows are not in hardware'),
	observing: _('offloading by firewall4 itself is left alone and observed'),
	offloaded_in_name: _('offloaded flows still take the classic path'),
	device_no_hardware: _('the device does not accept hardware offload'),
	device_override: _('set by a device section of /etc/config/flowtable'),
	device_shaped: _('a shaper is in charge of its traffic'),
	device_absent: _('there is no such device at present'),
	lower_covered: _('covered by the devices below it'),
	lower_elsewhere: _('the device below it is in another network namespace'),
	no_lower: _('there is no device below it')
};

// What became of firewall4's own flowtable and rule.
const TAKEOVER = {
	none: _('none'),
	left: _('in force'),
	taken: _('taken over')
};

// The same sentences as in src/core/evict.rs.
const CAUSES = {
	firewall: _('the firewall\'s rules have changed'),
	routes: _('routes, rules or addresses have changed'),
	roaming: _('a client has moved to another port'),
	neighbour: _('a neighbour has another MAC address'),
	device: _('a device has changed'),
	settings: _('the configuration has changed'),
	unshown: _('the kernel does not show some that are offloaded')
};

// The same sentences as in src/core/flow_reason.rs.
const FLOW_REASONS = {
	offload_off: _('nothing is offloaded at present'),
	local: _('one end is this router, and only forwarded packets are offloaded'),
	protocol: _('only TCP, UDP and untranslated GRE are offloaded'),
	not_established: _('the connection is not established yet'),
	closing: _('the connection is being closed'),
	not_assured: _('it has not carried packets both ways for long enough'),
	bypassed: _('it was handed back to the classic path and is kept there'),
	device_not_covered: _('one of its devices is in no flowtable'),
	policy_bypass: _('a rule of /etc/config/flowtable keeps it there'),
	below_threshold: _('it has carried less than its rule asks for'),
	helper: _('a conntrack helper has to see all of its packets'),
	ipsec: _('its packets of both directions come out of IPsec'),
	idle: _('it was silent; its next packet makes it offloaded'),
	in_name_only: _('it is marked as offloaded, yet takes the classic path'),
	unknown: _('nothing that is known stands in the way')
};

const PATHS = {
	off: _('off'),
	classic: _('classic'),
	software: _('software'),
	mixed: _('mixed'),
	hardware: _('hardware')
};

const BADGES = {
	software: 'label notice',
	mixed: 'label success',
	hardware: 'label success'
};

const STATES = [ 'classic', 'software', 'hardware' ];

const ABILITIES = [
	[ 'flowtable', _('Flowtables for IPv4 and IPv6 in one table') ],
	[ 'named_hooks', _('Flowtables may name devices that do not exist yet') ],
	[ 'conntrack', _('Connections can be listed') ],
	[ 'accounting', _('Connections count packets and bytes') ]
];

function lookup(table, key) {
	return Object.prototype.hasOwnProperty.call(table, key) ? table[key] : null;
}

function known(value) {
	return value == null || value === '' ? UNKNOWN : String(value);
}

function yesNo(value) {
	return value == null ? UNKNOWN : (value ? _('yes') : _('no'));
}

function list(values) {
	if (!Array.isArray(values))
		return UNKNOWN;

	return values.length ? values.join(', ') : _('none');
}

function reason(object, sentences) {
	if (object.reason == null)
		return UNKNOWN;

	// A newer daemon may have reasons that this page has not heard of.
	const text = lookup(sentences, object.reason) || object.reason_text || object.reason;

	return object.detail ? '%s (%s)'.format(text, object.detail) : text;
}

function badge(path, warn) {
	if (path == null)
		return UNKNOWN;

	return E('span', {
		'class': warn ? 'label warning' : lookup(BADGES, path) || 'label'
	}, [ lookup(PATHS, path) || path ]);
}

// An address, with the port in the form that the command line takes. Two of IPv6 side by side are
// wider than the page unless they may be broken anywhere.
function end(address, port) {
	const long = /:/.test(address);
	const text = port == null ? known(address) : (long ? '[%s]:%d' : '%s:%d').format(address, port);

	return long ? E('span', { 'style': 'overflow-wrap:anywhere' }, [ text ]) : text;
}

// A sum of which a part is unknown is unknown.
function sum(values) {
	return values.some((value) => value == null) ? null : values.reduce((a, b) => a + b, 0);
}

function bytes(value, unit) {
	return value == null ? UNKNOWN
		: E('span', { 'class': 'nowrap' }, [ ('%1000.1m' + unit).format(value) ]);
}

// LuCI puts the place in its own code behind the message, on a line of its own.
function firstLine(error) {
	return error.message.split('\n')[0];
}

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
	const placeholder = Array.isArray(records) ? _('none') : UNKNOWN;
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
		[ _('Requested'), badge(status.requested) ],
		[ _('In force'), badge(status.effective, differs) ],
		[ _('Reason'), reason(status, REASONS) ],
		[ _('Last error'), status.last_error || _('none') ],
		[ _('Configuration warnings'), list(status.warnings) ],
		[ _('Running for'), status.uptime_s == null ? UNKNOWN : '%t'.format(status.uptime_s) ],
		[ _('Version'), known(status.version) ]
	]) ]);
}

// How often a change made flows return, and the last one.
function evictions(evicted) {
	if (evicted?.count == null)
		return UNKNOWN;
	if (evicted.cause == null)
		return String(evicted.count);

	const cause = lookup(CAUSES, evicted.cause) || evicted.cause_text || evicted.cause;

	return _('%d, the last one %t ago: %s').format(evicted.count, evicted.age_s || 0, cause);
}

function renderFlows(status) {
	const flows = status.flows || {};

	return section(_('Flows'), [ facts([
		[ _('In hardware'), known(flows.hardware) ],
		[ _('In software'), known(flows.software) ],
		[ _('On the classic path'), known(flows.classic) ],
		[ _('Of these, being closed'), known(flows.closing) ],
		[ _('Kept on the classic path'), known(status.bypassed) ],
		[ _('Handed back because something changed'), evictions(status.evictions) ],
		[ _('Packets of offloaded flows seen on the classic path'), known(status.leaked_packets) ]
	]) ]);
}

// `shown` of all that there are, or why there are none to show.
function below(reply, shown, cut, failed) {
	if (reply instanceof Error)
		return [ E('p', {}, [ failed.format(firstLine(reply)) ]) ];

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
			badge(flow.state, flow.state != 'classic' && flow.reason != null),
			known(flow.protocol),
			end(flow.source, flow.source_port),
			end(flow.destination, flow.destination_port),
			known(flow.client),
			bytes(sum([ flow.rate_sent, flow.rate_received ]), 'B/s'),
			// An offloaded one needs none.
			flow.state != 'classic' && flow.reason == null ? _('none') : reason(flow, FLOW_REASONS)
		])
	].concat(below(reply, reply.flows, _('The %d fastest of %d flows.'),
		_('The list of flows cannot be had: %s'))));
}

function renderClients(reply) {
	// Over all paths; one without flows has no rate that could be missing.
	const rate = (host) => sum(STATES.map((state) => host[state] || {})
		.filter((carried) => carried.flows !== 0)
		.map((carried) => sum([ carried.rate_sent, carried.rate_received ])));
	const total = (host, keys) => sum(STATES.map((state) =>
		sum(keys.map((key) => (host[state] || {})[key]))));

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
			known(host.name || host.mac),
			end(Array.isArray(host.addresses) ? host.addresses[0] : null),
			known(host.port || host.device),
			badge(host.state),
			known(total(host, [ 'flows' ])),
			bytes(rate(host), 'B/s'),
			bytes(total(host, [ 'bytes_sent', 'bytes_received' ]), 'B')
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
			known(table.name),
			known(table.flowtable),
			table.hardware == null ? UNKNOWN : badge(table.hardware ? 'hardware' : 'software'),
			yesNo(table.counter),
			known(table.priority),
			list(table.devices),
			// Of the daemon's own tables the mode tells.
			table.reason == null ? '' : reason(table, REASONS)
		]),
		E('p', {}, [ _('Offloading by firewall4 itself: %s').format(lookup(TAKEOVER, status.takeover?.state) || UNKNOWN) ]),
		E('p', {}, [ _('Flowtables of other programs: %s').format(list(status.foreign_flowtables)) ])
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
			known(device.name),
			badge(device.state),
			reason(device, REASONS),
			list(device.zones),
			known(device.kind),
			list(device.upper),
			known(device.table)
		])
	].concat(cut ? [
		E('p', {}, [ _('The first %d of %d devices.').format(devices.length, reply.total) ])
	] : []).concat(reply instanceof Error ? [
		E('p', {}, [ _('The list of devices cannot be had: %s').format(firstLine(reply)) ])
	] : []));
}

function renderKernel(status) {
	const kernel = status.kernel || {};

	return section(_('Kernel'), [ facts([
		[ _('Release'), known(kernel.release) ]
	].concat(ABILITIES.map((ability) => [ ability[1], yesNo(kernel[ability[0]]) ]))) ]);
}

function renderAbsence(error) {
	return E('div', { 'class': 'alert-message warning' }, [
		E('h4', {}, [ _('The daemon does not answer') ]),
		E('p', {}, [ _('flowtabled is stopped, or it cannot be reached: %s').format(firstLine(error)) ]),
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

// An error is a value here: one failed call must not take the rest of the page with it.
function ask(call, ...args) {
	return call(...args).then((reply) =>
		L.isObject(reply) ? reply : new Error(_('unexpected reply'))
	).catch((error) => error instanceof Error ? error : new Error(String(error)));
}

// The devices that did not fit one reply come in the next one. Where that is not to be had the
// list ends, and its `total` tells that it is cut.
function withRest(reply, pages) {
	if (reply instanceof Error || !Array.isArray(reply.devices) || reply.next == null || pages >= PAGES_MAX)
		return reply;

	return ask(() => callDevices(reply.next)).then((page) =>
		page instanceof Error || !Array.isArray(page.devices) ? reply : withRest(
			Object.assign({}, page, { devices: reply.devices.concat(page.devices) }), pages + 1));
}

function askDevices() {
	return ask(callDevices).then((reply) => withRest(reply, 1));
}

function askAll() {
	return Promise.all([
		ask(callStatus),
		askDevices(),
		ask(callFlows, ROWS),
		ask(callHosts, ROWS)
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
