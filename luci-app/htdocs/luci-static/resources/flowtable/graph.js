// SPDX-License-Identifier: GPL-2.0-or-later
// Graphs of what each path carried in the last ten minutes, from the daemon's samples. Where there
// is no sample, or nobody counts, there is a gap. The colours are apart for the colour-blind and
// stand out on light and dark ground; the lines are dashed in different ways besides, and a table
// below has the numbers.
'use strict';
'require baseclass';
'require flowtable.words as words';

const SVG = 'http://www.w3.org/2000/svg';
const WINDOW_S = 600;
// The daemon's times of samples begin again after this many seconds, 2^32 milliseconds.
const WRAP_S = 4294967.296;
// Times are whole seconds, so samples that follow one another may seem to be this far apart.
const SLACK_S = 2;
// Flows are listed every 20 seconds at the least while any are offloaded: what is older is not "now".
const NOW_S = 25;
// Units of the drawing, stretched to the width that there is.
const WIDTH = 600;
const HEIGHT = 100;

const LINES = {
	classic: { color: '#d55e00', dash: '2 3' },
	software: { color: '#0072b2', dash: null },
	hardware: { color: '#009e73', dash: '7 3' }
};

const SCALES = [
	// Index into a sample's list of packets and bytes, title, factor, unit.
	[ 1, _('Throughput'), 8, 'bit/s' ],
	[ 0, _('Packets'), 1, 'p/s' ]
];

function draw(tag, attributes, children) {
	const node = document.createElementNS(SVG, tag);

	for (const name of Object.keys(attributes))
		if (attributes[name] != null)
			node.setAttribute(name, attributes[name]);

	for (const child of children || [])
		node.appendChild(child);

	return node;
}

/** Seconds from a sample's end to `now`, both since the daemon started. */
function ageOf(sample, now) {
	const age = ((now - sample.at_s) % WRAP_S + WRAP_S) % WRAP_S;

	// The sample may be younger than the clock that it is held against.
	return age > WRAP_S / 2 ? 0 : age;
}

// What a path carried a second, as runs of samples without a gap between them. A run is a list of
// { from, to, rate }, the oldest first; `from` and `to` are ages.
function runs(samples, state, index, factor, now) {
	const found = [];
	let last = null;

	for (const sample of samples) {
		const counts = sample[state];
		const to = ageOf(sample, now);

		if (!Array.isArray(counts) || counts[index] == null || !(sample.span_ms > 0) || to > WINDOW_S) {
			last = null;
			continue;
		}

		const point = {
			to, from: Math.min(to + sample.span_ms / 1000, WINDOW_S),
			rate: factor * counts[index] * 1000 / sample.span_ms, seconds: sample.span_ms / 1000
		};

		if (last == null || last.to - point.from > SLACK_S)
			found.push([]);

		found[found.length - 1].push(point);
		last = point;
	}

	return found;
}

/** What is known of a path: its runs, and the rate now, on average and at most; null if unknown. */
function summary(samples, state, index, factor, now) {
	const parts = runs(samples, state, index, factor, now);
	const points = [].concat(...parts);
	const seconds = points.reduce((sum, point) => sum + point.seconds, 0);
	const last = points[points.length - 1];

	return {
		parts,
		now: last && last.to <= NOW_S ? last.rate : null,
		average: points.length ? points.reduce((sum, p) => sum + p.rate * p.seconds, 0) / seconds : null,
		peak: points.length ? points.reduce((most, p) => Math.max(most, p.rate), 0) : null
	};
}

// The next of 1, 2, 4, 10... above a rate: it and its half are written without a decimal.
function roundUp(rate) {
	const power = Math.pow(10, Math.floor(Math.log10(Math.max(rate, 10))));

	return [ 1, 2, 4, 10 ].map((step) => step * power).find((top) => top >= rate);
}

function text(rate, unit) {
	return words.amount(rate == null ? null : Math.round(rate), unit);
}

