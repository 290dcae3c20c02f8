// SPDX-License-Identifier: GPL-2.0-or-later
// Chromium without a window, spoken to over two pipes (its DevTools protocol, messages ended by NUL): no
// driver, no port, and it ends with us.

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Longest wait for anything that a page has to show; the router is an emulated machine. */
const PATIENCE_MS = 30000;
/** Between two looks at a condition. */
const LOOK_MS = 50;

const FLAGS = [
	'--headless', '--no-sandbox', '--disable-gpu', '--no-first-run', '--no-default-browser-check',
	'--disable-background-networking', '--disable-component-update', '--disable-sync', '--disable-extensions',
	'--disable-dev-shm-usage', '--hide-scrollbars', '--force-prefers-reduced-motion',
	'--remote-debugging-pipe',
	// Whatever a page asks for comes from the router or not at all.
	'--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1'
];

/** Keys that are not a character. */
const KEYS = {
	Tab: 9, Enter: 13, Escape: 27, Space: 32, PageUp: 33, PageDown: 34, End: 35, Home: 36,
	ArrowLeft: 37, ArrowUp: 38, ArrowRight: 39, ArrowDown: 40, Backspace: 8, Delete: 46
};

/** Waits until `look` gives something true, and returns it. */
export async function eventually(look, what, patience = PATIENCE_MS) {
	const deadline = Date.now() + patience;
	let last;

	for (;;) {
		try {
			const seen = await look();

			if (seen)
				return seen;

			last = seen;
		}
		catch (error) {
			last = error;
		}

		if (Date.now() > deadline)
			throw new Error(`never so within ${patience} ms: ${what ?? look} (last: ${last?.stack ?? JSON.stringify(last)})`);

		await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
	}
}

export class Browser {
	static async open() {
		const browser = new Browser();

		browser.dir = mkdtempSync(join(tmpdir(), 'flowtable-browser-'));
		browser.child = spawn(process.env.CHROMIUM || 'chromium', [ ...FLAGS, `--user-data-dir=${browser.dir}`, 'about:blank' ],
			{ stdio: [ 'ignore', 'ignore', 'ignore', 'pipe', 'pipe' ] });
		browser.calls = new Map();
		browser.pages = new Map();
		browser.serial = 0;
		browser.rest = '';
		browser.ended = new Promise((resolve) => browser.child.on('exit', resolve));
		browser.ended.then(() => {
			for (const call of browser.calls.values())
				call.reject(new Error('the browser has ended'));
		});
		browser.child.stdio[4].setEncoding('utf8');
		browser.child.stdio[4].on('data', (data) => browser.read(data));

		return browser;
	}

	read(data) {
		const parts = (this.rest + data).split('\0');

		this.rest = parts.pop();

		for (const part of parts) {
			const message = JSON.parse(part);
			const call = this.calls.get(message.id);

			if (call) {
				this.calls.delete(message.id);
				message.error ? call.reject(new Error(`${call.method}: ${message.error.message}`)) : call.resolve(message.result);
			}
			else if (message.method) {
				this.pages.get(message.sessionId)?.event(message.method, message.params);
			}
		}
	}

	send(method, params = {}, sessionId) {
		const id = ++this.serial;

		return new Promise((resolve, reject) => {
			this.calls.set(id, { resolve, reject, method });
			this.child.stdio[3].write(JSON.stringify({ id, method, params, sessionId }) + '\0');
		});
	}

	/** A page in a profile of its own, with its own cookies. */
	async page({ width = 1280, height = 900, dark = false } = {}) {
		const { browserContextId } = await this.send('Target.createBrowserContext');
		const { targetId } = await this.send('Target.createTarget', { url: 'about:blank', browserContextId });
		const { sessionId } = await this.send('Target.attachToTarget', { targetId, flatten: true });
		const page = new Page(this, sessionId, targetId, browserContextId);

		this.pages.set(sessionId, page);

		for (const domain of [ 'Page', 'Runtime', 'Network', 'Log' ])
			await page.send(`${domain}.enable`);

		await page.send('Emulation.setFocusEmulationEnabled', { enabled: true });
		await page.look({ width, height, dark });

		return page;
	}

	async close() {
		// It may be gone already.
		await this.send('Browser.close').catch(() => this.child.kill());
		await this.ended;
		rmSync(this.dir, { recursive: true, force: true });
	}
}

export class Page {
	constructor(browser, sessionId, targetId, browserContextId) {
		Object.assign(this, { browser, sessionId, targetId, browserContextId });
		/** What went wrong in the page. */
		this.errors = [];
		/** Calls to the bus, `object method`, in order. */
		this.calls = [];
	}

	send(method, params) {
		return this.browser.send(method, params, this.sessionId);
	}

	event(method, params) {
		if (method == 'Runtime.exceptionThrown')
			this.errors.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
		if (method == 'Runtime.consoleAPICalled' && params.type == 'error')
			this.errors.push(params.args.map((arg) => arg.description ?? arg.value).join(' '));
		if (method == 'Network.requestWillBeSent' && /\/ubus\/?(\?|$)/.test(params.request.url))
			for (const call of [].concat(JSON.parse(params.request.postData || '[]')))
				if (call.method == 'call')
					this.calls.push(`${call.params[1]} ${call.params[2]}`);
	}

