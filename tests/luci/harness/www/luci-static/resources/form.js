// SPDX-License-Identifier: GPL-2.0-or-later
// Forms over the configuration: a map of sections of options, with the names of elements that LuCI
// gives them, so that a test finds the same things in both.
'use strict';
'require baseclass';
'require dom';
'require uci';
'require ui';
'require form_options as options';
'require form_grid as grid';

const CMap = baseclass.extend({
	__init__(config, title, description) {
		Object.assign(this, { config, title, description, children: [], data: uci, parsechain: [ config ] });
	},

	chain(config) {
		if (!this.parsechain.includes(config))
			this.parsechain.push(config);
	},

	section(Kind, ...args) {
		const section = new Kind(this, ...args);

		this.children.push(section);

		return section;
	},

	async load() {
		await uci.load(this.parsechain);
		await Promise.all(this.children.map((section) => section.load()));
	},

	async render() {
		// Known before the options are: a reader's form is one to look at.
		this.readonly ??= L.hasViewPermission() === false;
		await this.load();

		return this.renderContents();
	},

	async renderContents() {
		const root = this.root ||= E('div', { 'class': 'cbi-map', 'id': `cbi-${this.config}` });

		dom.bindClassInstance(root, this);

		if (!this.listening) {
			this.listening = true;
			root.addEventListener('widget-change', () => this.checkDepends());
		}

		const nodes = await Promise.all(this.children.map((section) => section.render()));
		const box = E('div', { 'class': this.tabbed ? 'cbi-map-tabbed' : '' }, nodes);

		dom.content(root, [
			this.title ? E('h2', { 'name': 'content' }, [ this.title ]) : '',
			this.description ? E('div', { 'class': 'cbi-map-descr' }, [ this.description ]) : '',
			box
		]);

		if (this.tabbed) {
			this.children.forEach((section, i) => {
				nodes[i].setAttribute('data-tab', section.sectiontype);
				nodes[i].setAttribute('data-tab-title', section.title || section.sectiontype);
			});
			ui.tabs.initTabGroup(nodes);
		}

		this.checkDepends();

		return root;
	},

	lookupOption(name, section_id) {
		for (const section of this.children)
			for (const option of section.children)
				if (option.option == name && section.cfgsections().includes(section_id))
					return [ option, section_id ];

		return null;
	},

	findElement(selector) {
		return this.root.querySelector(selector);
	},

	checkDepends() {
		for (let turns = 0, changed = true; changed; turns++) {
			if (turns > 20)
				throw new Error('dependencies of options go round in a circle');

			changed = this.children.map((section) => section.checkDepends()).some(Boolean);
		}
	},

	async parse() {
		await Promise.all(this.children.map((section) => section.parse()));
	},

	async save(callback, silent) {
		this.checkDepends();

		try {
			await this.parse();
			await callback?.();
			await uci.save();
		}
		catch (error) {
			if (!silent)
				ui.showModal(_('Save error'), [
					E('p', {}, [ _('An error occurred while saving the form:') ]),
					E('p', {}, [ E('em', { 'style': 'white-space:pre-wrap' }, [ error.message ]) ]),
					E('div', { 'class': 'right' }, [
						E('button', { 'class': 'btn cbi-button', 'click': ui.hideModal }, [ _('Dismiss') ])
					])
				]);

			throw error;
		}

		await this.reset();
	},

	async reset() {
		await this.load();
		await this.renderContents();
	}
});

const AbstractSection = baseclass.extend({
	__init__(map, sectiontype, title, description) {
		Object.assign(this, { map, sectiontype, title, description, children: [], tabs: [] });
	},

	tab(name, title, description) {
		this.tabs.push({ name, title, description });
	},

	option(Kind, ...args) {
		if (this.tabs.length)
			throw new Error('a section with tabs wants taboption()');

		return this.add(Kind, null, args);
	},

	taboption(tab, Kind, ...args) {
		if (!this.tabs.some((known) => known.name == tab))
			throw new Error(`no tab ${tab}`);

		return this.add(Kind, tab, args);
	},

	add(Kind, tab, args) {
		const option = new Kind(this.map, this, ...args);

		option.tab = tab;
		this.children.push(option);

		return option;
	},

	getOption(name) {
		return this.children.find((option) => option.option == name) ?? null;
	},

	formvalue(section_id, name) {
		return this.getOption(name)?.formvalue(section_id) ?? null;
	},

	getUIElement(section_id, name) {
		return this.getOption(name)?.getUIElement(section_id) ?? null;
	},

	async load() {
		for (const section_id of this.cfgsections())
			for (const option of this.children)
				option.cfgvalue(section_id, await option.load(section_id));
	},

	async parse() {
		for (const section_id of this.cfgsections())
			for (const option of this.children)
				await option.parse(section_id);
	},

	checkDepends() {
		return this.cfgsections().map((section_id) =>
			this.children.map((option) => option.checkDepends(section_id)).some(Boolean)).some(Boolean);
	},

	/** The options of one section, in panes where there are tabs. */
	async renderOptions(section_id) {
		const shown = async (tab) => {
			const nodes = [];

			for (const option of this.children)
				if (option.tab == tab && option.modalonly !== false)
					nodes.push(await option.render(section_id));

			return nodes;
		};

		if (!this.tabs.length)
			return shown(null);

		const panes = [];

		for (const { name, title } of this.tabs)
			panes.push(E('div', { 'data-tab': name, 'data-tab-title': title }, await shown(name)));

		const box = E('div', {}, [ E('div', {}, panes) ]);

		ui.tabs.initTabGroup(panes);

		return [ box ];
	}
});

const NamedSection = AbstractSection.extend({
	__init__(map, section_id, sectiontype, title, description) {
		AbstractSection.prototype.__init__.call(this, map, sectiontype, title, description);
		this.section = section_id;
	},

	cfgsections() {
		return uci.get(this.map.config, this.section) ? [ this.section ] : [];
	},

	async render() {
		const nodes = this.cfgsections().length ? await this.renderOptions(this.section) : [];

		return E('div', { 'class': 'cbi-section', 'id': `cbi-${this.map.config}-${this.section}`, 'data-section-id': this.section }, [
			this.title && !this.map.tabbed ? E('h3', {}, [ this.title ]) : '',
			this.description ? E('div', { 'class': 'cbi-section-descr' }, [ this.description ]) : '',
			E('div', { 'class': 'cbi-section-node' }, nodes)
		]);
	}
});

const TypedSection = AbstractSection.extend({
	filter: () => true,

	cfgsections() {
		return uci.sections(this.map.config, this.sectiontype).map((section) => section['.name'])
			.filter((name) => this.filter(name));
	},

	handleAdd(_event, name) {
		uci.add(this.map.config, this.sectiontype, this.anonymous ? null : name);

		return this.map.reset();
	},

	handleRemove(section_id) {
		uci.remove(this.map.config, section_id);

		return this.map.reset();
	},

	async render() {
		const nodes = [];

		for (const section_id of this.cfgsections())
			nodes.push(E('div', { 'class': 'cbi-section-node', 'data-section-id': section_id }, await this.renderOptions(section_id)));

		return E('div', { 'class': 'cbi-section' }, [
			this.title ? E('h3', {}, [ this.title ]) : '',
			this.description ? E('div', { 'class': 'cbi-section-descr' }, [ this.description ]) : ''
		].concat(nodes));
	}
});

const GridSection = grid.make(TypedSection, NamedSection, CMap);

return baseclass.extend({
	Map: CMap, AbstractSection, NamedSection, TypedSection, GridSection, ...options.all
});
