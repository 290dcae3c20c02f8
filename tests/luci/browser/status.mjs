// SPDX-License-Identifier: GPL-2.0-or-later
// Status, Flow Offload: with flows that are really forwarded, and a daemon that can be stopped.

import assert from 'node:assert/strict';
import { eventually } from './chromium.mjs';
import { call, daemon, login, run } from './router.mjs';
import { STATUS, flow, row, rows, tab, view } from './views.mjs';

// The WAN's ports of the lab's flows: who opens them is in parts/live.steps.
const [ WEB, WEB6, DNS, DNS6, VOICE, GAME, GUEST, FILM ] = [ 7001, 7002, 7003, 7004, 7005, 7006, 7007, 7008 ];
const LAB_PORTS = [ WEB, WEB6, DNS, DNS6, VOICE, GAME, GUEST, FILM ];

const end = (one) => one.destination.includes(':')
	? `[${one.destination}]:${one.destination_port}` : `${one.destination}:${one.destination_port}`;

/** Bytes a second behind `12.3 KB/s`. */
function rate(text) {
	const [ , number, prefix ] = /^([\d.]+) ([KMG]?)B\/s$/.exec(text) || [];

	return number == null ? null : Number(number) * { '': 1, K: 1e3, M: 1e6, G: 1e9 }[prefix];
}

view('states and rates of all flows are those of the bus', STATUS, {}, async (page) => {
	await eventually(async () => (await daemon('status')).flows.software >= 6, 'six flows are offloaded');
	await tab(page, 'flows');

	// The page and the test ask at different times; both see the same list of the daemon sooner or later.
	await eventually(async () => {
		const shown = await rows(page);
		const { flows } = await daemon('flows', { limit: 100 });

		for (const port of LAB_PORTS) {
			const told = flows.find((one) => one.destination_port == port);
			const cells = shown.find((one) => one.Destination == end(told));
			const wanted = told.rate_sent + told.rate_received;

			if (!cells || cells.State != told.state || !(Math.abs(rate(cells.Rate) - wanted) <= wanted * 0.01 + 0.1))
				return false;
		}

		return true;
	}, 'every row agrees with the bus', 60000);

	const states = Object.fromEntries(await Promise.all(LAB_PORTS.map(async (port) => [ port, (await flow(port)).state ])));

	assert.deepEqual(states, {
		[WEB]: 'software', [WEB6]: 'software', [DNS]: 'software', [DNS6]: 'software', [GAME]: 'software', [FILM]: 'software',
		[VOICE]: 'classic', [GUEST]: 'classic'
	});
});

view('a classic flow tells why, without a mouse', STATUS, {}, async (page) => {
	await tab(page, 'flows');
	await row(page, 'Destination', `203.0.113.2:${VOICE}`);
	await page.run((text) => {
		const found = [ ...document.querySelectorAll('tbody tr') ].find((tr) => tr.textContent.includes(text));

		found.querySelector('button[aria-expanded]').focus();
	}, `:${VOICE}`);
	await page.key('Enter');
	await page.sees('rule \'voice\'', '[data-tab-active="true"]');
});

view('a flow is returned to the classic path and released again', STATUS, {}, async (page) => {
	await tab(page, 'flows');

	const destination = `203.0.113.2:${WEB}`;
	const press = async (label) => {
		await page.until((text) => {
			const found = [ ...document.querySelectorAll('tbody tr') ].find((tr) => tr.textContent.includes(text));

			found?.setAttribute('data-test', 'this');

			return found;
		}, destination);
		await page.click('tr[data-test="this"] button', label);
	};

	await row(page, 'Destination', destination);
	await press('To classic…');
	await page.sees('Flows that match: 1', '.modal');
	await page.click('.modal button', 'Return');
	await page.sees('Kept on the classic path from now on: 1', '.modal');
	assert.ok((await flow(WEB)).bypassed_s > 500);
	assert.equal((await daemon('status')).bypassed, 1);
	await page.click('.modal button', 'Close');
	await eventually(async () => (await row(page, 'Destination', destination)).State == 'classic', 'the row is classic');

	await press('Release…');
	await page.click('.modal button', 'Release');
	await page.sees('Flows released: 1', '.modal');
	assert.equal((await daemon('status')).bypassed, 0);
	await page.key('Escape');
	await eventually(async () => (await flow(WEB)).state == 'software', 'it is offloaded again');
	await eventually(async () => (await row(page, 'Destination', destination)).State == 'software', 'and the row says so');
});

