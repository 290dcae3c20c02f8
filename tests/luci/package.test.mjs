// SPDX-License-Identifier: GPL-2.0-or-later
// The files of the LuCI package against one another and against the daemon's source.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

const read = (path) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

const APP = 'luci-app/root/usr/share';
const RESOURCES = 'luci-app/htdocs/luci-static/resources';
const MENU = JSON.parse(read(`${APP}/luci/menu.d/luci-app-flowtable.json`));
const ACL = JSON.parse(read(`${APP}/rpcd/acl.d/luci-app-flowtable.json`));
const VIEW = read(`${RESOURCES}/view/flowtable/status.js`);

/** String literals of JavaScript or Rust, without escapes: none are used in these files. */
const matches = (text, pattern) => [ ...text.matchAll(pattern) ].map((m) => m.slice(1));
const sorted = (values) => [ ...new Set(values) ].sort();

/** All keys of a value, at any depth. */
function keys(value) {
	if (Array.isArray(value))
		return value.flatMap(keys);

	return value && typeof value == 'object'
		? Object.entries(value).flatMap(([ key, inner ]) => [ key, ...keys(inner) ])
		: [];
}

test('the menu leads to a view that exists and to an access list that exists', () => {
	const entry = MENU['admin/status/flowtable'];

	assert.deepEqual(Object.keys(MENU), [ 'admin/status/flowtable' ]);
	assert.equal(entry.action.type, 'view');
	assert.ok(read(`${RESOURCES}/view/${entry.action.path}.js`));
	assert.deepEqual(entry.depends.acl, Object.keys(ACL));
});

// Methods that change something for others than the caller. Reading is all that the page may do;
// the switch is the firewall's.
const CHANGING = [ 'evict', 'flush', 'release', 'reload' ];

test('the access list grants every method that only reads, and what the view uses', () => {
	const grant = ACL['luci-app-flowtable'];
	const calls = matches(VIEW, /rpc\.declare\(\{ object: '(\w+)', method: '(\w+)'/g);
	const packages = sorted(matches(VIEW, /(?:uci\.[gs]et|form\.Map)\('(\w+)'/g).flat());

	assert.deepEqual(sorted(calls.map((c) => c[0])), Object.keys(grant.read.ubus));
	assert.deepEqual(calls.map((c) => c[1]).filter((m) => !grant.read.ubus.flowtable.includes(m)), []);
	assert.deepEqual(packages, grant.read.uci);
	assert.deepEqual(grant.write, { uci: packages });
});

test('the methods are those of the daemon', () => {
	const files = matches(read('src/ubus/methods.rs').match(/METHODS: .*?\];/s)[0], /(\w+)::POLICY/g).flat();
	const methods = files.flatMap((file) =>
		matches(read(`src/ubus/${file}.rs`), /Policy =\s+Policy \{[^}]*?name: "(\w+)"/gs).flat());

	assert.deepEqual(sorted(methods),
		sorted([ ...ACL['luci-app-flowtable'].read.ubus.flowtable, ...CHANGING ]));
});

test('the reasons are those of the daemon, word for word', () => {
	for (const [ file, type, map ] of [
		[ 'reason', 'Reason', 'REASONS' ],
		[ 'flow_reason', 'FlowReason', 'FLOW_REASONS' ]
	]) {
		const source = read(`src/core/${file}.rs`);
		const arms = (name) => Object.fromEntries(matches(
			source.match(new RegExp(`fn ${name}\\(.*?\\n    }\\n`, 's'))[0],
			new RegExp(`${type}::(\\w+) => (?:\\{\\s*)?"(.*?)"`, 'g')));
		const [ codes, texts ] = [ arms('code'), arms('text') ];
		const daemon = Object.fromEntries(Object.keys(codes).map((r) => [ codes[r], texts[r] ]));
		const page = VIEW.match(new RegExp(`const ${map} = \\{(.*?)\\n\\};`, 's'))[1];
		const count = source.match(new RegExp(`ALL: \\[${type}; (\\d+)\\]`))[1];

		assert.equal(Object.keys(codes).length, Number(count));
		assert.deepEqual(Object.fromEntries(matches(page, /(\w+): _\('(.*?)'\)/g)), daemon);
	}
});

/** The keys that encoders of the daemon write: literals, constants and the states' names. */
function sent(files) {
	const constants = Object.fromEntries([ 'flow_filter', 'flows' ].flatMap((file) =>
		matches(read(`src/ubus/${file}.rs`), /const (\w+): &str = "(\w+)"/g)));
	const source = files.map((file) => read(`src/ubus/${file}.rs`).split('#[cfg(test)]')[0]).join('');
	const written = matches(source, /\b(?:reply|r)\.\w+\((?:"(\w+)"|([A-Z]+),)/g)
		.map(([ literal, constant ]) => literal || constants[constant]);
	const looped = matches(source, /\("(\w+)", &\w+\.\w+\)/g).flat();
	const states = /\.table\(state\.name\(\)/.test(source) ? [ 'classic', 'software', 'hardware' ] : [];

	return sorted([ ...written, ...looped, ...states ]);
}

test('the replies used by the tests have every key that the daemon sends', () => {
	for (const [ method, ...parts ] of [
		[ 'status' ], [ 'devices', 'carried' ], [ 'flows' ], [ 'hosts', 'carried' ]
	]) {
		const reply = JSON.parse(read(`tests/luci/replies/${method}-mixed.json`));

		// Left out of the replies, so as to have one ability that is unknown, and a last page.
		const unknown = { status: [ 'accounting' ], devices: [ 'next' ] }[method] || [];

		assert.deepEqual(sorted([ ...keys(reply), ...unknown ]), sent([ method, ...parts ]), method);
	}
});

test('the translation template has every string and no other', () => {
	const used = [
		...matches(VIEW, /\b_\(\s*'(.*?)'\s*\)/gs).flat().map((text) => text.replaceAll("\\'", "'")),
		...Object.values(MENU).map((entry) => entry.title),
		...Object.values(ACL).map((grant) => grant.description)
	];
	const template = matches(read('luci-app/po/templates/flowtable.pot'), /^msgid "(.+)"$/gm).flat();

	assert.deepEqual(template, sorted(used));
});

test('nothing is fetched from outside and no markup is built from strings', () => {
	assert.doesNotMatch(VIEW, /https?:|\/\/\w+\.\w|innerHTML|rawhtml|insertAdjacentHTML/);
});
