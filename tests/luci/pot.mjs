// SPDX-License-Identifier: GPL-2.0-or-later
// Writes luci-app/po/templates/flowtable.pot: every string that the pages, the daemon, the menu and the
// access list show, with the file that has it. Run it by hand after a change of strings:
//
//     node tests/luci/pot.mjs

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const APP = new URL('../../luci-app/', import.meta.url);
const TEMPLATE = new URL('po/templates/flowtable.pot', APP);
const SOURCES = [ 'htdocs/luci-static/resources/', 'root/usr/share/luci/menu.d/', 'root/usr/share/rpcd/acl.d/' ];
/** What the daemon sends; nothing of it is installed. */
const SENTENCES = 'po/templates/daemon.js';

/** All files below the folders that have strings, as paths below luci-app. */
export function sources() {
	const below = (dir) => readdirSync(new URL(dir, APP), { withFileTypes: true }).flatMap((entry) =>
		entry.isDirectory() ? below(`${dir}${entry.name}/`) : [ dir + entry.name ]);

	return SOURCES.flatMap(below).filter((path) => /\.js(on)?$/.test(path)).sort();
}

export function read(path) {
	return readFileSync(new URL(path, APP), 'utf8');
}

/** The strings of one file, in order. */
export function strings(path) {
	const text = read(path);

	if (path.endsWith('.js')) {
		const literal = /\b_\(\s*'((?:[^'\\\n]|\\.)*)'\s*\)/g;
		const found = [ ...text.matchAll(literal) ].map((m) => m[1].replaceAll("\\'", "'"));

		// One that is put together, or kept in a variable, cannot be collected: only the daemon's are,
		// from their own file.
		if (found.length != [ ...text.matchAll(/\b_\((?!sentence\))/g) ].length)
			throw new Error(`${path}: an argument of _() is not one literal in single quotes`);

		return found;
	}

	return Object.values(JSON.parse(text)).map((entry) => entry.title ?? entry.description);
}

/** The text of the template; a string that several files have stands there once. */
export function template() {
	const places = new Map();

	for (const path of [ ...sources(), SENTENCES ])
		for (const text of strings(path))
			places.set(text, (places.get(text) ?? new Set()).add(path));

	const entries = [ ...places.keys() ].sort().map((text) =>
		[ ...places.get(text) ].map((path) => `#: ${path}\n`).join('')
			+ `msgid "${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"\nmsgstr ""\n`);

	return [ 'msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8"\n', ...entries ].join('\n');
}

/** The template as it is stored. */
export function stored() {
	return readFileSync(TEMPLATE, 'utf8');
}

if (import.meta.url == pathToFileURL(process.argv[1] ?? '').href)
	writeFileSync(TEMPLATE, template());
