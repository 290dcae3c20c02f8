// SPDX-License-Identifier: GPL-2.0-or-later
// Flows are handed back, kept and released: what is asked for, said and sent.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { open, refusal, replies, settle } from './page.mjs';

const ACTIONS = [ 'evict', 'release', 'flush' ];

const show = async (answers, tab = 'flows', writable = true) => {
	const page = await open({ ...replies('mixed'), ...answers }, writable);

	await page.tab(tab);
	page.asked();

	return page;
};
const changes = (page) => page.asked().filter((call) => ACTIONS.includes(call.split(' ')[1]));

test('one flow is kept on the classic path after a confirmation, for as long as was chosen', async () => {
	const page = await show({ evict: { matched: 1, evicted: 1, bypassed: 1 } });
	const opener = await page.press('To classic…', page.lines('flows')[1]);

	assert.match(page.seen.modal.text, /udp fd00:1::2 41159 → fd00:2::2 7001/);
	assert.match(page.seen.modal.text, /Flows that match: 12/);
	assert.deepEqual(page.asked(), [ 'flowtable flows address=fd00:1::2 port=41159 protocol=udp limit=1' ]);
	// The safe answer is at hand.
	assert.equal(page.document.activeElement.text, 'Cancel');

	const duration = page.seen.modal.find((n) => n.tag == 'select')[0];

	assert.equal(duration.value, '600');
	duration.value = 3600;
	await page.press('Return', page.seen.modal);
	assert.deepEqual(changes(page), [ 'flowtable evict address=fd00:1::2 port=41159 protocol=udp duration_s=3600' ]);
	assert.match(page.seen.modal.text, /Flows that have returned: 1/);
	assert.match(page.seen.modal.text, /Kept on the classic path from now on: 1/);
	assert.equal(page.document.activeElement.text, 'Close');
	await page.press('Close', page.seen.modal);
	assert.equal(page.seen.modal, null);
	assert.equal(page.document.activeElement, opener);
});

test('nothing is done without a confirmation', async () => {
	const page = await show({});
	const opener = await page.press('To classic…', page.lines('flows')[1]);

	await page.press('Cancel', page.seen.modal);
	assert.equal(page.seen.modal, null);
	assert.deepEqual(changes(page), []);
	assert.equal(page.document.activeElement, opener);
});

test('a flow that is kept can be released, one without ports goes by its addresses', async () => {
	const page = await show({ release: { released: 1 }, evict: { matched: 1, evicted: 0, bypassed: 1 } });

	await page.press('Release…', page.lines('flows')[0]);
	await page.press('Release', page.seen.modal);
	assert.deepEqual(changes(page), [ 'flowtable release address=192.168.1.100 port=49152 protocol=tcp' ]);
	assert.match(page.seen.modal.text, /Flows released: 1/);
	await page.press('Close', page.seen.modal);

	await page.press('To classic…', page.lines('flows')[3]);
	await page.press('Return', page.seen.modal);
	assert.deepEqual(changes(page), [ 'flowtable evict address=192.168.1.2 protocol=icmp duration_s=600' ]);
});

test('all that match the filter can be kept and released, and all flows returned once', async () => {
	const page = await show({ evict: { matched: 9, evicted: 8, bypassed: 7 }, release: { released: 7 }, flush: { flows: 88 } });
	const pane = page.pane('flows');

	await page.press('Return those that match…', pane);
	assert.match(page.seen.modal.text, /All flows/);
	await page.press('Cancel', page.seen.modal);

	await page.enter('Client', 'laptop', pane);
	await page.enter('Port', '443', pane);
	page.asked();
	await page.press('Return those that match…', pane);
	assert.match(page.seen.modal.text, /Port: 443, Client: laptop/);
	await page.press('Return', page.seen.modal);
	await page.press('Close', page.seen.modal);
	await page.press('Release those that match…', pane);
	await page.press('Release', page.seen.modal);
	await page.press('Close', page.seen.modal);
	assert.deepEqual(changes(page), [ 'flowtable evict port=443 host=laptop duration_s=600', 'flowtable release port=443 host=laptop' ]);

	await page.press('Return all once…', pane);
	await page.press('Return all', page.seen.modal);
	assert.deepEqual(changes(page), [ 'flowtable flush' ]);
	assert.match(page.seen.modal.text, /Flows that have returned: 88/);
});

test('a client\'s flows are found by its MAC address', async () => {
	const page = await show({ evict: { matched: 4, evicted: 3, bypassed: 4 } }, 'clients');

	await page.press('To classic…', page.lines('clients')[0]);
	assert.match(page.seen.modal.text, /Client: laptop/);
	await page.press('Return', page.seen.modal);
	assert.deepEqual(changes(page), [ 'flowtable evict host=02:00:00:00:00:07 duration_s=600' ]);
	// One without flows has none to hand back.
	assert.equal(page.buttons('To classic…', page.lines('clients')[2]).length, 0);
});

test('a refusal is told in words, and the page goes on', async () => {
	const page = await show({ evict: refusal(8), flush: refusal(9), release: refusal(6) });
	const pane = page.pane('flows');

	for (const [ label, verb, words ] of [
		[ 'Return those that match…', 'Return', 'More than 4096 flows would be kept at once: narrow the filter.' ],
		[ 'Release those that match…', 'Release', 'This account may not do that.' ],
		[ 'Return all once…', 'Return all', 'The kernel refused it.' ]
	]) {
		await page.press(label, pane);
		await page.press(verb, page.seen.modal);
		assert.ok(page.seen.modal.text.includes(words), words);
		await page.press('Close', page.seen.modal);
	}
});

test('what came of it shows without waiting for the poll', async () => {
	const page = await show({ evict: { matched: 1, evicted: 1, bypassed: 1 } });

	await page.press('To classic…', page.lines('flows')[1]);
	page.asked();
	await page.press('Return', page.seen.modal);
	assert.deepEqual(page.asked(), [
		'flowtable evict address=fd00:1::2 port=41159 protocol=udp duration_s=600',
		'flowtable flows sort=rate limit=20', 'flowtable status'
	]);
});

test('a flow may end while its dialog is open', async () => {
	const flows = replies('mixed').flows;
	const answers = { flows: () => flows, evict: { matched: 0, evicted: 0, bypassed: 0 } };
	const page = await show(answers);

	await page.press('To classic…', page.lines('flows')[1]);
	flows.flows = [];
	await page.poll();
	await page.press('Return', page.seen.modal);
	await page.press('Close', page.seen.modal);
	await settle();
	assert.equal(page.seen.modal, null);
	assert.deepEqual(page.rows('flows'), [ [ 'none' ] ]);
});

test('who may only read has no such buttons', async () => {
	for (const tab of [ 'flows', 'clients' ]) {
		const page = await show({}, tab, false);
		const labels = page.pane(tab).find((n) => n.tag == 'button').map((n) => n.text);

		assert.deepEqual(labels.filter((label) => /classic…|Return|Release/.test(label)), [], tab);
		assert.equal(page.lines(tab).length > 2, true);
	}
});
