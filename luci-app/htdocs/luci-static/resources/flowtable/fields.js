// SPDX-License-Identifier: GPL-2.0-or-later
// Fields of LuCI's forms that read what the daemon reads, every form of it, and write only what was
// changed. They are set up option by option: LuCI's pickers load in two steps, which a class
// derived from one of them would go through for ever.
'use strict';
'require baseclass';
'require form';
'require uci';
'require tools.widgets as widgets';
'require flowtable.checks as checks';

const BOOLEANS = { '1': '1', on: '1', 'true': '1', yes: '1', '0': '0', off: '0', 'false': '0', no: '0' };

function stored(option, section_id) {
	return option.map.data.get(option.uciconfig || option.map.config, section_id, option.ucioption || option.option);
}

/** The boolean that a value stands for as '1' or '0'; a value that is none as it is. */
function boolean(text) {
	return typeof text == 'string' && Object.prototype.hasOwnProperty.call(BOOLEANS, text) ? BOOLEANS[text] : text;
}

/** A checkbox; `preset` is what an option that is not there means, '1' or '0'. */
function flag(option, preset) {
	option.default = preset;

	option.load = function(section_id) {
		return boolean(stored(this, section_id));
	};

	option.write = function(section_id, value) {
		if (value !== this.cfgvalue(section_id))
			form.Flag.prototype.write.call(this, section_id, value);
	};

	// What is written out although it is the default stays there.
	option.remove = function(section_id) {
		if (!this.isActive(section_id) || this.cfgvalue(section_id) !== this.default)
			form.Flag.prototype.remove.call(this, section_id);
	};

	return option;
}

/** A field for one value of a kind, which has to be there if `option.required`. */
function single(option, kind) {
	option.validate = function(_section_id, value) {
		return (!value && !this.required) || checks.value(kind, value || '');
	};

	return option;
}

/**
 * A list of values of a kind; the words of a single value are read as one. `whole`, if given,
 * judges the values together.
 */
function list(option, kind, whole) {
	option.load = function(section_id) {
		return L.toArray(stored(this, section_id));
	};

	// LuCI asks for the value that is being typed, and with an empty one for the list.
	option.validate = function(section_id, value) {
		if (value)
			return checks.value(kind, value);

		const element = this.getUIElement(section_id);
		const input = element?.node.querySelector('.add-item > input');
		const values = element ? element.getValue() : this.cfgvalue(section_id) || [];
		// LuCI would leave out without a word what has been typed and is wrong.
		const typed = input && input.value && !values.includes(input.value) ? [ input.value ] : [];
		const good = checks.values(kind, values.concat(typed));

		return good === true && whole ? whole.call(this, section_id, values) : good;
	};

	return option;
}

/**
 * A choice of what was given by value(), or of what `option.choices` gives; what is stored and is none
 * of it is shown and refused. `normal`, if given, makes one form of several that mean the same.
 */
function choice(option, preset, normal) {
	option.default = preset;

	option.load = function(section_id) {
		const text = stored(this, section_id);
		const value = text != null && normal ? normal(text) : text;

		this.offered = this.offered || (this.keylist || []).map((key, i) => [ key, this.vallist[i] ]);
		this.known = this.choices ? this.choices() : this.offered;
		this.keylist = [];
		this.vallist = [];
		this.known.concat(value == null || this.known.some((pair) => pair[0] === value) ? []
			: [ [ String(value), String(value) ] ]).forEach((pair) => this.value(...pair));

		return value == null ? this.default : value;
	};

	option.validate = function(_section_id, value) {
		return !value || this.known.some((pair) => pair[0] === value) || checks.expecting(_('one of the choices'));
	};

	option.textvalue = function(section_id) {
		const value = this.cfgvalue(section_id);

		return E('span', {}, [ String((this.known.find((pair) => pair[0] === value) || [ null, value ])[1]) ]);
	};

	// Another form of what the empty choice means stays there.
	option.remove = function(section_id) {
		if (!this.isActive(section_id) || this.cfgvalue(section_id))
			form.ListValue.prototype.remove.call(this, section_id);
	};

	return option;
}

