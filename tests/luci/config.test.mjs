// SPDX-License-Identifier: GPL-2.0-or-later
// The page of the configuration: what it reads, refuses and writes. With the path of a daemon in
// FLOWTABLED that daemon judges the same values, and what the page has written.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

import { open, text } from './luci_form.mjs';

const status = (kind) => JSON.parse(readFileSync(new URL(`replies/status-${kind}.json`, import.meta.url), 'utf8'));
const GONE = new Error('RPC call to flowtable/status failed with error -32000: Object not found');

const FIREWALL = [
	[ 'defaults', { input: 'REJECT' } ],
	[ 'zone', { name: 'lan', network: [ 'lan' ] } ],
	[ 'zone', { name: 'wan', network: [ 'wan' ] } ]
];
const NETWORK = [ [ 'interface', { device: 'br-lan', proto: 'static' }, 'lan' ] ];
const GLOBAL = [ 'flowtable', {}, 'global' ];

const daemon = process.env.FLOWTABLED;
const dir = daemon && mkdtempSync(join(tmpdir(), 'flowtable-'));

after(() => dir && rmSync(dir, { recursive: true }));

/** True, or what the daemon expects instead. */
function judged(sections) {
	writeFileSync(join(dir, 'firewall'), text(FIREWALL));
	writeFileSync(join(dir, 'network'), text(NETWORK));
	writeFileSync(join(dir, 'flowtable'), text(sections));

	const run = spawnSync(daemon, [ '--check', '--config-dir', dir ], { encoding: 'utf8' });

	assert.ok(run.status == 0 || run.status == 3, `${run.status} ${run.stderr}`);

	return run.status == 0 || (run.stderr.match(/, expected (.*)\n/)?.[1] ?? run.stderr.trim());
}

const page = (sections, firewall = FIREWALL, global = {}) =>
	open({ flowtable: structuredClone([ [ 'flowtable', global, 'global' ], ...sections ]), firewall: structuredClone(firewall) }, { status: status('mixed') });

const RULE = [ 'rule', { target: 'offload' } ];
const QCA = [ 'switch', { driver: 'qca8337', bus: 'b', port: [ 'lan=1', 'wan=2' ] } ];
const NUL = /[\0\n]/;

