// SPDX-License-Identifier: GPL-2.0-or-later
// What a client or a device carries: the same tables by path in the daemon's replies about both.
'use strict';
'require baseclass';
'require flowtable.words as words';

function byPath(record) {
	return words.STATES.map((state) => record[state] || {});
}

return baseclass.extend({
	/** Number of flows by all paths; null when one is unknown. */
	flows(record) {
		return words.sum(byPath(record).map((carried) => carried.flows));
	},

	/** Bytes a second both ways. A path without flows has no rate that could be missing. */
	rate(record) {
		return words.sum(byPath(record).filter((carried) => carried.flows !== 0)
			.map((carried) => words.sum([ carried.rate_sent, carried.rate_received ])));
	},

	/** Bytes both ways since the daemon started. */
	bytes(record) {
		return words.sum(byPath(record).map((carried) =>
			words.sum([ carried.bytes_sent, carried.bytes_received ])));
	},

	/** A label and a value for each path. */
	details(record) {
		return byPath(record).map((carried, i) => [
			words.PATHS[words.STATES[i]],
			_('%s flows; sent %s, %s; received %s, %s').format(
				words.known(carried.flows),
				words.amount(carried.bytes_sent, 'B'), words.amount(carried.rate_sent, 'B/s'),
				words.amount(carried.bytes_received, 'B'), words.amount(carried.rate_received, 'B/s'))
		]);
	}
});
