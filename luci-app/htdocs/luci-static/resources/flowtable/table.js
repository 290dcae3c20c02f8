// SPDX-License-Identifier: GPL-2.0-or-later
// A table that is filled anew at each poll and shows one page of rows. It is sorted and paged by
// the daemon (`remote`), or here. Rows are kept by their key, so that what has the keyboard's
// focus keeps it and what is opened stays open, and only cells that changed are touched.
'use strict';
'require baseclass';
'require dom';
'require flowtable.words as words';

const LIMITS = [ 20, 50, 100 ];

// Text for screen readers only.
const UNSEEN = 'position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)';

function button(label, title, click) {
	return E('button', { 'class': 'btn cbi-button', 'aria-label': title, click }, [ label ]);
}

// Puts `children` in place of what `node` has, unless that is the same.
function refill(node, children) {
	const newer = node.cloneNode(false);

	dom.append(newer, children);

	if (!node.isEqualNode(newer))
		dom.content(node, children);
}

function setText(node, text) {
	if (node.textContent != text)
		node.textContent = text;
}

// Brings rows into their order without moving the one that has the focus: it would lose it.
function arrange(body, rows) {
	const held = rows.findIndex((row) => row.contains(document.activeElement));
	const pivot = held < 0 ? null : rows[held];

	if (rows.length == body.childNodes.length && rows.every((row, i) => body.childNodes[i] == row))
		return;

	rows.forEach((row, i) => {
		if (i != held)
			body.insertBefore(row, i < held ? pivot : null);
	});
}

// Texts from A to Z, numbers from the greatest; `sign` turns that round. Unknown is last.
function compare(a, b, sign) {
	if (a == null || b == null)
		return (a == null) - (b == null);

	return sign * (typeof a == 'string' ? a.localeCompare(b) : b - a);
}

class Table {
	// `spec` has
	//   columns: list of { title, cell(record), wide, sort }. A wide one is left out on narrow
	//     screens. `sort` is the daemon's name of the order, or a function to the value to sort by;
	//   label: what the rows are, for screen readers;
	//   key(record): the same for the same object at each poll;
	//   sort: title of the column to begin with;
	//   remote: whether the daemon sorts and pages; then `change()` asks it again;
	//   detail(record): labels and values that a row shows when it is opened;
	//   actions: list of { label(record), run(record, button) }, the buttons of each row. One whose
	//     label is null is not there.
	constructor(spec) {
		Object.assign(this, spec);
		this.rows = new Map();
		this.opened = new Set();
		this.limit = LIMITS[0];
		this.order = this.columns.find((column) => column.title == spec.sort);
		this.backwards = false;
		this.width = this.columns.length + (this.actions.length ? 1 : 0);
		this.rewind();
		this.render();
	}

	/** The arguments of a page for the daemon. */
	query() {
		return { sort: this.order.sort, limit: this.limit, cursor: this.pages[this.pages.length - 1].cursor };
	}

	/** Back to the first page. */
	rewind() {
		this.pages = [ { begin: 0 } ];
		this.next = null;
	}

