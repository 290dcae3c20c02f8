// SPDX-License-Identifier: GPL-2.0-or-later
// The tab of clients: who is behind the flows, and what each carries by each path.
'use strict';
'require baseclass';
'require flowtable.action as action';
'require flowtable.bus as bus';
'require flowtable.carried as carried';
'require flowtable.table as table';
'require flowtable.words as words';

function latest(host) {
	return Array.isArray(host.addresses) ? host.addresses[0] : null;
}

// By what the daemon finds it again; two clients may have the same name.
function handle(host) {
	return host.mac || latest(host);
}

class Clients {
	constructor(page) {
		this.table = table.create({
			label: _('Clients'),
			remote: true,
			change: page.refresh,
			sort: _('Rate'),
			key: (host) => host.mac || words.list(host.addresses),
			columns: [
				{ title: _('Client'), cell: (host) => words.known(host.name || host.mac || latest(host)) },
				{ title: _('Address'), cell: (host) => words.endpoint(latest(host)), wide: true },
				{ title: _('Device'), cell: (host) => words.known(host.port || host.device), wide: true },
				{ title: _('State'), cell: (host) => words.badge(host.state) },
				{ title: _('Flows'), cell: (host) => words.known(carried.flows(host)) },
				{ title: _('Rate'), cell: (host) => words.scaled(carried.rate(host), 'B/s'), sort: 'rate' },
				{ title: _('Carried'), cell: (host) => words.scaled(carried.bytes(host), 'B'), sort: 'bytes', wide: true },
				{ title: _('Known for'), cell: (host) => E('span', { 'class': 'nowrap' }, [ words.duration(host.age_s) ]), sort: 'age', wide: true }
			],
			detail: (host) => [
				[ _('MAC address'), words.known(host.mac) ],
				[ _('Addresses'), words.list(host.addresses) ],
				[ _('Device'), host.port ? '%s, %s'.format(words.known(host.device), host.port) : words.known(host.device) ],
				[ _('Silent for'), words.duration(host.quiet_s) ]
			].concat(carried.details(host)),
			actions: [ {
				label: (host) => handle(host) == null ? null : _('Flows'),
				run: (host) => page.open('flows', { host: handle(host) })
			} ].concat(page.writable ? [ {
				label: (host) => handle(host) == null || !carried.flows(host) ? null : _('To classic…'),
				run: (host, opener) => action.evict({ host: handle(host) },
					'%s: %s'.format(_('Client'), host.name || handle(host)), opener, page.refresh)
			} ] : [])
		});
		this.input = E('input', { 'type': 'text', 'class': 'cbi-input-text', 'change': () => this.table.changed() }, []);
		this.node = E('div', {}, [
			E('form', { 'class': 'ft-row', 'submit': (event) => event.preventDefault() }, [
				E('label', { 'style': 'width:16em' }, [ _('Name, MAC or IP address'), this.input ])
			]),
			this.table.node
		]);
	}

	ask() {
		return bus.hosts(Object.assign({ host: this.input.value.trim() || undefined }, this.table.query()));
	}

	show(reply) {
		this.table.show(reply instanceof Error ? reply : reply.hosts, reply.matched, reply.next);
	}
}

return baseclass.extend({
	create(page) {
		return new Clients(page);
	}
});
