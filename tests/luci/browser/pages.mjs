// SPDX-License-Identifier: GPL-2.0-or-later
// All tests of the pages in a browser, one after another: they share one router.

import './bridge.mjs';
import './status.mjs';
import './settings.mjs';
import './hardware.mjs';
import './many.mjs';
