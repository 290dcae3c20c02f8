// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a test can set and read of a port, in /sys/class/net/DEVICE/labhw. The files go with the
 * device and are seen in its namespace only, so that scenarios do not disturb one another.
 *
 * mode          hardware, refuse or pretend; flows that the new mode would not take are forgotten
 * max_flows     how many flows that come in by this port find room
 * flows         how many are in the table
 * max_bindings  how many flowtables may be bound to the port at once; further ones are refused
 * forget        anything written: the flows by this port are lost, and the kernel is not told
 * forwarded     packets from the cable that the engine forwarded
 * punted        packets from the cable that it left to the router's stack
 */
#include "labhw.h"

static const char *const labhw_modes[] = {
	[LABHW_HARDWARE] = "hardware",
	[LABHW_REFUSE] = "refuse",
	[LABHW_PRETEND] = "pretend",
};

static struct labhw_port *labhw_port_of(struct device *dev)
{
	return netdev_priv(to_net_dev(dev));
}

static ssize_t mode_show(struct device *dev, struct device_attribute *attr, char *text)
{
	return sysfs_emit(text, "%s\n", labhw_modes[labhw_port_of(dev)->mode]);
}

static ssize_t mode_store(struct device *dev, struct device_attribute *attr, const char *text,
			  size_t len)
{
	int mode = sysfs_match_string(labhw_modes, text);

	if (mode < 0)
		return mode;
	labhw_table_set_mode(labhw_port_of(dev), mode);
	return len;
}
static DEVICE_ATTR_RW(mode);

static ssize_t max_flows_show(struct device *dev, struct device_attribute *attr, char *text)
{
	return sysfs_emit(text, "%u\n", READ_ONCE(labhw_port_of(dev)->max_flows));
}

static ssize_t max_flows_store(struct device *dev, struct device_attribute *attr,
			       const char *text, size_t len)
{
	unsigned int max;
	int err = kstrtouint(text, 0, &max);

	if (err)
		return err;
	WRITE_ONCE(labhw_port_of(dev)->max_flows, max);
	return len;
}
static DEVICE_ATTR_RW(max_flows);

static ssize_t max_bindings_show(struct device *dev, struct device_attribute *attr, char *text)
{
	return sysfs_emit(text, "%u\n", READ_ONCE(labhw_port_of(dev)->max_bindings));
}

static ssize_t max_bindings_store(struct device *dev, struct device_attribute *attr,
				  const char *text, size_t len)
{
	unsigned int max;
	int err = kstrtouint(text, 0, &max);

	if (err)
		return err;
	WRITE_ONCE(labhw_port_of(dev)->max_bindings, max);
	return len;
}
static DEVICE_ATTR_RW(max_bindings);

static ssize_t flows_show(struct device *dev, struct device_attribute *attr, char *text)
{
	return sysfs_emit(text, "%u\n", READ_ONCE(labhw_port_of(dev)->flows));
}
static DEVICE_ATTR_RO(flows);

static ssize_t forget_store(struct device *dev, struct device_attribute *attr, const char *text,
			    size_t len)
{
	labhw_table_forget(labhw_port_of(dev), NULL);
	return len;
}
static DEVICE_ATTR_WO(forget);

static ssize_t forwarded_show(struct device *dev, struct device_attribute *attr, char *text)
{
	return sysfs_emit(text, "%ld\n", atomic_long_read(&labhw_port_of(dev)->forwarded));
}
static DEVICE_ATTR_RO(forwarded);

static ssize_t punted_show(struct device *dev, struct device_attribute *attr, char *text)
{
	return sysfs_emit(text, "%ld\n", atomic_long_read(&labhw_port_of(dev)->punted));
}
static DEVICE_ATTR_RO(punted);

static struct attribute *labhw_attributes[] = {
	&dev_attr_mode.attr,
	&dev_attr_max_flows.attr,
	&dev_attr_max_bindings.attr,
	&dev_attr_flows.attr,
	&dev_attr_forget.attr,
	&dev_attr_forwarded.attr,
	&dev_attr_punted.attr,
	NULL,
};

const struct attribute_group labhw_switches = {
	.name = "labhw",
	.attrs = labhw_attributes,
};
