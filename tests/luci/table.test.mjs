// SPDX-License-Identifier: GPL-2.0-or-later
// The tables: one page of many rows, sorted and filtered by the daemon, with the keyboard's focus
// and opened rows kept while they are filled anew.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { manyFlows, open, refusal, replies, reply, settle } from './page.mjs';

const STATUS = { requested: 'software', effective: 'software', reason: 'as_configured' };

const flowsPage = async (flows, writable) => {
	const page = await open({ status: STATUS, history: {}, flows, hosts: {} }, writable);

	await page.tab('flows');
	page.asked();

	return page;
};
const sources = (page) => page.rows('flows').map((row) => row[2]);
const summary = (page, name) => page.pane(name).find((n) => n.attributes.class == 'ft-summary')[0].text;
const toggle = (page, line) => page.lines('flows')[line].find((n) => n.attributes.class == 'ft-toggle')[0];
const sorted = (page, name) => page.pane(name).find((n) => ![ 'none', undefined ].includes(n.attributes['aria-sort']))
	.map((th) => [ th.text, th.attributes['aria-sort'] ]);

test('of ten thousand flows one page is in the document', async () => {
	const page = await flowsPage(manyFlows(10000));
	const pane = page.pane('flows');

	assert.equal(page.lines('flows').length, 20);
	assert.equal(summary(page, 'flows'), '1 to 20 of 10000');
	assert.ok(page.node.find(() => true).length < 1500);

	await page.press('Next page', pane);
	assert.deepEqual(page.asked(), [ 'flowtable flows sort=rate limit=20 cursor=20', 'flowtable status' ]);
	assert.equal(summary(page, 'flows'), '21 to 40 of 10000');
	await page.press('Next page', pane);
	assert.equal(summary(page, 'flows'), '41 to 60 of 10000');
	page.asked();
	await page.poll();
	assert.ok(page.asked().includes('flowtable flows sort=rate limit=20 cursor=40'), 'a poll stays on the page');
	await page.press('Previous page', pane);
	assert.equal(summary(page, 'flows'), '21 to 40 of 10000');

	await page.enter('Rows on a page', 100, pane);
	assert.equal(summary(page, 'flows'), '1 to 100 of 10000');
	assert.equal(page.lines('flows').length, 100);
});

test('pages end, and one whose flows are gone leads back to the first', async () => {
	const answers = { status: STATUS, history: {}, flows: manyFlows(25) };
	const page = await open(answers);
	const pane = page.pane('flows');

	await page.tab('flows');
	await page.press('Next page', pane);
	assert.equal(summary(page, 'flows'), '21 to 25 of 25');
	// What was pressed cannot be pressed any more: the focus is on what can.
	assert.equal(page.document.activeElement, page.buttons('Previous page', pane)[0]);
	assert.equal(page.buttons('Next page', pane)[0].disabled, true);

	answers.flows = manyFlows(5);
	await page.poll();
	await settle();
	assert.equal(summary(page, 'flows'), '1 to 5 of 5');
	assert.equal(page.buttons('Next page', pane).length, 0);
	assert.equal(pane.find((n) => n.attributes['aria-label'] == 'Rows on a page')[0].hidden, true);
});

test('the daemon sorts, by the titles that can be pressed', async () => {
	const page = await flowsPage(manyFlows(10000));
	const pane = page.pane('flows');

	assert.deepEqual(sorted(page, 'flows'), [ [ 'Rate', 'descending' ] ]);
	assert.equal(sources(page)[0], '192.168.1.249:11023');
	await page.press('Next page', pane);
	page.asked();
	await page.press('Carried', pane);
	assert.deepEqual(page.asked(), [ 'flowtable flows sort=bytes limit=20', 'flowtable status' ]);
	assert.deepEqual(sorted(page, 'flows'), [ [ 'Carried', 'descending' ] ]);
	assert.equal(sources(page)[0], '192.168.1.0:1024');
	// The same where a theme hides the titles.
	await page.enter('Sort by', 7, pane);
	assert.deepEqual(sorted(page, 'flows'), [ [ 'Age', 'descending' ] ]);
	assert.equal(page.buttons('Source', pane).length, 0);
});

