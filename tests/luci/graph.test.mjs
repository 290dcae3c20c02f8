// SPDX-License-Identifier: GPL-2.0-or-later
// The graphs of what each path carried: what is drawn, where there is a gap, and the numbers.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { open, replies } from './page.mjs';

const STATUS = { requested: 'software', effective: 'software', reason: 'as_configured', uptime_s: 1000 };

/** The two graphs of some samples: of the throughput, and of packets. */
async function graphs(samples, uptime_s = 1000) {
	const page = await open({ status: { ...STATUS, uptime_s }, history: { totals: {}, samples } });

	return page.pane('overview').find((n) => n.attributes.class == 'ft-graphs')[0].children.map((graph) => ({
		title: graph.children[0].text,
		label: graph.find((n) => n.attributes.role == 'img')[0].attributes['aria-label'],
		top: graph.find((n) => n.attributes.class == 'ft-top')[0].text,
		// Outlines by colour, in the order of the legend.
		lines: graph.find((n) => n.attributes['stroke-width'] == 2).map((n) => n.attributes.d),
		dashes: graph.find((n) => n.attributes['stroke-width'] == 2).map((n) => n.attributes['stroke-dasharray']),
		legend: graph.find((n) => n.tag == 'tr').slice(1).map((tr) => tr.children.map((cell) => cell.textContent.trim()))
	}));
}

const sample = (at_s, packets, bytes, span_ms = 2000) => ({ at_s, span_ms, software: [ packets, bytes ] });

test('throughput and packets are drawn with a legend of numbers', async () => {
	const [ throughput, packets ] = await graphs([ sample(998, 100, 250000), sample(1000, 300, 750000) ]);

	assert.deepEqual([ throughput.title, packets.title ], [ 'Throughput', 'Packets' ]);
	assert.match(throughput.label, /^Throughput by path in the last ten minutes; the numbers are in the table below$/);
	assert.equal(throughput.top, '4 Mbit/s');
	assert.deepEqual(throughput.legend, [
		[ 'classic', '-', '-', '-' ],
		[ 'software', '3.0 Mbit/s', '2.0 Mbit/s', '3.0 Mbit/s' ],
		[ 'hardware', '-', '-', '-' ]
	]);
	assert.deepEqual(packets.legend[1], [ 'software', '150 p/s', '100 p/s', '150 p/s' ]);
	// From 4 s ago to now, a quarter and three quarters of the height.
	assert.deepEqual(throughput.lines, [ '', 'M596.0 75.0L598.0 75.0L600.0 25.0', '' ]);
	// Told apart without colours too.
	assert.equal(new Set(throughput.dashes).size, 3);
});

test('where there is no sample, or nobody counts, there is a gap', async () => {
	const [ throughput ] = await graphs([
		sample(700, 0, 250), sample(702, 0, 250),
		{ at_s: 704, span_ms: 2000, classic: [ 1, 250 ] },
		sample(706, 0, 250), sample(990, 0, 250), sample(1000, 0, 250, 10000)
	]);

	// Runs: 700 and 702; 706; 990 and 1000, which follows it without a gap.
	assert.deepEqual(throughput.lines[1].match(/M[^M]+/g).map((run) => run.split('L').length), [ 3, 2, 3 ]);
	assert.equal(throughput.lines[0].match(/M/g).length, 1);
});

test('a path that carries nothing is a line at zero and not unknown', async () => {
	const [ throughput ] = await graphs([ sample(1000, 0, 0) ]);

	assert.deepEqual(throughput.legend[1], [ 'software', '0 bit/s', '0 bit/s', '0 bit/s' ]);
	assert.deepEqual(throughput.lines[1], 'M598.0 100.0L600.0 100.0');
});

test('the average is over the time that is known, and an old sample is not now', async () => {
	const [ throughput ] = await graphs([ sample(900, 0, 3000, 30000), sample(902, 0, 1000) ]);

	// 800 bit/s for 30 s and 4000 bit/s for 2 s.
	assert.deepEqual(throughput.legend[1], [ 'software', '-', '1000 bit/s', '4.0 Kbit/s' ]);
});

test('what is older than ten minutes is left out', async () => {
	const [ throughput ] = await graphs([ sample(398, 0, 999999), sample(1000, 0, 250) ]);

	assert.equal(throughput.legend[1][3], '1000 bit/s');
});

test('times begin again after 49 days', async () => {
	const wrapped = 4294967.296;
	const [ throughput ] = await graphs([ sample(4294966, 0, 250), sample(1, 0, 250) ], Math.floor(wrapped + 2));

	assert.equal(throughput.lines[1].match(/M/g).length, 1);
	assert.equal(throughput.legend[1][1], '1000 bit/s');
});

test('a daemon without samples has empty graphs', async () => {
	for (const graph of await graphs([]))
		assert.deepEqual(graph.legend.map((row) => row.slice(1)), Array(3).fill([ '-', '-', '-' ]));
});

test('the daemon\'s own reply is drawn', async () => {
	const page = await open(replies('mixed'));
	const cells = page.pane('overview').find((n) => n.tag == 'tr' && n.children.length == 4)
		.map((tr) => tr.children.map((cell) => cell.textContent.trim()));

	assert.deepEqual(cells[1], [ 'classic', '4.0 Kbit/s', '1.9 Kbit/s', '4.0 Kbit/s' ]);
	assert.deepEqual(cells[2], [ 'software', '5.0 Mbit/s', '11.7 Mbit/s', '20.0 Mbit/s' ]);
	assert.deepEqual(cells[3], [ 'hardware', '-', '-', '-' ]);
});