// For a section: its option, values that are accepted, values that are not, and whether it is a list.
const TABLE = [
	[ GLOBAL, 'priority', [ '0', '-10', '+5', '2147483647', '-2147483648' ],
		[ '1k', '2147483648', '-2147483649', '1.5', ' 1', '0x10', '--1', '+' ] ],
	[ GLOBAL, 'hardware_patience', [ '0', '10', '86400', '+180', '00' ], [ '9', '86401', '-1', '1h', '1e3' ] ],
	[ GLOBAL, 'lease_file', [ '/tmp/dhcp.leases', '/b c', '/' ], [ 'b', './a', '/a\tb', ' /a' ], true ],
	[ [ 'device', { name: [ 'x' ] } ], 'name', [ 'eth0', '*', 'wl?', '[]x]', '[!]a]', 'a[b-d]e[f]', ']', 'a[[]', 'eth0.7', 'a=b:c' ],
		[ '[', '[]', '[!]', 'a[b', 'a/b', 'a[b][', '[!', '[!]x[' ], true ],
	[ RULE, 'name', [ 'a b', 'ä'.repeat(64), '😀'.repeat(64) ], [ 'x'.repeat(65), 'a\tb', '\u0085' ] ],
	[ RULE, 'src_ip', [ '10.0.0.0/8', '1.2.3.4', '0.0.0.0/0', 'fd00::1', '::', '::/0', '::1/128', '1:2:3:4:5:6:7::', '::2:3:4:5:6:7:8',
		'1:2:3:4:5:6:7:8', '::ffff:1.2.3.4', '1:2:3:4:5:6:1.2.3.4', '64:ff9b::1.2.3.4/96', 'FD00::/+8', '1.2.3.4/08' ],
	[ 'host', '10.0.0.0/33', '10.0.0/8', '010.0.0.1', '256.0.0.1', '1.2.3.4.5', '1.2.3.4/', '1.2.3.4/255.0.0.0', '1.2.3.4/-1', '::/129',
		':', ':::', '1::2::3', '12345::', '1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9', '1:2:3:4:5:6:7:8::', ':1::', '1:', 'g::', '::1%eth0',
		'1.2.3.4::', '::1.2.3', '1:2:3:4:5:6:7:1.2.3.4', '1:2:3:4:5:6::1.2.3.4', '[::1]', '/8' ], true ],
	[ RULE, 'dest_port', [ '80', '0', '65535', '8000-8099', '80-80', '+80', '0080', '+1-+2' ],
		[ '65536', '90-80', 'http', '-1', '1-', '1-2-3', '80:90', '8 0', '1.0' ], true ],
	[ RULE, 'dscp', [ 'EF', 'ef', 'CS0', 'cs7', 'AF11', 'af43', 'BE', 'LE', '0', '63', '0x2e', '0X3f', '+5' ],
		[ 'EE', '64', 'CS8', 'CS', 'CS10', 'AF', 'AF1', 'AF44', 'AF50', 'AF411', '-1', 'CS/', '0x40', '0x', '0x+5', '+0x5' ], true ],
	[ RULE, 'mark', [ '0', '1', '0x10', '0x10/0xf0', '4294967295', '0xffffffff/0xffffffff', '0/1', '+7', '2147483648/0x80000000' ],
		[ '0x10/0x0f', '1/0', '4294967296', '', '/', '1/', '/1', '0x', '0x1ffffffff', '-1', '1/2/3', '0x80000000/0x7fffffff' ]
			.filter((value) => value) ],
	[ RULE, 'device', [ 'wl*', 'br-lan', '[!]a]' ], [ 'br[', 'a/b', '[]' ] ],
	[ RULE, 'min_packets', [ '0', '7', '18446744073709551615', '+1', '000000000000000000000000007' ],
		[ '18446744073709551616', '-1', '1k', '1.0', '99999999999999999999', '0x10' ] ],
	[ RULE, 'min_bytes', [ '1000' ], [ '1 000' ] ],
	[ [ 'table', { name: 'x' } ], 'name', [ 'a', 'b_2', 'sixteen_letters_', '0' ], [ 'A', 'a-b', 'seventeen_letters', 'ä', 'a b', 'a.b' ] ],
	[ [ 'table', { name: 'x' } ], 'device', [ 'br-*', 'wan', '[a-z]' ], [ '[', 'a/b' ], true ],
	[ [ 'table', { name: 'x' } ], 'priority', [ '-5' ], [ 'high' ] ],
	[ QCA, 'name', [ 'main', 'main-1_a', 'sixteen-letters_' ], [ 'A', 'a b', 'seventeen-letters', 'ä', 'a/b', 'a.b' ] ],
	[ QCA, 'bus', [ '90000.mdio-1', 'b'.repeat(60), 'ä'.repeat(30), 'a:b' ], [ '.', '..', 'a/b', 'a b', 'b'.repeat(61), 'ä'.repeat(31) ] ],
	[ QCA, 'private', [ '10.0.0.0/8', '192.168.1.4/30', '192.168.0.0/20', '192.168.1.0/024' ],
		[ '192.168.1.0', '192.168.1.0/31', '192.0.0.0/7', '0.0.0.0/0', '192.168.1.1/24', '192.168.1.128/24', '192.168.1.0/+24',
			'192.168.1.0/255.255.255.0', '192.168.1/24', 'fd00::/16', '192.168.1.0/' ] ],
	[ [ 'switch', { driver: 'ar8327', device: 'eth0', port: [ 'lan=1', 'wan=2' ] } ], 'device', [ 'eth0', 'fifteen_letters', 'a=b' ],
		[ '.', '..', 'a/b', 'a:1', 'sixteen_letters_' ] ],
	[ QCA, 'port', [ 'lan1=0', 'lan1=6/4094', 'lan=x=3', 'lan1=03/01' ],
		[ 'lan1', 'lan1=', '=1', 'lan1=7', 'lan1=-1', 'lan1=+3', 'lan1=3/0', 'lan1=3/4095', 'lan1=3/', 'lan1=a', 'a b=3', 'a/b=3',
			'sixteen_letters_=3', 'lan1=3/+2', 'a:b=3', 'lan1=3/2/1' ], true ]
];

