// SPDX-License-Identifier: GPL-2.0-or-later
// What the page shows for replies of a working daemon, for unknown values, and without a daemon.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { load } from './luci_client.mjs';

const VIEW = new URL('../../luci-app/htdocs/luci-static/resources/view/flowtable/status.js',
	import.meta.url);

const reply = (name) =>
	JSON.parse(readFileSync(new URL(`replies/${name}.json`, import.meta.url), 'utf8'));

/** All replies of a kind. */
const replies = (kind) => Object.fromEntries([ 'status', 'devices', 'flows', 'hosts' ].map((method) =>
	[ method, reply(`${method}-${kind}`) ]));

async function show(answers, firewall) {
	const page = load(VIEW, answers, firewall);

	page.node = await page.view.render(await page.view.load());

	return page;
}

/** The value beside a label. */
function fact(page, label) {
	const rows = page.node.find((n) => n.tag == 'tr' && n.children[0].text == label);

	assert.equal(rows.length, 1, `rows labelled "${label}"`);

	return rows[0].children[1];
}

/** The rows of a section's table, each a list of texts. */
function rows(page, title) {
	const [ section ] = page.node.find((n) =>
		n.attributes.class == 'cbi-section' && n.children[0].text == title);

	return section.find((n) => n.tag == 'tr').slice(1).map((tr) => tr.children.map((td) => td.text));
}

const badge = (node) => [ node.children[0].attributes.class, node.text ];

test('a mixed mode is told with its reason', async () => {
	const page = await show(replies('mixed'));

	assert.deepEqual(badge(fact(page, 'Requested')), [ 'label success', 'hardware' ]);
	assert.deepEqual(badge(fact(page, 'In force')), [ 'label warning', 'mixed' ]);
	assert.equal(fact(page, 'Reason').text, 'only some devices accept hardware offload (lan3)');
	assert.equal(fact(page, 'Last error').text, 'nf_tables: table flowtabled_sw: device busy');
	assert.equal(fact(page, 'Configuration warnings').text,
		"flowtable:12: unknown option 'enabeld'");
	assert.equal(fact(page, 'Running for').text, '5000000000s');
});

test('flows, tables, devices and the kernel are shown', async () => {
	const page = await show(replies('mixed'));

	assert.equal(fact(page, 'In hardware').text, '88');
	assert.equal(fact(page, 'In software').text, '340');
	assert.equal(fact(page, 'On the classic path').text, '12');
	assert.equal(fact(page, 'Of these, being closed').text, '5');
	assert.equal(fact(page, 'Kept on the classic path').text, '2');
	assert.equal(fact(page, 'Handed back because something changed').text,
		'2, the last one 30s ago: the firewall\'s rules have changed');
	assert.equal(fact(page, 'Packets of offloaded flows seen on the classic path').text, '17');
	assert.deepEqual(rows(page, 'Tables'), [
		[ 'flowtabled_hw', 'ft', 'hardware', 'yes', '-5', 'lan1, lan2, wan', '' ],
		[ 'flowtabled_p_iot', 'ft', 'software', 'no', '0', 'none',
			'only some devices accept hardware offload (iot0: no)' ]
	]);
	assert.match(page.node.text, /Flowtables of other programs: inet fw4 ft/);
	assert.deepEqual(rows(page, 'Devices'), [
		[ 'lan1', 'software', 'the device does not accept hardware offload (Operation not supported)',
			'lan, guest', 'dsa', 'br-lan', 'flowtabled_sw' ],
		[ 'pppoe-wan', 'off', 'there is no such device at present', 'wan', '-', 'none', '-' ]
	]);
	assert.equal(fact(page, 'Release').text, '6.12.55');
	assert.equal(fact(page, 'Flowtables may name devices that do not exist yet').text, 'no');
	assert.equal(fact(page, 'Connections count packets and bytes').text, '-');
});

test('the fastest flows are shown with the reason of those on the classic path', async () => {
	const page = await show(replies('mixed'));

	assert.deepEqual(rows(page, 'Fastest flows'), [
		[ 'hardware', 'tcp', '192.168.1.100:49152', '203.0.113.2:443', 'laptop', '4.3 GB/s',
			'it is marked as offloaded, yet takes the classic path '
				+ '(as did 120 of 900 packets of flows in hardware)' ],
		[ 'software', 'udp', '[fd00:1::2]:41159', '[fd00:2::2]:7001', 'laptop', '164.1 KB/s', 'none' ],
		[ 'classic', 'tcp', '192.168.9.2:55168', '203.0.113.2:7004', '192.168.9.2', '0 B/s',
			'one of its devices is in no flowtable '
				+ '(guest0: set by a device section of /etc/config/flowtable (guest*))' ],
		[ 'classic', 'icmp', '192.168.1.2', '192.0.2.1', '-', '-', 'only TCP, UDP and untranslated GRE are offloaded (icmp)' ]
	]);

	const badges = page.node.find((n) => n.tag == 'td' && n.attributes['data-title'] == 'State')
		.slice(0, 4).map((td) => td.children[0].attributes.class);

	assert.deepEqual(badges, [ 'label warning', 'label notice', 'label', 'label' ]);
});

