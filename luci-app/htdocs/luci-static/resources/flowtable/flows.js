// SPDX-License-Identifier: GPL-2.0-or-later
// The tab of flows: one page of them, as the daemon filters and sorts them, with everything about
// a flow in the row that opens below it.
'use strict';
'require baseclass';
'require flowtable.action as action';
'require flowtable.bus as bus';
'require flowtable.table as table';
'require flowtable.words as words';

// Name of the daemon's argument, label, and the choices where they are few.
const FIELDS = [
	[ 'state', _('State'), words.STATES.map((state) => [ state, words.PATHS[state] ]) ],
	[ 'protocol', _('Protocol'), [ 'tcp', 'udp', 'icmp', 'icmpv6', 'gre' ].map((name) => [ name, name ]) ],
	[ 'address', _('Address') ],
	[ 'port', _('Port') ],
	[ 'host', _('Client') ],
	[ 'device', _('Device') ],
	[ 'partition', _('Table') ]
];

function rate(flow) {
	return words.sum([ flow.rate_sent, flow.rate_received ]);
}

function bytes(flow) {
	return words.sum([ flow.bytes_sent, flow.bytes_received ]);
}

// Of an offloaded flow whose packets take the fast path there is none.
function reason(flow) {
	return flow.state != 'classic' && flow.reason == null ? null : words.reason(flow);
}

function state(flow) {
	const badge = words.badge(flow.state, flow.state != 'classic' && flow.reason != null);
	const why = reason(flow);

	return E('span', { 'title': why }, [ badge ]);
}

function ways(flow) {
	const way = (devices) => Array.isArray(devices) ? devices.join(', ') : words.UNKNOWN;

	return '%s → %s'.format(way(flow.ingress), way(flow.egress));
}

function carried(packets, bytes_, rate_) {
	return _('%s packets, %s, %s').format(words.known(packets), words.amount(bytes_, 'B'), words.amount(rate_, 'B/s'));
}

function details(flow) {
	const behind = flow.translated;

	return [
		[ _('Reason'), reason(flow) || _('none') ],
		[ _('Translated to'), behind ? E('span', {}, [
			words.endpoint(behind.source, behind.source_port), ' → ',
			words.endpoint(behind.destination, behind.destination_port)
		]) : _('not translated') ],
		[ _('Devices'), ways(flow) ],
		[ _('Client'), flow.client_mac ? '%s (%s)'.format(words.known(flow.client), flow.client_mac) : words.known(flow.client) ],
		[ _('Sent'), carried(flow.packets_sent, flow.bytes_sent, flow.rate_sent) ],
		[ _('Received'), carried(flow.packets_received, flow.bytes_received, flow.rate_received) ],
		[ _('In this state for'), words.duration(flow.state_age_s) ],
		[ _('Silent for'), words.duration(flow.quiet_s) ],
		[ _('Table'), words.known(flow.partition) ]
	].concat([
		[ _('Being closed'), flow.closing ? _('yes') : null ],
		[ _('State of TCP'), flow.tcp_state ],
		[ _('Kept on the classic path for'), flow.bypassed_s == null ? null : words.duration(flow.bypassed_s) ],
		[ _('Switch'), flow.switch == null ? null : '%s: %s'.format(flow.switch, words.known(flow.switch_text)) ],
		[ _('Identifier'), flow.icmp_id == null ? null : String(flow.icmp_id) ],
		[ _('Mark'), flow.mark == null ? null : '0x%x'.format(flow.mark) ],
		[ _('Zone of conntrack'), flow.zone == null ? null : String(flow.zone) ]
	].filter((row) => row[1] != null));
}

// The daemon has no name for a single flow: what it has been opened with is as good as one.
function filterOf(flow) {
	return { address: flow.source, port: flow.source_port, protocol: flow.protocol };
}

function nameOf(flow) {
	return '%s %s%s → %s%s'.format(flow.protocol,
		flow.source, flow.source_port == null ? '' : ' ' + flow.source_port,
		flow.destination, flow.destination_port == null ? '' : ' ' + flow.destination_port);
}

