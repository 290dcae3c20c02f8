// SPDX-License-Identifier: GPL-2.0-or-later
// The part of the configuration that says which connections are offloaded, when and where, and
// what keeps the names of tables in step with it.
'use strict';
'require baseclass';
'require ui';
'require uci';
'require form';
'require tools.widgets as widgets';
'require flowtable.checks as checks';
'require flowtable.fields as fields';

// The same limit as in src/core/policy/layers.rs.
const RULES_MAX = 1024;

// What the words of option proto amount to; anything else is shown as it is.
const PROTOCOLS = [ [ '', _('any') ], [ 'tcp', 'TCP' ], [ 'udp', 'UDP' ], [ 'tcp udp', 'TCP, UDP' ], [ 'gre', 'GRE' ] ];
const PROTOCOL_NAMES = { '6': 'tcp', '17': 'udp', '47': 'gre', all: 'any' };

function protocols(stored) {
	const names = L.toArray(stored).map((word) => String(word).toLowerCase())
		.map((word) => PROTOCOL_NAMES[word] || word)
		.reduce((all, word) => all.concat(word == 'tcpudp' ? [ 'tcp', 'udp' ] : [ word ]), []);
	const sorted = Array.from(new Set(names)).sort().join(' ');

	return sorted == 'any' ? '' : sorted;
}

function tableNames() {
	return uci.sections('flowtable', 'table').map((table) => table.name).filter((name) => name);
}

function users(table) {
	return uci.sections('flowtable', 'rule').filter((rule) => table != null && rule.table === table);
}

// What a rule is about, in one line.
function summary(section_id) {
	const rule = uci.get('flowtable', section_id) || {};
	const many = (value) => L.toArray(value).join(', ');
	const end = (zone, address, port) => [
		zone == null || zone == '*' ? _('any') : zone, many(address), port == null ? '' : ':' + many(port)
	].filter((part) => part).join(' ');
	const parts = [
		'%s → %s'.format(end(rule.src, rule.src_ip, rule.src_port), end(rule.dest, rule.dest_ip, rule.dest_port)),
		protocols(rule.proto).toUpperCase().replace(' ', ', ')
	].concat([ [ 'DSCP', rule.dscp ], [ _('Mark'), rule.mark ], [ _('Device'), rule.device ] ].map(
		(pair) => pair[1] == null ? '' : '%s %s'.format(pair[0], many(pair[1]))));

	return E('span', { 'style': 'overflow-wrap:anywhere' }, [ parts.filter((part) => part).join('; ') ]);
}

// What a rule does, in one line.
function outcome(section_id) {
	const rule = uci.get('flowtable', section_id) || {};

	if (rule.target != 'offload')
		return E('span', {}, [ _('classic path') ]);

	return E('span', {}, [ [
		_('offload'),
		rule.table && _('into %s').format(rule.table),
		rule.min_packets && _('after %s packets').format(rule.min_packets),
		rule.min_bytes && _('after %s bytes').format(rule.min_bytes)
	].filter((part) => part).join(', ') ]);
}

function addMatch(section) {
	const ports = (name, title) => {
		const option = fields.list(section.taboption('match', form.DynamicList, name, title), 'port');

		option.modalonly = true;
		option.placeholder = '8000-8099';
		// Other protocols have none.
		[ '', 'tcp', 'udp', 'tcp udp' ].forEach((proto) => option.depends('proto', proto));
	};
	const addresses = (name, title, whole) => {
		const option = fields.list(section.taboption('match', form.DynamicList, name, title), 'address', whole);

		option.modalonly = true;
		option.placeholder = '192.168.1.0/24';
	};
	const proto = section.taboption('match', form.ListValue, 'proto', _('Protocol'));

	proto.modalonly = true;
	proto.optional = true;
	PROTOCOLS.forEach((pair) => proto.value(...pair));
	fields.choice(proto, null, protocols);
	proto.write = function(section_id, value) {
		uci.set('flowtable', section_id, 'proto', value.includes(' ') ? value.split(' ') : value);
	};

	fields.zone(section, 'match', 'src', _('Source zone'));
	addresses('src_ip', _('Source address'));
	ports('src_port', _('Source port'));
	fields.zone(section, 'match', 'dest', _('Destination zone'));
	addresses('dest_ip', _('Destination address'), function(section_id, values) {
		return checks.families(L.toArray(this.section.formvalue(section_id, 'src_ip')), values);
	});
	ports('dest_port', _('Destination port'));

	const dscp = fields.list(section.taboption('packet', form.DynamicList, 'dscp', 'DSCP',
		_('Of the packet; a connection is meant while one direction carries it.')), 'dscp');

	dscp.modalonly = true;
	dscp.placeholder = 'EF';

	const mark = fields.single(section.taboption('packet', form.Value, 'mark', _('Mark'),
		_('Of the connection in conntrack.')), 'mark');

	mark.modalonly = true;
	mark.placeholder = '0x10/0xf0';

	const device = fields.devices(section.taboption('packet', widgets.DeviceSelect, 'device', _('Device'),
		_('At either end, as routing sees it; a name or a pattern of *, ? and [a-z].')), 'glob');

	device.modalonly = true;
}