test('clients are shown, and what is not counted on every path is unknown', async () => {
	const page = await show(replies('mixed'));

	assert.deepEqual(rows(page, 'Clients'), [
		[ 'laptop', 'fd00::2', 'lan1', 'software', '4', '3.0 KB/s', '70.0 MB' ],
		[ '52:06:54:16:c4:9c', '192.168.9.2', 'guest0', 'software', '3', '-', '-' ],
		[ '-', '10.0.0.9', '-', '-', '0', '0 B/s', '-' ]
	]);
});

test('a count of zero is not taken for unknown', async () => {
	const page = await show(replies('classic'));

	assert.equal(fact(page, 'In hardware').text, '0');
	assert.equal(fact(page, 'Packets of offloaded flows seen on the classic path').text, '-');
	assert.deepEqual(rows(page, 'Tables'), [ [ 'none' ] ]);
	assert.deepEqual(badge(fact(page, 'In force')), [ 'label warning', 'classic' ]);
	assert.equal(fact(page, 'Last error').text,
		'the kernel has no flowtables (on OpenWrt: install kmod-nft-offload)');
	assert.equal(fact(page, 'Flowtables for IPv4 and IPv6 in one table').text, 'no');
	assert.deepEqual(rows(page, 'Devices').map((row) => row.slice(0, 3)), [
		[ 'br-lan', 'off', 'covered by the devices below it (lan1 lan2)' ],
		[ 'lan1', 'off', 'the kernel has no flowtable support '
			+ '(the kernel has no flowtables (on OpenWrt: install kmod-nft-offload))' ],
		[ 'lan2', 'off', 'set by a device section of /etc/config/flowtable (lan2)' ],
		[ 'pppoe-wan', 'off', 'there is no such device at present' ],
		[ 'wan', 'off', 'the kernel has no flowtable support '
			+ '(the kernel has no flowtables (on OpenWrt: install kmod-nft-offload))' ]
	]);
});

test('what the daemon leaves out becomes a dash', async () => {
	const page = await show({ status: {}, devices: {}, flows: {}, hosts: {} });
	const labels = [
		'Requested', 'In force', 'Reason', 'Configuration warnings', 'Running for', 'Version',
		'In hardware', 'In software', 'On the classic path', 'Of these, being closed',
		'Kept on the classic path', 'Handed back because something changed',
		'Packets of offloaded flows seen on the classic path', 'Release',
		'Flowtables for IPv4 and IPv6 in one table', 'Connections can be listed'
	];

	for (const label of labels)
		assert.equal(fact(page, label).text, '-', label);

	// The one key whose absence is told: there was no error.
	assert.equal(fact(page, 'Last error').text, 'none');
	assert.deepEqual(rows(page, 'Tables'), [ [ '-' ] ]);
	assert.deepEqual(rows(page, 'Devices'), [ [ '-' ] ]);
	assert.deepEqual(rows(page, 'Fastest flows'), [ [ '-' ] ]);
	assert.deepEqual(rows(page, 'Clients'), [ [ '-' ] ]);
});

test('words of a newer daemon are passed on', async () => {
	const page = await show({
		status: { requested: 'constructor', reason: 'toString', reason_text: 'new words' },
		devices: {},
		flows: { matched: 1, flows: [ { state: 'classic', reason: 'toString', reason_text: 'newer' } ] },
		hosts: {}
	});

	assert.deepEqual(badge(fact(page, 'Requested')), [ 'label', 'constructor' ]);
	assert.equal(fact(page, 'Reason').text, 'new words');
	assert.deepEqual(rows(page, 'Fastest flows'), [ [ 'classic', '-', '-', '-', '-', '-', 'newer' ] ]);
});

test('the page is useful with the daemon stopped', async () => {
	const gone = new Error('RPC call to flowtable/status {} failed with error -32000: '
		+ 'Object not found\n  at ClassConstructor.handleCallReply (rpc.js:82:7)');
	const answers = { status: gone, devices: gone, flows: gone, hosts: gone };
	const page = await show(answers, { flow_offloading: '1' });

	assert.match(page.node.text, /The daemon does not answer/);
	assert.match(page.node.text, /error -32000: Object not found/);
	assert.doesNotMatch(page.node.text, /handleCallReply/);
	assert.deepEqual(page.node.find((n) => n.tag == 'a').map((a) => a.attributes.href),
		[ '/cgi-bin/luci/admin/system/startup' ]);
	assert.equal(page.node.find((n) => n.tag == 'table').length, 0);
	assert.equal(page.node.find((n) => n.tag == 'form').length, 1);
	assert.equal(page.seen.map.sections[0].options[0].load('cfg1'), 'software');

	Object.assign(answers, replies('mixed'));
	await page.seen.polls[0].callback();
	assert.doesNotMatch(page.node.text, /does not answer/);
	assert.equal(fact(page, 'In hardware').text, '88');
});

