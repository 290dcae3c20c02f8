// SPDX-License-Identifier: GPL-2.0-or-later
// The part of the configuration that names switch chips, which the daemon reaches by itself.
'use strict';
'require baseclass';
'require uci';
'require form';
'require tools.widgets as widgets';
'require flowtable.checks as checks';
'require flowtable.fields as fields';

// The same limit as in src/uci/switch.rs; one that is not enabled does not count.
const SWITCHES_MAX = 4;

const DRIVERS = { qca8337: 'QCA8337', ar8327: 'AR8327N', mt7530: 'MT7530', mt7621: 'MT7621' };
const FILLED = [ 'qca8337', 'ar8327' ];
// The kernel drives the other one.
const REACHED = FILLED.concat([ 'mt7530' ]);

// Other switches that the daemon reads.
function others(section_id) {
	return uci.sections('flowtable', 'switch').filter((other) => other['.name'] != section_id &&
		(other.enabled == null || fields.boolean(other.enabled) !== '0'));
}

function isRead(option, section_id) {
	return option.section.formvalue(section_id, 'enabled') !== '0';
}

// Either a bus or a device leads to the registers; nothing is stored under this name.
function addWay(section, buses) {
	const way = section.option(form.ListValue, '_way', _('Reached by'));

	way.modalonly = true;
	way.value('bus', _('an MDIO bus'));
	way.value('device', _('a network device'));
	way.load = (section_id) => uci.get('flowtable', section_id, 'device') ? 'device' : 'bus';
	way.write = way.remove = () => {};
	REACHED.forEach((driver) => way.depends('driver', driver));

	const bus = fields.single(section.option(form.Value, 'bus', _('MDIO bus'),
		_('By the kernel module mdio-netlink; a name as in /sys/class/mdio_bus.')), 'bus');

	bus.modalonly = true;
	bus.required = true;
	bus.depends('_way', 'bus');
	buses.forEach((name) => bus.value(name));

	const device = fields.devices(section.option(widgets.DeviceSelect, 'device', _('Device'),
		_('By its MII ioctls, where there is no mdio-netlink.')), 'device');

	device.modalonly = true;
	device.required = true;
	device.depends('_way', 'device');

	const force = fields.flag(section.option(form.Flag, 'force', _('No driver of the kernel uses it'),
		_('Only then is the switch touched by way of a device: where a driver does use it, that one may write to the wrong registers.')), '0');

	force.modalonly = true;
	force.depends('_way', 'device');
}

return baseclass.extend({
	/** The section of switches; `buses` are the names of the MDIO buses that there are. */
	add(map, buses) {
		const section = fields.grid(map, 'switch', _('Switches'),
			_('Chips whose registers the daemon reaches beside the driver of the kernel. None is touched that is not named here.'),
			_('Switch'));

		const name = section.option(form.Value, 'name', _('Name'), _('That of the driver unless given.'));

		name.validate = function(section_id, value) {
			const taken = isRead(this, section_id) ? others(section_id).map((other) => other.name || other.driver) : [];

			return checks.unique('switch', value || this.section.formvalue(section_id, 'driver') || '-', taken);
		};

		name.textvalue = (section_id) => E('span', {}, [
			uci.get('flowtable', section_id, 'name') || uci.get('flowtable', section_id, 'driver') || '-'
		]);

		const driver = section.option(form.ListValue, 'driver', _('Driver'),
			_('QCA8337 and AR8327N are filled with translated connections, the others only looked at.'));

		Object.keys(DRIVERS).forEach((key) => driver.value(key, DRIVERS[key]));
		driver.rmempty = false;
		fields.choice(driver, null);

		const known = driver.validate;

		driver.validate = function(section_id, value) {
			const good = known.call(this, section_id, value);

			return good === true && isRead(this, section_id)
				? checks.atMost(SWITCHES_MAX, others(section_id).length + 1, _('no more than 4 switches')) : good;
		};

		addWay(section, buses);

		const port = fields.list(section.option(form.DynamicList, 'port', _('Ports'),
			_('Network device, number of the port on the chip, and VLAN of its untagged frames there (1 unless given).')),
			'switch_port', function(section_id, values) {
				return checks.switchPorts(values, FILLED.includes(this.section.formvalue(section_id, 'driver')));
			});

		port.modalonly = true;
		port.placeholder = 'wan=5/2';
		REACHED.forEach((key) => port.depends('driver', key));

		const prefix = fields.single(section.option(form.Value, 'private', _('Private network'),
			_('The IPv4 prefix that is translated; that of the first port unless given.')), 'private');

		prefix.modalonly = true;
		prefix.placeholder = '192.168.1.0/24';
		FILLED.forEach((key) => prefix.depends('driver', key));

		fields.flag(section.option(form.Flag, 'enabled', _('Enabled')), '1');
	}
});
