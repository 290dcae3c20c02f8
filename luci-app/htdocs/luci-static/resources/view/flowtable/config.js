// SPDX-License-Identifier: GPL-2.0-or-later
// Network, Flow Offload: the firewall's switch and all of /etc/config/flowtable. What a form does
// not know stays as it is, and procd tells the daemon when something has been applied.
'use strict';
'require view';
'require poll';
'require dom';
'require fs';
'require uci';
'require form';
'require tools.widgets as widgets';
'require flowtable.bus as bus';
'require flowtable.words as words';
'require flowtable.checks as checks';
'require flowtable.fields as fields';
'require flowtable.rules as rules';
'require flowtable.switches as switches';

const POLL_S = 5;

// The same limits as in src/uci/flowtable.rs and src/core/plan.rs.
const DEVICES_MAX = 256;
const TABLE_DEVICES_MAX = 32;
const TABLES_MAX = 8;
const LEASE_FILES_MAX = 8;

// What the daemon makes of the configuration that is in force. It may differ from the one in the
// forms, and last_error tells why.
function renderState(status) {
	const more = E('a', { 'href': L.url('admin/status/flowtable') }, [ _('Status') + ' → ' + _('Flow Offload') ]);

	if (status instanceof Error)
		return [ E('div', { 'class': 'alert-message warning' }, [
			E('h4', {}, [ _('The daemon does not answer') ]),
			E('p', {}, [ _('The configuration can be changed all the same; it is read when the daemon starts.') ]),
			E('p', {}, [ more ])
		]) ];

	const warnings = Array.isArray(status.warnings) ? status.warnings : [];

	return [ E('p', {}, [
		words.badge(status.effective, status.effective != status.requested), ' ',
		words.reason(status), ' – ', more
	]) ].concat(status.last_error ? [ E('div', { 'class': 'alert-message error' }, [
		E('h4', {}, [ _('Last error') ]),
		E('p', { 'style': 'overflow-wrap:anywhere' }, [ status.last_error ])
	]) ] : []).concat(warnings.length ? [ E('div', { 'class': 'alert-message warning' }, [
		E('h4', {}, [ _('Configuration warnings') ])
	].concat(warnings.map((warning) => E('p', { 'style': 'overflow-wrap:anywhere' }, [ warning ])))) ] : []);
}

// What renderState shows; while that is the same a screen reader need not say it again.
function gist(status) {
	return status instanceof Error ? '' : JSON.stringify([ status.requested, status.effective, status.reason,
		status.detail, status.last_error, status.warnings ]);
}

// One choice for two options of the firewall, so that hardware without software cannot be asked for.
// The name is that of the choice, not of an option: nothing is stored under it.
function addSwitch(section, readable) {
	const option = section.option(form.ListValue, '_offload', _('Offload flows'),
		_('The same setting as on the firewall page. Not fully compatible with QoS/SQM.'));
	const defaults = () => uci.sections('firewall', 'defaults')[0]?.['.name'];
	const isOn = (name) => fields.boolean(uci.get('firewall', defaults(), name)) === '1';

	option.value('off', _('No'));
	option.value('software', _('In software'));
	option.value('hardware', _('In hardware where there is any, else in software'));
	option.readonly = readable ? null : true;

	option.load = () => isOn('flow_offloading') ? (isOn('flow_offloading_hw') ? 'hardware' : 'software') : 'off';

	option.write = (_section_id, value) => {
		const section_id = defaults() || uci.add('firewall', 'defaults');

		uci.set('firewall', section_id, 'flow_offloading', value == 'off' ? null : '1');
		uci.set('firewall', section_id, 'flow_offloading_hw', value == 'hardware' ? '1' : null);
	};
}