	render() {
		const titles = this.columns.map((column) => {
			column.head = E('th', { 'class': column.wide ? 'th ft-wide' : 'th', 'scope': 'col' }, [
				column.sort ? E('button', {
					'class': 'ft-sort', 'click': () => this.sortBy(column)
				}, [ column.title ]) : column.title
			]);

			return column.head;
		});

		if (this.actions.length)
			titles.push(E('th', { 'class': 'th' }, [ E('span', { 'style': UNSEEN }, [ _('Actions') ]) ]));

		this.body = E('tbody', {}, []);
		this.summary = E('span', { 'class': 'ft-summary' }, []);
		this.voice = E('span', { 'role': 'status', 'style': UNSEEN }, []);
		this.back = button('‹', _('Previous page'), () => this.turn(-1));
		this.forth = button('›', _('Next page'), () => this.turn(1));
		this.choice = E('select', {
			'class': 'cbi-input-select', 'aria-label': _('Rows on a page'), 'change': (event) => {
				this.limit = Number(event.target.value);
				this.changed();
			}
		}, LIMITS.map((limit) => E('option', { 'value': limit }, [ String(limit) ])));
		// Themes hide the head of a table on narrow screens.
		this.orders = E('select', {
			'class': 'cbi-input-select ft-narrow', 'aria-label': _('Sort by'),
			'change': (event) => this.sortBy(this.columns[event.target.value])
		}, this.columns.map((column, i) =>
			E('option', { 'value': i, 'hidden': column.sort ? null : '', 'disabled': column.sort ? null : '' }, [ column.title ])));
		this.frame = E('div', { 'class': 'ft-frame', 'tabindex': -1 }, [
			E('table', { 'class': 'table', 'aria-label': this.label }, [
				E('thead', {}, [ E('tr', { 'class': 'tr table-titles' }, titles) ]),
				this.body
			])
		]);
		this.node = E('div', {}, [
			this.frame,
			E('div', { 'class': 'ft-row' }, [
				this.back, this.summary, this.forth, this.orders, this.choice, this.voice
			])
		]);
		this.markOrder();
	}

	markOrder() {
		this.orders.value = this.columns.indexOf(this.order);

		for (const column of this.columns)
			if (column.sort)
				column.head.setAttribute('aria-sort', column != this.order ? 'none'
					: (this.remote || this.descends() ? 'descending' : 'ascending'));
	}

	// Numbers begin with the greatest, names with the first.
	descends() {
		const texts = (this.records || []).some((record) => typeof this.order.sort(record) == 'string');

		return texts == this.backwards;
	}

	sortBy(column) {
		this.backwards = column == this.order && !this.remote && !this.backwards;
		this.order = column;
		this.changed();
	}

	/** The sort order, the filter or the size of a page is another one: begins anew. */
	changed() {
		this.rewind();
		this.refresh();
	}

	refresh() {
		this.spoken = true;
		this.markOrder();

		if (!this.remote)
			return this.show(this.records, this.total);

		this.frame.setAttribute('aria-busy', 'true');
		this.change();
	}

	turn(step) {
		const here = this.pages[this.pages.length - 1];

		if (step < 0 && this.pages.length > 1)
			this.pages.pop();
		else if (step > 0 && this.next != null)
			this.pages.push({ begin: here.begin + this.rows.size, cursor: this.next });
		else
			return;

		this.refresh();
	}

	/**
	 * Shows `records`, of `total` in all; `next` is the daemon's cursor for the page after. An
	 * Error, or what is no list, is shown as such.
	 */
	show(records, total, next) {
		const inside = this.body.contains(document.activeElement);

		this.frame.removeAttribute('aria-busy');
		this.records = records;
		this.total = total;

		if (!Array.isArray(records)) {
			this.place([], records instanceof Error ? words.failure(records) : words.UNKNOWN);
			this.next = null;
			this.count(0, null);
		}
		else if (this.remote) {
			// The flows of this page may all have ended.
			if (!records.length && this.pages.length > 1)
				return this.changed();

			this.next = next;
			this.place(records, _('none'));
			this.count(records.length, total);
		}
		else {
			const sign = this.backwards ? -1 : 1;
			const sorted = records.slice().sort((a, b) =>
				compare(this.order.sort(a), this.order.sort(b), sign));
			let begin = this.pages[this.pages.length - 1].begin;

			if (begin >= sorted.length)
				this.rewind(), begin = 0;

			const page = sorted.slice(begin, begin + this.limit);

			this.next = begin + page.length < sorted.length ? begin + page.length : null;
			this.place(page, _('none'));
			this.count(page.length, total == null ? sorted.length : total);
			this.markOrder();
		}

		// What had the focus is gone: the next key starts from the table, not from the page's top.
		if (inside && !this.body.contains(document.activeElement))
			this.frame.focus({ preventScroll: true });
	}