/** One zone of the firewall, or any. An option of another name than src and dest, on which LuCI's
 * picker puts a meaning of its own. */
function zone(section, tab, name, title) {
	const option = section.taboption(tab, widgets.ZoneSelect, '_' + name, title);

	Object.assign(option, { ucioption: name, modalonly: true, allowany: true, rmempty: false, 'default': '*' });

	// A zone that is gone must be seen; without the means to name one it would turn into any.
	option.load = function(section_id) {
		return widgets.ZoneSelect.prototype.load.call(this, section_id).then((value) => {
			const known = value == null || value == '*' || this.zones.some((zone) => zone.getName() == value);

			this.nocreate = known;

			return value == null ? '*' : value;
		});
	};

	option.write = function(section_id, value) {
		uci.set('flowtable', section_id, name, value == '*' ? null : value);
	};

	option.validate = function(section_id, value) {
		return !value || value == '*' || !this.zones || this.zones.some((zone) => zone.getName() == value) ||
			checks.expecting(_('* or the name of a zone in /etc/config/firewall'));
	};

	return option;
}

/**
 * Network devices or patterns of their names; `kind` is what one has to be. Where one has to be there,
 * `option.required` says so: by LuCI's own means the picker would begin with the first that there is.
 */
function devices(option, kind, whole) {
	option.noaliases = true;

	option.load = function(section_id) {
		return widgets.DeviceSelect.prototype.load.call(this, section_id).then((value) =>
			this.multiple ? L.toArray(value) : value);
	};

	option.validate = function(section_id, value) {
		const values = this.multiple ? L.toArray(value) : (value ? [ value ] : []);
		const good = checks.values(kind, this.required && !values.length ? [ '' ] : values);

		return good === true && whole ? whole.call(this, section_id, values) : good;
	};

	// The picker has an order of its own.
	option.write = function(section_id, value) {
		const old = this.cfgvalue(section_id);
		const same = Array.isArray(old) && Array.isArray(value) &&
			old.slice().sort().join(' ') == value.slice().sort().join(' ');

		if (!same)
			form.ListValue.prototype.write.call(this, section_id, value);
	};

	return option;
}

function step(section, section_id, button, below) {
	const row = button.closest('tr');
	const other = below ? row.nextElementSibling : row.previousElementSibling;

	if (other?.getAttribute('data-sid')) {
		section.map.data.move(section.map.config, section_id, other.getAttribute('data-sid'), below);
		row.parentNode.insertBefore(below ? other : row, below ? row : other);
		button.focus();
	}
}

/** Rows with an order: it can be changed by keyboard too, not only by dragging. */
function ordered(section) {
	section.sortable = true;

	// Later releases of LuCI have more arguments.
	section.renderRowActions = function(section_id, ...more) {
		const cell = form.GridSection.prototype.renderRowActions.call(this, section_id, ...more);
		const move = (sign, title, below) => E('button', {
			'class': 'cbi-button', 'title': title, 'aria-label': title, 'disabled': this.map.readonly || null,
			'click': (ev) => step(this, section_id, ev.currentTarget, below)
		}, [ sign ]);

		cell.lastElementChild.prepend(move('▲', _('Move up'), false), move('▼', _('Move down'), true));

		return cell;
	};

	return section;
}

/** No more than `most` sections; `text` is shown in place of the button then. */
function bounded(section, most, text) {
	section.renderSectionAdd = function(...options) {
		return this.cfgsections().length < most
			? form.GridSection.prototype.renderSectionAdd.apply(this, options)
			: E('em', {}, [ checks.expecting(text) ]);
	};

	return section;
}

/** A section of rows without names of their own; `one` is the title of a single row. */
function grid(map, type, title, text, one) {
	return Object.assign(map.section(form.GridSection, type, title, text), {
		anonymous: true, addremove: true, nodescriptions: true, modaltitle: one
	});
}

return baseclass.extend({ boolean, flag, single, list, choice, zone, devices, ordered, bounded, grid });
