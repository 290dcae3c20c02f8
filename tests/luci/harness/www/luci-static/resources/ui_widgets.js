// SPDX-License-Identifier: GPL-2.0-or-later
// Elements of forms, with the marking and the behaviour of LuCI's: each validates what is typed and
// shows a bad value by a class and a title. A frame carries the instance.
'use strict';
'require baseclass';
'require dom';
'require validation';

class Element_ {
	constructor(value, options) {
		this.options = options || {};
		this.initial = value;
	}

	bind(frame) {
		this.node = frame;
		dom.bindClassInstance(frame, this);
		frame.addEventListener('change', () => this.triggerValidation());
		frame.addEventListener('focusout', () => this.triggerValidation());
		setTimeout(() => this.triggerValidation());

		return frame;
	}

	changed() {
		this.node.dispatchEvent(new CustomEvent('widget-change', { bubbles: true }));
		this.triggerValidation();
	}

	check(value) {
		const { datatype, optional, validate } = this.options;

		if (value == null || value === '')
			return optional === false ? _('non-empty value') : (validate ? validate(value ?? '') : true);

		const typed = datatype ? validation.check(datatype, value) : true;

		return typed === true && validate ? validate(value) : typed;
	}

	triggerValidation() {
		const result = this.validity();

		this.error = result === true ? '' : String(result);

		for (const input of this.node.querySelectorAll('input,select')) {
			input.classList.toggle('cbi-input-invalid', result !== true);
			this.error ? input.setAttribute('data-tooltip', this.error) : input.removeAttribute('data-tooltip');
		}

		return result === true;
	}

	validity() {
		return this.check(this.getValue());
	}

	isValid() {
		this.triggerValidation();

		return !this.error;
	}

	getValidationError() {
		return this.error;
	}

	isChanged() {
		return JSON.stringify(this.getValue()) != JSON.stringify(this.initial);
	}

	setPlaceholder(text) {
		this.node.querySelector('input')?.setAttribute('placeholder', text);
	}

	common(extra) {
		const { id, name, readonly, disabled } = this.options;

		return { id: id ? `widget.${id}` : null, name, 'readonly': readonly ? '' : null, 'disabled': disabled || readonly ? '' : null, ...extra };
	}
}

class Textfield extends Element_ {
	render() {
		this.input = E('input', this.common({
			'type': this.options.password ? 'password' : 'text', 'class': 'cbi-input-text',
			'placeholder': this.options.placeholder, 'value': this.initial ?? '',
			'input': () => this.changed()
		}));

		return this.bind(E('div', { 'id': this.options.id }, [ this.input ]));
	}

	getValue() {
		return this.input.value.trim();
	}

	setValue(value) {
		this.input.value = value ?? '';
	}
}

class Checkbox extends Element_ {
	render() {
		const { value_enabled = '1' } = this.options;

		this.input = E('input', this.common({
			'type': 'checkbox', 'checked': this.initial == value_enabled ? '' : null, 'change': () => this.changed()
		}));

		return this.bind(E('div', { 'id': this.options.id, 'class': 'cbi-checkbox' }, [
			this.input, E('label', { 'for': `widget.${this.options.id}` }, [])
		]));
	}

	getValue() {
		const { value_enabled = '1', value_disabled = '0' } = this.options;

		return this.input.checked ? value_enabled : value_disabled;
	}

	isChecked() {
		return this.input.checked;
	}

	setValue(value) {
		this.input.checked = value == (this.options.value_enabled ?? '1');
	}
}

function inOrder(choices, sort) {
	const keys = Array.isArray(sort) ? sort : Object.keys(choices);

	return keys.filter((key) => key in choices);
}

class Select extends Element_ {
	constructor(value, choices, options) {
		super(value, options);
		this.choices = choices;
	}

	render() {
		const { multiple, optional, sort, size } = this.options;
		const values = L.toArray(this.initial).map(String);
		const options = inOrder(this.choices, sort).map((key) =>
			E('option', { 'value': key, 'selected': values.includes(key) || key === this.initial ? '' : null }, [ this.choices[key] ]));

		if (optional && !multiple && !('' in this.choices))
			options.unshift(E('option', { 'value': '' }, [ this.options.placeholder || _('-- Please choose --') ]));

		this.input = E('select', this.common({
			'class': 'cbi-input-select', 'multiple': multiple ? '' : null, 'size': multiple ? size : null,
			'change': () => this.changed()
		}), options);

		return this.bind(E('div', { 'id': this.options.id }, [ this.input ]));
	}

