// SPDX-License-Identifier: GPL-2.0-or-later
// A stand-in for as much of LuCI's client as the views use. It is stricter than LuCI where LuCI
// would take a mistake for a feature: text must be in arrays, because LuCI takes a bare string
// for HTML, and a class that a view did not require does not exist.

import { readFileSync } from 'node:fs';

import { Element, makeDocument, Text } from './dom.mjs';

function append(node, children) {
	if (!Array.isArray(children))
		throw new Error(`children of ${node.tag} are no array, LuCI would read them as HTML`);

	for (const child of children) {
		if (!(child instanceof Element || child instanceof Text) && typeof child != 'string')
			throw new Error(`child of ${node.tag} is neither node nor text: ${child}`);

		node.appendChild(typeof child == 'string' ? new Text(child) : child);
	}
}

/** LuCI's E() in a document. */
function elements(document) {
	return (tag, attributes, children) => {
		if (/[<\s]/.test(tag))
			throw new Error(`markup in place of an element name: ${tag}`);

		const node = document.createElement(tag);

		for (const [ name, value ] of Object.entries(attributes))
			if (typeof value == 'function')
				node.addEventListener(name, value);
			else if (value != null)
				node.setAttribute(name, value);

		append(node, children);

		return node;
	};
}

/** For stand-ins in other files, and in a document of its own. */
export const E = elements(makeDocument());

/** A number with a unit's prefix, one decimal from a thousand on. */
function scaled(value, decimals) {
	const prefixes = [ ' ', ' K', ' M', ' G', ' T' ];
	let power = 0;

	for (; value > 1000; power++)
		value /= 1000;

	return (power ? value.toFixed(decimals) : value) + prefixes[power];
}

/**
 * LuCI's String.format, as far as it is used: %s, %d, %x, %% and %1000.1m (a number with a unit's
 * prefix and so many decimals).
 */
function format(...values) {
	return this.replace(/%(?:([sdx%])|1000\.(\d)m)/g, (_match, kind, decimals) => {
		if (kind == '%')
			return '%';

		const value = values.shift();

		if (!kind)
			return scaled(value, Number(decimals));

		return kind == 'x' ? value.toString(16) : String(value);
	});
}

String.prototype.format ??= format;

const RESOURCES = new URL('../../luci-app/htdocs/luci-static/resources/', import.meta.url);

/** What a source requires: `[ class, name ]`, the name being the class's own unless told otherwise. */
function requirements(source) {
	return [ ...source.matchAll(/'require ([\w.]+)(?: as (\w+))?';/g) ]
		.map(([ , path, name ]) => [ path, name || path.replace(/\W/g, '_') ]);
}

/**
 * Loads a view as LuCI does: the source is the body of a function whose arguments are the classes
 * that it requires. Those that are no classes of LuCI are loaded in the same way from our own files.
 *
 * `answers` has, for each ubus method, a reply, an Error, or a function that makes one of the
 * arguments; it may be changed between polls.
 * `firewall` is the section `defaults` of the firewall's configuration.
 * `more` has further classes, by name; of equal names it is preferred.
 */
export function load(file, answers, firewall = {}, more = {}) {
	const seen = { calls: [], polls: [], strings: new Set(), map: null, modal: null, writable: true };
	const document = makeDocument();
	const E = elements(document);

	const L = {
		isObject: (value) => value != null && typeof value == 'object',
		resolveDefault: (value, preset) => Promise.resolve(value).catch(() => preset),
		toArray: (value) => value == null ? [] : Array.isArray(value) ? value
			: String(value).trim().split(/\s+/).filter((word) => word),
		hasViewPermission: () => seen.writable,
		url: (...parts) => [ '/cgi-bin/luci', ...parts ].join('/')
	};

	const translate = (text) => (seen.strings.add(text), text);

	// The first pane is in front; the event comes later, as in LuCI.
	function initTabGroup(panes) {
		const show = (front) => {
			for (const pane of panes)
				pane.setAttribute('data-tab-active', String(pane == front));

			front.dispatch('cbi-tab-active');
		};
		const menu = E('ul', {}, panes.map((pane) => E('li', { 'data-tab': pane.getAttribute('data-tab') }, [
			E('a', { 'click': () => show(pane) }, [ pane.getAttribute('data-tab-title') ])
		])));

		panes[0].parentNode.parentNode.insertBefore(menu, panes[0].parentNode);
		panes[0].setAttribute('data-tab-active', 'true');
		queueMicrotask(() => show(panes[0]));
	}

	class Option {
		constructor(name, title) {
			Object.assign(this, { name, title, choices: [] });
		}

		value(key, title) {
			this.choices.push([ key, title ]);
		}
	}

	class Map {
		constructor(config) {
			Object.assign(this, { config, sections: [] });
			seen.map = this;
		}

		section(type, name, title) {
			const section = {
				type, name, title, options: [],
				option(_widget, option, label) {
					this.options.push(new Option(option, label));

					return this.options.at(-1);
				}
			};

			this.sections.push(section);

			return section;
		}

		render() {
			return Promise.resolve(E('form', {}, this.sections.map((s) => s.title)));
		}
	}

	const classes = {
		view: { extend: (view) => view },
		baseclass: { extend: (members) => members },
		rpc: {
			declare: (call) => async (...values) => {
				const passed = (call.params || []).filter((name, i) => values[i] != null);
				const named = passed.map((name) => ` ${name}=${values[call.params.indexOf(name)]}`);

				seen.calls.push(`${call.object} ${call.method}${named.join('')}`);

				if (values.length > (call.params || []).length)
					throw new Error(`${call.method} has no name for an argument`);

				const known = answers[call.method];
				const answer = await (typeof known == 'function' ? known(...values) : known);

				if (answer instanceof Error && call.reject)
					throw answer;

				return answer instanceof Error ? 4 : answer;
			}
		},
		poll: { add: (callback, seconds) => seen.polls.push({ callback, seconds }) },
		dom: {
			append,
			content(node, children) {
				node.empty();
				append(node, children);
			}
		},
		ui: {
			tabs: { initTabGroup },
			showModal(title, children) {
				seen.modal?.remove();
				seen.modal = E('div', {}, [ E('h4', {}, [ title ]), ...children ]);
				document.body.appendChild(seen.modal);
			},
			hideModal() {
				seen.modal.remove();
				seen.modal = null;
			}
		},
		uci: {
			get: (_config, _section, option) => firewall[option],
			set(config, _section, option, value) {
				if (config != 'firewall')
					throw new Error(`writes to ${config}`);

				if (value == null)
					delete firewall[option];
				else
					firewall[option] = value;
			}
		},
		form: { Map, TypedSection: 'TypedSection', ListValue: 'ListValue' }
	};

	const own = {};

	function run(source) {
		const required = requirements(source);
		const body = new Function('window', 'document', 'L', 'E', '_',
			...required.map(([ , name ]) => name), source);

		return body({}, document, L, E, translate, ...required.map(([ path ]) => classOf(path)));
	}

	// Each class exists once, as in LuCI.
	function classOf(path) {
		if (path in more || path in classes)
			return more[path] ?? classes[path];

		own[path] ??= run(readFileSync(new URL(path.replaceAll('.', '/') + '.js', RESOURCES), 'utf8'));

		return own[path];
	}

	return { view: run(readFileSync(file, 'utf8')), seen, document };
}
