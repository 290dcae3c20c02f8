// SPDX-License-Identifier: GPL-2.0-or-later
// Options of forms: reading, showing, judging and writing one value of a section.
'use strict';
'require baseclass';
'require dom';
'require uci';
'require ui';

function isEqual(a, b) {
	return JSON.stringify(a ?? null) == JSON.stringify(b ?? null);
}

const AbstractValue = baseclass.extend({
	__init__(map, section, option, title, description) {
		Object.assign(this, {
			map, section, option, title, description, config: map.config,
			rmempty: true, optional: false, default: null, deps: [], values: {}, elements: {}
		});
	},

	depends(field, value) {
		this.deps.push(typeof field == 'object' ? field : { [field]: value });
	},

	value(key, title) {
		this.keylist = (this.keylist || []).concat([ String(key) ]);
		this.vallist = (this.vallist || []).concat([ title ?? String(key) ]);
	},

	transformChoices() {
		return this.keylist?.length ? Object.fromEntries(this.keylist.map((key, i) => [ key, this.vallist[i] ])) : null;
	},

	cbid(section_id) {
		return `cbid.${this.map.config}.${section_id}.${this.option}`;
	},

	load(section_id) {
		return uci.get(this.uciconfig || this.map.config, this.ucisection || section_id, this.ucioption || this.option);
	},

	cfgvalue(section_id, ...set) {
		if (set.length)
			this.values[section_id] = set[0];

		return this.values[section_id];
	},

	getUIElement(section_id) {
		return this.elements[section_id] ?? null;
	},

	formvalue(section_id) {
		return this.getUIElement(section_id)?.getValue() ?? null;
	},

	textvalue(section_id) {
		const value = this.cfgvalue(section_id) ?? this.default;

		return Array.isArray(value) ? value.join(', ') : value;
	},

	validate: () => true,

	isActive(section_id) {
		const element = this.getUIElement(section_id);

		return element != null && !this.frames?.[section_id]?.hidden;
	},

	isValid(section_id) {
		return this.getUIElement(section_id)?.isValid() ?? true;
	},

	getValidationError(section_id) {
		return this.getUIElement(section_id)?.getValidationError() ?? '';
	},

	matches(section_id) {
		if (!this.deps.length)
			return true;

		return this.deps.some((dep) => Object.entries(dep).every(([ name, wanted ]) => {
			const other = this.section.getOption(name);

			if (!other)
				throw new Error(`${this.option} depends on ${name}, which is not there`);

			return other.isActive(section_id) && (other.formvalue(section_id) ?? '') === wanted;
		}));
	},

	/** Shows or hides; tells whether that was a change. */
	checkDepends(section_id) {
		const frame = this.frames?.[section_id];

		if (!frame)
			return false;

		const hide = !this.matches(section_id);

		if (frame.hidden == hide)
			return false;

		frame.hidden = hide;
		frame.style.display = hide ? 'none' : '';

		return true;
	},

	widgetOptions(section_id, extra) {
		return {
			id: this.cbid(section_id), name: this.cbid(section_id),
			optional: this.optional || this.rmempty, datatype: this.datatype, placeholder: this.placeholder,
			readonly: this.readonly ?? this.map.readonly,
			validate: (value) => this.isActiveOrUnknown(section_id) ? this.validate(section_id, value) : true,
			...extra
		};
	},

	// A value that cannot be seen is not complained about.
	isActiveOrUnknown(section_id) {
		return !this.frames?.[section_id]?.hidden;
	},

	async renderInput(section_id) {
		const value = this.cfgvalue(section_id) ?? this.default;
		const element = this.widget(section_id, value);
		const node = element.render();

		this.elements[section_id] = element;

		return node;
	},

	async render(section_id) {
		const frame = E('div', {
			'class': 'cbi-value', 'id': `cbi-${this.map.config}-${section_id}-${this.option}`, 'data-name': this.option
		}, [
			E('label', { 'class': 'cbi-value-title', 'for': `widget.${this.cbid(section_id)}` }, [ this.title ?? this.option ]),
			E('div', { 'class': 'cbi-value-field' }, [
				await this.renderInput(section_id),
				this.description && !this.section.nodescriptions
					? E('div', { 'class': 'cbi-value-description' }, [ this.description ]) : ''
			])
		]);

		this.frames = this.frames || {};
		this.frames[section_id] = frame;

		return frame;
	},

	write(section_id, value) {
		uci.set(this.uciconfig || this.map.config, this.ucisection || section_id, this.ucioption || this.option, value);
	},

	remove(section_id) {
		uci.unset(this.uciconfig || this.map.config, this.ucisection || section_id, this.ucioption || this.option);
	},

	refuse(section_id) {
		throw new TypeError(_('Option "%s" contains an invalid input value.').format(this.title || this.option) +
			'\n' + this.getValidationError(section_id));
	},

	async parse(section_id) {
		if (!this.getUIElement(section_id))
			return;
		if (!this.isActive(section_id))
			return this.retain ? undefined : this.remove(section_id);

		const value = this.formvalue(section_id);
		const stored = this.cfgvalue(section_id);

		if (!this.isValid(section_id))
			this.refuse(section_id);
		if (value != null && value !== '' && !(Array.isArray(value) && !value.length))
			return this.forcewrite || !isEqual(stored, value) ? this.write(section_id, value) : undefined;
		if (this.rmempty || this.optional)
			return this.remove(section_id);

		throw new TypeError(_('Option "%s" must not be empty.').format(this.title || this.option));
	}
});

