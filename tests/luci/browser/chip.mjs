// SPDX-License-Identifier: GPL-2.0-or-later
// The simulated switch chip of the lab's router, as the daemon counts it.

import { eventually } from './chromium.mjs';
import { daemon, run } from './router.mjs';

/** Attributes of the kernel module that simulates it. */
const MODULE = '/sys/class/net/sw0/labmdio';

/** What the daemon tells of a switch. */
export const chip = async (name) => (await daemon('hardware')).switches.find((one) => one.name == name);

/** Lets transfers time out until a transaction has failed: a write that does so is often made up for. */
export async function failing() {
	let place = 0;

	await eventually(async () => {
		if ((await chip('switch')).faults > 0)
			return true;
		place += 3;
		await run(`[ "$(cat ${MODULE}/fail_at)" != 0 ] || echo ${place} >${MODULE}/fail_at`);
		return false;
	}, 'a transaction fails', 60000);
	await run(`echo 0 >${MODULE}/fail_at`);
}