for (const [ section, option, good, bad, isList ] of TABLE)
	test(`config ${section[0]}: ${option}`, async () => {
		const edited = await page(section === GLOBAL ? [] : [ section ]);
		const id = section === GLOBAL ? 'global' : edited.id(section[0]);
		// Ports are wanted beside one another.
		const value = (word) => isList ? (option == 'port' ? [ 'wan=5/2', word ] : [ word ]) : word;

		for (const word of [ ...good, ...bad ]) {
			const faults = edited.fill(section[0], id, { [option]: value(word) });

			assert.equal(faults.length == 0, good.includes(word), `the page about '${word}': ${faults}`);
			if (!daemon || NUL.test(word))
				continue;

			const changed = [ section[0], { ...section[1], [option]: value(word) }, section[2] ];
			const expected = judged(section === GLOBAL ? [ changed ] : [ GLOBAL, changed ]);

			assert.equal(expected === true, good.includes(word), `the daemon about '${word}': ${expected}`);
			if (expected !== true)
				assert.equal(faults[0], `Expecting: ${expected}`, `about '${word}'`);
		}
	});

/** Letters by which a value of a kind can just about be right or wrong. */
const LETTERS = {
	src_ip: '0125:.:./f', dest_port: '0129-+', dscp: 'cCsSaAfFeE0148x+', mark: '01xfF/+', device: '[]!a*-', min_packets: '0189+-'
};

test('the page and the daemon agree on any value', { skip: !daemon && 'no daemon in FLOWTABLED' }, async () => {
	let seed = 7;
	const random = (below) => (seed = (seed * 1103515245 + 12345) % 2147483648) % 65536 % below;
	const edited = await page([ RULE ]);
	const seen = { true: 0, false: 0 };

	for (const [ option, letters ] of Object.entries(LETTERS))
		for (let turn = 0; turn < 60; turn++) {
			const word = Array.from({ length: 1 + random(7) }, () => letters[random(letters.length)]).join('');
			const value = [ 'src_ip', 'dest_port', 'dscp' ].includes(option) ? [ word ] : word;
			const accepted = edited.fill('rule', edited.id('rule'), { [option]: value }).length == 0;

			assert.equal(accepted, judged([ [ 'rule', { ...RULE[1], [option]: value } ] ]) === true, `${option} '${word}'`);
			edited.option('rule', option).typed = {};
			seen[accepted]++;
		}

	assert.ok(seen.true > 40 && seen.false > 40, JSON.stringify(seen));
});

/** All sections as the page leaves them; the daemon, if there is one, must accept them. */
function left(edited) {
	const sections = edited.uci.files.flowtable;

	if (daemon)
		assert.equal(judged(sections), true, text(sections));

	return sections;
}

test('what is not touched is not written, in whichever form it stands', async () => {
	const sections = [
		[ 'device', { name: 'wlan* eth0', offload: 'off' } ],
		[ 'rule', { name: 'a', src: '*', proto: 'UDP', dest_port: '80 443', src_ip: [ '10.0.0.1' ], enabled: 'yes', colour: 'blue' } ],
		[ 'rule', { proto: 'any', target: 'offload', min_packets: '5', table: 't' } ],
		[ 'rule', { proto: 'tcpudp', dscp: 'EF CS1', mark: '0x1/0x1', device: 'wl*', dest: 'wan' } ],
		[ 'table', { name: 't', counter: 'off', hardware: 'true', device: 'wan lan*', priority: '-5' } ],
		[ 'switch', { driver: 'qca8337', device: 'eth0', force: 'on', port: 'lan=1 wan=2', private: '10.0.0.0/8' } ],
		[ 'switch', { driver: 'mt7621', enabled: '0' } ]
	];
	const edited = await page(sections, [ [ 'defaults', { flow_offloading: 'on', flow_offloading_hw: 'true' } ], ...FIREWALL.slice(1) ],
		{ enabled: 'on', counter: '1', accounting: 'no', takeover: '0', priority: '0', lease_file: '/a /b' });

	for (const section of [ GLOBAL, ...sections ])
		for (const { '.name': id } of edited.uci.sections('flowtable', section[0])) {
			await edited.save(section[0], id);
			assert.deepEqual(edited.uci.writes, [], `${section[0]} ${id}`);
		}

	left(edited);
});