	/** The size of the page and the colours that its reader prefers. */
	async look({ width, height, dark }) {
		await this.send('Emulation.setDeviceMetricsOverride',
			{ width, height, deviceScaleFactor: 1, mobile: width < 600 });
		await this.send('Emulation.setEmulatedMedia',
			{ features: [ { name: 'prefers-color-scheme', value: dark ? 'dark' : 'light' } ] });
	}

	async open(url) {
		await this.send('Page.navigate', { url });
		await this.until(() => document.readyState == 'complete' && location.href != 'about:blank');
	}

	/** Runs a function in the page; its arguments and its value are JSON. */
	async run(fn, ...args) {
		const expression = `(${fn})(...${JSON.stringify(args)})`;
		const { result, exceptionDetails } = await this.send('Runtime.evaluate',
			{ expression, awaitPromise: true, returnByValue: true });

		if (exceptionDetails)
			throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);

		return result.value;
	}

	/** Waits until a function of the page gives something true. */
	until(fn, ...args) {
		return eventually(() => this.run(fn, ...args), fn);
	}

	/** All text of the page that can be seen. */
	text(selector = 'body') {
		return this.run((s) => document.querySelector(s)?.innerText ?? '', selector);
	}

	// Themes write some of it in capitals.
	sees(text, selector = 'body') {
		return eventually(async () => (await this.text(selector)).toLowerCase().includes(text.toLowerCase()), `"${text}" in ${selector}`);
	}

	/** Where to press on an element that matches, has this text, and can be seen; it is scrolled to. */
	place(selector, text) {
		return this.until((s, t) => {
			const all = [ ...document.querySelectorAll(s) ].filter((node) => node.getClientRects().length
				&& (t == null || (node.innerText || node.value || '').trim() == t || node.getAttribute('aria-label') == t));

			if (all.length != 1 || all[0].disabled)
				return null;

			all[0].scrollIntoView({ block: 'center', behavior: 'instant' });

			const box = all[0].getBoundingClientRect();
			const [ x, y ] = [ box.x + box.width / 2, box.y + box.height / 2 ];
			const above = document.elementFromPoint(x, y);

			// What lies on top would get the press.
			return all[0].contains(above) || above?.contains(all[0]) ? { x, y } : null;
		}, selector, text);
	}

	/** Presses the only element that matches and has this text. */
	async click(selector, text) {
		const { x, y } = await this.place(selector, text);

		for (const type of [ 'mousePressed', 'mouseReleased' ])
			await this.send('Input.dispatchMouseEvent', { type, x, y, button: 'left', clickCount: 1 });
	}

	async key(name) {
		const code = KEYS[name];
		const text = name == 'Enter' ? '\r' : (name == 'Space' ? ' ' : undefined);
		const key = name == 'Space' ? ' ' : name;

		await this.send('Input.dispatchKeyEvent', { type: text ? 'keyDown' : 'rawKeyDown', key, code: name, windowsVirtualKeyCode: code, text });
		await this.send('Input.dispatchKeyEvent', { type: 'keyUp', key, code: name, windowsVirtualKeyCode: code });
	}

	/** Puts a text in place of what a field has. */
	async fill(selector, text) {
		await this.click(selector);
		await this.run((s) => document.querySelector(s).select(), selector);
		await this.key('Delete');

		if (text)
			await this.send('Input.insertText', { text });

		// Forms judge what was typed when a key comes up.
		await this.key('End');
		await this.run((s) => document.querySelector(s).dispatchEvent(new Event('change', { bubbles: true })), selector);
	}

	async choose(selector, value) {
		await this.until((s) => document.querySelector(s)?.getClientRects().length, selector);
		await this.run((s, v) => {
			const select = document.querySelector(s);

			if (![ ...select.options ].some((option) => option.value === v))
				throw new Error(`no choice ${v} in ${s}`);

			select.value = v;
			select.dispatchEvent(new Event('input', { bubbles: true }));
			select.dispatchEvent(new Event('change', { bubbles: true }));
		}, selector, value);
	}

	/** Tells the page that it is in front, or that another one is. */
	async show(visible) {
		await this.run((hidden) => {
			Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden });
			Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => hidden ? 'hidden' : 'visible' });
			document.dispatchEvent(new Event('visibilitychange'));
		}, !visible);
	}

	/** Writes what the page looks like, all of it, to a PNG file. */
	async shot(file) {
		// Tabs of some themes come slowly to the front.
		await this.until(() => document.getAnimations().every((one) => one.playState == 'finished'
			|| one.effect.getComputedTiming().iterations == Infinity));

		const { cssContentSize: { width, height } } = await this.send('Page.getLayoutMetrics');
		const clip = { x: 0, y: 0, width, height: Math.min(height, 3000), scale: 1 };
		const { data } = await this.send('Page.captureScreenshot', { format: 'png', captureBeyondViewport: true, clip });

		writeFileSync(file, Buffer.from(data, 'base64'));
	}

	async close() {
		await this.browser.send('Target.disposeBrowserContext', { browserContextId: this.browserContextId });
		this.browser.pages.delete(this.sessionId);
	}
}