test('devices are sorted on the page, with what is unknown at the end', async () => {
	const device = (name, flows) => ({ name, ...flows == null ? {}
		: { classic: { flows }, software: { flows: 0 }, hardware: { flows: 0 } } });
	const page = await open({ status: STATUS, history: {}, devices: { devices: [ device('b', 1), device('c'), device('a', 5) ] } });
	const names = () => page.rows('devices').map((row) => row[0]).join('');
	const pane = page.pane('devices');

	await page.tab('devices');
	assert.equal(names(), 'abc');
	assert.deepEqual(sorted(page, 'devices'), [ [ 'Device', 'ascending' ] ]);
	await page.press('Device', pane);
	assert.equal(names(), 'cba');
	assert.deepEqual(sorted(page, 'devices'), [ [ 'Device', 'descending' ] ]);
	await page.press('Flows', pane.find((n) => n.tag == 'thead')[0]);
	assert.equal(names(), 'abc');
	assert.deepEqual(sorted(page, 'devices'), [ [ 'Flows', 'descending' ] ]);
	await page.press('Flows', pane.find((n) => n.tag == 'thead')[0]);
	assert.equal(names(), 'bac');
	assert.deepEqual(sorted(page, 'devices'), [ [ 'Flows', 'ascending' ] ]);
});

test('many devices come in pages too', async () => {
	const devices = Array.from({ length: 45 }, (_, i) => ({ name: `lan${String(i).padStart(2, '0')}` }));
	const page = await open({ status: STATUS, history: {}, devices: { devices } });
	const pane = page.pane('devices');

	await page.tab('devices');
	await page.press('Next page', pane);
	await page.press('Next page', pane);
	assert.equal(summary(page, 'devices'), '41 to 45 of 45');
	assert.deepEqual(page.rows('devices').map((row) => row[0]), [ 'lan40', 'lan41', 'lan42', 'lan43', 'lan44' ]);
	page.asked();
	await page.press('Previous page', pane);
	assert.deepEqual(page.asked(), []);
	assert.equal(summary(page, 'devices'), '21 to 40 of 45');
});

test('the daemon filters, from the first page on', async () => {
	const many = manyFlows(10000);
	let port;
	const page = await flowsPage((...values) => (port = values[2], many(...values)));
	const pane = page.pane('flows');

	await page.press('Next page', pane);
	page.asked();
	await page.enter('Protocol', 'udp', pane);
	assert.deepEqual(page.asked(), [ 'flowtable flows protocol=udp sort=rate limit=20', 'flowtable status' ]);
	assert.equal(summary(page, 'flows'), '1 to 20 of 5000');
	await page.enter('Address', ' 192.168.1.0/24 ', pane);
	await page.enter('Port', '443', pane);
	assert.equal(port, 443, 'a number');
	await page.enter('Client', 'laptop', pane);
	await page.enter('Device', 'br-lan', pane);
	await page.enter('Table', 'flowtabled', pane);
	page.asked();
	await page.enter('State', 'classic', pane);
	assert.equal(page.asked()[0], 'flowtable flows state=classic address=192.168.1.0/24 port=443 protocol=udp '
		+ 'device=br-lan host=laptop partition=flowtabled sort=rate limit=20');
	await page.press('Clear', pane);
	assert.equal(page.asked()[0], 'flowtable flows sort=rate limit=20');
	assert.equal(summary(page, 'flows'), '1 to 20 of 10000');
});

test('a filter that makes no sense is told in the place of the rows', async () => {
	const page = await flowsPage((_state, address) => {
		if (address)
			throw refusal(2);

		return manyFlows(3)(...Array(7), 'rate', 20);
	});

	await page.enter('Address', 'nonsense', page.pane('flows'));
	assert.deepEqual(page.rows('flows'), [ [ 'A value of the filter makes no sense.' ] ]);
	await page.press('Clear', page.pane('flows'));
	assert.equal(page.lines('flows').length, 3);
});