class Flows {
	constructor(page) {
		this.page = page;
		this.table = table.create({
			label: _('Flows'),
			remote: true,
			change: page.refresh,
			sort: _('Rate'),
			key: (flow) => [ flow.protocol, flow.source, flow.source_port, flow.destination,
				flow.destination_port, flow.icmp_id, flow.zone ].join(' '),
			columns: [
				{ title: _('State'), cell: state },
				{ title: _('Protocol'), cell: (flow) => words.known(flow.protocol), wide: true },
				{ title: _('Source'), cell: (flow) => words.endpoint(flow.source, flow.source_port) },
				{ title: _('Destination'), cell: (flow) => words.endpoint(flow.destination, flow.destination_port) },
				{ title: _('Client'), cell: (flow) => words.known(flow.client), wide: true },
				{ title: _('Rate'), cell: (flow) => words.scaled(rate(flow), 'B/s'), sort: 'rate' },
				{ title: _('Carried'), cell: (flow) => words.scaled(bytes(flow), 'B'), sort: 'bytes', wide: true },
				{ title: _('Age'), cell: (flow) => E('span', { 'class': 'nowrap' }, [ words.duration(flow.age_s) ]), sort: 'age', wide: true }
			],
			detail: details,
			actions: page.writable ? [ {
				label: (flow) => flow.bypassed_s == null ? _('To classic…') : _('Release…'),
				run: (flow, opener) => (flow.bypassed_s == null ? action.evict : action.release)(
					filterOf(flow), nameOf(flow), opener, page.refresh)
			} ] : []
		});
		this.node = E('div', {}, [ this.renderFilter(), this.table.node ].concat(this.renderActions()));
	}

	renderFilter() {
		this.inputs = {};

		const change = () => this.table.changed();
		const fields = FIELDS.map(([ name, label, choices ]) => {
			this.inputs[name] = choices
				? E('select', { 'class': 'cbi-input-select', change }, [ E('option', { 'value': '' }, [ _('all') ]) ]
					.concat(choices.map(([ value, text ]) => E('option', { value }, [ text ]))))
				: E('input', Object.assign({ 'class': 'cbi-input-text', change },
					name == 'port' ? { 'type': 'number', 'min': 1, 'max': 65535 } : { 'type': 'text' }), []);

			return E('label', {}, [ label, this.inputs[name] ]);
		});

		return E('form', { 'class': 'ft-row', 'submit': (event) => event.preventDefault() }, fields.concat([
			E('button', { 'type': 'button', 'class': 'btn cbi-button', 'click': () => this.filterBy({}, true) }, [ _('Clear') ])
		]));
	}

	renderActions() {
		if (!this.page.writable)
			return [];

		const press = (label, run) => E('button', {
			'class': 'btn cbi-button', 'click': (event) => run(event.currentTarget)
		}, [ label ]);
		const about = () => FIELDS.filter(([ name ]) => this.filter()[name] != null)
			.map(([ name, label ]) => '%s: %s'.format(label, this.filter()[name])).join(', ') || _('All flows');

		return [ E('p', { 'class': 'ft-row' }, [
			press(_('Return those that match…'), (opener) => action.evict(this.filter(), about(), opener, this.page.refresh)),
			press(_('Release those that match…'), (opener) => action.release(this.filter(), about(), opener, this.page.refresh)),
			press(_('Return all once…'), (opener) => action.flush(opener, this.page.refresh))
		]) ];
	}

	/** The arguments of the filter that is set, by name. */
	filter() {
		const filter = {};

		for (const [ name ] of FIELDS) {
			const value = this.inputs[name].value.trim();

			if (value != '')
				filter[name] = name == 'port' ? Number(value) : value;
		}

		return filter;
	}

	/** Sets the filter to these arguments; the daemon is asked `now`, or when the tab comes to the front. */
	filterBy(filter, now) {
		for (const [ name ] of FIELDS)
			this.inputs[name].value = filter[name] == null ? '' : filter[name];

		this.table.rewind();

		if (now)
			this.table.refresh();
	}

	ask() {
		return bus.flows(Object.assign(this.filter(), this.table.query()));
	}

	show(reply) {
		this.table.show(reply instanceof Error ? reply : reply.flows, reply.matched, reply.next);
	}
}

return baseclass.extend({
	create(page) {
		return new Flows(page);
	}
});
