// SPDX-License-Identifier: GPL-2.0-or-later
// Network, Flow Offload and the overview page: what is saved reaches the kernel, what is wrong nobody.

import assert from 'node:assert/strict';
import { eventually } from './chromium.mjs';
import { call, daemon, flowtable, login, run } from './router.mjs';
import { SETTINGS, flow, keepingConfig, tab, view } from './views.mjs';

const SWITCH = '[id="widget.cbid.flowtable.global._offload"]';
const PRIORITY = '[id="widget.cbid.flowtable.global.priority"]';

/** Saves and applies; LuCI confirms it by itself and loads the page anew. */
async function apply(page) {
	await page.run(() => {
		window.before = true;
	});
	await page.click('.cbi-page-actions .cbi-button-apply');
	await page.until(() => !window.before && document.querySelector('.cbi-map'));
}

const option = async (name) =>
	(await run(`sed -n "s/.*option ${name} '\\(.*\\)'/\\1/p" /etc/config/firewall`)).trim();

view('the switch changes the kernel\'s flowtable', SETTINGS, {}, (page) => keepingConfig(async () => {
	const { commits } = await daemon('status');

	assert.deepEqual((await flowtable('flowtabled')).dev.sort(), [ 'lan1', 'lan2', 'lan3', 'wan0' ]);
	await page.choose(SWITCH, 'off');
	await apply(page);
	assert.equal(await option('flow_offloading'), '');
	await eventually(async () => !await flowtable('flowtabled'), 'the flowtable is gone');
	assert.equal((await daemon('status')).commits, commits + 1, 'by one reload');
	await page.sees('firewall flow_offloading is off', '#view');

	await page.choose(SWITCH, 'hardware');
	await apply(page);
	assert.equal(await option('flow_offloading'), '1');
	assert.equal(await option('flow_offloading_hw'), '1');
	await eventually(async () => (await flowtable('flowtabled_hw'))?.dev.sort().join() == 'lan1,lan2,wan0', 'the ports with hardware');
	await eventually(async () => (await flow(7001))?.state == 'hardware', 'a flow is in hardware');
	await page.sees('mixed only some devices accept hardware offload', '#view');
	assert.equal((await flow(7006)).state, 'software', 'its table is not for hardware');
}));

view('what is wrong is refused in the form and reaches no file', SETTINGS, {}, async (page) => {
	const before = await run('cat /etc/config/flowtable');

	await page.fill(PRIORITY, 'soon');
	await page.until((selector) => document.querySelector(selector).classList.contains('cbi-input-invalid'), PRIORITY);
	await page.click('.cbi-page-actions .cbi-button-save');
	await page.sees('Priority', '.modal');
	await page.click('.modal button', 'Dismiss');
	assert.equal(await run('cat /etc/config/flowtable'), before);
	assert.ok(!page.calls.some((one) => /^uci (set|add|apply)/.test(one)), String(page.calls));

	await page.fill(PRIORITY, '2147483648');
	await page.until((selector) => document.querySelector(selector).classList.contains('cbi-input-invalid'), PRIORITY);
	await page.fill(PRIORITY, '-5');
	await page.until((selector) => !document.querySelector(selector).classList.contains('cbi-input-invalid'), PRIORITY);
	// The form's own refusal is an error of its promise.
	page.errors.length = 0;
});

view('a rule made in the page keeps its flows on the classic path', SETTINGS, {}, (page) => keepingConfig(async () => {
	await eventually(async () => (await flow(7001)).state == 'software', 'the flow is offloaded');
	await tab(page, 'rule');
	await page.click('[data-tab-active="true"] .cbi-button-add');
	await page.fill('.modal [id$=".name"] input', 'console');
	await page.click('.modal [data-tab="match"] > a');
	await page.fill('.modal [id$=".src_ip"] .add-item > input', '192.168.1.300');
	await page.until(() => document.querySelector('.modal [id$=".src_ip"] .cbi-input-invalid'));
	await page.fill('.modal [id$=".src_ip"] .add-item > input', '192.168.1.2');
	await page.key('Enter');
	await page.until(() => document.querySelector('.modal [id$=".src_ip"] .item')?.textContent.includes('192.168.1.2'));
	await page.click('.modal button', 'Save');
	await page.sees('console', '[data-tab-active="true"]');
	await apply(page);

	const file = await run('cat /etc/config/flowtable');

	assert.match(file, /config rule\n\toption name 'console'/);
	assert.match(file, /list src_ip '192\.168\.1\.2'/);
	assert.match(file, /option name 'voice'/, 'the other rule is there');
	assert.equal((await daemon('status')).last_error, undefined);
	await eventually(async () => {
		const web = await flow(7001);

		return web.state == 'classic' && web.reason == 'policy_bypass' && web.detail.includes('console');
	}, 'its flow is on the classic path because of it');
}));

view('a configuration that somebody else has broken is told about', SETTINGS, {}, (page) => keepingConfig(async () => {
	const root = await login('root');

	await run(`printf "\\nconfig table\\n\\toption name 'No Good'\\n" >>/etc/config/flowtable`);
	await call(root, 'rc', 'init', { name: 'flowtabled', action: 'reload' });
	await page.sees('Last error', '#view');
	await page.sees('No Good', '#view');
	assert.ok(await flowtable('flowtabled'), 'the last good state stays in force');
}));

view('an account that only reads can look at the settings and save nothing', SETTINGS, { account: 'reader' }, async (page) => {
	const states = await page.until(() => {
		const buttons = [ ...document.querySelectorAll('.cbi-page-actions button, .cbi-page-actions .cbi-dropdown') ];

		return buttons.length ? buttons.map((button) => button.disabled || button.hasAttribute('disabled')) : null;
	});

	assert.ok(states.every(Boolean), String(states));
});

view('the overview has one line about it, and says when the daemon is stopped', 'status/overview', {}, async (page) => {
	const root = await login('root');

	await eventually(async () => {
		const { flows } = await daemon('status');

		return (await page.text('#view')).includes(`In software: ${flows.software}`);
	}, 'the number of flows');
	await call(root, 'rc', 'init', { name: 'flowtabled', action: 'stop' });
	await page.sees('The daemon does not answer', '#view');
	await call(root, 'rc', 'init', { name: 'flowtabled', action: 'start' });
	await page.sees('In software:', '#view');
});
