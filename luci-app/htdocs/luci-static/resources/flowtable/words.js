// SPDX-License-Identifier: GPL-2.0-or-later
// How the daemon's codes and values are put into words, for all pages. A value that the daemon
// leaves out is unknown and becomes a dash, never a zero.
'use strict';
'require baseclass';

const UNKNOWN = '-';

const STATES = [ 'classic', 'software', 'hardware' ];

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

// What the status of a failed call means, see the manual.
const FAILURES = {
	2: _('A value of the filter makes no sense.'),
	5: _('The list of connections cannot be read.'),
	6: _('This account may not do that.'),
	8: _('More than 4096 flows would be kept at once: narrow the filter.'),
	9: _('The kernel refused it.')
};

const BADGES = {
	software: 'label notice',
	mixed: 'label success',
	hardware: 'label success'
};

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

// `warn`: not as it should be.
function badge(path, warn) {
	if (path == null)
		return UNKNOWN;

	return E('span', {
		'class': warn ? 'label warning' : lookup(BADGES, path) || 'label'
	}, [ lookup(PATHS, path) || path ]);
}

// An address, with the port in the form that the command line takes. Two of IPv6 side by side are
// wider than the page unless they may be broken anywhere.
function endpoint(address, port) {
	const long = /:/.test(address);
	const text = port == null ? known(address) : (long ? '[%s]:%d' : '%s:%d').format(address, port);

	return long ? E('span', { 'style': 'overflow-wrap:anywhere' }, [ text ]) : text;
}

// A sum of which a part is unknown is unknown.
function sum(values) {
	return values.some((value) => value == null) ? null : values.reduce((a, b) => a + b, 0);
}

// A number with a unit's prefix, as text.
function amount(value, unit) {
	return value == null ? UNKNOWN : ('%1000.1m' + unit).format(value);
}

function scaled(value, unit) {
	return value == null ? UNKNOWN : E('span', { 'class': 'nowrap' }, [ amount(value, unit) ]);
}

// Seconds in the two greatest units.
function duration(seconds) {
	if (seconds == null)
		return UNKNOWN;

	const [ days, hours, minutes ] = [ 86400, 3600, 60 ].map((unit) => Math.floor(seconds / unit));

	return days ? _('%dd %dh').format(days, hours % 24)
		: hours ? _('%dh %dm').format(hours, minutes % 60)
			: minutes ? _('%dm %ds').format(minutes, seconds % 60) : _('%ds').format(seconds);
}

// LuCI puts the place in its own code behind the message, on a line of its own.
function firstLine(error) {
	return error.message.split('\n')[0];
}

// Why a call failed, in words where the daemon's status has any.
function failure(error) {
	const status = / ubus code (\d+)/.exec(error.message);

	return status && lookup(FAILURES, status[1]) || firstLine(error);
}

return baseclass.extend({
	UNKNOWN, STATES, REASONS, FLOW_REASONS, CAUSES, TAKEOVER, PATHS,
	lookup, known, yesNo, list, reason, badge, endpoint, sum, amount, scaled, duration, firstLine, failure
});
