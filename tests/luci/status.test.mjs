// SPDX-License-Identifier: GPL-2.0-or-later
// What the page shows for replies of a working daemon, for unknown values and without a daemon,
// and what it asks for.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { GONE, open, refusal, replies, reply, settle } from './page.mjs';

const TABS = [ 'overview', 'flows', 'clients', 'devices', 'tables', 'hardware', 'health' ];

const badges = (node) => node.find((n) => n.tag == 'span' && /^label/.test(n.attributes.class))
	.map((n) => [ n.attributes.class, n.text ]);
const mode = (page) => page.node.find((n) => n.attributes.role == 'status')[0].children[0];

test('a mixed mode is told with its reason and what was requested', async () => {
	const page = await open(replies('mixed'));

	assert.deepEqual(badges(mode(page)), [ [ 'label warning', 'mixed' ], [ 'label success', 'hardware' ] ]);
	assert.match(mode(page).textContent,
		/^mixed only some devices accept hardware offload \(lan3\) Requested: hardware$/);
	assert.match(page.node.text, /Last error nf_tables: table flowtabled_sw: device busy/);
	assert.match(page.node.text, /Configuration warnings flowtable:12: unknown option 'enabeld'/);
	assert.equal(mode(page).parentNode.attributes.role, 'status');
	assert.deepEqual(page.node.find((n) => n.tag == 'a' && n.attributes.href).map((a) => a.attributes.href),
		[ '/cgi-bin/luci/admin/network/flowtable' ]);
});

test('what is as requested says so once', async () => {
	const page = await open({ ...replies('mixed'), status: { requested: 'software', effective: 'software', reason: 'as_configured', reason_text: 'as configured' } });

	assert.equal(mode(page).textContent, 'software as configured');
	assert.deepEqual(badges(mode(page)), [ [ 'label notice', 'software' ] ]);
	assert.equal(page.node.find((n) => /alert/.test(n.attributes.class)).length, 0);
});

test('the mode is not touched while it stays the same', async () => {
	const page = await open(replies('mixed'));
	const before = mode(page);

	await page.poll();
	assert.equal(mode(page), before);
});

test('the overview has counts of flows', async () => {
	const page = await open(replies('mixed'));
	const fact = (label) => page.fact(label, page.pane('overview')).text;

	assert.equal(fact('In hardware'), '88');
	assert.equal(fact('In software'), '340');
	assert.equal(fact('On the classic path'), '12');
	assert.equal(fact('Of these, being closed'), '5');
	assert.equal(fact('Kept on the classic path'), '2');
	assert.equal(fact('Handed back because something changed'),
		'2, the last one 30s ago: the firewall\'s rules have changed');
	assert.equal(fact('Packets of offloaded flows seen on the classic path'), '17 (in software 12, in hardware 5)');
});

test('tables, devices, switches, the kernel and the daemon have tabs', async () => {
	const page = await open(replies('mixed'));

	await page.tab('tables');
	assert.deepEqual(page.rows('tables'), [
		[ 'flowtabled_hw', 'hardware', 'lan1, lan2, wan', '-5', 'yes', '' ],
		[ 'flowtabled_p_iot', 'software', 'none', '0', 'no', 'only some devices accept hardware offload (iot0: no)' ]
	]);
	assert.match(page.pane('tables').text, /Offloading by firewall4 itself: in force/);
	assert.match(page.pane('tables').text, /Flowtables of other programs: inet fw4 ft/);

	await page.tab('devices');
	assert.deepEqual(page.rows('devices'), [
		[ 'lan1', 'software', 'the device does not accept hardware offload (Operation not supported)',
			'lan, guest', '4', '3.0 KB/s', '-' ],
		[ 'pppoe-wan', 'off', 'there is no such device at present', 'wan', '4', '3.0 KB/s', '-' ]
	]);

	await page.tab('health');

	const health = page.pane('health');

	assert.equal(page.fact('Release', health).text, '6.12.55');
	assert.equal(page.fact('Flowtables may name devices that do not exist yet', health).text, 'no');
	assert.equal(page.fact('Connections count packets and bytes', health).text, '-');
	assert.equal(page.fact('Running for', health).text, '57870d 8h');
	assert.equal(page.fact('Times that some were lost', health).text, '2');
	assert.equal(page.fact('Flows without room', health).text, '3');
	assert.equal(page.fact('Neighbours', health).text, '0');
});

