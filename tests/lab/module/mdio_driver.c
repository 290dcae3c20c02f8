// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A driver of the kernel for the same switch, as others on the bus notice it: like Linux' qca8k it
 * holds the lock of the bus for one access, remembers the page, and skips writing it when it seems
 * right. Whether the page in force was the one that it thought is seen by looking into the chip,
 * so no wrong access goes unnoticed.
 */
#include <linux/delay.h>
#include <linux/kthread.h>

#include "labmdio.h"

/* Its own register, a port's lookup control, and one in another page, a port's counter. */
#define LABMDIO_OWN 0x0660
#define LABMDIO_COUNTER 0x1000
/* One access in so many is to the other page. */
#define LABMDIO_OTHER_PAGE 4

static void labmdio_driver_select(struct labmdio *lab, u32 address)
{
	struct labmdio_driver *driver = &lab->driver;
	u16 page = address >> 9;

	if (driver->writes_each_page || driver->page != page) {
		lab->bus->write(lab->bus, LABMDIO_PAGE, 0, page);
		driver->page = page;
	}
	driver->accesses++;
	if (READ_ONCE(lab->chip->page) != page)
		driver->wrong++;
}

void labmdio_driver_access(struct labmdio *lab)
{
	struct labmdio_driver *driver = &lab->driver;
	struct mii_bus *bus = lab->bus;
	u32 address = LABMDIO_OWN;
	unsigned int phy, low;

	mutex_lock_nested(&bus->mdio_lock, MDIO_MUTEX_NESTED);
	if (driver->accesses % LABMDIO_OTHER_PAGE == LABMDIO_OTHER_PAGE - 1)
		address = LABMDIO_COUNTER;
	phy = LABMDIO_WINDOW | (address >> 6 & 7);
	low = address >> 1 & 0x1e;
	labmdio_driver_select(lab, address);
	bus->read(bus, phy, low);
	bus->read(bus, phy, low | 1);
	if (address == LABMDIO_OWN) {
		driver->count++;
		bus->write(bus, phy, low, driver->count & 0xffff);
		bus->write(bus, phy, low | 1, driver->count >> 16);
	}
	mutex_unlock(&bus->mdio_lock);
}

void labmdio_driver_between(struct labmdio *lab)
{
	unsigned int between = READ_ONCE(lab->driver.between);

	/* Ioctls are made one after the other, under the RTNL lock. */
	if (!between || ++lab->driver.ioctls < between)
		return;
	lab->driver.ioctls = 0;
	labmdio_driver_access(lab);
}

static int labmdio_driver_thread(void *data)
{
	struct labmdio *lab = data;

	while (!kthread_should_stop()) {
		unsigned int period_us = READ_ONCE(lab->driver.period_us);

		labmdio_driver_access(lab);
		usleep_range(period_us, period_us + period_us / 8);
	}
	return 0;
}

/* With 0 it stops. */
int labmdio_driver_set_period(struct labmdio *lab, unsigned int period_us)
{
	struct labmdio_driver *driver = &lab->driver;
	struct task_struct *thread;
	int err = 0;

	mutex_lock(&lab->lock);
	if (lab->gone && period_us) {
		err = -ENODEV;
		goto out;
	}
	/* The thread never takes this lock. */
	if (!period_us && driver->thread) {
		kthread_stop(driver->thread);
		driver->thread = NULL;
	}
	WRITE_ONCE(driver->period_us, period_us);
	if (period_us && !driver->thread) {
		thread = kthread_run(labmdio_driver_thread, lab, "labmdio-%d", lab->number);
		if (IS_ERR(thread))
			err = PTR_ERR(thread);
		else
			driver->thread = thread;
	}
out:
	mutex_unlock(&lab->lock);
	return err;
}
