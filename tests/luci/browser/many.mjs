// SPDX-License-Identifier: GPL-2.0-or-later
// Status, Flow Offload with more flows than anybody reads. The last of the tests: the flows stay.

import assert from 'node:assert/strict';
import { eventually } from './chromium.mjs';
import { daemon, run } from './router.mjs';
import { STATUS, rows, tab, view } from './views.mjs';

view('ten thousand flows are a page of rows, and the rest is turned to', STATUS, {}, async (page) => {
	await run('sysctl -qw net.netfilter.nf_conntrack_udp_timeout=600');
	await run(`ip netns exec laptop bash -c 'for ((p = 10000; p < 20000; p++)); do echo >/dev/udp/203.0.113.2/$p; done'`);
	await eventually(async () => (await daemon('status')).flows.classic > 10000, 'the daemon has them');
	await tab(page, 'flows');
	await page.until(() => /1 to 20 of 1\d{4}/.test(document.querySelector('#view').innerText));
	assert.equal((await rows(page)).length, 20);

	const first = (await rows(page)).map((one) => one.Destination + one.Source);

	await page.click('button[aria-label="Next page"]');
	await page.until(() => /21 to 40 of 1\d{4}/.test(document.querySelector('#view').innerText));
	assert.ok((await rows(page)).some((one) => !first.includes(one.Destination + one.Source)));
	await page.choose('[data-tab-active="true"] select[aria-label="Rows on a page"]', '50');
	await eventually(async () => (await rows(page)).length == 50, 'fifty rows');
	// Each look of the page is answered: none waits for another.
	page.calls.length = 0;
	await eventually(() => page.calls.filter((call) => call == 'flowtable flows').length >= 2, 'two polls');
	await page.fill('[data-tab-active="true"] input[type="number"]', '7001');
	await eventually(async () => (await rows(page)).length == 1, 'a filter finds one among them');
});
