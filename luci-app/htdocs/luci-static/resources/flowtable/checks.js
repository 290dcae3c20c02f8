// SPDX-License-Identifier: GPL-2.0-or-later
// What the daemon accepts in /etc/config/flowtable, with its own words for what it refuses: src/uci
// decides. A form that accepted more would have the whole file refused when it is applied.
'use strict';
'require baseclass';

const U64_MAX = '18446744073709551615';

// A number without a fraction in [low, high]; the sign '+' is the daemon's too.
function whole(text, low, high) {
	return (low < 0 ? /^[+-]?\d+$/ : /^\+?\d+$/).test(text) && +text >= low && +text <= high;
}

function digits(text, low, high) {
	return /^\d+$/.test(text) && +text >= low && +text <= high;
}

// Doubles are not exact there.
function isU64(text) {
	const number = /^\+?\d+$/.test(text) ? text.replace(/^\+?0*/, '') : null;

	return number != null && (number.length < U64_MAX.length ||
		(number.length == U64_MAX.length && number <= U64_MAX));
}

// What a name of the kernel's can be made of.
function isWord(text) {
	return /^[^\s/\x00-\x1f\x7f-\x9f]+$/.test(text) && text != '.' && text != '..';
}

function isDevice(text) {
	return isWord(text) && !text.includes(':') && new Blob([ text ]).size <= 15;
}

function isBus(text) {
	return isWord(text) && new Blob([ text ]).size <= 60;
}

// Brackets are closed and not empty; a ']' in the first place is a member of the set.
function isGlob(text) {
	return /^[^\s/\x00-\x1f\x7f-\x9f]+$/.test(text) && /^(?:[^[]|\[(?:![^]|[^!])[^\]]*\])*$/u.test(text);
}

function isIPv4(text) {
	const parts = text.split('.');

	return parts.length == 4 && parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part) && +part <= 255);
}

function isIPv6(text) {
	const mapped = text.match(/^(.*:)([^:]*\..*)$/);

	if (mapped)
		return isIPv4(mapped[2]) && isIPv6(mapped[1] + '0:0');

	const halves = text.split('::');
	const groups = halves.map((half) => half == '' ? [] : half.split(':')).reduce((a, b) => a.concat(b), []);

	return groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group)) &&
		(halves.length == 1 ? groups.length == 8 : halves.length == 2 && groups.length <= 7);
}

// The family of an address or prefix, null when it is neither.
function family(text) {
	const slash = text.indexOf('/');
	const address = slash < 0 ? text : text.slice(0, slash);
	const length = slash < 0 ? '0' : text.slice(slash + 1);

	if (isIPv4(address))
		return whole(length, 0, 32) ? 4 : null;

	return isIPv6(address) && whole(length, 0, 128) ? 6 : null;
}

function isPort(text) {
	const ends = /-/.test(text) ? [ text.slice(0, text.indexOf('-')), text.slice(text.indexOf('-') + 1) ] : [ text, text ];

	return ends.every((end) => whole(end, 0, 65535)) && +ends[0] <= +ends[1];
}

// Decimal, or hexadecimal behind 0x; null when it is no number of 32 bits.
function number(text) {
	return /^0x[0-9a-f]+$/i.test(text) || /^\+?\d+$/.test(text) ? (+text <= 0xffffffff ? +text : null) : null;
}

function isMark(text) {
	const slash = text.indexOf('/');
	const value = number(slash < 0 ? text : text.slice(0, slash));
	const mask = slash < 0 ? 0xffffffff : number(text.slice(slash + 1));

	return value != null && mask != null && mask != 0 && (value & ~mask) == 0;
}

function isDscp(text) {
	return /^(?:ef|be|le|cs[0-7]|af[1-4][1-3])$/i.test(text) || (number(text) != null && number(text) < 64);
}

// { device, port, vlan } of DEVICE=PORT[/VLAN], null when it is none.
function switchPort(text) {
	const match = text.match(/^(.*)=(\d+)(?:\/(\d+))?$/);

	return match && isDevice(match[1]) && digits(match[2], 0, 6) && digits(match[3] || '1', 1, 4094)
		? { device: match[1], port: +match[2], vlan: +(match[3] || 1) } : null;
}

