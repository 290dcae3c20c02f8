/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * labmdio: a switch of the QCA8337 family behind a real MDIO bus, for tests of its drivers.
 *
 * "ip link add sw0 type labmdio" makes the device sw0 and the bus labmdio-N with a PHY at address
 * 0, which the kernel's own PHY layer drives and polls, and a switch at 0x10 to 0x18. The MII
 * ioctls of sw0 reach all of it through phylib. What no public source confirms about the chip is
 * a switch of the simulation; see mdio_switches.c.
 *
 * mdio_main.c      loading and unloading
 * mdio_port.c      the bus, the device and its ioctls
 * mdio_chip.c      the PHY, the page, the window and plain registers
 * mdio_engine.c    the engine of the tables of flows, addresses and hosts
 * mdio_driver.c    a driver of the kernel that uses the switch too and remembers the page
 * mdio_netlink.c   programs of transfers for any bus, as mdio-tools' module offers them
 * mdio_switches.c  what a test can set and read, in /sys/class/net/DEVICE/labmdio
 */
#ifndef LABMDIO_H
#define LABMDIO_H

#include <linux/atomic.h>
#include <linux/ktime.h>
#include <linux/mutex.h>
#include <linux/netdevice.h>
#include <linux/phy.h>
#include <net/rtnetlink.h>

/* MII addresses of the chip. */
#define LABMDIO_PHY 0x00
#define LABMDIO_WINDOW 0x10
#define LABMDIO_PAGE 0x18

/* Registers, by byte address. */
#define LABMDIO_MASK_CTL 0x0000
#define LABMDIO_NAT_CTRL 0x0e38
#define LABMDIO_NAPT_USED 0x0e44
#define LABMDIO_COMMAND 0x0e58
#define LABMDIO_DATA 0x0e80
#define LABMDIO_REGISTERS_END 0x80000

/* Words of an entry, in the engine's registers and in its tables. */
#define LABMDIO_WORDS 7
#define LABMDIO_NAPT 1024
#define LABMDIO_NAT 32
#define LABMDIO_HOSTS 128

/* Faults and doubts, set by tests. */
struct labmdio_doubts {
	bool page_readable;		/* the page register can be read back */
	unsigned int busy_reads;	/* reads that still show a command as busy */
	unsigned int stale_reads;	/* reads after that which show the status before */
	unsigned int ways;		/* slots of the NAPT table where a flow can be */
	unsigned int slots;		/* slots of that table that any flow can be in */
	unsigned int flush_ms;		/* commands this soon after a flush of NAPT are lost */
	unsigned int fail_at;		/* the transfer to the switch, from 1, that times out */
	unsigned int kill_at;		/* the one behind which the process that made it is killed */
	bool stuck;			/* commands never end */
	bool dead;			/* all transfers to the switch time out */
};

struct labmdio_chip {
	struct mutex lock;
	struct labmdio_doubts doubts;
	u16 phy[32];
	u16 page;
	u16 low;	/* low half that waits for a high one */
	/* Of the command that runs or has ended. */
	unsigned int busy_left;
	unsigned int stale_left;
	u32 stale;
	bool hung;
	ktime_t deaf_until;
	unsigned long phy_transfers;
	unsigned long transfers;	/* to the switch */
	u32 napt[LABMDIO_NAPT][LABMDIO_WORDS];
	u32 nat[LABMDIO_NAT][LABMDIO_WORDS];
	u32 hosts[LABMDIO_HOSTS][LABMDIO_WORDS];
	u32 registers[LABMDIO_REGISTERS_END / 4];
};

/* The kernel's driver. All but the thread is guarded by the lock of the bus. */
struct labmdio_driver {
	struct task_struct *thread;
	unsigned int period_us;	/* between two accesses of the thread */
	unsigned int between;	/* ioctls after which it makes an access */
	unsigned int ioctls;	/* since the last one */
	bool writes_each_page;	/* as OpenWrt's ar8216; else only a page that it thinks is another */
	u16 page;		/* the page that it thinks is set */
	u32 count;		/* what it has written to its own register */
	unsigned long accesses;
	unsigned long wrong;	/* with another page in force than it thought */
};

struct labmdio {
	struct net_device *dev;
	struct mii_bus *bus;
	int number;
	struct mutex lock;	/* of what follows, against the removal of the device */
	bool gone;
	struct labmdio_driver driver;
	struct labmdio_chip *chip;
};

extern struct rtnl_link_ops labmdio_link_ops;
extern const struct attribute_group labmdio_switches;
/* Parent of all buses and devices: phylib asks for the driver of a device's parent. */
extern struct platform_device *labmdio_platform;

struct labmdio_chip *labmdio_chip_new(void);
/* As after power-on; the page stays, since the MDIO side of the chip is not reset. */
void labmdio_chip_reset(struct labmdio_chip *chip);
int labmdio_chip_read(struct labmdio_chip *chip, unsigned int phy, unsigned int reg);
int labmdio_chip_write(struct labmdio_chip *chip, unsigned int phy, unsigned int reg, u16 value);
static inline u32 *labmdio_register(struct labmdio_chip *chip, u32 address)
{
	return &chip->registers[address / 4];
}

/* The command register was written; the chip is locked by the caller of all four. */
void labmdio_engine_command(struct labmdio_chip *chip, u32 value);
/* One half of it is read. */
u16 labmdio_engine_read(struct labmdio_chip *chip, bool high);
unsigned int labmdio_engine_used(const struct labmdio_chip *chip);
/* Of the valid flow at this index; LABMDIO_NAPT: of all. False if there is none. */
bool labmdio_engine_set_age(struct labmdio_chip *chip, unsigned int index, unsigned int age);

/* One access of the kernel's driver, with the lock of the bus held throughout. */
void labmdio_driver_access(struct labmdio *lab);
/* An ioctl was made. */
void labmdio_driver_between(struct labmdio *lab);
int labmdio_driver_set_period(struct labmdio *lab, unsigned int period_us);

int labmdio_netlink_init(void);
void labmdio_netlink_exit(void);

#endif
