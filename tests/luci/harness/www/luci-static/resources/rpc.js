// SPDX-License-Identifier: GPL-2.0-or-later
// Calls to the bus with LuCI's messages for what fails. Calls of one turn go in one request, as LuCI
// does it.
'use strict';
'require baseclass';
'require request';

const STATUS = [ 'Command OK', 'Invalid command', 'Invalid argument', 'Method not found', 'Resource not found',
	'No data received', 'Permission denied', 'Request timeout', 'Not supported', 'Unspecified error', 'Connection lost' ];

let serial = 1;
let batch = null;

function send(message) {
	return new Promise((resolve, reject) => {
		if (!batch) {
			const mine = batch = [];

			queueMicrotask(() => {
				batch = null;
				flush(mine);
			});
		}

		batch.push({ message, resolve, reject });
	});
}

async function flush(calls) {
	try {
		const messages = calls.map((call) => call.message);
		const response = await request.post(L.env.ubuspath, messages.length > 1 ? messages : messages[0]);

		if (!response.ok)
			throw new Error(`HTTP error ${response.status}`);

		const replies = [].concat(response.json());

		calls.forEach((call) => {
			const reply = replies.find((one) => one.id === call.message.id);

			reply ? call.resolve(reply) : call.reject(new Error('no reply'));
		});
	}
	catch (error) {
		calls.forEach((call) => call.reject(error));
	}
}

return baseclass.extend({
	getSessionID: () => L.env.sessionid,

	declare(options) {
		const known = [ 'object', 'method', 'params', 'expect', 'filter', 'reject', 'nobatch' ];
		const names = options.params || [];

		for (const key of Object.keys(options))
			if (!known.includes(key))
				throw new Error(`rpc.declare has no ${key}`);

		return async (...values) => {
			const args = {};

			if (values.length > names.length && !options.filter)
				throw new Error(`${options.object}.${options.method} has ${names.length} parameters, not ${values.length}`);

			names.forEach((name, i) => {
				if (values[i] !== undefined && values[i] !== null)
					args[name] = values[i];
			});

			const params = [ L.env.sessionid, options.object, options.method, args ];
			const reply = await send({ jsonrpc: '2.0', id: serial++, method: 'call', params });
			const where = 'RPC call to %s/%s failed with '.format(options.object, options.method);

			if (reply.error)
				L.raise('RPCError', where + 'error %d: %s', reply.error.code, reply.error.message);

			let result = reply.result;

			if (options.reject && result[0] !== 0)
				L.raise('RPCError', where + 'ubus code %d: %s', result[0], STATUS[result[0]] || '?');

			result = result.length > 1 ? result[1] : result[0];

			for (const key in options.expect || {}) {
				const wanted = options.expect[key];

				result = key && result != null ? result[key] : result;

				if (result == null || Object.prototype.toString.call(result) != Object.prototype.toString.call(wanted))
					result = wanted;
			}

			return options.filter ? options.filter(result, args, ...values.slice(names.length)) : result;
		};
	}
});
