// SPDX-License-Identifier: GPL-2.0-or-later
// How the daemon's codes and values are put into words, for all pages. A value that the daemon
// leaves out is unknown and becomes a dash, never a zero.
'use strict';
'require baseclass';

const UNKNOWN = '-';

const STATES = [ 'classic', 'software', 'hardware' ];

// What became of firewall4's own flowtable and rule.
const TAKEOVER = {
	none: _('none'),
	left: _('in force'),
	taken: _('taken over')
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

// A sentence of the daemon's: po/templates/daemon.js has them for translators.
function said(sentence) {
	return sentence ? _(sentence) : UNKNOWN;
}

function reason(object) {
	return object.detail ? '%s (%s)'.format(said(object.reason_text), object.detail) : said(object.reason_text);
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
	UNKNOWN, STATES, TAKEOVER, PATHS, lookup, known, yesNo, list, said, reason, badge, endpoint, sum, amount, scaled, duration, firstLine, failure
});