test('the table of a switch is a bar, and what nobody counts a dash', async () => {
	const page = await open(replies('mixed'));

	await page.tab('hardware');

	const [ main, ppe, fresh ] = page.pane('hardware').find((n) => n.attributes.class == 'cbi-section');
	const bar = (chip) => chip.find((n) => n.attributes.role == 'meter')[0].attributes;

	assert.deepEqual(badges(main), [ [ 'label warning', 'quarantined' ] ]);
	assert.equal(page.fact('State', main).textContent,
		'quarantined is left alone for a while: no answer from the chip');
	assert.equal(bar(main)['aria-valuetext'], '12 / 1024 (1%)');
	assert.deepEqual([ 'Found the table full', 'Collisions', 'Failed transactions',
		'Resets of the chip', 'Entries made', 'Entries taken out', 'Flows that wait' ]
		.map((label) => page.fact(label, main).text), [ '7', '5', '4', '5000000000', '120', '108', '3' ]);
	// Of this one entries are counted, two for a flow.
	assert.equal(bar(ppe)['aria-valuetext'], '1290 / 15360 (8%)');
	assert.equal(page.fact('Entries that forward', ppe).text, '1234');
	assert.equal(page.fact('Flows in its table', fresh).text, '- / 7680');

	const none = await open(replies('classic'));

	await none.tab('hardware');
	assert.match(none.pane('hardware').text, /No switch chip is configured/);
});

test('clients are shown, and what is not counted on every path is unknown', async () => {
	const page = await open(replies('mixed'));

	await page.tab('clients');
	assert.deepEqual(page.rows('clients'), [
		[ 'laptop', 'fd00::2', 'lan1', 'software', '4', '3.0 KB/s', '70.0 MB', '1m 0s' ],
		[ '52:06:54:16:c4:9c', '192.168.9.2', 'guest0', 'software', '3', '-', '-', '8s' ],
		[ '10.0.0.9', '10.0.0.9', '-', '-', '0', '0 B/s', '-', '5s' ]
	]);
	page.lines('clients')[0].find((n) => n.attributes.class == 'ft-toggle')[0].click();
	assert.equal(page.detail('clients', 'Addresses').text, 'fd00::2, 192.168.1.2');
	assert.equal(page.detail('clients', 'Device').text, 'br-lan, lan1');
	assert.equal(page.detail('clients', 'software').text, '3 flows; sent 5.0 KB, 20 B/s; received 70.0 MB, 3.0 KB/s');
});

test('a count of zero is not taken for unknown', async () => {
	const page = await open(replies('classic'));
	const fact = (label) => page.fact(label, page.pane('overview')).text;

	assert.equal(fact('In hardware'), '0');
	assert.equal(fact('Packets of offloaded flows seen on the classic path'), '-');
	assert.deepEqual(badges(mode(page))[0], [ 'label warning', 'classic' ]);
	await page.tab('tables');
	assert.deepEqual(page.rows('tables'), [ [ 'none' ] ]);
	await page.tab('devices');
	assert.deepEqual(page.rows('devices').map((row) => row.slice(0, 3)), [
		[ 'br-lan', 'off', 'covered by the devices below it (lan1 lan2)' ],
		[ 'lan1', 'off', 'the kernel has no flowtable support '
			+ '(the kernel has no flowtables (on OpenWrt: install kmod-nft-offload))' ],
		[ 'lan2', 'off', 'set by a device section of /etc/config/flowtable (lan2)' ],
		[ 'pppoe-wan', 'off', 'there is no such device at present' ],
		[ 'wan', 'off', 'the kernel has no flowtable support '
			+ '(the kernel has no flowtables (on OpenWrt: install kmod-nft-offload))' ]
	]);
	await page.tab('health');
	assert.equal(page.fact('Flowtables for IPv4 and IPv6 in one table', page.pane('health')).text, 'no');
});

