// SPDX-License-Identifier: GPL-2.0-or-later
// The configuration as rpcd's object `uci` gives it, with the changes of this page on top until they
// are saved into the session.
'use strict';
'require baseclass';
'require rpc';

const call = (method, params, expect) => rpc.declare({ object: 'uci', method, params, expect, reject: true });
const callGet = call('get', [ 'config' ], { values: {} });
const callAdd = call('add', [ 'config', 'type', 'name', 'values' ], { section: '' });
const callSet = call('set', [ 'config', 'section', 'values' ]);
const callDelete = call('delete', [ 'config', 'section', 'options' ]);
const callOrder = call('order', [ 'config', 'sections' ]);
const callChanges = call('changes', [], { changes: {} });

// package → { values, fresh: names of sections that the router does not have yet, gone, changed, moved }
const loaded = {};
const pending = {};
let serial = 0;

function normal(value) {
	if (value == null || value === '' || (Array.isArray(value) && !value.length))
		return null;

	return Array.isArray(value) ? value.map(String) : String(value);
}

function ordered(config) {
	return Object.values(loaded[config]?.values || {}).sort((a, b) => a['.index'] - b['.index']);
}

function find(config, section) {
	const state = loaded[config];
	const place = /^@(\w+)\[(-?\d+)\]$/.exec(section ?? '');

	if (!state || section == null)
		return null;
	if (!place)
		return state.values[section] ?? null;

	const list = ordered(config).filter((s) => s['.type'] == place[1]);

	return list.at(Number(place[2])) ?? null;
}

function touch(config, section, option) {
	const changed = loaded[config].changed;

	(changed[section] ||= new Set()).add(option);
}

const uci = {
	async load(packages) {
		await Promise.all(L.toArray(packages).map(async (config) => {
			pending[config] ||= callGet(config).then((values) =>
				loaded[config] = { values, fresh: new Set(), gone: new Set(), changed: {}, moved: false });

			try {
				await pending[config];
			}
			catch (error) {
				delete pending[config];
				throw error;
			}
		}));

		return packages;
	},

	unload(packages) {
		for (const config of L.toArray(packages)) {
			delete loaded[config];
			delete pending[config];
		}
	},

	resolveSID: (config, section) => find(config, section)?.['.name'] ?? section,

	get(config, section, option) {
		const found = find(config, section);

		if (option == null)
			return found;

		return found?.[option] ?? null;
	},

	get_bool: (config, section, option) => [ '1', 'on', 'yes', 'true', 'enabled' ].includes(uci.get(config, section, option)),

	get_first(config, type, option) {
		const first = uci.sections(config, type)[0];

		return first ? uci.get(config, first['.name'], option) : null;
	},

	set(config, section, option, value) {
		const found = find(config, section);

		if (!found || !option || option[0] == '.')
			throw new Error(`cannot set ${config}.${section}.${option}`);

		const stored = normal(value);

		if (stored == null)
			delete found[option];
		else
			found[option] = stored;

		touch(config, found['.name'], option);
	},

	set_first(config, type, option, value) {
		uci.set(config, uci.sections(config, type)[0]?.['.name'], option, value);
	},

	unset(config, section, option) {
		uci.set(config, section, option, null);
	},

	add(config, type, name) {
		const state = loaded[config];

		if (!state)
			throw new Error(`${config} is not loaded`);

		const section = name || `new${String(++serial).padStart(6, '0')}`;
		const last = Math.max(-1, ...Object.values(state.values).map((s) => s['.index']));

		state.values[section] = { '.type': type, '.name': section, '.anonymous': !name, '.index': last + 1 };
		state.fresh.add(section);

		return section;
	},

	remove(config, section) {
		const found = find(config, section);
		const state = loaded[config];

		if (!found)
			return;

		delete state.values[found['.name']];
		delete state.changed[found['.name']];

		if (!state.fresh.delete(found['.name']))
			state.gone.add(found['.name']);
	},

	sections(config, type, each) {
		const list = ordered(config).filter((section) => type == null || section['.type'] == type);

		if (typeof each == 'function')
			list.forEach((section) => each(section, section['.name']));

		return list;
	},

	/** Puts a section before another one, or behind it. */
	move(config, section, other, behind) {
		const list = ordered(config);
		const moved = find(config, section);
		const without = list.filter((s) => s !== moved);
		const target = find(config, other);
		const at = target ? without.indexOf(target) + (behind ? 1 : 0) : without.length;

		without.splice(at, 0, moved);
		without.forEach((s, index) => s['.index'] = index);
		loaded[config].moved = true;

		return true;
	},

	async save() {
		const done = [];

		for (const [ config, state ] of Object.entries(loaded)) {
			const options = (section) => Object.fromEntries(
				Object.entries(section).filter(([ name ]) => name[0] != '.'));
			const names = {};
			let any = false;

			for (const section of state.gone) {
				await callDelete(config, section);
				any = true;
			}
			for (const section of ordered(config).filter((s) => state.fresh.has(s['.name']))) {
				const name = section['.anonymous'] ? null : section['.name'];

				names[section['.name']] = await callAdd(config, section['.type'], name, options(section));
				any = true;
			}
			for (const [ name, changed ] of Object.entries(state.changed)) {
				const section = state.values[name];

				if (!section || state.fresh.has(name))
					continue;

				const set = [ ...changed ].filter((option) => option in section);
				const unset = [ ...changed ].filter((option) => !(option in section));

				if (set.length)
					await callSet(config, name, Object.fromEntries(set.map((option) => [ option, section[option] ])));
				if (unset.length)
					// What was never stored need not be deleted.
					await callDelete(config, name, unset).catch((error) => {
						if (!/ubus code 4:/.test(error.message))
							throw error;
					});

				any ||= set.length + unset.length > 0;
			}
			if (state.moved) {
				await callOrder(config, ordered(config).map((s) => names[s['.name']] || s['.name']));
				any = true;
			}
			if (any)
				done.push(config);
		}

		uci.unload(done);
		await uci.load(done);

		return done;
	},

	changes: () => callChanges()
};

return baseclass.extend(uci);