	count(shown, total) {
		const begin = this.pages[this.pages.length - 1].begin;
		const focused = document.activeElement;

		setText(this.summary, shown && total != null
			? _('%d to %d of %d').format(begin + 1, begin + shown, total) : '');
		this.back.disabled = this.pages.length < 2;
		this.forth.disabled = this.next == null;
		this.back.hidden = this.forth.hidden = this.back.disabled && this.forth.disabled;
		this.choice.hidden = !(total > LIMITS[0]);

		if (focused == this.back && this.back.disabled)
			this.forth.focus();
		else if (focused == this.forth && this.forth.disabled)
			this.back.focus();

		// Only what somebody asked for is read out, not each poll.
		if (this.spoken)
			setText(this.voice, this.summary.textContent);

		this.spoken = false;
	}

	place(records, placeholder) {
		const kept = new Map();

		for (const record of records) {
			let key = this.key(record);

			while (kept.has(key))
				key += '+';

			const row = this.rows.get(key) || this.make(key);

			row.record = record;
			kept.set(key, row);
		}

		for (const key of this.opened)
			if (!kept.has(key))
				this.opened.delete(key);

		this.rows = kept;

		const rows = [ ...kept.values() ].flatMap((row) => this.update(row));

		if (!rows.length)
			rows.push(E('tr', { 'class': 'tr placeholder' }, [
				E('td', { 'class': 'td', 'colspan': this.width }, [ E('em', {}, [ placeholder ]) ])
			]));

		for (const node of [ ...this.body.childNodes ])
			if (!rows.includes(node))
				node.remove();

		arrange(this.body, rows);
	}

	make(key) {
		const row = { key };

		row.cells = this.columns.map((column) =>
			E('td', { 'class': column.wide ? 'td ft-wide' : 'td', 'data-title': column.title }, []));
		row.fills = row.cells.slice();

		if (this.detail) {
			row.toggle = E('button', {
				'class': 'ft-toggle', 'aria-expanded': 'false', 'click': () => this.toggle(row)
			}, []);
			row.cells[0].appendChild(row.toggle);
			row.fills[0] = row.toggle;
			row.below = E('td', { 'class': 'td ft-detail', 'colspan': this.width }, []);
			row.detail = E('tr', { 'class': 'tr' }, [ row.below ]);
		}

		row.buttons = this.actions.map((action) => E('button', {
			'class': 'btn cbi-button cbi-button-neutral',
			'click': (event) => action.run(row.record, event.currentTarget)
		}, []));

		if (row.buttons.length)
			row.cells.push(E('td', { 'class': 'td ft-action' }, row.buttons));

		row.node = E('tr', { 'class': 'tr' }, row.cells);

		return row;
	}

	// The nodes of a row with what it is about now.
	update(row) {
		const open = this.opened.has(row.key);

		this.columns.forEach((column, i) => refill(row.fills[i], [ column.cell(row.record) ]));

		row.buttons.forEach((node, i) => {
			const label = this.actions[i].label(row.record);

			node.hidden = label == null;
			setText(node, label || '');
		});

		if (row.toggle)
			row.toggle.setAttribute('aria-expanded', String(open));

		if (!open)
			return [ row.node ];

		refill(row.below, [ E('dl', {}, this.detail(row.record)
			.flatMap(([ label, value ]) => [ E('dt', {}, [ label ]), E('dd', {}, [ value ]) ])) ]);

		return [ row.node, row.detail ];
	}

	toggle(row) {
		if (!this.opened.delete(row.key))
			this.opened.add(row.key);

		this.update(row);

		if (this.opened.has(row.key))
			this.body.insertBefore(row.detail, row.node.nextSibling);
		else
			row.detail.remove();
	}
}

return baseclass.extend({
	create(spec) {
		return new Table(spec);
	},

	/** A table of labels and values. */
	facts(rows) {
		return E('table', { 'class': 'table' }, rows.map((row) =>
			E('tr', { 'class': 'tr' }, [
				E('th', { 'class': 'td left ft-fact', 'scope': 'row' }, [ row[0] ]),
				E('td', { 'class': 'td left' }, [ row[1] ])
			])));
	}
});