	getValue() {
		return this.options.multiple ? [ ...this.input.selectedOptions ].map((option) => option.value) : this.input.value;
	}

	setValue(value) {
		const values = L.toArray(value).map(String);

		for (const option of this.input.options)
			option.selected = values.includes(option.value) || option.value === value;
	}
}

/** A choice that also takes a value of one's own, one or several. */
class Dropdown extends Element_ {
	constructor(value, choices, options) {
		super(value, { create: true, ...options });
		this.choices = choices;
	}

	render() {
		const { multiple, sort, create } = this.options;

		if (!create)
			return Select.prototype.render.call(this);

		const list = `list.${this.options.id}`;

		this.input = E('input', this.common({
			'type': 'text', 'class': 'cbi-input-text', 'list': list,
			'placeholder': this.options.placeholder ?? (multiple ? _('several with spaces between') : null),
			'value': L.toArray(this.initial).join(' '), 'input': () => this.changed()
		}));

		return this.bind(E('div', { 'id': this.options.id, 'class': 'cbi-dropdown' }, [
			this.input, E('datalist', { 'id': list }, inOrder(this.choices, sort).map((key) => E('option', { 'value': key }, [])))
		]));
	}

	getValue() {
		if (!this.options.create)
			return Select.prototype.getValue.call(this);

		const words = L.toArray(this.input.value);

		return this.options.multiple ? words : (words.join(' ') || null);
	}

	setValue(value) {
		this.options.create ? this.input.value = L.toArray(value).join(' ') : Select.prototype.setValue.call(this, value);
	}

	validity() {
		const value = this.getValue();

		if (!this.options.multiple)
			return this.check(value);
		if (!value.length)
			return this.check('');
		if (this.options.datatype)
			for (const one of value)
				if (validation.check(this.options.datatype, one) !== true)
					return validation.check(this.options.datatype, one);

		return this.options.validate ? this.options.validate(value) : true;
	}
}

class Combobox extends Dropdown {}

class DynamicList extends Element_ {
	constructor(value, choices, options) {
		super(L.toArray(value), options);
		this.choices = choices || {};
	}

	render() {
		const list = `list.${this.options.id}`;

		this.items = [];
		this.box = E('div', {}, []);
		this.input = E('input', this.common({
			'type': 'text', 'class': 'cbi-input-text', 'list': list, 'placeholder': this.options.placeholder,
			'keydown': (event) => {
				if (event.key == 'Enter') {
					event.preventDefault();
					this.take();
				}
			}
		}));

		const frame = E('div', { 'id': this.options.id, 'class': 'cbi-dynlist' }, [
			this.box,
			E('div', { 'class': 'add-item' }, [
				this.input,
				E('button', { 'type': 'button', 'class': 'btn cbi-button cbi-button-add', 'aria-label': _('Add'),
					'disabled': this.options.readonly ? '' : null, 'click': () => this.take() }, [ '+' ]),
				E('datalist', { 'id': list }, Object.keys(this.choices).map((key) => E('option', { 'value': key }, [])))
			])
		]);

		this.setValue(this.initial);

		return this.bind(frame);
	}

	take() {
		const typed = this.input.value.trim();

		if (!typed || this.check(typed) !== true)
			return this.triggerValidation();

		this.add(typed);
		this.input.value = '';
		this.changed();
	}

	add(value) {
		const item = E('div', { 'class': 'item', 'tabindex': 0 }, [
			E('span', {}, [ value ]),
			E('button', { 'type': 'button', 'class': 'btn', 'aria-label': _('Delete'), 'click': () => {
				item.remove();
				this.items = this.items.filter((entry) => entry.node !== item);
				this.changed();
			} }, [ '×' ])
		]);

		this.items.push({ value, node: item });
		this.box.appendChild(item);
	}

	getValue() {
		return this.items.map((entry) => entry.value);
	}

	setValue(values) {
		this.items = [];
		this.box.replaceChildren();
		L.toArray(values).forEach((value) => this.add(String(value)));
	}

	validity() {
		const typed = this.input.value.trim();
		const result = typed ? this.check(typed) : true;

		if (result !== true)
			return result;
		if (this.options.optional === false && !this.items.length)
			return _('non-empty value');

		return this.options.validate && !typed ? this.options.validate('') : true;
	}
}

return baseclass.extend({
	all: { Textfield, Checkbox, Select, Dropdown, Combobox, DynamicList, AbstractElement: Element_ }
});
