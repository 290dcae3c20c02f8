// SPDX-License-Identifier: GPL-2.0-or-later
// The collector for the Prometheus exporter against the daemon's replies and source: a key that it
// asks for and the daemon does not have would be a metric that is never there.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

const read = (path) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
const reply = (name) => JSON.parse(read(`tests/luci/replies/${name}.json`));

const COLLECTOR = read('files/examples/prometheus/flowtabled.uc');
const STATUS = reply('status-mixed');
const DEVICE = reply('devices-mixed').devices[0];
const HARDWARE = read('src/ubus/hardware.rs');

/** What a pattern's groups match in the collector, each match once. */
function found(pattern) {
	const texts = [ ...COLLECTOR.matchAll(pattern) ].map((m) => m.slice(1));

	assert.notEqual(texts.length, 0, `nothing matches ${pattern}`);
	return [ ...new Set(texts.map((t) => JSON.stringify(t))) ].map((t) => JSON.parse(t));
}

test('the keys of status are the daemon\'s', () => {
	for (const [ key, inner ] of found(/\bstatus\.(\w+)(?:\?\.(\w+))?/g)) {
		assert.ok(key in STATUS, `status has no ${key}`);
		if (inner)
			assert.ok(inner in STATUS[key], `${key} has no ${inner}`);
	}

	for (const state of Object.keys(STATUS.leaked))
		assert.ok('packets' in STATUS.leaked[state]);
});

test('the states are those of the daemon', () => {
	const [ [ list ] ] = found(/STATES = \[([^\]]*)\]/g);
	const states = list.match(/\w+/g);

	assert.deepEqual(states.filter((state) => !(state in STATUS.flows)), []);
	assert.deepEqual(Object.keys(STATUS.leaked).filter((state) => !states.includes(state)), []);
	assert.deepEqual(states.filter((state) => !(state in DEVICE)), []);
});

test('the keys of devices are the daemon\'s', () => {
	for (const [ key ] of found(/\bdevice\.(\w+)/g))
		assert.ok(key in DEVICE, `a device has no ${key}`);

	for (const unit of [ 'packets', 'bytes' ])
		for (const direction of [ 'sent', 'received' ])
			assert.ok(`${unit}_${direction}` in DEVICE.software);

	assert.ok('flows' in DEVICE.software);
	assert.match(COLLECTOR, /`\$\{unit\}_\$\{direction\}`/);
});

test('the keys of switches are the daemon\'s', () => {
	const tables = found(/const (?:GAUGES|COUNTERS) = \{(.*?)\n\};/gs).flat();
	const keys = tables.flatMap((text) => [ ...text.matchAll(/^\t(\w+):/gm) ].map((m) => m[1]));

	assert.equal(tables.length, 2);
	for (const key of [ ...keys, ...found(/\bchip\.(\w+)/g).flat() ])
		assert.ok(HARDWARE.includes(`"${key}"`), `a switch has no ${key}`);
});

test('no metric has a name that another has, and counters say that they are', () => {
	const names = [ ...COLLECTOR.matchAll(/\b(gauge|counter)\(["`]([^"`]+)["`]/g) ];

	assert.ok(names.length > 15);
	assert.equal(new Set(names.map((m) => m[2])).size, names.length);
	for (const [ , kind, name ] of names) {
		assert.match(name, /^flowtabled_/);
		assert.equal(/_total$/.test(name), kind == 'counter', name);
	}
});
