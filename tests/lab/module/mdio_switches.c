// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a test can set and read, in /sys/class/net/DEVICE/labmdio. The files go with the device.
 *
 * Of the chip, what no public source confirms:
 * page_readable  1: the page register can be read back; 0: it reads as 0xffff
 * busy_reads     how many reads of a command's high half show it as busy
 * stale_reads    how many reads of its low half after that show the status before
 * ways           how many slots of the NAPT table a flow can be in
 * slots          how many of them there are for all flows, at least 1
 * flush_ms       how long after a flush of NAPT commands are lost
 *
 * Faults:
 * fail_at        the transfer to the switch, counted from 1, that times out; 0: none
 * kill_at        the transfer of a process, counted from 1, behind which that process is killed; 0: none
 * stuck          1: commands never end; one that hangs does until a reset
 * dead           1: all transfers to the switch time out
 * reset          anything written: registers and tables are as after power-on
 *
 * Traffic, of which the simulation has none:
 * napt_age       "AGE" or "AGE INDEX": the age of all valid NAPT entries, or of one, 1 to 15. A packet
 *                sets it to 14, and time lowers it
 *
 * The kernel's driver of the switch:
 * driver_period_us  a thread makes an access this often; 0: no thread
 * driver_between    an access is made whenever this many ioctls were; 0: never
 * driver_step       this many accesses are made now
 * driver_writes_each_page  1: like OpenWrt's ar8216; 0: like Linux' qca8k
 * driver_accesses, driver_wrong  all accesses, and those with a wrong page in force
 *
 * What was done:
 * transfers, phy_transfers  to the switch and to its PHY, by whomever
 * page           the page in force
 * napt, hosts, nat, registers  images: entries of seven words, registers by address
 */
#include <linux/sysfs.h>
#include <linux/version.h>

#include "labmdio.h"

static struct labmdio *labmdio_of(struct device *dev)
{
	return netdev_priv(to_net_dev(dev));
}

/* A number of the chip, guarded by its lock. */
#define CHIP_NUMBER_SHOW(_name, _value)								\
static ssize_t _name##_show(struct device *dev, struct device_attribute *attr, char *text)	\
{												\
	struct labmdio_chip *chip = labmdio_of(dev)->chip;					\
	unsigned long value;									\
												\
	mutex_lock(&chip->lock);								\
	value = chip->_value;									\
	mutex_unlock(&chip->lock);								\
	return sysfs_emit(text, "%lu\n", value);						\
}

#define CHIP_NUMBER_RO(_name, _value)								\
CHIP_NUMBER_SHOW(_name, _value)									\
static DEVICE_ATTR_RO(_name)

#define CHIP_NUMBER(_name, _max)								\
CHIP_NUMBER_SHOW(_name, doubts._name)								\
static ssize_t _name##_store(struct device *dev, struct device_attribute *attr,			\
			     const char *text, size_t len)					\
{												\
	struct labmdio_chip *chip = labmdio_of(dev)->chip;					\
	unsigned int value;									\
	int err = kstrtouint(text, 0, &value);							\
												\
	if (err)										\
		return err;									\
	if (value > (_max))									\
		return -ERANGE;									\
	mutex_lock(&chip->lock);								\
	chip->doubts._name = value;								\
	mutex_unlock(&chip->lock);								\
	return len;										\
}												\
static DEVICE_ATTR_RW(_name)

CHIP_NUMBER(page_readable, 1);
CHIP_NUMBER(busy_reads, 100000);
CHIP_NUMBER(stale_reads, 1000);
CHIP_NUMBER(ways, LABMDIO_NAPT);
CHIP_NUMBER(flush_ms, 1000);
CHIP_NUMBER(fail_at, UINT_MAX);
CHIP_NUMBER(kill_at, UINT_MAX);
CHIP_NUMBER(stuck, 1);
CHIP_NUMBER(dead, 1);
CHIP_NUMBER_RO(transfers, transfers);
CHIP_NUMBER_RO(phy_transfers, phy_transfers);
CHIP_NUMBER_RO(page, page);

static ssize_t reset_store(struct device *dev, struct device_attribute *attr, const char *text,
			   size_t len)
{
	struct labmdio_chip *chip = labmdio_of(dev)->chip;

	mutex_lock(&chip->lock);
	labmdio_chip_reset(chip);
	mutex_unlock(&chip->lock);
	return len;
}
static DEVICE_ATTR_WO(reset);

static ssize_t slots_store(struct device *dev, struct device_attribute *attr, const char *text,
			   size_t len)
{
	struct labmdio_chip *chip = labmdio_of(dev)->chip;
	unsigned int slots;
	int err = kstrtouint(text, 0, &slots);

	if (err)
		return err;
	if (!slots || slots > LABMDIO_NAPT)
		return -ERANGE;
	mutex_lock(&chip->lock);
	chip->doubts.slots = slots;
	mutex_unlock(&chip->lock);
	return len;
}
CHIP_NUMBER_SHOW(slots, doubts.slots)
static DEVICE_ATTR_RW(slots);

static ssize_t napt_age_store(struct device *dev, struct device_attribute *attr, const char *text,
			      size_t len)
{
	struct labmdio_chip *chip = labmdio_of(dev)->chip;
	unsigned int age, index = LABMDIO_NAPT;
	int numbers = sscanf(text, "%u %u", &age, &index);
	bool found;

	if (numbers < 1 || !age || age > 15 || (numbers == 2 && index >= LABMDIO_NAPT))
		return -EINVAL;
	mutex_lock(&chip->lock);
	found = labmdio_engine_set_age(chip, index, age);
	mutex_unlock(&chip->lock);
	return found ? len : -ENOENT;
}
static DEVICE_ATTR_WO(napt_age);