function addAction(section) {
	const target = section.taboption('general', form.ListValue, 'target', _('Connections that match'));

	target.modalonly = true;
	target.value('bypass', _('stay on the classic path'));
	target.value('offload', _('are offloaded'));
	fields.choice(target, 'bypass');

	const table = section.taboption('general', form.ListValue, 'table', _('Table'));

	table.modalonly = true;
	table.optional = true;
	fields.choice(table, null);
	table.choices = () => [ [ '', _('as the others') ] ].concat(tableNames().map((name) => [ name, name ]));
	table.depends('target', 'offload');

	[ [ 'min_packets', _('Not before so many packets') ], [ 'min_bytes', _('Not before so many bytes') ] ].forEach((pair) => {
		const option = fields.single(section.taboption('general', form.Value, ...pair), 'count');

		option.modalonly = true;
		option.placeholder = '0';
		option.depends('target', 'offload');
	});
}

return baseclass.extend({
	/** The section of rules. */
	add(map) {
		const section = fields.bounded(fields.ordered(fields.grid(map, 'rule', _('Rules'),
			_('The first rule that matches a connection decides; one that none matches is offloaded.'), _('Rule'))),
			RULES_MAX, _('no more than 1024 rules'));

		section.tab('general', _('General'));
		section.tab('match', _('Connections'));
		section.tab('packet', _('More'));

		const name = fields.single(section.taboption('general', form.Value, 'name', _('Name'),
			_('Shown as the reason of the flows that it keeps on the classic path.')), 'rule');

		name.textvalue = function(section_id) {
			return E('span', {}, [ this.cfgvalue(section_id) || '-' ]);
		};

		[ [ '_match', _('Connections'), summary ], [ '_action', _('Effect'), outcome ] ].forEach((column) => {
			const option = section.taboption('general', form.DummyValue, column[0], column[1]);

			option.modalonly = false;
			option.textvalue = column[2];
		});

		addAction(section);
		addMatch(section);

		const enabled = fields.flag(section.taboption('general', form.Flag, 'enabled', _('Enabled')), '1');

		enabled.modalonly = false;
		enabled.editable = true;
	},

	/** A table that rules name cannot be deleted: the daemon would refuse the rules. */
	keepTables(section) {
		section.handleRemove = function(section_id, ev) {
			const name = uci.get('flowtable', section_id, 'name');

			if (!users(name).length)
				return form.GridSection.prototype.handleRemove.call(this, section_id, ev);

			ui.addNotification(null, E('p', {}, [ _('Rules send connections into the table %s.').format(name) ]), 'warning');
		};
	},

	/** The rules that name a table follow when it gets another name. */
	renameTable(option) {
		option.validate = (section_id, value) => checks.unique('table', value,
			uci.sections('flowtable', 'table').filter((other) => other['.name'] != section_id).map((other) => other.name));

		option.write = function(section_id, value) {
			users(this.cfgvalue(section_id)).forEach((rule) => uci.set('flowtable', rule['.name'], 'table', value));

			return form.Value.prototype.write.call(this, section_id, value);
		};
	}
});
