// SPDX-License-Identifier: GPL-2.0-or-later
// What the tests of all views share: one browser, and the router put back to where it was.

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Browser, eventually } from './chromium.mjs';
import { call, daemon, login, page as address, run } from './router.mjs';

export const STATUS = 'status/flowtable';
export const SETTINGS = 'network/flowtable';

let browser = null;

after(() => browser?.close());

/** A test with a page of its own; nothing may go wrong in the page. */
export function view(title, path, options, body) {
	test(title, async () => {
		browser ??= await Browser.open();

		const page = await browser.page(options);

		try {
			await page.open(address(path, options.account));
			await page.sees('Flow Offload', '#view');
			await body(page);
			assert.deepEqual(page.errors, []);
		}
		catch (error) {
			error.message += `\nThe page: ${(await page.text()).replace(/\n+/g, ' | ').slice(0, 1500)}`;
			throw error;
		}
		finally {
			await page.close();
		}
	});
}

/** Brings a tab to the front. */
export function tab(page, name) {
	return page.click(`[data-tab="${name}"] > a`);
}

/** The rows of the table in front: of each the text of its cells by the titles of the columns. */
export function rows(page) {
	return page.run(() => [ ...document.querySelectorAll('[data-tab-active="true"] tbody tr') ]
		.filter((row) => row.querySelector('td[data-title]'))
		.map((row) => Object.fromEntries([ ...row.querySelectorAll('td[data-title]') ]
			.map((cell) => [ cell.getAttribute('data-title'), cell.textContent.trim() ]))));
}

/** Waits for the row whose cell has this text, and gives it. */
export function row(page, title, text) {
	return eventually(async () => (await rows(page)).find((one) => one[title] == text), `a row with ${title} ${text}`);
}

/** The flow to this port of the WAN's host, as the daemon tells it. */
export async function flow(port) {
	const { flows } = await daemon('flows', { port });

	return flows.find((one) => one.destination_port == port);
}

/** Runs the test's body with the configuration as it is, and puts it back afterwards. */
export async function keepingConfig(body) {
	await run('rm -rf /tmp/lab/kept && cp -r /etc/config /tmp/lab/kept');

	try {
		await body();
	}
	finally {
		await run('cp /tmp/lab/kept/* /etc/config/');

		const root = await login('root');

		await call(root, 'rc', 'init', { name: 'flowtabled', action: 'reload' });
		await eventually(async () => (await daemon('status')).effective == 'software', 'the mode is what it was');
	}
}
