// SPDX-License-Identifier: GPL-2.0-or-later
// The lab's router past its pages: commands on it, and the bus as an account sees it.

/** Where it is; set by the command that boots it. */
export const BASE = process.env.LAB_URL;

const NOBODY = '0'.repeat(32);

async function post(path, body) {
	const response = await fetch(BASE + path, { method: 'POST', body: JSON.stringify(body) });

	if (!response.ok)
		throw new Error(`${path}: HTTP ${response.status}`);

	return response.json();
}

/** Runs a shell command on the router; it must succeed. */
export async function run(command) {
	const { output, code } = await post('/lab/run', { command });

	if (code !== 0)
		throw new Error(`${command}: ${code}: ${output}`);

	return output;
}

/** A reply of the daemon, by the bus itself. */
export async function daemon(method, args = {}) {
	return JSON.parse(await run(`ubus call flowtable ${method} '${JSON.stringify(args)}'`));
}

/** The flowtable in a table of nf_tables, as the kernel has it; null when there is none. */
export async function flowtable(table) {
	const list = JSON.parse(await run('nft -j list flowtables'));
	const found = list.nftables.find((one) => one.flowtable?.table == table);

	return found ? found.flowtable : null;
}

/** The session of an account. */
export async function login(username) {
	const reply = await call(NOBODY, 'session', 'login', { username, password: 'lab' });

	return reply.result[1].ubus_rpc_session;
}

/** A call as a page makes it: JSON-RPC's reply. */
export function call(session, object, method, args = {}) {
	return post('/ubus', { jsonrpc: '2.0', id: 1, method: 'call', params: [ session, object, method, args ] });
}

/** The address of a page. */
export function page(path, account = 'root') {
	return `${BASE}/cgi-bin/luci/admin/${path}?account=${account}`;
}
