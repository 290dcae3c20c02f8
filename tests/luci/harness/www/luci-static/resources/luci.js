// SPDX-License-Identifier: GPL-2.0-or-later
// A stand-in for the core of LuCI's client, for tests in a browser where LuCI itself is not at hand:
// as much as the pages of this package use, and stricter. What LuCI would take for markup, for a
// missing argument or for a silent default is an error here, so that it is found.
'use strict';

const String_ = (value) => value == null ? '' : String(value);

/** %s %d %x %t (a duration) %h (LuCI escapes markup) %1000.1m and %1024.1mB (with a unit's prefix) */
String.prototype.format = function(...values) {
	let next = 0;

	return this.replace(/%%|%(?:(1000|1024)(?:\.(\d+))?m(B?)|\.?(\d*)([sdfhtx]))/g,
		(match, base, digits, unit, precision, kind) => {
			if (match == '%%')
				return '%';
			if (next >= values.length)
				throw new Error(`no value for ${match} in "${this}"`);

			const value = values[next++];

			if (base) {
				const prefixes = base == '1024' ? [ ' ', ' Ki', ' Mi', ' Gi', ' Ti' ] : [ ' ', ' K', ' M', ' G', ' T' ];
				let scaled = Number(value);
				let power = 0;

				for (; scaled > Number(base); power++)
					scaled /= Number(base);

				return (power ? scaled.toFixed(digits ?? 0) : String(scaled)) + prefixes[power] + unit;
			}
			if (kind == 't') {
				const s = Math.floor(value);
				const days = Math.floor(s / 86400);

				return (days ? `${days}d ` : '') + `${Math.floor(s % 86400 / 3600)}h ${Math.floor(s % 3600 / 60)}m ${s % 60}s`;
			}
			if (kind == 'x')
				return Math.floor(value).toString(16);
			if (kind == 'd')
				return String(Math.floor(value));
			if (kind == 'f')
				return Number(value).toFixed(precision || 6);

			return String_(value);
		});
};

window._ = (text) => {
	if (typeof text != 'string' || !text)
		throw new Error('_() wants a text');

	return text;
};

window.N_ = (count, one, many) => count == 1 ? one : many;

/** Classes as LuCI makes them: `extend` with members, `super(name, arguments)`, `__init__`. */
class Class {
	static extend(members) {
		const parent = this;
		const child = function(...args) {
			if (!new.target)
				throw new TypeError('a class is to be instantiated');

			const self = Object.create(new.target.prototype);

			self.__init__?.(...args);

			return self;
		};

		child.prototype = Object.create(parent.prototype, { constructor: { value: child } });
		Object.defineProperties(child.prototype, Object.getOwnPropertyDescriptors(members));
		child.extend = parent.extend;
		child.singleton = (...args) => new child(...args);
		child.instantiate = (args) => new child(...args);

		return child;
	}

	/** The member of this name of the class above the one that has the present member. */
	super(name, args) {
		const chain = [];

		for (let p = this; p; p = Object.getPrototypeOf(p))
			if (Object.prototype.hasOwnProperty.call(p, name))
				chain.push(p);

		this.__depth = this.__depth || {};
		const depth = this.__depth[name] = (this.__depth[name] || 0) + 1;
		const above = chain[depth];

		try {
			if (!above)
				throw new Error(`no ${name} above`);

			const member = above[name];

			return typeof member == 'function' ? member.apply(this, [].concat(args ?? [])) : member;
		}
		finally {
			this.__depth[name]--;
		}
	}

	varargs(args, offset, ...first) {
		return first.concat([ ...args ].slice(offset));
	}
}

const registry = new WeakMap();
const classIds = new WeakMap();