function addGlobal(map, readable) {
	const section = map.section(form.NamedSection, 'global', 'flowtable', _('General'));
	const flag = (name, preset, title, text) =>
		fields.flag(section.option(form.Flag, name, title, text), preset);

	addSwitch(section, readable);

	flag('enabled', '1', _('Make flowtables'),
		_('Otherwise the daemon only reports.'));
	flag('takeover', '1', _('Take the place of firewall4'),
		_('Otherwise the flowtable of firewall4 itself is left alone and only observed.'));
	flag('counter', '1', _('Count traffic'),
		_('Without it the traffic of offloaded flows is unknown.'));
	flag('accounting', '0', _('Switch accounting on'),
		_('Where conntrack does not count (nf_conntrack_acct). It is never switched off.'));
	flag('qos_bypass', '1', _('Leave out shaped devices'),
		_('Those with cake, htb, hfsc, tbf or cbq, as of SQM, or an ifb that has one of them.'));
	flag('evict_on_reload', '1', _('Hand flows back when rules change'),
		_('So that a new rule of the firewall applies to connections that are offloaded.'));

	let option = fields.single(section.option(form.Value, 'priority', _('Priority'),
		_('Of the flowtables at the ingress hook; lower runs earlier.')), 'integer');

	option.placeholder = '0';

	option = fields.single(section.option(form.Value, 'hardware_patience', _('Patience with hardware'),
		_('Seconds that a device may have flows and none in hardware, before it goes on in software. 0: for ever.')),
		'patience');
	option.placeholder = '180';

	option = fields.list(section.option(form.DynamicList, 'lease_file', _('Names of clients'),
		_('Files of leases or hosts. Those named here replace the usual ones.')), 'path',
		checks.upTo(LEASE_FILES_MAX, _('no more than 8 files')));
	option.placeholder = '/tmp/dhcp.leases';
}

function addDevices(map) {
	const section = fields.ordered(fields.grid(map, 'device', _('Devices'),
		_('What a device may be used for. The first entry with a matching name applies.'), _('Device')));

	const name = fields.devices(section.option(widgets.DeviceSelect, 'name', _('Device'),
		_('Names or patterns of *, ? and [a-z], for instance wlan*.')), 'glob', (section_id, values) => {
		const others = uci.sections('flowtable', 'device').filter((other) => other['.name'] != section_id)
			.reduce((sum, other) => sum + L.toArray(other.name).length, 0);

		return checks.atMost(DEVICES_MAX, others + values.length, _('no more than 256 device names in all'));
	});

	name.multiple = true;
	name.required = true;

	const offload = section.option(form.ListValue, 'offload', _('Offload'));

	offload.value('auto', _('as the switch and its abilities allow'));
	offload.value('hardware', _('the same, as an exception from a wider pattern below'));
	offload.value('software', _('never in hardware'));
	offload.value('off', _('not at all'));
	fields.choice(offload, 'auto');
}

function addTables(map) {
	const section = fields.bounded(fields.grid(map, 'table', _('Tables'),
		_('Further flowtables: what happens to one leaves the flows of the others alone.'), _('Table')),
		TABLES_MAX, _('no more than 8 tables'));

	rules.keepTables(section);

	const name = section.option(form.Value, 'name', _('Name'));

	name.rmempty = false;
	rules.renameTable(name);

	const device = fields.devices(section.option(widgets.DeviceSelect, 'device', _('Devices'),
		_('Flows between two of them go into this table; without any, those that rules send there.')), 'table_device',
		checks.upTo(TABLE_DEVICES_MAX, _('device names or patterns of *, ? and [a-z], 32 at most')));

	device.multiple = true;

	const hardware = section.option(form.Flag, 'hardware', _('In hardware'),
		_('When each of its devices offloads to hardware.'));

	fields.flag(hardware, '0');

	const priority = fields.single(section.option(form.Value, 'priority', _('Priority')), 'integer');

	priority.placeholder = _('as the others');

	const counter = section.option(form.ListValue, 'counter', _('Count traffic'));

	counter.modalonly = true;
	counter.value('', _('as the others'));
	counter.value('1', _('yes'));
	counter.value('0', _('no'));
	counter.optional = true;
	fields.choice(counter, null, fields.boolean);
}

return view.extend({
	load() {
		return Promise.all([
			bus.status(),
			uci.load('flowtable'),
			uci.load('firewall').then(() => true).catch(() => false),
			// The names of the MDIO buses; most routers have none to show.
			L.resolveDefault(fs.list('/sys/class/mdio_bus'), [])
		]);
	},

	render([ status, , readable, buses ]) {
		const node = E('div', { 'role': 'status' }, renderState(status));
		let shown = gist(status);
		const map = new form.Map('flowtable');

		map.chain('firewall');
		map.tabbed = true;

		// Its options can only be set where it is.
		if (!uci.get('flowtable', 'global'))
			uci.add('flowtable', 'flowtable', 'global');

		addGlobal(map, readable);
		addDevices(map);
		rules.add(map);
		addTables(map);
		switches.add(map, buses.map((entry) => entry.name));

		poll.add(() => document.hidden ? Promise.resolve() : bus.status().then((newer) => {
			if (gist(newer) != shown)
				dom.content(node, renderState(newer));
			shown = gist(newer);
		}), POLL_S);

		return map.render().then((form_node) => E('div', {}, [
			E('h2', {}, [ _('Flow Offload') ]),
			node,
			form_node
		]));
	}
});
