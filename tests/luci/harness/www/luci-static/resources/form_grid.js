// SPDX-License-Identifier: GPL-2.0-or-later
// A table of sections; a row is edited in a dialog that has the section's options once more.
'use strict';
'require baseclass';
'require dom';
'require uci';
'require ui';

const shown = (option) => !option.modalonly;

return baseclass.extend({
	make: (TypedSection, NamedSection, CMap) => TypedSection.extend({
		// Options of a grid may be in tabs of the dialog or in none.
		option(Kind, ...args) {
			return this.add(Kind, this.tabs[0]?.name ?? null, args);
		},

		async handleAdd() {
			const section_id = uci.add(this.map.config, this.sectiontype);

			this.added = section_id;
			await this.map.load();

			return this.renderMoreOptionsModal(section_id);
		},

		/** Options for the dialog; what was set up on the row's own applies to them as well. */
		clones(section, map) {
			return this.children.map((option) => Object.assign(Object.create(option), {
				section, map, values: {}, elements: {}, frames: {}
			}));
		},

		async renderMoreOptionsModal(section_id) {
			const map = new CMap(this.map.config);
			const section = map.section(NamedSection, section_id, this.sectiontype);

			map.readonly = this.map.readonly;
			section.tabs = this.tabs;
			section.nodescriptions = false;
			section.children = this.clones(section, map);

			const node = await map.render();

			ui.showModal(this.modaltitle || this.title, [
				node,
				E('div', { 'class': 'right button-row' }, [
					E('button', { 'class': 'btn cbi-button', 'click': () => this.handleModalCancel(section_id) }, [ _('Dismiss') ]), ' ',
					E('button', {
						'class': 'btn cbi-button cbi-button-positive important', 'disabled': map.readonly ? '' : null,
						'click': ui.createHandlerFn(this, () => this.handleModalSave(map))
					}, [ _('Save') ])
				])
			], 'cbi-modal');
		},

		async handleModalCancel(section_id) {
			ui.hideModal();

			if (this.added == section_id) {
				uci.remove(this.map.config, section_id);
				this.added = null;
			}

			return this.map.reset();
		},

		async handleModalSave(map) {
			map.checkDepends();

			try {
				await map.parse();
			}
			catch (error) {
				return ui.addNotification(_('Save error'), [ E('p', {}, [ error.message ]) ], 'error');
			}

			this.added = null;
			ui.hideModal();

			return this.map.reset();
		},

		renderRowActions(section_id) {
			const disabled = this.map.readonly ? '' : null;

			return E('td', { 'class': 'td cbi-section-table-cell cbi-section-actions' }, [ E('div', {}, [
				E('button', {
					'class': 'btn cbi-button cbi-button-edit', 'title': _('Edit'),
					'click': ui.createHandlerFn(this, 'renderMoreOptionsModal', section_id)
				}, [ _('Edit') ]),
				this.addremove ? E('button', {
					'class': 'btn cbi-button cbi-button-remove', 'title': _('Delete'), disabled,
					'click': ui.createHandlerFn(this, 'handleRemove', section_id)
				}, [ _('Delete') ]) : ''
			]) ]);
		},

		renderSectionAdd() {
			if (!this.addremove)
				return E([]);

			return E('div', { 'class': 'cbi-section-create' }, [
				E('button', {
					'class': 'btn cbi-button cbi-button-add', 'title': _('Add'), 'disabled': this.map.readonly ? '' : null,
					'click': ui.createHandlerFn(this, 'handleAdd')
				}, [ _('Add') ])
			]);
		},

		async parse() {
			for (const section_id of this.cfgsections())
				for (const option of this.children)
					if (option.editable)
						await option.parse(section_id);
		},

		checkDepends: () => false,

		async renderCell(option, section_id) {
			const text = option.editable ? null : option.textvalue(section_id);
			const content = option.editable ? await option.renderInput(section_id)
				: (text instanceof Node ? text : E('span', {}, [ text == null || text === '' ? '-' : String(text) ]));

			return E('td', { 'class': 'td cbi-value-field', 'data-name': option.option, 'data-title': option.title }, [ content ]);
		},

		async render() {
			const columns = this.children.filter(shown);
			const rows = [];

			for (const section_id of this.cfgsections()) {
				const cells = await Promise.all(columns.map((option) => this.renderCell(option, section_id)));

				rows.push(E('tr', { 'class': 'tr cbi-section-table-row', 'data-sid': section_id },
					cells.concat([ this.renderRowActions(section_id) ])));
			}

			return E('div', { 'class': 'cbi-section cbi-gridsection', 'id': `cbi-${this.map.config}-${this.sectiontype}` }, [
				this.title && !this.map.tabbed ? E('h3', {}, [ this.title ]) : '',
				this.description ? E('div', { 'class': 'cbi-section-descr' }, [ this.description ]) : '',
				E('table', { 'class': 'table cbi-section-table' }, [
					E('tr', { 'class': 'tr table-titles' }, columns.map((option) =>
						E('th', { 'class': 'th' }, [ option.title ?? '' ])).concat([ E('th', { 'class': 'th' }, []) ]))
				].concat(rows.length ? rows : [ E('tr', { 'class': 'tr placeholder' }, [
					E('td', { 'class': 'td', 'colspan': columns.length + 1 }, [ E('em', {}, [ _('This section contains no values yet') ]) ])
				]) ])),
				this.renderSectionAdd()
			]);
		}
	})
});
