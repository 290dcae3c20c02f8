// SPDX-License-Identifier: GPL-2.0-or-later
// Files of the router, as far as rpcd's access lists show them.
'use strict';
'require baseclass';
'require rpc';

const list = rpc.declare({ object: 'file', method: 'list', params: [ 'path' ], expect: { entries: [] }, reject: true });

return baseclass.extend({ list });