test('clients, devices and tables lead to their flows', async () => {
	const page = await open(replies('mixed'));
	const follow = async (name, line) => {
		await page.tab(name);
		page.asked();
		await page.press('Flows', page.lines(name)[line]);
		assert.equal(page.pane('flows').attributes['data-tab-active'], 'true');
		assert.deepEqual([ page.document.activeElement.tag, page.document.activeElement.text ], [ 'a', 'Flows' ]);

		return page.asked();
	};

	assert.deepEqual(await follow('clients', 0), [ 'flowtable flows host=02:00:00:00:00:07 sort=rate limit=20', 'flowtable status' ]);
	assert.deepEqual(await follow('devices', 0), [ 'flowtable flows device=lan1 sort=rate limit=20', 'flowtable status' ]);
	assert.deepEqual(await follow('tables', 0), [ 'flowtable flows partition=flowtabled_hw sort=rate limit=20', 'flowtable status' ]);
});

test('the reason of a flow is there for the mouse, the keyboard and the finger', async () => {
	const page = await flowsPage(reply('flows-mixed'));
	const titles = page.pane('flows').find((n) => n.tag == 'span' && 'title' in n.attributes).map((n) => n.attributes.title);

	assert.deepEqual(titles, [
		'it is marked as offloaded, yet takes the classic path (as did 120 of 900 packets of flows in hardware)',
		'one of its devices is in no flowtable (guest0: set by a device section of /etc/config/flowtable (guest*))',
		'only TCP, UDP and untranslated GRE are offloaded (icmp)'
	]);
	assert.deepEqual(page.rows('flows').map((row) => row.slice(0, 7)), [
		[ 'hardware', 'tcp', '192.168.1.100:49152', '203.0.113.2:443', 'laptop', '4.3 GB/s', '3.0 MB' ],
		[ 'software', 'udp', '[fd00:1::2]:41159', '[fd00:2::2]:7001', 'laptop', '164.1 KB/s', '1.1 MB' ],
		[ 'classic', 'tcp', '192.168.9.2:55168', '203.0.113.2:7004', '192.168.9.2', '0 B/s', '1.1 MB' ],
		[ 'classic', 'icmp', '192.168.1.2', '192.0.2.1', '-', '-', '-' ]
	]);

	const button = toggle(page, 2);

	assert.deepEqual([ button.tag, button.attributes['aria-expanded'] ], [ 'button', 'false' ]);
	button.click();
	assert.equal(button.attributes['aria-expanded'], 'true');
	assert.equal(page.detail('flows', 'Reason').text, titles[1]);
	assert.equal(page.detail('flows', 'Translated to').textContent, '203.0.113.1:55168 → 203.0.113.2:7004');
	assert.equal(page.detail('flows', 'Devices').text, 'guest0 → wan0');
	assert.equal(page.detail('flows', 'Sent').text, '981 packets, 551.2 KB, 0 B/s');
	assert.equal(page.detail('flows', 'State of TCP').text, 'ESTABLISHED');
	button.click();
	assert.equal(page.lines('flows').length, 4);

	toggle(page, 0).click();
	assert.equal(page.detail('flows', 'Being closed').text, 'yes');
	assert.equal(page.detail('flows', 'Kept on the classic path for').text, '42s');
	assert.equal(page.detail('flows', 'Switch').text, 'sw: the chip cannot express the address family');
	assert.equal(page.detail('flows', 'Mark').text, '0xffff0000');
	assert.equal(page.detail('flows', 'Zone of conntrack').text, '3');
	toggle(page, 0).click();

	// Of one that is as it should be there is no reason to tell.
	toggle(page, 1).click();
	assert.equal(page.detail('flows', 'Reason').text, 'none');
});