test('what the daemon leaves out becomes a dash', async () => {
	const page = await open({ status: {}, devices: {}, flows: {}, hosts: {}, history: {}, hardware: {} });
	const dashes = (name) => page.pane(name).find((n) => n.tag == 'tr' && n.children.length == 2)
		.map((row) => [ row.children[0].text, row.children[1].text ]).filter(([ , value ]) => value != '-');

	assert.equal(mode(page).text.replaceAll(' ', ''), '--');
	assert.deepEqual(dashes('overview'), []);

	for (const name of [ 'flows', 'clients', 'devices', 'tables' ]) {
		await page.tab(name);
		assert.deepEqual(page.rows(name), [ [ '-' ] ], name);
	}

	await page.tab('hardware');
	assert.equal(page.pane('hardware').text, '-');
	await page.tab('health');
	assert.deepEqual(dashes('health'), []);
});

test('words of a newer daemon are passed on', async () => {
	const page = await open({
		status: { requested: 'constructor', effective: 'constructor', reason: 'toString', reason_text: 'new words' },
		devices: {},
		history: {},
		flows: { matched: 1, flows: [ { state: 'classic', reason: 'toString', reason_text: 'newer' } ] },
		hardware: { switches: [ { name: 'x', state: 'valueOf' } ] }
	});

	assert.deepEqual(badges(mode(page)), [ [ 'label', 'constructor' ] ]);
	assert.match(mode(page).textContent, /new words/);
	await page.tab('flows');
	page.lines('flows')[0].find((n) => n.attributes.class == 'ft-toggle')[0].click();
	assert.equal(page.detail('flows', 'Reason').text, 'newer');
	await page.tab('hardware');
	assert.deepEqual(badges(page.pane('hardware')), [ [ 'label', 'valueOf' ] ]);
});

test('a stopped daemon is told, can be started, and the page recovers', async () => {
	const answers = { status: GONE, history: GONE, init: 0 };
	const page = await open(answers);
	const tabs = page.pane('overview').parentNode.parentNode;

	assert.match(page.node.text, /The daemon does not run/);
	assert.doesNotMatch(page.node.text, /handleCallReply/);
	assert.equal(tabs.hidden, true);
	page.asked();
	await page.poll();
	assert.deepEqual(page.asked(), [ 'flowtable status' ]);

	Object.assign(answers, replies('mixed'));
	await page.press('Start the daemon');
	assert.ok(page.asked().includes('rc init name=flowtabled action=start'));
	assert.equal(page.document.activeElement, mode(page).parentNode, 'the focus is where the button was');
	assert.doesNotMatch(page.node.text, /does not run/);
	assert.equal(tabs.hidden, false);
	assert.equal(page.fact('In hardware', page.pane('overview')).text, '88');

	// And when it is started by other means, by the poll.
	answers.status = GONE;
	await page.poll();
	assert.equal(tabs.hidden, true);
	answers.status = reply('status-mixed');
	await page.poll();
	assert.equal(tabs.hidden, false);
});

test('a daemon that was started and does not answer yet is awaited', async () => {
	let started;
	const answers = { ...replies('mixed'), status: GONE, init: () => new Promise((resolve) => started = resolve) };
	const page = await open(answers);

	await page.press('Start the daemon');
	assert.match(page.node.text, /Starting…/);
	assert.equal(page.buttons('Start the daemon')[0].disabled, true);
	started(0);
	await settle();
	assert.match(page.node.text, /It was started; its answer is awaited\./);
	answers.status = reply('status-mixed');
	await page.poll();
	assert.doesNotMatch(page.node.text, /awaited/);
	answers.status = GONE;
	await page.poll();
	assert.doesNotMatch(page.node.text, /awaited/);
});

test('a start that fails says why, and who may not start is not asked to', async () => {
	const page = await open({ status: GONE, history: GONE, init: refusal(6) });

	await page.press('Start the daemon');
	assert.match(page.node.text, /This account may not do that\./);
	assert.equal(page.buttons('Start the daemon').length, 1);

	const reader = await open({ status: GONE, history: GONE }, false);

	assert.match(reader.node.text, /The daemon does not run/);
	assert.equal(reader.buttons('Start the daemon').length, 0);
});

