// SPDX-License-Identifier: GPL-2.0-or-later
// The data types of LuCI's forms that our pages name.
'use strict';
'require baseclass';

const number = (text) => /^-?\d+$/.test(text);

const TYPES = {
	uinteger: [ (text) => /^\d+$/.test(text), _('positive integer value') ],
	integer: [ number, _('valid integer value') ],
	port: [ (text) => /^\d+$/.test(text) && Number(text) >= 1 && Number(text) <= 65535, _('valid port value') ],
	string: [ () => true, '' ],
	range: [ (text, min, max) => number(text) && Number(text) >= Number(min) && Number(text) <= Number(max), _('value in range') ],
	min: [ (text, min) => number(text) && Number(text) >= Number(min), _('greater value') ],
	max: [ (text, max) => number(text) && Number(text) <= Number(max), _('smaller value') ],
	maxlength: [ (text, max) => text.length <= Number(max), _('shorter value') ]
};

return baseclass.extend({
	/** True, or what is expected. */
	check(type, value) {
		const [ , name, args ] = /^(\w+)(?:\(([^)]*)\))?$/.exec(type) || [];

		if (!(name in TYPES))
			throw new Error(`the stand-in has no data type ${type}`);

		const [ test, text ] = TYPES[name];

		return test(String(value), ...(args || '').split(',').map((arg) => arg.trim())) || _('Expecting: %s').format(text);
	}
});