test('every option of a rule can be set, and what the page does not know stays', async () => {
	const edited = await page([ [ 'table', { name: 'bulk' } ], [ 'rule', { colour: 'blue' } ] ]);
	const id = edited.id('rule');
	const faults = edited.fill('rule', id, {
		name: 'voice', target: 'offload', table: 'bulk', min_packets: '7', min_bytes: '1000', proto: 'tcp udp', src: 'lan', dest: 'wan',
		src_ip: [ '10.0.0.0/8', 'fd00::/8' ], dest_ip: [ '2001:db8::1' ], src_port: [ '1024-65535' ], dest_port: [ '80', '443' ],
		dscp: [ 'EF' ], mark: '0x10/0xf0', device: 'wl*', enabled: '0'
	});

	assert.deepEqual(faults, []);
	await edited.save('rule', id);
	assert.deepEqual(edited.uci.get('flowtable', id), {
		colour: 'blue', name: 'voice', target: 'offload', table: 'bulk', min_packets: '7', min_bytes: '1000', proto: [ 'tcp', 'udp' ],
		src: 'lan', dest: 'wan', src_ip: [ '10.0.0.0/8', 'fd00::/8' ], dest_ip: [ '2001:db8::1' ], src_port: [ '1024-65535' ],
		dest_port: [ '80', '443' ], dscp: [ 'EF' ], mark: '0x10/0xf0', device: 'wl*', enabled: '0'
	});
	left(edited);

	// The daemon does not read a rule that is not enabled.
	edited.fill('rule', id, { enabled: '1' });
	await edited.save('rule', id);
	assert.equal(edited.uci.get('flowtable', id, 'enabled'), null);
	left(edited);

	edited.fill('rule', id, { src: '*', proto: '', dscp: [], device: '', name: '' });
	await edited.save('rule', id);
	for (const option of [ 'src', 'proto', 'dscp', 'device', 'name' ])
		assert.equal(edited.uci.get('flowtable', id, option), null, option);
	left(edited);
});

test('what a choice has no use for is hidden and taken away', async () => {
	const edited = await page([
		[ 'rule', { target: 'offload', min_packets: '5', table: 't', proto: 'tcp', dest_port: [ '80' ] } ], [ 'table', { name: 't' } ],
		[ 'switch', { driver: 'qca8337', device: 'eth0', force: '1', port: [ 'a=1', 'b=2' ], private: '10.0.0.0/8' } ]
	]);
	const [ rule, chip ] = [ edited.id('rule'), edited.id('switch') ];
	const active = (type, id) => edited.section(type).children.filter((option) => option.isActive(id)).map((option) => option.option);

	assert.deepEqual(edited.fill('rule', rule, { target: 'bypass', proto: 'gre' }), []);
	assert.ok(![ 'min_packets', 'min_bytes', 'table', 'src_port', 'dest_port' ].some((name) => active('rule', rule).includes(name)));
	await edited.save('rule', rule);
	assert.deepEqual(edited.uci.get('flowtable', rule), { target: 'bypass', proto: 'gre' });

	assert.deepEqual(edited.fill('switch', chip, { way: 'bus', bus: '90000.mdio-1' }), []);
	await edited.save('switch', chip);
	assert.deepEqual(edited.uci.get('flowtable', chip),
		{ driver: 'qca8337', bus: '90000.mdio-1', port: [ 'a=1', 'b=2' ], private: '10.0.0.0/8' });
	left(edited);

	assert.deepEqual(edited.fill('switch', chip, { driver: 'mt7530' }), []);
	await edited.save('switch', chip);
	assert.deepEqual(edited.uci.get('flowtable', chip), { driver: 'mt7530', bus: '90000.mdio-1', port: [ 'a=1', 'b=2' ] });
	left(edited);

	assert.deepEqual(edited.fill('switch', chip, { driver: 'mt7621' }), []);
	assert.deepEqual(active('switch', chip), [ 'name', 'driver', 'enabled' ]);
	await edited.save('switch', chip);
	assert.deepEqual(edited.uci.get('flowtable', chip), { driver: 'mt7621' });
	left(edited);
});