const dom = {
	elem: (node) => node instanceof Node && (node.nodeType == Node.ELEMENT_NODE || node.nodeType == Node.DOCUMENT_FRAGMENT_NODE),

	parent: (node, selector) => node?.closest?.(selector) ?? null,

	attr(node, name, value) {
		const pairs = typeof name == 'object' && name ? Object.entries(name) : [ [ name, value ] ];

		for (const [ key, val ] of pairs) {
			if (val == null)
				continue;
			if (typeof val == 'function')
				node.addEventListener(key, val);
			else if (typeof val == 'object')
				node.setAttribute(key, JSON.stringify(val));
			else
				node.setAttribute(key, val);
		}
	},

	append(node, children) {
		if (children == null)
			return;
		if (Array.isArray(children))
			for (const child of children)
				dom.append_(node, child);
		else if (children instanceof Node)
			node.appendChild(children);
		else if (typeof children == 'function')
			dom.append(node, children(node));
		else
			throw new Error(`"${children}" is no array: LuCI would read it as markup`);

		return node.lastChild;
	},

	append_(node, child) {
		if (Array.isArray(child))
			dom.append(node, child);
		else if (child instanceof Node)
			node.appendChild(child);
		else if (child != null)
			node.appendChild(document.createTextNode(String(child)));
	},

	content(node, children) {
		const nodes = Array.isArray(children) ? children.flat(9) : [ children ];

		for (const child of [ ...node.childNodes ])
			if (!nodes.includes(child))
				child.remove();

		return dom.append(node, children);
	},

	create(name, attributes, children) {
		if (name instanceof Node)
			return name;
		if (Array.isArray(name)) {
			const fragment = document.createDocumentFragment();

			dom.append(fragment, name);

			return fragment;
		}
		if (/[<\s]/.test(name))
			throw new Error(`markup in place of the name of an element: ${name}`);
		if (attributes != null && (typeof attributes != 'object' || Array.isArray(attributes) || attributes instanceof Node)) {
			children = attributes;
			attributes = null;
		}

		const node = document.createElement(name);

		dom.attr(node, attributes || {});
		dom.append(node, children);

		return node;
	},

	bindClassInstance(node, instance) {
		registry.set(node, instance);
		node.setAttribute('data-instance', '');

		return instance;
	},

	findClassInstance(node) {
		for (let at = node; at; at = at.parentNode)
			if (registry.has(at))
				return registry.get(at);

		return null;
	},

	callClassMethod(node, method, ...args) {
		const instance = dom.findClassInstance(node);

		return typeof instance?.[method] == 'function' ? instance[method](...args) : null;
	},

	isEmpty: (node) => !node || node.children.length == 0
};

window.E = dom.create;

const env = {};
let loading = null;

const request = {
	async request(url, options = {}) {
		const query = new URLSearchParams(options.query || {});
		const post = String(options.method || 'get').toLowerCase() == 'post';
		const where = options.query && !post ? `${url}?${query}` : url;
		const body = options.content != null ? JSON.stringify(options.content) : (post && options.query ? query : undefined);
		const response = await fetch(where, { method: post ? 'POST' : 'GET', body });
		const text = await response.text();

		return { ok: response.ok, status: response.status, statusText: response.statusText, text: () => text, json: () => JSON.parse(text) };
	},
	get: (url, options) => request.request(url, options),
	post: (url, content, options) => request.request(url, { method: 'post', content, ...options })
};

const poll = {
	queue: [],

	add(fn, interval) {
		if (typeof fn != 'function' || !(interval > 0))
			throw new TypeError('poll.add wants a function and seconds');
		if (poll.queue.some((entry) => entry.fn === fn))
			return false;

		poll.queue.push({ fn, interval, ready: true });

		if (poll.tick != null && !poll.active())
			poll.start();

		return true;
	},

	remove(fn) {
		const before = poll.queue.length;

		poll.queue = poll.queue.filter((entry) => entry.fn !== fn);

		return poll.queue.length != before;
	},

	active: () => poll.timer != null,

	start() {
		poll.tick = 0;

		if (poll.queue.length && !poll.active()) {
			poll.timer = setInterval(poll.step, 1000);
			poll.step();
			document.dispatchEvent(new CustomEvent('poll-start'));
		}
	},

	stop() {
		clearInterval(poll.timer);
		poll.timer = null;
		document.dispatchEvent(new CustomEvent('poll-stop'));
	},

	step() {
		for (const entry of poll.queue) {
			if (poll.tick % entry.interval || !entry.ready)
				continue;

			entry.ready = false;
			Promise.resolve(entry.fn()).finally(() => entry.ready = true);
		}

		poll.tick++;
	}
};

