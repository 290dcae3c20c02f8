// SPDX-License-Identifier: GPL-2.0-or-later
// As much of a document as the views use: a tree with text, attributes, listeners and the focus.
// As in browsers, an element that is taken out or moved loses the focus.

class Text {
	constructor(data) {
		Object.assign(this, { data, parentNode: null });
	}

	get text() {
		return this.data;
	}

	get textContent() {
		return this.data;
	}

	find() {
		return [];
	}

	contains(node) {
		return node == this;
	}

	isEqualNode(other) {
		return other instanceof Text && other.data == this.data;
	}

	remove() {
		this.parentNode?.take(this);
	}
}

class Element {
	constructor(document, tag) {
		Object.assign(this, { document, tag, attributes: {}, children: [], parentNode: null, listeners: {} });
	}

	/** All text below, in order, with a space between pieces. */
	get text() {
		return this.children.map((child) => child.text).join(' ');
	}

	/** Elements below, itself included, for which `test` holds. */
	find(test) {
		const below = this.children.flatMap((child) => child.find(test));

		return test(this) ? [ this, ...below ] : below;
	}

	get textContent() {
		return this.children.map((child) => child.textContent).join('');
	}

	set textContent(text) {
		this.empty();

		if (text != '')
			this.appendChild(new Text(String(text)));
	}

	get childNodes() {
		return this.children;
	}

	get firstChild() {
		return this.children[0] ?? null;
	}

	get nextSibling() {
		return this.sibling(1);
	}

	get previousElementSibling() {
		return this.sibling(-1);
	}

	get isConnected() {
		return this.document.body.contains(this);
	}

	get classList() {
		return { add: (name) => this.setAttribute('class', `${this.getAttribute('class') ?? ''} ${name}`.trim()) };
	}

	// A select without a choice of its own has the one that is marked, or the first.
	get value() {
		if (this.typed != null || this.tag != 'select')
			return this.typed ?? '';

		return (this.children.find((option) => option.hasAttribute('selected')) ?? this.children[0]).getAttribute('value');
	}

	set value(value) {
		this.typed = String(value);
	}

	sibling(step) {
		return this.parentNode?.children[this.parentNode.children.indexOf(this) + step] ?? null;
	}

	setAttribute(name, value) {
		this.attributes[name] = String(value);
	}

	getAttribute(name) {
		return this.attributes[name] ?? null;
	}

	hasAttribute(name) {
		return name in this.attributes;
	}

	removeAttribute(name) {
		delete this.attributes[name];
	}

	appendChild(child) {
		return this.insertBefore(child, null);
	}

	insertBefore(child, before) {
		child.remove();

		const index = before == null ? this.children.length : this.children.indexOf(before);

		if (index < 0)
			throw new Error('the node to insert before is elsewhere');

		this.children.splice(index, 0, child);
		child.parentNode = this;

		return child;
	}

	take(child) {
		if (child.contains(this.document.activeElement))
			this.document.activeElement = this.document.body;

		this.children.splice(this.children.indexOf(child), 1);
		child.parentNode = null;
	}

	remove() {
		this.parentNode?.take(this);
	}

	empty() {
		while (this.children.length)
			this.take(this.children[0]);
	}

	contains(node) {
		return node == this || this.children.some((child) => child.contains(node));
	}

	isEqualNode(other) {
		const names = Object.keys(this.attributes);

		return other instanceof Element && other.tag == this.tag
			&& Object.keys(other.attributes).length == names.length
			&& names.every((name) => other.attributes[name] === this.attributes[name])
			&& other.children.length == this.children.length
			&& this.children.every((child, i) => child.isEqualNode(other.children[i]));
	}

	cloneNode(deep) {
		if (deep)
			throw new Error('only shallow copies are made');

		const copy = new Element(this.document, this.tag);

		Object.assign(copy.attributes, this.attributes);

		return copy;
	}

	addEventListener(type, listener) {
		(this.listeners[type] ??= []).push(listener);
	}

	/** Calls the listeners of this element only: nothing here relies on bubbling. */
	dispatch(type) {
		const event = { type, target: this, currentTarget: this, preventDefault() {} };

		for (const listener of this.listeners[type] ?? [])
			listener(event);
	}

	click() {
		if (!this.disabled)
			this.dispatch('click');
	}

	focus() {
		if (this.isConnected && !this.disabled && !this.hidden)
			this.document.activeElement = this;
	}
}

for (const name of [ 'hidden', 'disabled' ])
	Object.defineProperty(Element.prototype, name, {
		get() {
			return this.hasAttribute(name);
		},
		set(value) {
			if (value)
				this.setAttribute(name, '');
			else
				this.removeAttribute(name);
		}
	});

/** An empty document. `hidden` and the listeners of `visibilitychange` are a test's to use. */
export function makeDocument() {
	const document = {
		hidden: false,
		listeners: {},
		addEventListener: Element.prototype.addEventListener,
		createElementNS: (_namespace, tag) => new Element(document, tag),
		createElement: (tag) => new Element(document, tag),
		createTextNode: (text) => new Text(text)
	};

	document.body = new Element(document, 'body');
	document.activeElement = document.body;

	return document;
}

export { Element, Text };