function path(parts, top, line) {
	const x = (age) => (WIDTH * (1 - age / WINDOW_S)).toFixed(1);
	const y = (rate) => (HEIGHT * (1 - rate / top)).toFixed(1);
	const along = (run) => [ '%s %s'.format(x(run[0].from), y(run[0].rate)) ]
		.concat(run.map((point) => '%s %s'.format(x(point.to), y(point.rate)))).join('L');
	const area = (run) => 'M%s %dL%sL%s %dZ'.format(x(run[0].from), HEIGHT, along(run), x(run[run.length - 1].to), HEIGHT);

	return [
		draw('path', { 'd': parts.map(area).join(''), 'fill': line.color, 'fill-opacity': 0.12 }),
		draw('path', {
			'd': parts.map((run) => 'M' + along(run)).join(''), 'fill': 'none', 'stroke': line.color,
			'stroke-width': 2, 'stroke-dasharray': line.dash, 'vector-effect': 'non-scaling-stroke'
		})
	];
}

function plot(title, lines, unit) {
	const top = roundUp(Math.max(...lines.map((line) => line.peak || 0)));
	const rule = (x1, y1, x2, y2) => draw('path', {
		'd': 'M%d %dL%d %d'.format(x1, y1, x2, y2), 'stroke': 'currentColor', 'stroke-opacity': 0.25,
		'vector-effect': 'non-scaling-stroke'
	});
	const rules = [ 0, 0.5, 1 ].map((part) => rule(0, HEIGHT * part, WIDTH, HEIGHT * part)).concat(
		[ 0.2, 0.4, 0.6, 0.8 ].map((part) => rule(WIDTH * part, 0, WIDTH * part, HEIGHT)));

	return E('div', { 'class': 'ft-plot' }, [
		draw('svg', {
			'viewBox': '0 0 %d %d'.format(WIDTH, HEIGHT), 'preserveAspectRatio': 'none', 'role': 'img',
			'aria-label': _('%s by path in the last ten minutes; the numbers are in the table below').format(title)
		}, rules.concat(...lines.map((line) => path(line.parts, top, LINES[line.state])))),
		E('span', { 'class': 'ft-top' }, [ ('%1000.0m' + unit).format(top) ]),
		E('span', { 'class': 'ft-middle' }, [ ('%1000.0m' + unit).format(top / 2) ])
	].concat([ 8, 6, 4, 2 ].map((minutes) =>
		E('span', { 'class': 'ft-time', 'style': 'right:%d%%'.format(10 * minutes) }, [ _('%d min').format(minutes) ]))));
}

function legend(lines, unit) {
	const swatch = (line) => draw('svg', { 'viewBox': '0 0 24 8', 'class': 'ft-swatch', 'aria-hidden': 'true' }, [
		draw('path', { 'd': 'M0 4L24 4', 'stroke': line.color, 'stroke-width': 3, 'stroke-dasharray': line.dash })
	]);

	const titles = [ _('Now'), _('Average'), _('Peak') ];

	return E('table', { 'class': 'table' }, [
		E('tr', { 'class': 'tr table-titles' }, [ _('Path') ].concat(titles).map((title) =>
			E('th', { 'class': 'th', 'scope': 'col' }, [ title ])))
	].concat(lines.map((line) => E('tr', { 'class': 'tr' }, [
		E('th', { 'class': 'td ft-fact', 'scope': 'row' }, [ swatch(LINES[line.state]), ' ', words.PATHS[line.state] ])
	].concat([ line.now, line.average, line.peak ].map((rate, i) =>
		E('td', { 'class': 'td', 'data-title': titles[i] }, [ text(rate, unit) ])))))));
}

return baseclass.extend({
	/** The graphs of a reply to `history`; `now` is the daemon's age in seconds. */
	render(history, now) {
		const samples = Array.isArray(history.samples) ? history.samples : [];

		return E('div', { 'class': 'ft-graphs' }, SCALES.map(([ index, title, factor, unit ]) => {
			const lines = words.STATES.map((state) =>
				Object.assign({ state }, summary(samples, state, index, factor, now)));

			return E('div', {}, [ E('h4', {}, [ title ]), plot(title, lines, unit), legend(lines, unit) ]);
		}));
	}
});
