// SPDX-License-Identifier: GPL-2.0-or-later
// The menu at the top of the page, from the same tree as LuCI's themes make theirs.
'use strict';
'require baseclass';
'require request';
'require dom';

function children(node) {
	return Object.entries(node?.children || {}).filter(([ , child ]) => child.title)
		.sort(([ , a ], [ , b ]) => (a.order || 1000) - (b.order || 1000));
}

return baseclass.extend({
	async __init__() {
		const tree = (await request.get(L.url('admin/menu'))).json();
		const menu = document.getElementById('topmenu');

		dom.content(menu, children(tree.children?.admin).map(([ name, node ]) => E('li', {}, [
			E('span', { 'class': 'menu' }, [ node.title ]),
			E('ul', { 'class': 'dropdown-menu' }, children(node).map(([ sub, child ]) => E('li', {}, [
				E('a', { 'href': L.url('admin', name, sub) }, [ child.title ])
			])))
		])));
		menu.style.display = '';
	}
});
