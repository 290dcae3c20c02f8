// SPDX-License-Identifier: GPL-2.0-or-later
// The page Status, Flow Offload, in the stand-in of LuCI's client, with what a user sees and does.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

import { load } from './luci_client.mjs';

const VIEW = new URL('../../luci-app/htdocs/luci-static/resources/view/flowtable/status.js',
	import.meta.url);

export const reply = (name) =>
	JSON.parse(readFileSync(new URL(`replies/${name}.json`, import.meta.url), 'utf8'));

/** All replies of a kind. */
export const replies = (kind) => Object.fromEntries(
	[ 'status', 'devices', 'flows', 'hosts', 'history', 'hardware' ].map((method) => [ method, reply(`${method}-${kind}`) ]));

/** LuCI's client makes this of a call to an object that is not there. */
export const GONE = new Error('RPC call to flowtable/status {} failed with error -32000: '
	+ 'Object not found\n  at ClassConstructor.handleCallReply (rpc.js:82:7)');

export const refusal = (status) => new Error(`RPC call to flowtable/x {} failed with ubus code ${status}: y\n  at z`);

/** Lets everything that was set off come to rest: nothing here waits for time to pass. */
export const settle = () => new Promise(setImmediate);

/** The page with `answers`, as it is when the first tab has been filled. */
export async function open(answers, writable = true) {
	const page = load(VIEW, answers);
	const { document, seen } = page;

	seen.writable = writable;
	page.node = await page.view.render(await page.view.load());
	document.body.appendChild(page.node);
	await settle();

	const one = (nodes, what) => (assert.equal(nodes.length, 1, `${nodes.length} of ${what}`), nodes[0]);
	const isButton = (label) => (n) => n.tag == 'button' && !n.hidden
		&& (n.textContent == label || n.getAttribute('aria-label') == label);

	return Object.assign(page, {
		/** What was asked since the last call. */
		asked: () => seen.calls.splice(0),

		pane: (name) => one(page.node.find((n) => n.attributes['data-tab-title'] != null
			&& n.attributes['data-tab'] == name), `panes ${name}`),

		async tab(name) {
			one(page.node.find((n) => n.tag == 'li' && n.attributes['data-tab'] == name), name).firstChild.click();
			await settle();
		},

		async poll() {
			await seen.polls[0].callback();
			await settle();
		},

		/** The rows of a tab's table, each a list of texts without the buttons. */
		rows: (name) => page.lines(name).map((tr) =>
			tr.children.filter((td) => td.attributes.class != 'td ft-action').map((td) => td.text)),

		lines: (name) => one(page.pane(name).find((n) => n.tag == 'tbody'), 'tables').children,

		/** The value beside a label, in a tab or the whole page. */
		fact(label, within = page.node) {
			return one(within.find((n) => n.tag == 'tr' && n.children.length == 2
				&& n.children[0].text == label), `rows labelled "${label}"`).children[1];
		},

		/** The value beside a label in the rows that are opened. */
		detail: (name, label) => one(page.pane(name).find((n) => n.tag == 'dt' && n.text == label), label).nextSibling,

		buttons: (label, within = page.node) => within.find(isButton(label)),

		async press(label, within = page.node) {
			const button = one(page.buttons(label, within), `buttons "${label}"`);

			button.focus();
			button.click();
			await settle();

			return button;
		},

		async enter(label, value, within) {
			const field = one(within.find((n) => n.tag == 'label' && n.children[0].text == label
				|| [ 'input', 'select' ].includes(n.tag) && n.attributes['aria-label'] == label), label);
			const input = field.tag == 'label' ? field.children[1] : field;

			input.value = value;
			input.dispatch('change');
			await settle();
		}
	});
}

const PARAMETERS = [ 'state', 'address', 'port', 'protocol', 'device', 'host', 'partition', 'sort', 'limit', 'cursor' ];

/** A daemon with `count` flows: answers `flows` as the manual has it, by protocol, sort and page. */
export function manyFlows(count) {
	const all = Array.from({ length: count }, (_, i) => ({
		source: `192.168.1.${i % 250}`, source_port: 1024 + i, destination: '203.0.113.9', destination_port: 443,
		protocol: i % 2 ? 'udp' : 'tcp', state: 'software', rate_sent: i, rate_received: 0,
		bytes_sent: count - i, bytes_received: 0, age_s: i
	}));

	return (...values) => {
		const asked = Object.fromEntries(PARAMETERS.map((name, i) => [ name, values[i] ]));
		const key = { rate: 'rate_sent', bytes: 'bytes_sent', age: 'age_s' }[asked.sort];
		const found = all.filter((flow) => asked.protocol == null || flow.protocol == asked.protocol)
			.sort((a, b) => b[key] - a[key]);
		const begin = Number(asked.cursor ?? 0);
		const flows = found.slice(begin, begin + asked.limit);

		return { matched: found.length, flows, next: begin + asked.limit < found.length ? String(begin + asked.limit) : undefined };
	};
}
