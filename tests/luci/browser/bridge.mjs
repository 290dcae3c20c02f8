// SPDX-License-Identifier: GPL-2.0-or-later
// What a page's calls meet on the router: accounts, access lists, the real bus, services and the
// configuration with its way back.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually } from './chromium.mjs';
import { call, daemon, flowtable, login, run } from './router.mjs';

const SWITCH = { config: 'firewall', type: 'defaults' };

/** The code of what failed, of JSON-RPC or of the bus; 0 for success. */
const code = (reply) => reply.error ? reply.error.code : reply.result[0];

test('the real bus is asked, and what it answers is passed on', async () => {
	const root = await login('root');
	const reply = await call(root, 'flowtable', 'status');

	assert.equal(code(reply), 0);
	assert.equal(reply.result[1].version, (await daemon('status')).version);
	assert.equal(code(await call(root, 'flowtable', 'flows', { limit: 'many' })), 2, 'the daemon\'s own refusal');
	assert.equal(code(await call(root, 'nobody', 'status')), -32000);
});

test('an account that only reads changes nothing', async () => {
	const reader = await login('reader');
	const before = await run('cat /etc/config/firewall');

	assert.equal(code(await call(reader, 'flowtable', 'status')), 0);
	assert.equal(code(await call(reader, 'flowtable', 'flush')), -32002);
	assert.equal(code(await call(reader, 'flowtable', 'reload')), -32002);
	assert.equal(code(await call(reader, 'rc', 'init', { name: 'flowtabled', action: 'stop' })), -32002);
	assert.equal(code(await call(reader, 'uci', 'set', { ...SWITCH, values: { flow_offloading: '0' } })), -32002);
	assert.equal(code(await call('0'.repeat(32), 'flowtable', 'status')), -32002);
	assert.equal(await run('cat /etc/config/firewall'), before);
});

test('a change that nobody confirms is taken back, in the kernel too', async () => {
	const root = await login('root');
	const before = await run('cat /etc/config/firewall');

	assert.ok(await flowtable('flowtabled'));
	assert.equal(code(await call(root, 'uci', 'set', { ...SWITCH, values: { flow_offloading: '0' } })), 0);
	assert.equal(await run('cat /etc/config/firewall'), before, 'it is the session\'s until it is applied');
	assert.equal(code(await call(root, 'uci', 'apply', { rollback: true, timeout: 3 })), 0);
	await eventually(async () => !await flowtable('flowtabled'), 'the flowtable is gone');
	await eventually(() => flowtable('flowtabled'), 'the flowtable is back');
	assert.equal((await run('cat /etc/config/firewall')).trim(), before.trim());
	assert.equal(code(await call(root, 'uci', 'revert', { config: 'firewall' })), 0);
});
