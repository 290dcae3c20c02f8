// SPDX-License-Identifier: GPL-2.0-or-later
// Collector for prometheus-node-exporter-ucode; belongs into /usr/share/ucode/node-exporter/lib.
// The exporter gives `ubus`, `counter` and `gauge`, and passes over a value that is null: what the
// daemon does not know has no metric.

const STATES = [ "classic", "software", "hardware" ];
// More pages of devices than the daemon can have.
const PAGES = 64;

const status = ubus.call("flowtable", "status");
if (!status)
	return false;

/** One metric without labels or, given `labels`, with them. */
function one(metric, value, labels) {
	metric(labels, value);
}

one(gauge("flowtabled_info", "Version of the daemon."), 1, { version: status.version });
one(gauge("flowtabled_uptime_seconds", "Time since the daemon started."), status.uptime_s);
one(gauge("flowtabled_requested_mode", "The mode that the configuration asks for."), 1,
	{ mode: status.requested });
one(gauge("flowtabled_effective_mode", "The mode that is in force, and why."), 1,
	{ mode: status.effective, reason: status.reason });
one(gauge("flowtabled_error", "1 while the daemon has an error to show."),
	status.last_error == null ? 0 : 1);
one(gauge("flowtabled_warnings", "Warnings of the last configuration read."),
	type(status.warnings) == "array" ? length(status.warnings) : null);
one(gauge("flowtabled_bypassed_flows", "Connections that are kept on the classic path."),
	status.bypassed);
one(counter("flowtabled_commits_total", "Transactions with nf_tables."), status.commits);
one(counter("flowtabled_evictions_total", "Times that a change handed flows back."),
	status.evictions?.count);
one(counter("flowtabled_takeovers_total", "Times that firewall4's offloading was taken over."),
	status.takeover?.count);

const flows = gauge("flowtabled_flows", "Flows by the path that they take.");
for (let state in STATES)
	flows({ state }, status.flows?.[state]);

const leaked = counter("flowtabled_leaked_packets_total",
	"Packets of offloaded flows that took the classic path.");
for (let state in STATES)
	leaked({ state }, status.leaked?.[state]?.packets);

const totals = ubus.call("flowtable", "history", { points: 0 })?.totals;
const packets = counter("flowtabled_packets_total", "Packets carried, by path.");
for (let state in STATES)
	packets({ state }, totals?.[state]?.packets);
const bytes = counter("flowtabled_bytes_total", "Bytes carried, by path.");
for (let state in STATES)
	bytes({ state }, totals?.[state]?.bytes);

let devices = [];
let page = { next: null };
for (let n = 0; n < PAGES && page; n++) {
	page = ubus.call("flowtable", "devices", page.next ? { cursor: page.next } : {});
	push(devices, ...(page?.devices || []));
	if (!page?.next)
		break;
}

const covered = gauge("flowtabled_device_state", "What a device is used for, and why.");
for (let device in devices)
	covered({ device: device.name, state: device.state, reason: device.reason }, 1);

const device_flows = gauge("flowtabled_device_flows", "Flows over a device, by path.");
for (let device in devices)
	for (let state in STATES)
		device_flows({ device: device.name, state }, device[state]?.flows);

// All samples of a metric have to stand together.
for (let unit in [ "packets", "bytes" ]) {
	const carried = counter(`flowtabled_device_${unit}_total`,
		`What a device has carried in ${unit}, by path and direction.`);

	for (let device in devices)
		for (let state in STATES)
			for (let direction in [ "sent", "received" ])
				carried({ device: device.name, state, direction },
					device[state]?.[`${unit}_${direction}`]);
}

const switches = ubus.call("flowtable", "hardware")?.switches || [];
const switch_state = gauge("flowtabled_switch_state", "State of a switch.");
for (let chip in switches)
	switch_state({ switch: chip.name, driver: chip.driver, state: chip.state }, 1);

const GAUGES = {
	capacity: "Flows that the table of a switch holds at most.",
	used: "Flows in the table of a switch.",
	queued: "Flows that wait for their entry.",
	bound: "Entries that packets are forwarded by.",
	unbound: "Entries that wait for packets or for their end.",
};
for (let key in GAUGES) {
	const metric = gauge(`flowtabled_switch_${key}`, GAUGES[key]);

	for (let chip in switches)
		metric({ switch: chip.name }, chip[key]);
}

const COUNTERS = {
	inserted: "Entries made.",
	removed: "Entries taken out.",
	full: "Flows that found the table full.",
	collisions: "Flows that found no room where the chip's hash puts them.",
	faults: "Transactions that failed and entries that were wrong.",
	resets: "Times that the chip had lost its tables.",
	malformed: "Lines of the kernel's listing that could not be read.",
};
for (let key in COUNTERS) {
	const metric = counter(`flowtabled_switch_${key}_total`, COUNTERS[key]);

	for (let chip in switches)
		metric({ switch: chip.name }, chip[key]);
}