function isPrivate(text) {
	const slash = text.indexOf('/');
	const length = text.slice(slash + 1);

	if (slash < 0 || !isIPv4(text.slice(0, slash)) || !digits(length, 8, 30))
		return false;

	const address = text.slice(0, slash).split('.').reduce((sum, part) => sum * 256 + +part, 0);

	return address % Math.pow(2, 32 - length) == 0;
}

// For each kind of value: whether it is one, and what is expected.
const KINDS = {
	integer: [ (text) => whole(text, -2147483648, 2147483647),
		_('a whole number from -2147483648 to 2147483647') ],
	patience: [ (text) => whole(text, 0, 86400) && (+text == 0 || +text >= 10),
		_('0 or a number of seconds from 10 to 86400') ],
	path: [ (text) => /^\/[^\x00-\x1f\x7f-\x9f]*$/.test(text),
		_('the path of a file, beginning with \'/\'') ],
	glob: [ isGlob, _('a device name or a pattern of *, ? and [a-z]') ],
	rule: [ (text) => Array.from(text).length <= 64 && !/[\x00-\x1f\x7f-\x9f]/.test(text),
		_('a text of at most 64 characters') ],
	address: [ (text) => family(text) != null, _('an address or a prefix of IPv4 or IPv6') ],
	port: [ isPort, _('a port from 0 to 65535, or two as in 8000-8099') ],
	dscp: [ isDscp, _('a name as EF, CS1 or AF41, or a number from 0 to 63') ],
	mark: [ isMark, _('a number of 32 bits, or VALUE/MASK with a bit in MASK and no others in VALUE') ],
	count: [ isU64, _('a whole number from 0 to 18446744073709551615') ],
	table: [ (text) => /^[a-z0-9_]{1,16}$/.test(text),
		_('a name of at most 16 small letters, digits and \'_\' that no table before has') ],
	table_device: [ isGlob, _('device names or patterns of *, ? and [a-z], 32 at most') ],
	'switch': [ (text) => /^[a-z0-9_-]{1,16}$/.test(text),
		_('a name of at most 16 small letters, digits, \'_\' and \'-\' that no switch before has') ],
	bus: [ isBus, _('the name of an MDIO bus, as in /sys/class/mdio_bus') ],
	device: [ isDevice, _('the name of a network device') ],
	switch_port: [ (text) => switchPort(text) != null,
		_('DEVICE=PORT or DEVICE=PORT/VLAN with a port from 0 to 6 and a VLAN from 1 to 4094') ],
	'private': [ isPrivate,
		_('an IPv4 prefix as 192.168.1.0/24, of 8 to 30 bits, without bits of a host') ]
};

function expecting(text) {
	return _('Expecting: %s').format(text);
}

/** True, or what is wrong with a value of a kind. */
function value(kind, text) {
	return KINDS[kind][0](text) || expecting(KINDS[kind][1]);
}

/** True, or what is wrong with the first that is wrong of several values. */
function values(kind, texts) {
	return texts.reduce((good, text) => good === true ? value(kind, text) : good, true);
}

/** True, or that the kind's words hold for a name that another section has. */
function unique(kind, text, others) {
	return others.includes(text) ? expecting(KINDS[kind][1]) : value(kind, text);
}

/** True, or that there are more than `most`; `text` is what is expected. */
function atMost(most, count, text) {
	return count <= most || expecting(text);
}

/** A judge of lists that have no more than `most` values. */
function upTo(most, text) {
	return (_section_id, texts) => atMost(most, texts.length, text);
}

/** True, or that addresses of both ends can belong to no connection. */
function families(sources, destinations) {
	const of = (texts, version) => !texts.length || texts.some((text) => family(text) == version);

	return [ 4, 6 ].some((version) => of(sources, version) && of(destinations, version)) ||
		expecting(_('an address of the family that the other addresses of the rule have'));
}

/** True, or what is wrong with the ports of a switch; a driver with a table needs two. */
function switchPorts(texts, filled) {
	const ports = texts.map(switchPort);
	const twice = (key) => new Set(ports.map((port) => port[key])).size < ports.length;

	if (ports.includes(null))
		return values('switch_port', texts);
	if (twice('device') || twice('port'))
		return expecting(_('each device and each port number once'));

	return !filled || ports.length >= 2 || expecting(_('two ports at least, one towards each side'));
}

return baseclass.extend({ expecting, value, values, unique, atMost, upTo, families, switchPorts });