test('values that do not go together are refused', async () => {
	const refused = async (sections, type, values, expected, place = 0) => {
		const edited = await page(sections);
		const id = type == 'flowtable' ? 'global' : edited.id(type, place);

		assert.deepEqual(edited.fill(type, id, values), [ `Expecting: ${expected}` ]);
		if (!daemon)
			return;

		// As it would have been written.
		Object.assign(edited.uci.find('flowtable', id)[1], values);
		assert.equal(judged(edited.uci.files.flowtable), expected);
	};
	const chip = (name) => [ 'switch', { driver: 'mt7621', name } ];
	const numbers = (count) => Array.from({ length: count }, (_value, i) => i);
	const names = numbers(33).map((i) => `x${i}`);

	await refused([ RULE ], 'rule', { src_ip: [ '10.0.0.1' ], dest_ip: [ 'fd00::1' ] },
		'an address of the family that the other addresses of the rule have');
	await refused([ QCA ], 'switch', { port: [ 'wan=5', 'lan=5' ] }, 'each device and each port number once');
	await refused([ QCA ], 'switch', { port: [ 'wan=5', 'wan=4' ] }, 'each device and each port number once');
	await refused([ QCA ], 'switch', { port: [ 'wan=5' ] }, 'two ports at least, one towards each side');
	await refused([ GLOBAL ], 'flowtable', { lease_file: names.slice(0, 9).map((name) => '/' + name) }, 'no more than 8 files');
	await refused([ [ 'table', { name: 'a' } ] ], 'table', { device: names }, 'device names or patterns of *, ? and [a-z], 32 at most');
	await refused([ [ 'table', { name: 'a' } ], [ 'table', { name: 'b' } ] ], 'table', { name: 'a' },
		'a name of at most 16 small letters, digits and \'_\' that no table before has', 1);
	await refused([ chip('a'), chip('b') ], 'switch', { name: 'a' },
		'a name of at most 16 small letters, digits, \'_\' and \'-\' that no switch before has', 1);
	await refused([ ...numbers(7).map((i) => [ 'device', { name: names.slice(0, 32) } ]), [ 'device', { name: [ 'a' ] } ] ],
		'device', { name: names }, 'no more than 256 device names in all', 7);
});

test('a name that goes without saying counts as one', async () => {
	const edited = await page([ [ 'switch', { driver: 'mt7621' } ], [ 'switch', { driver: 'mt7530', bus: 'b' } ] ]);
	const faults = edited.fill('switch', edited.id('switch', 1), { driver: 'mt7621' });

	assert.match(faults.join(), /that no switch before has/);
	assert.deepEqual(edited.fill('switch', edited.id('switch', 1), { name: 'other' }), []);
	assert.match(edited.fill('switch', edited.id('switch', 1), { name: '' }).join(), /that no switch before has/);
	// One that is not enabled has no name that others could not have.
	assert.deepEqual(edited.fill('switch', edited.id('switch', 1), { enabled: '0' }), []);

	const after = await page([ [ 'switch', { driver: 'mt7621', enabled: 'off' } ], [ 'switch', { driver: 'mt7621' } ] ]);

	assert.deepEqual(after.faults('switch', after.id('switch', 1)), []);
	left(after);
});

test('there are bounds on sections', async () => {
	const tables = Array.from({ length: 8 }, (_value, i) => [ 'table', { name: `t${i}` } ]);
	const edited = await page(tables.slice(1));

	assert.equal(edited.section('table').renderSectionAdd(), 'add');
	await edited.add('table');
	assert.equal(edited.section('table').renderSectionAdd().text, 'Expecting: no more than 8 tables');

	const chips = Array.from({ length: 4 }, (_value, i) => [ 'switch', { driver: 'mt7621', name: `s${i}` } ]);
	const four = await page(chips);
	const fifth = await four.add('switch');

	assert.deepEqual(four.fill('switch', fifth, { driver: 'mt7621', name: 'fifth' }), [ 'Expecting: no more than 4 switches' ]);
	if (daemon)
		assert.equal(judged([ ...chips, [ 'switch', { driver: 'mt7621', name: 'fifth' } ] ]), 'no more than 4 switches');
	assert.deepEqual(four.fill('switch', fifth, { enabled: '0' }), []);
});

