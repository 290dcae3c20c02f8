// SPDX-License-Identifier: GPL-2.0-or-later
// The line on LuCI's overview page.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { load } from './luci_client.mjs';

const INCLUDE = new URL('../../luci-app/htdocs/luci-static/resources/view/status/include/35_flowtable.js', import.meta.url);

const status = JSON.parse(readFileSync(new URL('replies/status-mixed.json', import.meta.url), 'utf8'));
const GONE = new Error('RPC call to flowtable/status failed with error -32000: Object not found');
const sample = { at_s: 4, span_ms: 2000, classic: [ 1, 2000 ], software: [ 10, 4000 ], hardware: [ 100, 6000000 ] };

async function show(answers) {
	const page = load(INCLUDE, { access: true, status, history: { samples: [ {}, sample ] }, ...answers });
	const node = page.view.render(await page.view.load());

	return { calls: page.seen.calls, node, text: node && node.text.replace(/\s+/g, ' ').trim() };
}

test('the mode, the flows and the rate are one line', async () => {
	const line = await show({});

	assert.equal(line.text, 'mixed In hardware : 88 In software : 340 On the classic path : 12 Rate : 3.0 MB/s');
	assert.deepEqual(line.calls.slice(1), [ 'flowtable status', 'flowtable history points=1' ]);
	assert.deepEqual(line.node.find((n) => n.tag == 'a').map((a) => a.attributes.href), [ '/cgi-bin/luci/admin/status/flowtable' ]);
});

test('what is not known is a dash', async () => {
	const { hardware, ...less } = sample;

	assert.ok(hardware);
	for (const history of [ {}, { samples: [] }, { samples: [ less ] }, { samples: [ { ...sample, span_ms: 0 } ] }, GONE ])
		assert.match((await show({ history })).text, /Rate : -$/);

	assert.equal((await show({ status: {} })).text, '- In hardware : - In software : - On the classic path : - Rate : 3.0 MB/s');
});

test('a stopped daemon is told', async () => {
	assert.equal((await show({ status: GONE, history: GONE })).text, 'The daemon does not answer');
});

test('who may not ask is shown nothing, and the daemon is not asked', async () => {
	for (const access of [ false, GONE ]) {
		const line = await show({ access });

		assert.equal(line.node, null);
		assert.equal(line.calls.length, 1);
	}
});
