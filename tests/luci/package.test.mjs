// SPDX-License-Identifier: GPL-2.0-or-later
// The files of the LuCI package against one another and against the daemon's source.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

import { read as readApp, sources, stored, template } from './pot.mjs';

const read = (path) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

const APP = 'luci-app/root/usr/share';
const RESOURCES = 'luci-app/htdocs/luci-static/resources';
const MENU = JSON.parse(read(`${APP}/luci/menu.d/luci-app-flowtable.json`));
const ACL = JSON.parse(read(`${APP}/rpcd/acl.d/luci-app-flowtable.json`));
const SENTENCES = read('luci-app/po/templates/daemon.js');
// The scripts of all pages.
const SCRIPTS = sources().filter((path) => path.endsWith('.js')).map((path) => [ path, readApp(path) ]);
const CODE = SCRIPTS.map(([ , text ]) => text).join('');

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

test('the menu leads to views that exist and to an access list that exists', () => {
	assert.deepEqual(Object.keys(MENU), [ 'admin/status/flowtable', 'admin/network/flowtable' ]);

	for (const entry of Object.values(MENU)) {
		assert.equal(entry.action.type, 'view');
		assert.ok(read(`${RESOURCES}/view/${entry.action.path}.js`));
		assert.deepEqual(entry.depends.acl, Object.keys(ACL));
	}

	// Without its file there is nothing that the page could write into.
	assert.deepEqual(MENU['admin/network/flowtable'].depends.uci, { flowtable: true });
});

// Methods that change something for others than the caller.
const CHANGING = [ 'evict', 'flush', 'release', 'reload' ];

test('the access list grants what the pages call, and nothing that changes for reading', () => {
	const { read: reading, write: writing } = ACL['luci-app-flowtable'];
	const granted = (object) => [ ...reading.ubus[object] ?? [], ...writing.ubus[object] ?? [] ];
	// bus.js calls the daemon by the names in its list, what is not the daemon by those in the call.
	const listed = matches(CODE.match(/const METHODS = \{(.*?)\n\};/s)[1], /^\t(\w+):/gm).map(([ name ]) => [ 'flowtable', name ]);
	const calls = [ ...listed, ...matches(CODE, /declare\('(\w+)', '(\w+)'/g),
		...matches(CODE, /rpc\.declare\(\{\s*object: '(\w+)',\s*method: '(\w+)'/g) ];
	const packages = sorted(matches(CODE, /(?:uci\.[gs]et|form\.Map)\('(\w+)'/g).flat());

	assert.equal([ ...CODE.matchAll(/(?<!function )\bdeclare\(/g) ].length, 4, 'a call that this test does not read');
	assert.equal(calls.length, listed.length + 2);
	// Everybody may ask what he may do; rpcd's own list grants that.
	const own = calls.filter((call) => call.join('.') != 'session.access');

	assert.deepEqual(own.filter(([ object, method ]) => !granted(object).includes(method)), []);
	assert.deepEqual(reading.ubus.flowtable.filter((method) => CHANGING.includes(method)), []);
	assert.deepEqual(writing.ubus, { flowtable: CHANGING, rc: [ 'init' ] });
	assert.deepEqual(packages.filter((name) => !reading.uci.includes(name)), []);
	assert.deepEqual(writing.uci, [ 'firewall', 'flowtable' ]);
	assert.deepEqual(writing.uci.filter((name) => !reading.uci.includes(name)), []);
});

test('the methods are those of the daemon', () => {
	const files = matches(read('src/ubus/methods.rs').match(/METHODS: .*?\];/s)[0], /(\w+)::POLICY/g).flat();
	const methods = files.flatMap((file) =>
		matches(read(`src/ubus/${file}.rs`), /Policy =\s+Policy \{[^}]*?name: "(\w+)"/gs).flat());

	assert.deepEqual(sorted(methods),
		sorted([ ...ACL['luci-app-flowtable'].read.ubus.flowtable, ...CHANGING ]));
});

test('translators have the sentences of the daemon, word for word', () => {
	const parts = SENTENCES.split('\n\n// ').slice(1);
	const files = [ [ 'reason', 'Reason' ], [ 'flow_reason', 'FlowReason' ], [ 'evict', 'Cause' ] ];

	assert.equal(parts.length, files.length);

	for (const [ i, [ file, type ] ] of files.entries()) {
		const source = read(`src/core/${file}.rs`);
		const arms = source.match(/fn text\(.*?\n    }\n/s)[0];
		const sent = matches(arms, new RegExp(`${type}::(\\w+) => (?:\\{\\s*)?"(.*?)"`, 'g'));
		const kinds = source.match(new RegExp(`enum ${type} \\{(.*?)\\n\\}`, 's'))[1];

		assert.equal(sent.length, [ ...kinds.matchAll(/^    [A-Z]\w+,/gm) ].length, file);
		assert.ok(parts[i].includes(`src/core/${file}.rs`));
		assert.deepEqual(matches(parts[i], /^_\('(.*)'\);$/gm).map(([ text ]) => text.replaceAll('\\\'', '\'')),
			sent.map(([ , text ]) => text));
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
		[ 'status' ], [ 'devices', 'carried' ], [ 'flows' ], [ 'hosts', 'carried' ], [ 'history' ], [ 'hardware' ]
	]) {
		const reply = JSON.parse(read(`tests/luci/replies/${method}-mixed.json`));

		// Left out of the replies, so as to have one ability that is unknown, and a last page.
		const unknown = { status: [ 'accounting' ], devices: [ 'next' ], history: [ 'hardware' ] }[method] || [];

		assert.deepEqual(sorted([ ...keys(reply), ...unknown ]), sent([ method, ...parts ]), method);
	}
});

test('the translation template is that of the strings', () => {
	assert.equal(stored(), template(), 'run node tests/luci/pot.mjs');
});

test('nothing is fetched from outside and no markup is built from strings', () => {
	for (const [ path, text ] of SCRIPTS)
		assert.doesNotMatch(text.replaceAll('http://www.w3.org/2000/svg', ''),
			/https?:|\/\/\w+\.\w|innerHTML|rawhtml|insertAdjacentHTML/, path);
});

test('LuCI\'s minifier can read the scripts', () => {
	// It takes a slash behind a word or an arrow for a division, blanks behind it for superfluous
	// and quotes for those of a string.
	const expression = /(?:\breturn|=>)\s*(\/(?![/*])(?:[^/\\\n[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/)/g;

	for (const [ path, text ] of SCRIPTS)
		for (const [ literal ] of matches(text, expression))
			assert.doesNotMatch(literal, /[ '"`]|\/\//, path);
});

test('every script says what it is and is short enough to be read', () => {
	for (const [ path, text ] of SCRIPTS) {
		assert.match(text, /^\/\/ SPDX-License-Identifier: GPL-2\.0-or-later\n\/\/ [A-Z]/, path);
		assert.ok(text.split('\n').length < 600, `${path} has 600 lines or more`);
	}
});