test('a new section cannot be saved before it says what is needed', async () => {
	const edited = await page([]);
	const [ device, table, chip, rule ] = [ await edited.add('device'), await edited.add('table'), await edited.add('switch'), await edited.add('rule') ];

	assert.deepEqual(edited.faults('device', device), [ 'Expecting: a device name or a pattern of *, ? and [a-z]' ]);
	assert.deepEqual(edited.faults('table', table), [ 'must not be empty' ]);
	assert.deepEqual(edited.faults('switch', chip),
		[ 'Expecting: the name of an MDIO bus, as in /sys/class/mdio_bus', 'Expecting: two ports at least, one towards each side' ]);
	assert.deepEqual(edited.faults('rule', rule), []);
	assert.match(edited.fill('switch', chip, { way: 'device' }).join(), /^Expecting: the name of a network device,/);
	edited.fill('switch', chip, { way: 'bus' });

	edited.fill('device', device, { name: [ 'eth0', 'wlan*' ], offload: 'software' });
	edited.fill('table', table, { name: 'bulk', device: [ 'eth0' ], counter: '0', hardware: '1' });
	edited.fill('switch', chip, { bus: 'b', port: [ 'lan=1', 'wan=2/2' ] });
	edited.fill('rule', rule, { target: 'offload', min_bytes: '9' });
	await edited.save('device', device);
	await edited.save('table', table);
	await edited.save('switch', chip);
	// The table is there to choose now.
	edited.fill('rule', rule, { table: 'bulk' });
	await edited.save('rule', rule);
	assert.deepEqual(left(edited).slice(1).map(([ type, options ]) => [ type, options ]), [
		[ 'device', { name: [ 'eth0', 'wlan*' ], offload: 'software' } ],
		[ 'table', { name: 'bulk', device: [ 'eth0' ], counter: '0', hardware: '1' } ],
		[ 'switch', { driver: 'qca8337', bus: 'b', port: [ 'lan=1', 'wan=2/2' ] } ],
		[ 'rule', { target: 'offload', min_bytes: '9', table: 'bulk' } ]
	]);
});

test('what is stored and is no choice is shown and refused, not silently another one', async () => {
	const edited = await page([
		[ 'rule', { src: 'dmz', target: 'drop', proto: 'icmp' } ], [ 'rule', { target: 'offload', table: 'gone' } ],
		[ 'device', { name: 'eth0', offload: 'on' } ], [ 'switch', { driver: 'mt7620' } ]
	]);
	const refused = async (type, place, count) =>
		assert.equal((await edited.edit(type, edited.id(type, place))).length, count, `${type} ${place}`);

	await refused('rule', 0, 3);
	await refused('rule', 1, 1);
	await refused('device', 0, 1);
	await refused('switch', 0, 1);
	await edited.edit('rule', edited.id('rule'));
	assert.deepEqual(edited.fill('rule', edited.id('rule'), { src: 'lan', target: 'bypass', proto: '' }), []);
	await edited.edit('rule', edited.id('rule', 1));
	assert.deepEqual(edited.fill('rule', edited.id('rule', 1), { table: '' }), []);
});

test('a value that is no boolean is replaced by one', async () => {
	const edited = await page([], FIREWALL, { counter: 'YES', accounting: [ '1' ] });

	await edited.save('flowtable', 'global');
	assert.equal(edited.uci.get('flowtable', 'global', 'counter'), '0');
	assert.equal(edited.uci.get('flowtable', 'global', 'accounting'), null);
	left(edited);
});

test('rules follow the name of a table, and keep it from being deleted', async () => {
	const edited = await page([ [ 'table', { name: 'a' } ], [ 'table', { name: 'b' } ], [ 'rule', { target: 'offload', table: 'a' } ] ]);
	const [ table, rule ] = [ edited.id('table'), edited.id('rule') ];

	edited.fill('table', table, { name: 'c' });
	await edited.save('table', table);
	assert.equal(edited.uci.get('flowtable', rule, 'table'), 'c');
	left(edited);

	edited.section('table').handleRemove(table);
	assert.equal(edited.uci.sections('flowtable', 'table').length, 2);
	assert.deepEqual(edited.notes, [ 'Rules send connections into the table c.' ]);
	edited.section('table').handleRemove(edited.id('table', 1));
	assert.deepEqual(edited.uci.sections('flowtable', 'table').map((left) => left.name), [ 'c' ]);
	left(edited);
});