test('a daemon that does not answer is not taken for a stopped one', async () => {
	const page = await open({ status: new Error('XHR request timed out\n  at x'), history: {} });

	assert.match(page.node.text, /The daemon does not answer XHR request timed out/);
	assert.equal(page.buttons('Start the daemon').length, 0);
});

test('a list that cannot be had leaves the rest of the page', async () => {
	const failed = new Error('timed out');
	const page = await open({ ...replies('mixed'), devices: failed, flows: refusal(5), hosts: failed, history: failed, hardware: failed });

	assert.match(page.pane('overview').text, /The history cannot be had: timed out/);
	assert.equal(page.fact('In hardware', page.pane('overview')).text, '88');
	await page.tab('devices');
	assert.deepEqual(page.rows('devices'), [ [ 'timed out' ] ]);
	await page.tab('flows');
	assert.deepEqual(page.rows('flows'), [ [ 'The list of connections cannot be read.' ] ]);
	await page.tab('clients');
	assert.deepEqual(page.rows('clients'), [ [ 'timed out' ] ]);
	await page.tab('hardware');
	assert.equal(page.pane('hardware').text, 'timed out');
	assert.match(mode(page).text, /mixed/);
});

test('lists that were cut say so', async () => {
	const page = await open({ ...replies('mixed'), status: { ...reply('status-mixed'), truncated: true } });

	assert.match(page.node.text, /Some lists were too long/);
});

test('devices that need several replies are shown together', async () => {
	const names = [ 'eth0', 'lan1', 'lan2', 'wan' ];
	const pages = (size) => (cursor) => {
		const begin = names.indexOf(cursor) + 1;
		const devices = names.slice(begin, begin + size).map((name) => ({ name }));
		const rest = begin + size < names.length;

		return rest ? { devices, truncated: true, total: 4, next: devices.at(-1).name } : { devices };
	};
	const show = async (devices) => {
		const page = await open({ ...replies('mixed'), devices });

		await page.tab('devices');

		return page;
	};
	const page = await show(pages(2));

	assert.deepEqual(page.rows('devices').map((row) => row[0]), names);
	assert.match(page.pane('devices').text, /1 to 4 of 4/);

	const broken = await show((cursor) => cursor ? new Error('timed out') : pages(3)());

	assert.match(broken.pane('devices').text, /1 to 3 of 4/);

	const endless = await show(() => ({ devices: [ { name: 'lan1' } ], total: 900, next: 'lan1' }));

	assert.equal(endless.asked().filter((call) => /devices/.test(call)).length, 8);
	assert.match(endless.pane('devices').text, /1 to 8 of 900/);
});

test('there is one poll, it asks what the tab in front needs, and nothing while hidden', async () => {
	const page = await open(replies('mixed'));
	const needs = {
		overview: [ 'history' ], flows: [ 'flows sort=rate limit=20' ], clients: [ 'hosts sort=rate limit=20' ],
		devices: [ 'devices' ], tables: [], hardware: [ 'hardware' ], health: []
	};

	assert.equal(page.seen.polls.length, 1);
	assert.deepEqual(Object.keys(needs), TABS);

	for (const name of TABS) {
		await page.tab(name);
		page.asked();
		await page.poll();
		assert.deepEqual(page.asked().sort(), [ 'status', ...needs[name] ].map((call) => `flowtable ${call}`).sort(), name);
	}

	page.document.hidden = true;
	await page.poll();
	assert.deepEqual(page.asked(), []);

	// Whoever looks again sees the present at once.
	page.document.hidden = false;
	page.document.listeners.visibilitychange[0]();
	await settle();
	assert.deepEqual(page.asked(), [ 'flowtable status' ]);
});

test('an answer that comes late does not replace a newer one', async () => {
	const waiting = [];
	const answers = { ...replies('mixed'), status: reply('status-mixed') };
	const page = await open(answers);

	await page.tab('devices');
	answers.devices = () => new Promise((resolve) => waiting.push(resolve));
	page.seen.polls[0].callback();
	page.seen.polls[0].callback();
	await settle();
	waiting[1]({ devices: [ { name: 'newer' } ] });
	await settle();
	waiting[0]({ devices: [ { name: 'older' } ] });
	await settle();
	assert.deepEqual(page.rows('devices').map((row) => row[0]), [ 'newer' ]);
});
