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

test('the access list grants what the view uses and nothing else', () => {
	const grant = ACL['luci-app-flowtable'];
	const calls = matches(VIEW, /rpc\.declare\(\{ object: '(\w+)', method: '(\w+)'/g);
	const packages = sorted(matches(VIEW, /(?:uci\.[gs]et|form\.Map)\('(\w+)'/g).flat());

	assert.deepEqual(sorted(calls.map((c) => c[0])), Object.keys(grant.read.ubus));
	assert.deepEqual(sorted(calls.map((c) => c[1])), sorted(grant.read.ubus.flowtable));
	assert.deepEqual(packages, grant.read.uci);
	assert.deepEqual(grant.write, { uci: packages });
});

test('the methods are those of the daemon', () => {
	const methods = [ 'status', 'devices' ].flatMap((file) =>
		matches(read(`src/ubus/${file}.rs`), /Policy = Policy \{[^}]*?name: "(\w+)"/gs).flat());

	assert.deepEqual(sorted(methods), sorted(ACL['luci-app-flowtable'].read.ubus.flowtable));
});

test('the reasons are those of the daemon, word for word', () => {
	const source = read('src/core/reason.rs');
	const arms = (name) => Object.fromEntries(matches(
		source.match(new RegExp(`fn ${name}\\(.*?\\n    }\\n`, 's'))[0],
		/Reason::(\w+) => (?:\{\s*)?"(.*?)"/g));
	const [ codes, texts ] = [ arms('code'), arms('text') ];
	const daemon = Object.fromEntries(Object.keys(codes).map((r) => [ codes[r], texts[r] ]));
	const page = VIEW.match(/const REASONS = \{(.*?)\n\};/s)[1];

	assert.equal(Object.keys(codes).length, Number(source.match(/ALL: \[Reason; (\d+)\]/)[1]));
	assert.deepEqual(Object.fromEntries(matches(page, /(\w+): _\('(.*?)'\)/g)), daemon);
});

test('the replies used by the tests have every key that the daemon sends', () => {
	for (const method of [ 'status', 'devices' ]) {
		const encoder = read(`src/ubus/${method}.rs`).split('#[cfg(test)]')[0];
		const sent = matches(encoder, /\b(?:reply|r)\.\w+\("(\w+)"/g).flat();
		const reply = JSON.parse(read(`tests/luci/replies/${method}-mixed.json`));

		// Left out of the reply, so as to have one ability that is unknown.
		const unknown = method == 'status' ? [ 'accounting' ] : [];

		assert.deepEqual(sorted([ ...keys(reply), ...unknown ]), sorted(sent), method);
	}
});

test('the translation template has every string and no other', () => {
	const used = [
		...matches(VIEW, /\b_\(\s*'(.*?)'\s*\)/gs).flat(),
		...Object.values(MENU).map((entry) => entry.title),
		...Object.values(ACL).map((grant) => grant.description)
	];
	const template = matches(read('luci-app/po/templates/flowtable.pot'), /^msgid "(.+)"$/gm).flat();

	assert.deepEqual(template, sorted(used));
});

test('nothing is fetched from outside and no markup is built from strings', () => {
	assert.doesNotMatch(VIEW, /https?:|\/\/\w+\.\w|innerHTML|rawhtml|insertAdjacentHTML/);
});