test('a failed list of devices leaves the rest of the page', async () => {
	const page = await show({ ...replies('mixed'), devices: new Error('timed out') });

	assert.equal(fact(page, 'In hardware').text, '88');
	assert.deepEqual(rows(page, 'Devices'), [ [ '-' ] ]);
	assert.equal(rows(page, 'Clients').length, 3);
	assert.match(page.node.text, /The list of devices cannot be had: timed out/);
});

test('flows and clients that cannot be listed leave the rest of the page', async () => {
	const page = await show({ ...replies('mixed'), flows: new Error('lost'), hosts: new Error('denied') });

	assert.deepEqual(rows(page, 'Fastest flows'), [ [ '-' ] ]);
	assert.deepEqual(rows(page, 'Clients'), [ [ '-' ] ]);
	assert.equal(rows(page, 'Devices').length, 2);
	assert.match(page.node.text, /The list of flows cannot be had: lost/);
	assert.match(page.node.text, /The list of clients cannot be had: denied/);
});

test('lists that were cut say so', async () => {
	const devices = { ...reply('devices-mixed'), truncated: true, total: 900 };
	const status = { ...reply('status-mixed'), truncated: true };
	const page = await show({ ...replies('mixed'), status, devices });

	assert.match(page.node.text, /The first 2 of 900 devices\./);
	assert.match(page.node.text, /The 4 fastest of 12 flows\./);
	assert.match(page.node.text, /The 3 fastest of 4 clients\./);
	assert.match(page.node.text, /Some lists were too long/);
});

test('devices that need several replies are shown together', async () => {
	const names = [ 'lan1', 'lan2', 'lan3', 'lan4' ];
	const pages = (size) => (cursor) => {
		const begin = names.indexOf(cursor) + 1;
		const devices = names.slice(begin, begin + size).map((name) => ({ name }));
		const rest = begin + size < names.length;

		return rest ? { devices, truncated: true, total: 4, next: devices.at(-1).name } : { devices };
	};
	const page = await show({ status: reply('status-mixed'), devices: pages(2) });

	assert.deepEqual(rows(page, 'Devices').map((row) => row[0]), names);
	assert.doesNotMatch(page.node.text, /The first/);

	const breaking = (cursor) => cursor ? new Error('timed out') : pages(3)();
	const broken = await show({ status: reply('status-mixed'), devices: breaking });

	assert.deepEqual(rows(broken, 'Devices').length, 3);
	assert.match(broken.node.text, /The first 3 of 4 devices\./);

	const endless = () => ({ devices: [ { name: 'lan1' } ], total: 900, next: 'lan1' });
	const cut = await show({ status: reply('status-mixed'), devices: endless });

	assert.equal(cut.seen.calls.length, 3 + 8);
	assert.match(cut.node.text, /The first 8 of 900 devices\./);
});

test('there is one poll, and none for a hidden tab', async () => {
	const page = await show(replies('mixed'));

	assert.equal(page.seen.polls.length, 1);
	assert.deepEqual(page.seen.calls, [
		'flowtable status', 'flowtable devices', 'flowtable flows limit=10', 'flowtable hosts limit=10'
	]);
	page.document.hidden = true;
	await page.seen.polls[0].callback();
	assert.equal(page.seen.calls.length, 4);
	page.document.hidden = false;
	await page.seen.polls[0].callback();
	assert.equal(page.seen.calls.length, 8);
});

test('the switch reads and writes the two options of the firewall', async () => {
	const firewall = { flow_offloading: 'on', flow_offloading_hw: 'true', input: 'REJECT' };
	const page = await show({ status: {}, devices: {}, flows: {}, hosts: {} }, firewall);
	const [ section ] = page.seen.map.sections;
	const [ option ] = section.options;

	assert.deepEqual([ page.seen.map.config, section.name ], [ 'firewall', 'defaults' ]);
	assert.deepEqual(option.choices.map((c) => c[0]), [ 'off', 'software', 'hardware' ]);
	assert.equal(option.load('cfg1'), 'hardware');

	option.write('cfg1', 'software');
	assert.deepEqual(firewall, { flow_offloading: '1', input: 'REJECT' });
	option.write('cfg1', 'hardware');
	assert.deepEqual(firewall, { flow_offloading: '1', flow_offloading_hw: '1', input: 'REJECT' });
	option.write('cfg1', 'off');
	assert.deepEqual(firewall, { input: 'REJECT' });
	assert.equal(option.load('cfg1'), 'off');

	firewall.flow_offloading_hw = '1';
	assert.equal(option.load('cfg1'), 'off');
});
