// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The chip as the bus sees it: a PHY, the page register, and the window that shows 32-bit
 * registers as two halves of 16 bits. A low half that is written waits in a latch until a high
 * half is written, wherever that lands: so a page that moved in between damages a register.
 */
#include <linux/mii.h>
#include <linux/mm.h>

#include "labmdio.h"

/* Device 0x13 (QCA8337), revision 2; the same PHY identifier as its internal PHYs. */
#define LABMDIO_ID 0x1302
#define LABMDIO_PHY_ID 0x004dd036
#define LABMDIO_SOFT_RESET BIT(31)
#define LABMDIO_PAGE_MASK 0x3ff
/* What an address reads as when nobody answers. */
#define LABMDIO_NOBODY 0xffff

static const struct labmdio_doubts labmdio_default_doubts = {
	.page_readable = true,
	.busy_reads = 2,
	.stale_reads = 1,
	.ways = 16,
	.slots = LABMDIO_NAPT,
	.flush_ms = 10,
};

/* A link of 1000 Mbit/s, full duplex, that negotiation has found. */
static void labmdio_phy_reset(u16 *phy)
{
	phy[MII_BMCR] = BMCR_ANENABLE | BMCR_SPEED1000 | BMCR_FULLDPLX;
	phy[MII_BMSR] = BMSR_100FULL | BMSR_100HALF | BMSR_10FULL | BMSR_10HALF | BMSR_ESTATEN |
			BMSR_ANEGCOMPLETE | BMSR_ANEGCAPABLE | BMSR_LSTATUS | BMSR_ERCAP;
	phy[MII_PHYSID1] = LABMDIO_PHY_ID >> 16;
	phy[MII_PHYSID2] = LABMDIO_PHY_ID & 0xffff;
	phy[MII_ADVERTISE] = ADVERTISE_ALL | ADVERTISE_CSMA;
	phy[MII_LPA] = LPA_LPACK | LPA_100FULL | LPA_100HALF | LPA_10FULL | LPA_10HALF |
		       ADVERTISE_CSMA;
	phy[MII_CTRL1000] = ADVERTISE_1000FULL;
	phy[MII_STAT1000] = LPA_1000FULL | LPA_1000LOCALRXOK | LPA_1000REMRXOK;
	phy[MII_ESTATUS] = ESTATUS_1000_TFULL;
}

struct labmdio_chip *labmdio_chip_new(void)
{
	struct labmdio_chip *chip = kvzalloc(sizeof(*chip), GFP_KERNEL);

	if (!chip)
		return NULL;
	mutex_init(&chip->lock);
	chip->doubts = labmdio_default_doubts;
	labmdio_phy_reset(chip->phy);
	labmdio_chip_reset(chip);
	return chip;
}

void labmdio_chip_reset(struct labmdio_chip *chip)
{
	memset(chip->napt, 0, sizeof(chip->napt));
	memset(chip->nat, 0, sizeof(chip->nat));
	memset(chip->hosts, 0, sizeof(chip->hosts));
	memset(chip->registers, 0, sizeof(chip->registers));
	*labmdio_register(chip, LABMDIO_MASK_CTL) = LABMDIO_ID;
	chip->low = 0;
	chip->busy_left = 0;
	chip->stale_left = 0;
	chip->hung = false;
	chip->deaf_until = 0;
}

/* The register in the window at this place, with the page in force. */
static u32 labmdio_address(const struct labmdio_chip *chip, unsigned int phy, unsigned int reg)
{
	return (u32)chip->page << 9 | (phy & 7) << 6 | (reg & 0x1e) << 1;
}

static u16 labmdio_window_read(struct labmdio_chip *chip, unsigned int phy, unsigned int reg)
{
	u32 address = labmdio_address(chip, phy, reg);
	bool high = reg & 1;
	u32 value;

	switch (address) {
	case LABMDIO_COMMAND:
		return labmdio_engine_read(chip, high);
	case LABMDIO_NAPT_USED:
		value = labmdio_engine_used(chip);
		break;
	default:
		value = *labmdio_register(chip, address);
		break;
	}
	return high ? value >> 16 : value;
}

static void labmdio_window_write(struct labmdio_chip *chip, unsigned int phy, unsigned int reg,
				 u16 half)
{
	u32 address = labmdio_address(chip, phy, reg);
	u32 value = (u32)half << 16 | chip->low;

	if (!(reg & 1)) {
		chip->low = half;
		return;
	}
	switch (address) {
	case LABMDIO_MASK_CTL:
		if (value & LABMDIO_SOFT_RESET)
			labmdio_chip_reset(chip);
		break;
	case LABMDIO_NAPT_USED:
		break;
	case LABMDIO_COMMAND:
		labmdio_engine_command(chip, value);
		break;
	default:
		*labmdio_register(chip, address) = value;
		break;
	}
}

/* Counts the transfer; true when it is to time out. */
static bool labmdio_fails(struct labmdio_chip *chip, unsigned int phy)
{
	if (phy < LABMDIO_WINDOW) {
		chip->phy_transfers++;
		return false;
	}
	chip->transfers++;
	/* It dies on its way back from the kernel; threads of the kernel are no process. */
	if (current->mm && chip->doubts.kill_at && !--chip->doubts.kill_at)
		send_sig(SIGKILL, current, 1);
	if (chip->doubts.fail_at && !--chip->doubts.fail_at)
		return true;
	return chip->doubts.dead;
}

int labmdio_chip_read(struct labmdio_chip *chip, unsigned int phy, unsigned int reg)
{
	int value = LABMDIO_NOBODY;

	mutex_lock(&chip->lock);
	if (labmdio_fails(chip, phy))
		value = -ETIMEDOUT;
	else if (phy == LABMDIO_PHY)
		value = chip->phy[reg & 31];
	else if (phy >= LABMDIO_WINDOW && phy < LABMDIO_PAGE)
		value = labmdio_window_read(chip, phy, reg);
	else if (phy == LABMDIO_PAGE && !reg && chip->doubts.page_readable)
		value = chip->page;
	mutex_unlock(&chip->lock);
	return value;
}

static void labmdio_phy_write(u16 *phy, unsigned int reg, u16 value)
{
	switch (reg) {
	case MII_BMCR:
		/* Reset and a new negotiation end at once. */
		phy[reg] = value & ~(BMCR_RESET | BMCR_ANRESTART);
		break;
	case MII_ADVERTISE:
	case MII_CTRL1000:
		phy[reg] = value;
		break;
	}
}

int labmdio_chip_write(struct labmdio_chip *chip, unsigned int phy, unsigned int reg, u16 value)
{
	int err = 0;

	mutex_lock(&chip->lock);
	if (labmdio_fails(chip, phy))
		err = -ETIMEDOUT;
	else if (phy == LABMDIO_PHY)
		labmdio_phy_write(chip->phy, reg, value);
	else if (phy >= LABMDIO_WINDOW && phy < LABMDIO_PAGE)
		labmdio_window_write(chip, phy, reg, value);
	else if (phy == LABMDIO_PAGE && !reg)
		chip->page = value & LABMDIO_PAGE_MASK;
	mutex_unlock(&chip->lock);
	return err;
}
