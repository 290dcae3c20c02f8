// SPDX-License-Identifier: GPL-2.0-or-later
// Dialogs, notes, tabs and applying of changes, with the element classes that LuCI's themes style.
'use strict';
'require baseclass';
'require dom';
'require request';
'require uci';
'require ui_widgets as base';

// The tab in front of each group, by the names of its tabs.
const front = {};

let dialog = null;
let before = null;

// As LuCI has it: Escape presses the first button below the text.
function keydown(event) {
	if (event.key == 'Escape')
		dialog?.querySelector('.right > button, .button-row > button')?.click();
}

const ui = {
	async instantiateView(path) {
		try {
			await L.require(`view.${path.replace(/\//g, '.')}`);
		}
		catch (error) {
			L.error(error);
		}
	},

	showModal(title, children, ...classes) {
		ui.hideModal();
		before = document.activeElement;
		dialog = E('div', { 'id': 'modal_overlay' }, [
			E('div', { 'class': [ 'modal', ...classes ].join(' '), 'role': 'dialog', 'aria-modal': 'true', 'tabindex': -1 },
				[ title != null ? E('h4', {}, [ title ]) : '' ].concat(children))
		]);
		document.body.appendChild(dialog);
		document.body.classList.add('modal-overlay-active');
		document.addEventListener('keydown', keydown);
		dialog.firstElementChild.focus();

		return dialog.firstElementChild;
	},

	hideModal() {
		dialog?.remove();
		dialog = null;
		document.body.classList.remove('modal-overlay-active');
		document.removeEventListener('keydown', keydown);
		before?.focus?.();
		before = null;
	},

	addNotification(title, children, ...classes) {
		const note = E('div', { 'class': [ 'alert-message', ...classes ].join(' '), 'role': 'alert' }, [
			title != null ? E('h4', {}, [ title ]) : '',
			E('div', {}, Array.isArray(children) ? children : [ children ]),
			E('button', { 'class': 'btn', 'type': 'button', 'click': () => note.remove() }, [ _('Dismiss') ])
		]);

		document.getElementById('maincontent').prepend(note);

		return note;
	},

	showIndicator() {},
	hideIndicator() {},

	/** A button's handler: the button is not to be pressed again while a promise is under way. */
	createHandlerFn(self, fn, ...args) {
		const call = typeof fn == 'string' ? self[fn] : fn;

		if (typeof call != 'function')
			throw new Error(`no function ${fn}`);

		return (event) => {
			const target = event.currentTarget;

			target.classList.add('spinning');
			target.disabled = true;

			return Promise.resolve(call.call(self, ...args, event, target.value)).finally(() => {
				target.classList.remove('spinning');
				target.disabled = false;
			});
		};
	},

	itemlist(node, items) {
		const children = [];

		for (let i = 0; i + 1 < items.length; i += 2)
			if (items[i + 1] != null)
				children.push(E('span', {}, [ E('strong', {}, [ items[i] ? `${items[i]}: ` : '' ]), items[i + 1] ]), E('br'));

		dom.content(node, children);

		return node;
	},

	tabs: {
		/** Panes, children of one element, get a menu of tabs in front of it. */
		initTabGroup(panes) {
			const list = [ ...panes ].filter((pane) => pane.nodeType == Node.ELEMENT_NODE);
			const group = list[0].parentNode;
			const menu = E('ul', { 'class': 'cbi-tabmenu' }, list.map((pane) => {
				const name = pane.getAttribute('data-tab');

				if (!name || !pane.getAttribute('data-tab-title'))
					throw new Error('a pane without a name or title');

				return E('li', { 'data-tab': name, 'class': 'cbi-tab-disabled' }, [
					E('a', { 'href': '#', 'click': (event) => {
						event.preventDefault();
						ui.tabs.show(menu, list, name);
					} }, [ pane.getAttribute('data-tab-title') ])
				]);
			}));

			group.parentNode.insertBefore(menu, group);

			// A form that is rendered again shows the tab that was in front.
			const names = list.map((pane) => pane.getAttribute('data-tab'));
			const kept = front[names.join()];

			ui.tabs.show(menu, list, names.includes(kept) ? kept : names[0]);
		},

		show(menu, panes, name) {
			front[panes.map((pane) => pane.getAttribute('data-tab')).join()] = name;

			for (const pane of panes) {
				const active = pane.getAttribute('data-tab') == name;
				const was = pane.getAttribute('data-tab-active') == 'true';

				pane.setAttribute('data-tab-active', String(active));

				if (active && !was)
					pane.dispatchEvent(new CustomEvent('cbi-tab-active', { detail: { tab: name } }));
			}

			for (const item of menu.children)
				item.className = item.getAttribute('data-tab') == name ? 'cbi-tab' : 'cbi-tab-disabled';
		},

		isEmptyPane: (pane) => !pane.querySelector('*'),

		updateTabs() {
			return false;
		}
	},

	changes: {
		/** Applies what was saved; the router takes it back unless it can be confirmed. */
		async apply(checked) {
			const { sessionid: sid, token } = L.env;
			const action = (name, query) => request.request(L.url('admin/uci', name), { method: 'post', query });

			ui.showModal(null, [ E('p', { 'class': 'spinning' }, [ _('Applying configuration changes…') ]) ]);

			try {
				const reply = await action(checked ? 'apply_rollback' : 'apply_unchecked', { sid, token });

				if (reply.status == 204)
					return ui.showModal(null, [
						E('p', {}, [ _('There are no changes to apply.') ]),
						E('button', { 'class': 'btn', 'click': ui.hideModal }, [ _('Close') ])
					]);
				if (reply.status != 200)
					throw new Error(reply.text());
				if (checked) {
					const confirmed = await action('confirm', { sid, token: reply.json().token });

					if (confirmed.status != 200)
						throw new Error(confirmed.text());
				}
			}
			catch (error) {
				ui.hideModal();
				ui.addNotification(null, [ E('p', {}, [ String(error.message) ]) ], 'error');
				throw error;
			}

			document.dispatchEvent(new CustomEvent('uci-applied'));
			location.reload();
		}
	},

	...base.all
};

return baseclass.extend(ui);