test('badges of offloaded flows on the classic path warn', async () => {
	const page = await flowsPage(reply('flows-mixed'));

	assert.deepEqual(page.lines('flows').map((tr) => tr.find((n) => /^label/.test(n.attributes.class))[0].attributes.class),
		[ 'label warning', 'label notice', 'label', 'label' ]);
});

test('the focus and what is opened stay when rows change places', async () => {
	const flow = (port, rate_sent) => ({ source: '10.0.0.1', source_port: port, destination: '10.9.9.9',
		destination_port: 443, protocol: 'tcp', state: 'software', rate_sent, rate_received: 0 });
	const answers = { status: STATUS, history: {}, flows: { matched: 3, flows: [ flow(1, 9), flow(2, 8), flow(3, 7) ] } };
	const page = await open(answers);

	await page.tab('flows');

	const row = page.lines('flows')[1];
	const untouched = row.children[2].children[0];

	toggle(page, 1).click();
	toggle(page, 1).focus();

	const focused = page.document.activeElement;

	answers.flows = { matched: 3, flows: [ flow(3, 10), flow(1, 9), flow(2, 8) ] };
	await page.poll();
	assert.equal(page.document.activeElement, focused);
	assert.deepEqual(page.lines('flows').map((tr) => tr.children.length > 1 ? tr.children[2].text : 'detail'),
		[ '10.0.0.1:3', '10.0.0.1:1', '10.0.0.1:2', 'detail' ]);
	assert.equal(page.lines('flows')[2], row);
	assert.equal(row.children[2].children[0], untouched, 'a cell that is the same is left alone');

	answers.flows = { matched: 3, flows: [ flow(2, 12), flow(3, 10), flow(1, 9) ] };
	await page.poll();
	assert.equal(page.document.activeElement, focused);
	assert.equal(row.children[5].text, '12 B/s');
	assert.equal(focused.attributes['aria-expanded'], 'true');

	// When the flow is gone the next key starts from the table.
	answers.flows = { matched: 1, flows: [ flow(1, 9) ] };
	await page.poll();
	assert.equal(page.document.activeElement.attributes.class, 'ft-frame');
	assert.equal(page.lines('flows').length, 1);
	answers.flows = { matched: 1, flows: [ flow(2, 9) ] };
	await page.poll();
	assert.equal(page.lines('flows').length, 1, 'another one with its addresses is not opened');
});

test('two flows that look the same are two rows', async () => {
	const flow = { source: '10.0.0.1', destination: '10.9.9.9', protocol: '47', state: 'classic' };
	const page = await flowsPage({ matched: 2, flows: [ { ...flow, age_s: 1 }, { ...flow, age_s: 2 } ] });

	assert.deepEqual(page.rows('flows').map((row) => row[7]), [ '1s', '2s' ]);
	await page.poll();
	assert.equal(page.lines('flows').length, 2);
});

test('what was asked for is read out, a poll is not', async () => {
	const page = await flowsPage(manyFlows(10000));
	const pane = page.pane('flows');
	const voice = () => pane.find((n) => n.attributes.role == 'status')[0].text;

	assert.equal(voice(), '');
	await page.poll();
	assert.equal(voice(), '');
	await page.press('Next page', pane);
	assert.equal(voice(), '21 to 40 of 10000');
});

test('a table that waits for the daemon says so', async () => {
	let answer;
	const answers = { status: STATUS, history: {}, flows: manyFlows(100) };
	const page = await open(answers);
	const frame = page.pane('flows').find((n) => n.attributes.class == 'ft-frame')[0];

	await page.tab('flows');
	answers.flows = () => new Promise((resolve) => answer = resolve);
	await page.press('Next page', page.pane('flows'));
	assert.equal(frame.attributes['aria-busy'], 'true');
	answer({ matched: 0, flows: [] });
	answers.flows = manyFlows(0);
	await settle();
	assert.equal('aria-busy' in frame.attributes, false);
	assert.deepEqual(page.rows('flows'), [ [ 'none' ] ]);
});