static ssize_t driver_period_us_show(struct device *dev, struct device_attribute *attr,
				     char *text)
{
	return sysfs_emit(text, "%u\n", READ_ONCE(labmdio_of(dev)->driver.period_us));
}

static ssize_t driver_period_us_store(struct device *dev, struct device_attribute *attr,
				      const char *text, size_t len)
{
	unsigned int period_us;
	int err = kstrtouint(text, 0, &period_us);

	if (!err && period_us > USEC_PER_SEC)
		err = -ERANGE;
	if (!err)
		err = labmdio_driver_set_period(labmdio_of(dev), period_us);
	return err ? err : len;
}
static DEVICE_ATTR_RW(driver_period_us);

static ssize_t driver_between_show(struct device *dev, struct device_attribute *attr, char *text)
{
	return sysfs_emit(text, "%u\n", READ_ONCE(labmdio_of(dev)->driver.between));
}

static ssize_t driver_between_store(struct device *dev, struct device_attribute *attr,
				    const char *text, size_t len)
{
	unsigned int between;
	int err = kstrtouint(text, 0, &between);

	if (err)
		return err;
	WRITE_ONCE(labmdio_of(dev)->driver.between, between);
	return len;
}
static DEVICE_ATTR_RW(driver_between);

static ssize_t driver_step_store(struct device *dev, struct device_attribute *attr,
				 const char *text, size_t len)
{
	struct labmdio *lab = labmdio_of(dev);
	unsigned int accesses;
	int err = kstrtouint(text, 0, &accesses);

	if (!err && accesses > 1000)
		err = -ERANGE;
	if (err)
		return err;
	mutex_lock(&lab->lock);
	if (lab->gone)
		err = -ENODEV;
	while (!err && accesses--)
		labmdio_driver_access(lab);
	mutex_unlock(&lab->lock);
	return err ? err : len;
}
static DEVICE_ATTR_WO(driver_step);

static ssize_t driver_writes_each_page_show(struct device *dev, struct device_attribute *attr,
					    char *text)
{
	return sysfs_emit(text, "%u\n", READ_ONCE(labmdio_of(dev)->driver.writes_each_page));
}

static ssize_t driver_writes_each_page_store(struct device *dev, struct device_attribute *attr,
					     const char *text, size_t len)
{
	bool each;
	int err = kstrtobool(text, &each);

	if (err)
		return err;
	WRITE_ONCE(labmdio_of(dev)->driver.writes_each_page, each);
	return len;
}
static DEVICE_ATTR_RW(driver_writes_each_page);

static ssize_t driver_accesses_show(struct device *dev, struct device_attribute *attr, char *text)
{
	return sysfs_emit(text, "%lu\n", READ_ONCE(labmdio_of(dev)->driver.accesses));
}
static DEVICE_ATTR_RO(driver_accesses);

static ssize_t driver_wrong_show(struct device *dev, struct device_attribute *attr, char *text)
{
	return sysfs_emit(text, "%lu\n", READ_ONCE(labmdio_of(dev)->driver.wrong));
}
static DEVICE_ATTR_RO(driver_wrong);

static struct attribute *labmdio_attributes[] = {
	&dev_attr_page_readable.attr,
	&dev_attr_busy_reads.attr,
	&dev_attr_stale_reads.attr,
	&dev_attr_ways.attr,
	&dev_attr_flush_ms.attr,
	&dev_attr_fail_at.attr,
	&dev_attr_kill_at.attr,
	&dev_attr_slots.attr,
	&dev_attr_stuck.attr,
	&dev_attr_dead.attr,
	&dev_attr_transfers.attr,
	&dev_attr_phy_transfers.attr,
	&dev_attr_page.attr,
	&dev_attr_reset.attr,
	&dev_attr_napt_age.attr,
	&dev_attr_driver_period_us.attr,
	&dev_attr_driver_between.attr,
	&dev_attr_driver_step.attr,
	&dev_attr_driver_writes_each_page.attr,
	&dev_attr_driver_accesses.attr,
	&dev_attr_driver_wrong.attr,
	NULL,
};

/* The kernel's own structures became constant between the kernels of the lab. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 16, 0)
#define LABMDIO_IMAGE const struct bin_attribute
#else
#define LABMDIO_IMAGE struct bin_attribute
#endif

#define CHIP_IMAGE(_name)									\
static ssize_t _name##_read(struct file *file, struct kobject *kobj, LABMDIO_IMAGE *attr,	\
			    char *data, loff_t at, size_t len)					\
{												\
	struct labmdio_chip *chip = labmdio_of(kobj_to_dev(kobj))->chip;			\
	ssize_t got;										\
												\
	mutex_lock(&chip->lock);								\
	got = memory_read_from_buffer(data, len, &at, chip->_name, sizeof(chip->_name));	\
	mutex_unlock(&chip->lock);								\
	return got;										\
}												\
static LABMDIO_IMAGE image_##_name =								\
	__BIN_ATTR(_name, 0444, _name##_read, NULL,						\
		   sizeof_field(struct labmdio_chip, _name))

CHIP_IMAGE(napt);
CHIP_IMAGE(nat);
CHIP_IMAGE(hosts);
CHIP_IMAGE(registers);

static LABMDIO_IMAGE *labmdio_images[] = {
	&image_napt, &image_nat, &image_hosts, &image_registers, NULL,
};

const struct attribute_group labmdio_switches = {
	.name = "labmdio",
	.attrs = labmdio_attributes,
	.bin_attrs = labmdio_images,
};
