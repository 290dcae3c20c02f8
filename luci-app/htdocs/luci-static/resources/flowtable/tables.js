// SPDX-License-Identifier: GPL-2.0-or-later
// The tab of nf_tables tables: the daemon's own, as the kernel has them, and what others have.
'use strict';
'require baseclass';
'require dom';
'require flowtable.table as table';
'require flowtable.words as words';

class Tables {
	constructor(page) {
		this.page = page;
		this.others = E('div', {}, []);
		this.table = table.create({
			label: _('Tables'),
			sort: _('Table'),
			key: (record) => String(record.name),
			columns: [
				{ title: _('Table'), cell: (record) => words.known(record.name), sort: (record) => record.name },
				{ title: _('Path'), cell: (record) => record.hardware == null ? words.UNKNOWN
					: words.badge(record.hardware ? 'hardware' : 'software') },
				{ title: _('Devices'), cell: (record) => words.list(record.devices) },
				{ title: _('Priority'), cell: (record) => words.known(record.priority), wide: true },
				{ title: _('Counts traffic'), cell: (record) => words.yesNo(record.counter), wide: true },
				// Of the daemon's own tables the mode tells.
				{ title: _('Reason'), cell: (record) => record.reason == null ? '' : words.reason(record), wide: true }
			],
			detail: (record) => [
				[ _('Flowtable'), words.known(record.flowtable) ],
				[ _('Devices'), words.list(record.devices) ],
				[ _('Priority'), words.known(record.priority) ],
				[ _('Counts traffic'), words.yesNo(record.counter) ],
				[ _('Reason'), record.reason == null ? _('as the mode') : words.reason(record) ]
			],
			actions: [ {
				label: () => _('Flows'),
				run: (record) => page.open('flows', { partition: record.name })
			} ]
		});
		this.node = E('div', {}, [ this.table.node, this.others ]);
	}

	// All of it is in the status, which is asked in any case.
	ask() {
		return Promise.resolve(null);
	}

	show(_reply, status) {
		this.table.show(status.tables);
		dom.content(this.others, [
			E('p', {}, [ _('Offloading by firewall4 itself: %s').format(
				words.lookup(words.TAKEOVER, (status.takeover || {}).state) || words.UNKNOWN) ]),
			E('p', {}, [ _('Flowtables of other programs: %s').format(words.list(status.foreign_flowtables)) ])
		]);
	}
}

return baseclass.extend({
	create(page) {
		return new Tables(page);
	}
});
