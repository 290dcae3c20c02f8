// SPDX-License-Identifier: GPL-2.0-or-later
// LuCI's overview page: every include below view/status/include, each in a section of its own, all
// loaded and rendered again at each poll. In place of LuCI's own, which brings its own includes too.
'use strict';
'require view';
'require poll';
'require dom';
'require fs';

async function fill(include, box) {
	const nodes = include.render(await include.load());

	if (nodes == null)
		return;

	box.style.display = '';
	dom.content(box, [ E('h3', {}, [ include.title ]), E('div', {}, [ nodes ]) ]);
}

return view.extend({
	async load() {
		const files = await fs.list('/www' + L.resource('view/status/include')).catch(() => []);
		const names = files.map((file) => file.name).filter((name) => name.endsWith('.js')).sort();

		return Promise.all(names.map((name) => L.require('view.status.include.' + name.slice(0, -3))));
	},

	render(includes) {
		const boxes = includes.map(() => E('div', { 'class': 'cbi-section', 'style': 'display:none' }, []));
		const update = () => Promise.all(includes.map((include, i) => fill(include, boxes[i])));

		poll.add(update, 5);

		return update().then(() => E('div', {}, [ E('h2', {}, [ _('Overview') ]) ].concat(boxes)));
	},

	handleSave: null,
	handleSaveApply: null,
	handleReset: null
});