const Value = AbstractValue.extend({
	widget(section_id, value) {
		const choices = this.transformChoices();

		return choices
			? new ui.Combobox(value ?? '', choices, this.widgetOptions(section_id))
			: new ui.Textfield(Array.isArray(value) ? value.join(' ') : value, this.widgetOptions(section_id, { password: this.password }));
	}
});

const DynamicList = Value.extend({
	widget(section_id, value) {
		return new ui.DynamicList(value, this.transformChoices(), this.widgetOptions(section_id));
	}
});

const ListValue = Value.extend({
	widget(section_id, value) {
		return new ui.Select(value ?? '', this.transformChoices() || {}, this.widgetOptions(section_id, {
			optional: this.optional, sort: this.keylist
		}));
	},

	textvalue(section_id) {
		const value = this.cfgvalue(section_id) ?? this.default;
		const at = (this.keylist || []).indexOf(value);

		return at < 0 ? value : this.vallist[at];
	}
});

const MultiValue = ListValue.extend({
	widget(section_id, value) {
		return new ui.Dropdown(L.toArray(value), this.transformChoices() || {}, this.widgetOptions(section_id, {
			multiple: true, create: this.create, sort: this.keylist
		}));
	}
});

const Flag = Value.extend({
	enabled: '1',
	disabled: '0',

	__init__(...args) {
		AbstractValue.prototype.__init__.call(this, ...args);
		this.default = this.disabled;
	},

	widget(section_id, value) {
		return new ui.Checkbox(value ?? this.default, this.widgetOptions(section_id, {
			value_enabled: this.enabled, value_disabled: this.disabled
		}));
	},

	textvalue(section_id) {
		return (this.cfgvalue(section_id) ?? this.default) == this.enabled ? _('Yes') : _('No');
	},

	async parse(section_id) {
		if (!this.getUIElement(section_id))
			return;
		if (!this.isActive(section_id))
			return this.retain ? undefined : this.remove(section_id);
		if (!this.isValid(section_id))
			this.refuse(section_id);

		const value = this.formvalue(section_id);

		return value == this.default && (this.optional || this.rmempty)
			? this.remove(section_id) : this.write(section_id, value);
	}
});

const DummyValue = Value.extend({
	async renderInput(section_id) {
		const value = this.textvalue(section_id);

		return value instanceof Node ? value : E('span', {}, [ value == null ? '' : String(value) ]);
	},

	formvalue: () => null,
	async parse() {}
});

return baseclass.extend({ all: { AbstractValue, Value, DynamicList, ListValue, MultiValue, Flag, DummyValue } });
