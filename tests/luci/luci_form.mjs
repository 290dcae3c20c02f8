// SPDX-License-Identifier: GPL-2.0-or-later
// A stand-in for LuCI's forms, pickers and UCI client, as far as the page of the configuration uses
// them: options depend on one another, are read, judged and written when LuCI would do so, and a
// picker that is not given a value which is stored falls back to its first choice, as LuCI's do.

import assert from 'node:assert/strict';

import { E, load } from './luci_client.mjs';

const VIEW = new URL('../../luci-app/htdocs/luci-static/resources/view/flowtable/config.js', import.meta.url);

const quoted = (value) => `'${value.replaceAll("'", "'\\''")}'`;

/** The text of a file of sections `[ type, options ]` or `[ type, options, name ]`. */
export function text(sections) {
	const line = ([ option, value ]) => [].concat(value).map((word) =>
		`\t${Array.isArray(value) ? 'list' : 'option'} ${option} ${quoted(word)}\n`).join('');

	return sections.map(([ type, options, name ]) =>
		`config ${type}${name ? ` ${quoted(name)}` : ''}\n${Object.entries(options).map(line).join('')}`).join('\n');
}

/** LuCI's class uci over sections as `text` takes them, by file. */
class Uci {
	constructor(files) {
		this.files = files;
		this.writes = [];
	}

	named(file) {
		return (this.files[file] ?? []).map((section, i) => [ section[2] ?? `cfg${i}`, section ]);
	}

	find(file, id) {
		return this.named(file).find(([ name ]) => name === id)?.[1];
	}

	async load(file) {
		if (!(file in this.files))
			throw new Error(`no file ${file}`);
	}

	get(file, id, option) {
		const section = this.find(file, id);

		return option == null ? section && { ...section[1] } : section?.[1][option] ?? null;
	}

	set(file, id, option, value) {
		const options = this.find(file, id)[1];

		this.writes.push([ file, id, option, value ]);
		if (value == null || value === '')
			delete options[option];
		else
			options[option] = value;
	}

	unset(file, id, option) {
		if (this.get(file, id, option) != null)
			this.set(file, id, option, null);
	}

	/** The name is kept: that of a section that is found by its place must not change. */
	add(file, type, name) {
		const added = [ type, {}, name ?? `new${this.files[file].length}` ];

		this.writes.push([ file, added[2], type ]);
		this.files[file].push(added);

		return added[2];
	}

	move(file, id, other, after) {
		this.writes.push([ 'move', file, id, other, after ]);
	}

	sections(file, type) {
		return this.named(file).filter(([ , section ]) => section[0] === type)
			.map(([ name, section ]) => ({ '.name': name, '.type': type, ...section[1] }));
	}
}

const isEqual = (a, b) => Array.isArray(a) == Array.isArray(b) && String(a) === String(b) && (a == null) == (b == null);
const words = (value) => value == null ? [] : Array.isArray(value) ? value
	: String(value).trim().split(/\s+/).filter((word) => word);

/** What LuCI's widgets have in common; `typed` has what the user put in, by section. */
class Value {
	constructor(map, section, option, title) {
		Object.assign(this, { map, section, option, title, deps: [], rmempty: true, optional: false,
			'default': null, data: {}, typed: {} });
	}

	value(key, title) {
		(this.keylist ??= []).push(key);
		(this.vallist ??= []).push(title ?? key);
	}

	depends(name, value) {
		this.deps.push([ name, value ]);
	}

	load(id) {
		return this.map.data.get(this.map.config, id, this.ucioption ?? this.option);
	}

	cfgvalue(id) {
		return this.data[id] ?? null;
	}

	isActive(id) {
		return !this.deps.length || this.deps.some(([ name, value ]) => {
			const other = this.section.children.find((option) => option.option === name);

			return other.isActive(id) && other.formvalue(id) === value;
		});
	}

	/** What the widget shows before anybody has touched it. */
	shown(id) {
		return this.cfgvalue(id) ?? this.default ?? '';
	}

	formvalue(id) {
		return this.typed[id] ?? this.shown(id);
	}

	/** `half` is what has been typed and not been added. */
	getUIElement(id) {
		return { getValue: () => this.formvalue(id), node: { querySelector: () => ({ value: this.half ?? '' }) } };
	}

	validate() {
		return true;
	}

	/** True or what is wrong. */
	judge(id) {
		const value = this.formvalue(id);
		const empty = value == null || value.length == 0;

		return empty && !this.rmempty && !this.optional ? 'must not be empty' : this.validate(id, value);
	}

	write(id, value) {
		this.map.data.set(this.map.config, id, this.ucioption ?? this.option, value);
	}

	remove(id) {
		this.map.data.unset(this.map.config, id, this.ucioption ?? this.option);
	}

	parse(id) {
		if (!this.isActive(id))
			return this.remove(id);

		const value = this.formvalue(id);

		if (value == null || value.length == 0)
			this.remove(id);
		else if (!isEqual(this.cfgvalue(id), value))
			this.write(id, value);
	}
}

class ListValue extends Value {
	/** A list has no row for what is not in it. */
	shown(id) {
		const value = super.shown(id);
		const choices = this.optional ? [ '', ...this.keylist ] : this.keylist;

		return choices.includes(value) ? value : choices[0];
	}
}

class Flag extends Value {
	shown(id) {
		return super.shown(id) === '1' ? '1' : '0';
	}