view('nothing is done before it is confirmed; a flush returns all flows once', STATUS, {}, async (page) => {
	await tab(page, 'flows');
	await eventually(async () => (await daemon('status')).flows.software >= 6, 'six flows are offloaded');
	await page.click('button', 'Return all once…');
	await page.sees('Return all flows once', '.modal');
	await page.key('Escape');
	await page.until(() => {
		const modal = document.querySelector('.modal');

		// LuCI leaves it where it is, and only hides it.
		return !modal?.getClientRects().length || getComputedStyle(modal).visibility == 'hidden';
	});
	assert.ok(!page.calls.includes('flowtable flush'));
	await page.click('button', 'Return all once…');
	await page.click('.modal button', 'Return all');
	await page.sees('Flows that have returned: 6', '.modal');
	await page.click('.modal button', 'Close');
	await eventually(async () => (await daemon('status')).flows.software >= 6, 'they are offloaded again');
});

view('with the daemon stopped the page says so and starts it', STATUS, {}, async (page) => {
	const root = await login('root');

	await page.sees('software', '#view');
	assert.equal((await call(root, 'rc', 'init', { name: 'flowtabled', action: 'stop' })).result[0], 0);
	await page.sees('The daemon does not run', '#view');
	assert.equal((await call(root, 'flowtable', 'status')).error.code, -32000);
	await page.click('button', 'Start the daemon');
	await eventually(async () => (await daemon('status')).effective == 'software', 'it runs');
	await page.until(() => !document.querySelector('#view').innerText.includes('does not run'));
	await eventually(async () => (await daemon('status')).flows.software >= 6, 'flows are offloaded');
});

view('an account that only reads sees flows and no buttons', STATUS, { account: 'reader' }, async (page) => {
	await tab(page, 'flows');
	await row(page, 'Destination', `203.0.113.2:${WEB}`);

	const labels = await page.run(() => [ ...document.querySelectorAll('#view button') ]
		.filter((button) => button.getClientRects().length).map((button) => button.innerText.trim()));

	assert.deepEqual(labels.filter((label) => /classic|Return|Release|Start/.test(label)), []);
	assert.ok(labels.includes('Clear'), 'the filter is there');
});

view('the graph and the numbers below it are the history\'s', STATUS, {}, async (page) => {
	await page.sees('Throughput', '#view');

	const drawn = await page.until(() => [ ...document.querySelectorAll('#view svg path, #view svg polyline') ]
		.some((node) => (node.getAttribute('d') || node.getAttribute('points') || '').length > 20));

	assert.ok(drawn);
	await eventually(async () => {
		const { samples } = await daemon('history');
		const { software, span_ms } = samples.at(-1);
		const text = await page.text('#view');
		const wanted = `${Math.round(software[0] * 1000 / span_ms)} p/s`;

		return text.includes(wanted);
	}, 'the present rate of packets in software', 60000);
});

view('a hidden page asks nothing, and at once when it is seen again', STATUS, {}, async (page) => {
	const tick = () => page.run(() => L.require('poll').then((poll) => poll.tick));

	await page.sees('Throughput', '#view');
	await page.show(false);

	const from = await tick();

	// What was asked before may still be under way.
	await eventually(async () => await tick() > from + 1, 'a turn of the poll');
	page.calls.length = 0;
	await eventually(async () => await tick() > from + 12, 'two intervals of the poll');
	assert.deepEqual(page.calls, []);
	await page.show(true);
	await eventually(() => page.calls.includes('flowtable status'), 'it asks again');
});

view('everything can be reached by keyboard, and keeps the focus when the table is new', STATUS, {}, async (page) => {
	await page.sees('Throughput', '#view');

	const focus = (text) => eventually(async () => {
		await page.key('Tab');

		return page.run((wanted) => document.activeElement.innerText?.trim() == wanted, text);
	}, `the focus comes to ${text}`);

	await focus('Flows');
	await page.key('Enter');
	await row(page, 'Destination', `203.0.113.2:${WEB}`);
	await focus('Age');
	await page.key('Enter');
	await page.until(() => document.activeElement.closest('th')?.getAttribute('aria-sort') == 'descending');
	page.calls.length = 0;
	await eventually(() => page.calls.filter((call) => call == 'flowtable flows').length >= 2, 'two polls');
	assert.equal(await page.run(() => document.activeElement.innerText.trim()), 'Age');
});

view('nothing is wider than a telephone, in any tab', STATUS, { width: 390, height: 844, dark: true }, async (page) => {
	const names = await page.until(() => {
		const list = [ ...document.querySelectorAll('li[data-tab]') ].map((node) => node.getAttribute('data-tab'));

		return list.length ? list : null;
	});

	for (const name of names) {
		await tab(page, name);
		await page.until((pane) => document.querySelector(`div[data-tab="${pane}"]`).innerText.trim().length > 20, name);

		const [ width, wide ] = await page.run(() => [ document.documentElement.clientWidth,
			[ ...document.querySelectorAll('#view *') ].filter((node) => node.getClientRects().length
				&& !node.closest('.ft-frame') && node.getBoundingClientRect().right > innerWidth + 1).map((node) => node.outerHTML.slice(0, 120)) ]);

		assert.equal(width, 390);
		assert.deepEqual(wide, [], name);
	}
});
