// SPDX-License-Identifier: GPL-2.0-or-later
// The sentences that the daemon sends, for translators: the pages look up what they are sent and have
// no copy. Nothing of this file is installed; it is here because programs that collect strings look
// for them in scripts. A test compares it with the daemon's source, word for word.
'use strict';

// Of the mode, of a device and of a table, src/core/reason.rs.
_('as configured');
_('switched off by flowtable.global.enabled');
_('firewall flow_offloading is off');
_('no usable configuration has been read yet');
_('no firewall zone has a device that exists');
_('the kernel has no flowtable support');
_('no permission to change nf_tables');
_('the kernel refused the change, the last good state stays in force');
_('no device accepts hardware offload');
_('only some devices accept hardware offload');
_('hardware offload was accepted but live flows are not in hardware');
_('offloading by firewall4 itself is left alone and observed');
_('firewall4\'s own offloading is in force beside ours');
_('offloaded flows still take the classic path');
_('the device does not accept hardware offload');
_('set by a device section of /etc/config/flowtable');
_('a shaper is in charge of its traffic');
_('there is no such device at present');
_('covered by the devices below it');
_('the device below it is in another network namespace');
_('there is no device below it');

// Of a flow, src/core/flow_reason.rs.
_('nothing is offloaded at present');
_('one end is this router, and only forwarded packets are offloaded');
_('only TCP, UDP and untranslated GRE are offloaded');
_('the connection is not established yet');
_('the connection is being closed');
_('it has not carried packets both ways for long enough');
_('it was handed back to the classic path and is kept there');
_('one of its devices is in no flowtable');
_('a rule of /etc/config/flowtable keeps it there');
_('it has carried less than its rule asks for');
_('a conntrack helper has to see all of its packets');
_('its packets of both directions come out of IPsec');
_('it was silent; its next packet makes it offloaded');
_('it is marked as offloaded, yet takes the classic path');
_('nothing that is known stands in the way');

// What made flows return, src/core/evict.rs.
_('the firewall\'s rules have changed');
_('routes, rules or addresses have changed');
_('a client has moved to another port');
_('a neighbour has another MAC address');
_('a device has changed');
_('the configuration has changed');
_('the kernel does not show some that are offloaded');
_('what changed while no daemon was running is not known');
