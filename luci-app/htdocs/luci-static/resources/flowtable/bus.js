// SPDX-License-Identifier: GPL-2.0-or-later
// The daemon on the bus: the methods of the ubus object "flowtable", and its start by rc. Every
// call resolves: to the reply, or to an Error as a value, so that one failed call does not take
// the rest of a page with it.
'use strict';
'require baseclass';
'require rpc';

// Replies of 64 KiB each that the list of devices may take: room for some hundreds.
const PAGES_MAX = 8;

const FILTER = [ 'state', 'address', 'port', 'protocol', 'device', 'host', 'partition' ];
const PAGE = [ 'sort', 'limit', 'cursor' ];

// The arguments of each method, in the order in which a call has them.
const METHODS = {
	status: [],
	history: [ 'points' ],
	hardware: [],
	devices: [ 'cursor' ],
	flows: FILTER.concat(PAGE),
	hosts: [ 'host' ].concat(PAGE),
	evict: FILTER.concat([ 'duration_s' ]),
	release: FILTER,
	flush: []
};

// Without "reject" a failed call would resolve to a bare number.
function declare(object, method, params) {
	return rpc.declare({ object, method, params, reject: true });
}

function failure(error) {
	return error instanceof Error ? error : new Error(String(error));
}

// Calls a method with arguments by name; what is not given is not sent.
function ask(method, values) {
	const params = METHODS[method];

	return declare('flowtable', method, params)(...params.map((name) => (values || {})[name])).then((reply) =>
		L.isObject(reply) ? reply : new Error(_('unexpected reply'))).catch(failure);
}

// The devices that did not fit one reply come in the next one. Where that is not to be had the
// list ends, and its `total` tells that it is cut.
function withRest(reply, pages) {
	if (reply instanceof Error || !Array.isArray(reply.devices) || reply.next == null || pages >= PAGES_MAX)
		return reply;

	return ask('devices', { cursor: reply.next }).then((page) =>
		page instanceof Error || !Array.isArray(page.devices) ? reply : withRest(
			Object.assign({}, page, { devices: reply.devices.concat(page.devices) }), pages + 1));
}

return baseclass.extend({
	status() {
		return ask('status');
	},

	/** The newest `points` samples, or all that there are. */
	history(points) {
		return ask('history', { points });
	},

	hardware() {
		return ask('hardware');
	},

	/** All devices, of as many replies as that takes. */
	devices() {
		return ask('devices').then((reply) => withRest(reply, 1));
	},

	/** One page of flows; `values` are arguments of a filter and of a page, by name. */
	flows(values) {
		return ask('flows', values);
	},

	/** One page of clients; `values` are `host` and arguments of a page, by name. */
	hosts(values) {
		return ask('hosts', values);
	},

	/** Hands the flows of a filter back, and keeps them on the classic path for `duration_s`. */
	evict(values) {
		return ask('evict', values);
	},

	/** Lets the flows of a filter leave the classic path again. */
	release(values) {
		return ask('release', values);
	},

	/** Hands all flows back once. */
	flush() {
		return ask('flush');
	},

	/** Starts the daemon; resolves to an Error or to nothing. */
	start() {
		return declare('rc', 'init', [ 'name', 'action' ])('flowtabled', 'start').then(() => null).catch(failure);
	},

	/** Whether a failure means that there is no such object on the bus: the daemon does not run. */
	isAbsence(error) {
		return error.message.includes(' error -32000: ');
	}
});
