// SPDX-License-Identifier: GPL-2.0-or-later
// Status, Flow Offload, the tab of switch chips: a simulated one that the daemon fills.

import assert from 'node:assert/strict';
import { chip, failing } from './chip.mjs';
import { eventually } from './chromium.mjs';
import { call, login, run } from './router.mjs';
import { STATUS, flow, keepingConfig, row, tab, view } from './views.mjs';

// The WAN's port of the flow between ports of the switch, see parts/live.steps.
const FILM = 7008;

/** What the tab in front shows below the title of a switch: label, and the value's text. */
function facts(page, name) {
	return page.run((title) => {
		const head = [ ...document.querySelectorAll('[data-tab-active="true"] h3') ].find((node) => node.textContent == title);

		return head && Object.fromEntries([ ...head.parentNode.querySelectorAll('tr') ]
			.map((tr) => [ tr.firstElementChild.textContent.trim(), tr.lastElementChild.textContent.trim() ]));
	}, name);
}

/** Waits until the page has the counts of the bus, which go on while it asks. */
function agrees(page, what, wanted) {
	return eventually(async () => {
		const [ shown, told ] = [ await facts(page, 'switch'), await chip('switch') ];

		return wanted(told) && shown?.Driver == told.driver && shown['Entries made'] == told.inserted
			&& shown['Entries taken out'] == told.removed && shown.Collisions == told.collisions
			&& shown['Failed transactions'] == told.faults && shown['Found the table full'] == told.full;
	}, what, 60000);
}

view('a switch is shown with its entries, and with what has failed', STATUS, {}, (page) => keepingConfig(async () => {
	const root = await login('root');
	const reload = () => call(root, 'rc', 'init', { name: 'flowtabled', action: 'reload' });

	await tab(page, 'hardware');
	await page.sees('nobody wants it', '[data-tab-active="true"]');
	await run(`sed -i "s/option flow_offloading '1'/&\\n\\toption flow_offloading_hw '1'/" /etc/config/firewall`);
	await reload();
	await page.sees('takes flows', '[data-tab-active="true"]');
	await agrees(page, 'an entry is shown', (told) => told.used == 1);

	const { capacity } = await chip('switch');

	await page.until((most) => {
		const meter = document.querySelector('[data-tab-active="true"] [role="meter"]');

		return meter?.getAttribute('aria-valuenow') == '1' && meter.getAttribute('aria-valuemax') == most
			&& meter.getAttribute('aria-valuetext') == `1 / ${most} (0%)`;
	}, String(capacity));
	assert.equal((await flow(FILM)).switch, 'switch');
	await tab(page, 'flows');
	assert.equal((await row(page, 'Destination', `203.0.113.2:${FILM}`)).State, 'hardware');

	await tab(page, 'hardware');
	await failing();
	await agrees(page, 'a transfer that failed is counted', (told) => told.faults > 0);

	await run(`printf "\nconfig switch\n\toption name 'other'\n\toption driver 'qca8337'\n\toption device 'sw9'\n\toption force '1'\n\tlist port 'lan1=2/1'\n\tlist port 'lan2=3/2'\n" >>/etc/config/flowtable`);
	await reload();
	await eventually(async () => /cannot be used: .*sw9/.test((await facts(page, 'other'))?.State), 'one that is not there says so');
	assert.equal((await facts(page, 'switch')).State, 'ready takes flows', 'the first goes on');
}));