test('the switch reads and writes the two options of the firewall', async () => {
	const edited = await page([], [ [ 'defaults', { flow_offloading_hw: '1', input: 'REJECT' } ], ...FIREWALL.slice(1) ]);
	const now = () => edited.uci.files.firewall[0][1];

	// Without software there is no hardware.
	assert.equal(edited.option('flowtable', '_offload').formvalue('global'), 'off');
	edited.fill('flowtable', 'global', { _offload: 'hardware' });
	await edited.save('flowtable', 'global');
	assert.deepEqual(now(), { input: 'REJECT', flow_offloading: '1', flow_offloading_hw: '1' });
	edited.fill('flowtable', 'global', { _offload: 'software' });
	await edited.save('flowtable', 'global');
	assert.deepEqual(now(), { input: 'REJECT', flow_offloading: '1' });
	edited.fill('flowtable', 'global', { _offload: 'off' });
	await edited.save('flowtable', 'global');
	assert.deepEqual(now(), { input: 'REJECT' });
	assert.deepEqual(left(edited), [ GLOBAL ]);

	const bare = await page([], []);

	bare.fill('flowtable', 'global', { _offload: 'software' });
	await bare.save('flowtable', 'global');
	assert.deepEqual(bare.uci.files.firewall.map(([ type, options ]) => [ type, options ]), [ [ 'defaults', { flow_offloading: '1' } ] ]);
});

test('options that have the default are set and taken away again', async () => {
	const edited = await page([]);

	edited.fill('flowtable', 'global', { enabled: '0', accounting: '1', priority: '-10', hardware_patience: '0', lease_file: [ '/a', '/b c' ] });
	await edited.save('flowtable', 'global');
	assert.deepEqual(edited.uci.get('flowtable', 'global'),
		{ enabled: '0', accounting: '1', priority: '-10', hardware_patience: '0', lease_file: [ '/a', '/b c' ] });
	left(edited);
	edited.fill('flowtable', 'global', { enabled: '1', accounting: '0', priority: '', hardware_patience: '', lease_file: [] });
	await edited.save('flowtable', 'global');
	assert.deepEqual(edited.uci.get('flowtable', 'global'), {});
});

test('a file without the section of globals gets one', async () => {
	const edited = await open({ flowtable: [ [ 'rule', {} ] ], firewall: structuredClone(FIREWALL) }, { status: status('mixed') });

	edited.fill('flowtable', 'global', { counter: '0' });
	await edited.save('flowtable', 'global');
	assert.deepEqual(left(edited)[1], [ 'flowtable', { counter: '0' }, 'global' ]);
});

test('what was typed and not added is not left out without a word', async () => {
	const edited = await page([ RULE ]);
	const option = edited.option('rule', 'dest_port');

	option.half = '80';
	assert.deepEqual(edited.faults('rule', edited.id('rule')), []);
	option.half = '80x';
	assert.deepEqual(edited.faults('rule', edited.id('rule')), [ 'Expecting: a port from 0 to 65535, or two as in 8000-8099' ]);
});

test('rows with an order have buttons that move them', async () => {
	const edited = await page([ RULE, RULE, [ 'device', { name: 'x' } ], [ 'table', { name: 'x' } ] ]);
	const steps = [];
	const rows = [ 'first', 'second', null ].map((sid) => ({ getAttribute: () => sid,
		parentNode: { insertBefore: (row, before) => steps.push([ row.getAttribute(), before.getAttribute() ]) } }));

	rows.forEach((row, i) => Object.assign(row, { previousElementSibling: rows[i - 1] ?? null, nextElementSibling: rows[i + 1] ?? null }));

	const press = (place, button) => edited.section('rule').renderRowActions(rows[place].getAttribute()).buttons[button].listeners
		.click[0]({ currentTarget: { closest: () => rows[place], focus: () => steps.push('focus') } });

	assert.deepEqual(edited.section('rule').renderRowActions('first').buttons.map((button) => button.attributes['aria-label']),
		[ 'Move up', 'Move down' ]);
	press(1, 0);
	press(0, 1);
	// There is nothing above the first row, and below the last one only the row of the button to add.
	press(0, 0);
	press(1, 1);
	assert.deepEqual(edited.uci.writes,
		[ [ 'move', 'flowtable', 'second', 'first', false ], [ 'move', 'flowtable', 'first', 'second', true ] ]);
	assert.deepEqual(steps, [ [ 'second', 'first' ], 'focus', [ 'second', 'first' ], 'focus' ]);
	assert.deepEqual([ 'rule', 'device', 'table' ].map((type) => edited.section(type).sortable ?? false), [ true, true, false ]);
});

