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

// Without "reject" a failed call would resolve to a bare number.
const callStatus = rpc.declare({ object: 'flowtable', method: 'status', reject: true });
const callHistory = rpc.declare({ object: 'flowtable', method: 'history', reject: true });
const callHardware = rpc.declare({ object: 'flowtable', method: 'hardware', reject: true });
const callDevices = rpc.declare({ object: 'flowtable', method: 'devices', params: [ 'cursor' ], reject: true });
const callFlows = rpc.declare({ object: 'flowtable', method: 'flows', params: FILTER.concat(PAGE), reject: true });
const callHosts = rpc.declare({ object: 'flowtable', method: 'hosts', params: [ 'host' ].concat(PAGE), reject: true });
const callEvict = rpc.declare({ object: 'flowtable', method: 'evict', params: FILTER.concat([ 'duration_s' ]), reject: true });
const callRelease = rpc.declare({ object: 'flowtable', method: 'release', params: FILTER, reject: true });
const callFlush = rpc.declare({ object: 'flowtable', method: 'flush', reject: true });
const callInit = rpc.declare({ object: 'rc', method: 'init', params: [ 'name', 'action' ], reject: true });

function failure(error) {
	return error instanceof Error ? error : new Error(String(error));
}

function ask(call, ...values) {
	return call(...values).then((reply) =>
		L.isObject(reply) ? reply : new Error(_('unexpected reply'))).catch(failure);
}

// Named arguments in the order of a call's parameters; what is not given is not sent.
function inOrder(names, values) {
	return names.map((name) => (values || {})[name]);
}

// The devices that did not fit one reply come in the next one. Where that is not to be had the
// list ends, and its `total` tells that it is cut.
function withRest(reply, pages) {
	if (reply instanceof Error || !Array.isArray(reply.devices) || reply.next == null || pages >= PAGES_MAX)
		return reply;

	return ask(callDevices, reply.next).then((page) =>
		page instanceof Error || !Array.isArray(page.devices) ? reply : withRest(
			Object.assign({}, page, { devices: reply.devices.concat(page.devices) }), pages + 1));
}

return baseclass.extend({
	status() {
		return ask(callStatus);
	},

	history() {
		return ask(callHistory);
	},

	hardware() {
		return ask(callHardware);
	},

	/** All devices, of as many replies as that takes. */
	devices() {
		return ask(callDevices).then((reply) => withRest(reply, 1));
	},

	/** One page of flows; `values` are arguments of a filter and of a page, by name. */
	flows(values) {
		return ask(callFlows, ...inOrder(FILTER.concat(PAGE), values));
	},

	/** One page of clients; `values` are `host` and arguments of a page, by name. */
	hosts(values) {
		return ask(callHosts, ...inOrder([ 'host' ].concat(PAGE), values));
	},

	/** Hands the flows of a filter back, and keeps them on the classic path for `duration_s`. */
	evict(values) {
		return ask(callEvict, ...inOrder(FILTER.concat([ 'duration_s' ]), values));
	},

	/** Lets the flows of a filter leave the classic path again. */
	release(values) {
		return ask(callRelease, ...inOrder(FILTER, values));
	},

	/** Hands all flows back once. */
	flush() {
		return ask(callFlush);
	},

	/** Starts the daemon; resolves to an Error or to nothing. */
	start() {
		return callInit('flowtabled', 'start').then(() => null).catch(failure);
	},

	/** Whether a failure means that there is no such object on the bus: the daemon does not run. */
	isAbsence(error) {
		return error.message.includes(' error -32000: ');
	}
});