	parse(id) {
		const value = this.formvalue(id);

		if (!this.isActive(id) || (value === this.default && this.rmempty))
			this.remove(id);
		else
			this.write(id, value);
	}
}

class DynamicList extends Value {
	shown(id) {
		return words(this.cfgvalue(id));
	}

	// Each value is judged where it is typed, the list with an empty one.
	judge(id) {
		const bad = (this.typed[id] ?? []).map((value) => this.validate(id, value)).find((good) => good !== true);

		return bad ?? this.validate(id, '');
	}
}

class DummyValue extends Value {
	parse() {}
}

/** LuCI's pickers, whose load() takes two turns. */
class Picker extends Value {
	async load(id) {
		await null;
		this.zones = this.map.data.sections('firewall', 'zone').map((zone) => ({ getName: () => zone.name }));

		return super.load(id);
	}

	choices() {
		return [];
	}

	shown(id) {
		const offered = this.choices();
		const values = words(super.shown(id));
		const kept = this.nocreate ? values.filter((value) => offered.includes(value)) : values;

		// Its order is that of its own rows.
		return this.multiple ? [ ...kept ].sort() : kept[0] ?? (this.rmempty ? '' : offered[0] ?? '');
	}

	judge(id) {
		const value = this.formvalue(id);

		return value.length || this.rmempty ? this.validate(id, [].concat(value).join(' ')) : 'must not be empty';
	}
}

class ZoneSelect extends Picker {
	choices() {
		return [ '*', ...this.zones.map((zone) => zone.getName()) ];
	}
}

class DeviceSelect extends Picker {}

class Section {
	constructor(map, type) {
		Object.assign(this, { map, type, name: null, children: [] });
	}

	tab() {}

	option(Widget, name, title) {
		this.children.push(new Widget(this.map, this, name, title));

		return this.children.at(-1);
	}

	taboption(_tab, ...rest) {
		return this.option(...rest);
	}

	cfgsections() {
		return this.name ? [ this.name ] : this.map.data.sections(this.map.config, this.type).map((s) => s['.name']);
	}

	formvalue(id, name) {
		return this.children.find((option) => option.option === name).formvalue(id);
	}

	renderSectionAdd() {
		return 'add';
	}

	handleRemove(id) {
		const sections = this.map.data.files[this.map.config];

		sections.splice(sections.indexOf(this.map.data.find(this.map.config, id)), 1);
	}
}

class GridSection extends Section {
	/** The cell of a row's buttons, as far as buttons can be put before the others. */
	renderRowActions() {
		const buttons = [];

		return { lastElementChild: { prepend: (...nodes) => buttons.unshift(...nodes) }, buttons };
	}
}

class NamedSection extends Section {
	constructor(map, name, type) {
		super(map, type);
		this.name = name;
	}
}

/**
 * The page over these files, rendered. `answers` are those of the bus, `buses` the names of the MDIO
 * buses.
 */
export async function open(files, answers = {}, buses = []) {
	const uci = new Uci({ firewall: [], ...files });
	const notes = [];
	let map;

	class Map {
		constructor(config) {
			Object.assign(this, { config, data: uci, children: [] });
			map = this;
		}

		chain() {}

		section(Kind, ...rest) {
			this.children.push(new Kind(this, ...rest));

			return this.children.at(-1);
		}

		async load() {
			for (const section of this.children)
				for (const id of section.cfgsections())
					for (const option of section.children)
						option.data[id] = await option.load(id);
		}

		async render() {
			await this.load();

			return E('form', {}, []);
		}
	}

	const { view, seen, document } = load(VIEW, answers, {}, {
		uci,
		form: { Map, Value, ListValue, Flag, DynamicList, DummyValue, GridSection, NamedSection },
		'tools.widgets': { ZoneSelect, DeviceSelect },
		ui: { addNotification: (_title, node) => notes.push(node.text) },
		fs: { list: async () => buses.map((name) => ({ name })) }
	});
	const node = await view.render(await view.load());
	const page = {
		node, seen, document, uci, notes,

		section: (type) => map.children.find((section) => section.type === type),

		option: (type, name) => page.section(type).children.find((option) => option.option === name),

		/** The identity of a section by its type and place. */
		id: (type, place = 0) => uci.sections('flowtable', type)[place]['.name'],

		/** Loads a section by itself, as its dialog does; options may have kept something of another one. */
		async edit(type, id) {
			for (const option of page.section(type).children)
				option.data[id] = await option.load(id);

			return page.faults(type, id);
		},

		/** Puts values in and gives back all that the form says against them. */
		fill(type, id, values) {
			for (const [ name, value ] of Object.entries(values)) {
				const option = page.option(type, name) ?? page.option(type, '_' + name);

				assert.ok(option.isActive(id), `${name} is hidden`);
				option.typed[id] = value;
			}

			return page.faults(type, id);
		},

		faults: (type, id) => page.section(type).children.filter((option) => option.isActive(id))
			.map((option) => option.judge(id)).filter((good) => good !== true),

		/** Saves a section, which must be without faults. */
		async save(type, id) {
			assert.deepEqual(page.faults(type, id), []);
			uci.writes.length = 0;
			page.section(type).children.forEach((option) => option.parse(id));
			await map.load();
		},

		/** A new section, as by the button. */
		async add(type) {
			const id = uci.add('flowtable', type);

			await map.load();

			return id;
		}
	};

	return page;
}