const View = Class.extend({
	async __init__() {
		const port = document.getElementById('view');

		dom.content(port, E('div', { 'class': 'spinning' }, [ _('Loading view…') ]));

		try {
			const loaded = await this.load();

			await loading;

			const nodes = await this.render(loaded);

			dom.content(port, nodes);
			dom.append(port, this.addFooter());
			document.documentElement.setAttribute('data-rendered', '');
		}
		catch (error) {
			L.error(error);
		}
	},

	load() {},
	render() {},

	maps: () => [ ...document.querySelectorAll('#maincontent .cbi-map') ],

	handleSave() {
		return Promise.all(this.maps().map((map) => dom.callClassMethod(map, 'save')));
	},

	handleSaveApply(_event, mode) {
		return this.handleSave().then(() => classes.ui.changes.apply(mode != '1'));
	},

	handleReset() {
		return Promise.all(this.maps().map((map) => dom.callClassMethod(map, 'reset')));
	},

	addFooter() {
		const maps = this.maps().map((map) => dom.findClassInstance(map));
		const readonly = maps.length ? maps.every((map) => map.readonly) : !L.hasViewPermission();
		const button = (handler, style, title) => this[handler] ? E('button', {
			'class': `btn cbi-button cbi-button-${style}`, 'disabled': readonly ? '' : null,
			'click': classes.ui.createHandlerFn(this, handler)
		}, [ title ]) : '';

		if (!this.handleSave && !this.handleSaveApply && !this.handleReset)
			return E([]);

		return E('div', { 'class': 'cbi-page-actions' }, [
			button('handleSaveApply', 'apply important', _('Save & Apply')), ' ',
			button('handleSave', 'save', _('Save')), ' ',
			button('handleReset', 'reset', _('Reset'))
		]);
	}
});

const session = {
	getID: () => env.sessionid,
	getLocalData: (key) => JSON.parse(sessionStorage.getItem(`lab.${key}`)),
	setLocalData: (key, value) => sessionStorage.setItem(`lab.${key}`, JSON.stringify(value))
};

const baseclass = Class;
const classes = { baseclass, dom, poll, request, session, view: View };
const requested = {};

/** The source of a class is the body of a function whose arguments are the classes that it requires. */
async function load(name) {
	const path = name.replace(/\./g, '/');
	const response = await fetch(`${env.base_url}/${path}.js`);

	if (!response.ok)
		throw new Error(`there is no class ${name}: HTTP ${response.status}`);

	const source = await response.text();
	const needs = [ ...source.matchAll(/^'require[ \t]+(\S+?)(?:[ \t]+as[ \t]+([A-Za-z_]\S*?))?';$/gm) ]
		.map(([ , from, as ]) => [ from, as || from.replace(/[^A-Za-z0-9]/g, '_') ]);
	const loaded = await Promise.all(needs.map(([ from ]) => L.require(from)));
	const factory = new Function('window', 'document', 'L', ...needs.map(([ , as ]) => as),
		`${source}\n//# sourceURL=${env.base_url}/${path}.js`);
	const made = factory(window, document, L, ...loaded);

	if (typeof made != 'function' || typeof made.extend != 'function')
		throw new Error(`${name} gives no class`);

	return new made();
}

class LuCI {
	constructor(given) {
		Object.assign(env, given);
		this.env = env;
		Object.assign(this, { Class, dom, Poll: poll, Request: request, View, session });
		window.L = this;
		loading = Promise.all([ 'ui', 'rpc', 'form' ].map((name) => this.require(name))).then(() => {
			poll.start();
			this.loaded = true;
			document.dispatchEvent(new CustomEvent('luci-loaded'));
		}).catch((error) => this.error(error));
	}

	require(name) {
		if (name in classes)
			return Promise.resolve(classes[name]);

		requested[name] ||= load(name).then((made) => classes[name] = made);

		return requested[name];
	}

	error(error) {
		const box = E('pre', { 'class': 'alert-message error', 'id': 'lab-error' }, [ error.stack || String(error) ]);

		document.getElementById('view').replaceChildren(box);
		console.error(error);
		throw error;
	}

	raise(kind, text, ...values) {
		const error = new Error(text.format(...values));

		error.name = kind;
		throw error;
	}

	bind(fn, self, ...args) {
		return fn.bind(self, ...args);
	}

	isObject(value) {
		return value != null && typeof value == 'object';
	}

	toArray(value) {
		if (value == null)
			return [];
		if (Array.isArray(value))
			return value;

		const text = String(value).trim();

		return typeof value == 'object' ? [ value ] : (text ? text.split(/\s+/) : []);
	}

	resolveDefault(promise, value) {
		return Promise.resolve(promise).catch(() => value);
	}

	hasViewPermission() {
		return env.nodespec?.satisfied ? !env.nodespec.readonly : null;
	}

	hasSystemFeature() {
		return true;
	}

	path(prefix, parts) {
		return [ prefix, ...parts.filter((part) => /^[a-zA-Z0-9_.%,;/-]+$/.test(part)) ].join('/').replace(/\/+/g, '/');
	}

	url(...parts) {
		return this.path(env.scriptname, parts);
	}

	resource(...parts) {
		return this.path(env.resource, parts);
	}

	naturalCompare(a, b) {
		return String(a).localeCompare(String(b), undefined, { numeric: true });
	}

	sortedKeys(object) {
		return Object.keys(object || {}).sort(this.naturalCompare);
	}
}

window.LuCI = LuCI;
