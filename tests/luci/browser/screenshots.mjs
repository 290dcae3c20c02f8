// SPDX-License-Identifier: GPL-2.0-or-later
// Pictures of every view: wide and narrow, in light and in dark. The folder is the argument.

import { join } from 'node:path';
import { argv } from 'node:process';
import { failing } from './chip.mjs';
import { Browser, eventually } from './chromium.mjs';
import { daemon, page as address, run } from './router.mjs';

const WIDE = { width: 1100, height: 700 };
const NARROW = { width: 390, height: 844 };

// The first one in software: a graph of hardware that counts in steps looks like a saw.
// Name of the picture, page, tab (null: as the page opens), and what it shows when it is there.
const VIEWS = [
	[ 'status-overview', 'status/flowtable', null, 'Throughput' ],
	[ 'status-flows', 'status/flowtable', 'flows', '203.0.113.2:7001' ],
	[ 'status-clients', 'status/flowtable', 'clients', 'laptop' ],
	[ 'status-devices', 'status/flowtable', 'devices', 'wan0' ],
	[ 'status-tables', 'status/flowtable', 'tables', 'flowtabled' ],
	[ 'status-hardware', 'status/flowtable', 'hardware', 'takes flows' ],
	[ 'status-health', 'status/flowtable', 'health', 'Version' ],
	[ 'settings-general', 'network/flowtable', null, 'Make flowtables' ],
	[ 'settings-devices', 'network/flowtable', 'device', 'guest*' ],
	[ 'settings-rules', 'network/flowtable', 'rule', 'voice' ],
	[ 'settings-tables', 'network/flowtable', 'table', 'Priority' ],
	[ 'settings-switches', 'network/flowtable', 'switch', 'Driver' ],
	[ 'overview', 'status/overview', null, 'Flow Offload' ]
];

// Every view is taken wide and light; the other ways are those that a view may look wrong in.
const LOOKS = [
	[ 'light', { ...WIDE, dark: false } ],
	[ 'dark', { ...WIDE, dark: true } ],
	[ 'narrow', { ...NARROW, dark: false } ],
	[ 'narrow-dark', { ...NARROW, dark: true } ]
];

const browser = await Browser.open();

async function take(views) {
	for (const [ name, path, tab, shows ] of views)
		for (const [ look, given ] of LOOKS) {
			const page = await browser.page(given);

			await page.open(address(path));

			if (tab)
				await page.click(`[data-tab="${tab}"] > a`);

			await page.sees(shows, '#view');
			await page.shot(join(argv[2], `${name}-${look}.png`));
			await page.close();
		}
}

// A graph needs time, and the daemon looks often while somebody asks.
await eventually(async () => (await daemon('history')).samples.length > 15, 'something to draw', 300000);
await take(VIEWS.slice(0, 1));
await run(`sed -i "s/option flow_offloading '1'/option flow_offloading '1'\\n\\toption flow_offloading_hw '1'/" /etc/config/firewall`);
await run('ubus call flowtable reload');
await eventually(async () => (await daemon('status')).flows.hardware > 0, 'flows in hardware', 60000);
await eventually(async () => (await daemon('hardware')).switches[0].used == 1, 'an entry in the switch', 60000);
// So that there is a failure to be seen.
await failing();
await take(VIEWS.slice(1));
await browser.close();