test('what rules are about and do is told in a line', async () => {
	const edited = await page([
		[ 'rule', { name: 'a', src: 'lan', src_ip: [ '10.0.0.1' ], dest: '*', dest_port: '80 443', proto: [ 'udp', 'tcp' ], mark: '1', dscp: 'EF' } ],
		[ 'rule', { target: 'offload', table: 't', min_packets: '5' } ]
	]);
	const told = (place, name) => edited.option('rule', name).textvalue(edited.id('rule', place)).text;

	assert.equal(told(0, '_match'), 'lan 10.0.0.1 → any :80, 443; TCP, UDP; DSCP EF; Mark 1');
	assert.equal(told(0, '_action'), 'classic path');
	assert.equal(told(1, '_match'), 'any → any');
	assert.equal(told(1, '_action'), 'offload, into t, after 5 packets');
	assert.deepEqual([ told(0, 'name'), told(1, 'name') ], [ 'a', '-' ]);
});

test('the MDIO buses that there are can be chosen', async () => {
	const edited = await open({ flowtable: [ GLOBAL, QCA ], firewall: FIREWALL }, { status: status('mixed') }, [ 'fixed-0', '90000.mdio-1' ]);

	assert.deepEqual(edited.option('switch', 'bus').keylist, [ 'fixed-0', '90000.mdio-1' ]);
});

test('what the daemon makes of the configuration is told, and that it is not there', async () => {
	const answers = { status: status('mixed') };
	const edited = await open({ flowtable: [ GLOBAL ], firewall: FIREWALL }, answers);
	const links = () => edited.node.find((n) => n.tag == 'a').map((a) => a.attributes.href);

	assert.match(edited.node.text, /mixed\s+only some devices accept hardware offload \(lan3\)/);
	assert.match(edited.node.text, /Last error nf_tables: table flowtabled_sw: device busy/);
	assert.match(edited.node.text, /Configuration warnings flowtable:12: unknown option 'enabeld'/);
	assert.deepEqual(links(), [ '/cgi-bin/luci/admin/status/flowtable' ]);

	// What has not changed is not said again.
	const [ region ] = edited.node.find((n) => n.attributes.role == 'status');
	const before = region.children;

	answers.status = { ...status('mixed'), uptime_s: 1, flows: {} };
	await edited.seen.polls[0].callback();
	assert.equal(region.children, before);

	answers.status = GONE;
	await edited.seen.polls[0].callback();
	assert.match(edited.node.text, /The daemon does not answer/);
	assert.doesNotMatch(edited.node.text, /Last error|only some devices/);
	assert.deepEqual(links(), [ '/cgi-bin/luci/admin/status/flowtable' ]);

	answers.status = { ...status('mixed'), last_error: null, warnings: [] };
	await edited.seen.polls[0].callback();
	assert.match(edited.node.text, /only some devices/);
	assert.doesNotMatch(edited.node.text, /does not answer|Last error|warnings/);

	edited.document.hidden = true;
	const calls = edited.seen.calls.length;

	await edited.seen.polls[0].callback();
	assert.equal(edited.seen.calls.length, calls);
	assert.equal(edited.seen.polls.length, 1);

	const stopped = await open({ flowtable: [ GLOBAL ], firewall: FIREWALL }, { status: GONE });

	assert.match(stopped.node.text, /The daemon does not answer/);
	assert.equal(stopped.node.find((n) => n.tag == 'form').length, 1);
});
