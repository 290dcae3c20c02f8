// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The engine that keeps the tables of flows (NAPT), of translated addresses (NAT) and of hosts.
 * An entry's words are written to registers, then a command; results come back in the same
 * registers. Which words make up the key of a flow, and where the hash puts it, is UNVERIFIED.
 */
#include <linux/bitfield.h>
#include <linux/jhash.h>

#include "labmdio.h"

#define COMMAND_BUSY BIT(31)
#define COMMAND_BY_PORT BIT(22)
#define COMMAND_BY_INTERFACE BIT(21)
#define COMMAND_BY_PUBLIC BIT(20)
#define COMMAND_BY_PRIVATE BIT(19)
#define COMMAND_BY_AGE BIT(18)
#define COMMAND_INDEX GENMASK(17, 8)
#define COMMAND_STATUS BIT(7)
#define COMMAND_TABLE GENMASK(5, 4)
#define COMMAND_FUNCTION GENMASK(2, 0)

/* Bits of NAT_CTRL. */
#define NAT_CTRL_OVERRIDE BIT(4)

/* Words of a flow: what is compared, and what filters look at. */
#define NAPT_PRIVATE_2 GENMASK(31, 20)
#define NAPT_PUBLIC_2 GENMASK(19, 16)
#define NAPT_PROTOCOL_3 GENMASK(23, 22)
#define NAPT_PRIVATE_3 GENMASK(19, 0)
#define NAPT_AGE_4 GENMASK(3, 0)

#define NAT_VALID_3 BIT(3)

#define HOST_PORT_5 GENMASK(30, 28)
#define HOST_INTERFACE_5 GENMASK(27, 16)
#define HOST_VERSION_6 BIT(15)
#define HOST_AGE_6 GENMASK(14, 12)

enum { TABLE_NAPT = 0, TABLE_NAT = 2, TABLE_HOST = 3 };
enum { FUNCTION_FLUSH = 1, FUNCTION_ADD, FUNCTION_DEL, FUNCTION_NEXT, FUNCTION_SEARCH };

/* A table, and what tells its entries apart: bits of each word. New ones find room in some slots. */
struct table {
	u32 (*entries)[LABMDIO_WORDS];
	unsigned int size;
	unsigned int slots;
	u32 key[LABMDIO_WORDS];
	unsigned int valid_word;
	u32 valid;
};

/* Filters of NEXT and FLUSH: a bit of the command and the bits of a word that must be equal. */
struct filter {
	u32 command;
	unsigned int word;
	u32 bits;
};

static const struct filter napt_filters[] = {
	{ COMMAND_BY_AGE, 4, NAPT_AGE_4 },
	{ COMMAND_BY_PRIVATE, 2, NAPT_PRIVATE_2 },
	{ COMMAND_BY_PRIVATE, 3, NAPT_PRIVATE_3 },
	{ COMMAND_BY_PUBLIC, 2, NAPT_PUBLIC_2 },
	{ }
};

static const struct filter host_filters[] = {
	{ COMMAND_BY_AGE, 6, HOST_AGE_6 },
	{ COMMAND_BY_INTERFACE, 5, HOST_INTERFACE_5 },
	{ COMMAND_BY_PORT, 5, HOST_PORT_5 },
	{ }
};

static bool valid(const struct table *table, unsigned int index)
{
	return table->entries[index][table->valid_word] & table->valid;
}

static bool equal(const struct table *table, unsigned int index, const u32 *words)
{
	unsigned int i;

	for (i = 0; i < LABMDIO_WORDS; i++)
		if ((table->entries[index][i] ^ words[i]) & table->key[i])
			return false;
	return true;
}

static bool passes(const struct table *table, unsigned int index, const struct filter *filter,
		   u32 command, const u32 *words)
{
	for (; filter->command; filter++)
		if (command & filter->command &&
		    (table->entries[index][filter->word] ^ words[filter->word]) & filter->bits)
			return false;
	return true;
}

/* The index of the valid entry with this key, or -1. */
static int find(const struct table *table, const u32 *words)
{
	unsigned int i;

	for (i = 0; i < table->size; i++)
		if (valid(table, i) && equal(table, i, words))
			return i;
	return -1;
}

/* The index where a new entry finds room, or -1. */
static int room(const struct table *table, const u32 *words, unsigned int ways)
{
	u32 key[LABMDIO_WORDS];
	unsigned int i, start;

	for (i = 0; i < LABMDIO_WORDS; i++)
		key[i] = words[i] & table->key[i];
	start = jhash2(key, LABMDIO_WORDS, 0);
	for (i = 0; i < min(ways, table->slots); i++) {
		unsigned int index = (start + i) % table->slots;

		if (!valid(table, index))
			return index;
	}
	return -1;
}

/* The tables that choose the place of an entry themselves. Returns its index, -1 for failure. */
static int hashed(struct table *table, const struct filter *filters, u32 command, u32 *words,
		  unsigned int ways, bool override)
{
	unsigned int index = FIELD_GET(COMMAND_INDEX, command);
	int found;

	switch (FIELD_GET(COMMAND_FUNCTION, command)) {
	case FUNCTION_FLUSH:
		for (index = 0; index < table->size; index++)
			if (passes(table, index, filters, command, words))
				memset(table->entries[index], 0, sizeof(table->entries[index]));
		return 0;
	case FUNCTION_ADD:
		found = find(table, words);
		if (found >= 0 && !override)
			return -1;
		if (found < 0)
			found = room(table, words, ways);
		if (found >= 0)
			memcpy(table->entries[found], words, sizeof(table->entries[found]));
		return found;
	case FUNCTION_DEL:
		found = find(table, words);
		if (found >= 0)
			memset(table->entries[found], 0, sizeof(table->entries[found]));
		return found;
	case FUNCTION_SEARCH:
		found = find(table, words);
		break;
	case FUNCTION_NEXT:
		/* Behind the last one comes the first. */
		found = -1;
		for (index = (index + 1) % table->size; index < table->size; index++)
			if (valid(table, index) &&
			    passes(table, index, filters, command, words)) {
				found = index;
				break;
			}
		break;
	default:
		return -1;
	}
	if (found >= 0)
		memcpy(words, table->entries[found], sizeof(table->entries[found]));
	return found;
}

/* The table whose places software chooses. */
static int placed(u32 (*entries)[LABMDIO_WORDS], u32 command, u32 *words)
{
	unsigned int index = FIELD_GET(COMMAND_INDEX, command) % LABMDIO_NAT;

	switch (FIELD_GET(COMMAND_FUNCTION, command)) {
	case FUNCTION_FLUSH:
		memset(entries, 0, sizeof(*entries) * LABMDIO_NAT);
		return 0;
	case FUNCTION_ADD:
		memcpy(entries[index], words, sizeof(entries[index]));
		return index;
	case FUNCTION_DEL:
		memset(entries[index], 0, sizeof(entries[index]));
		return index;
	case FUNCTION_SEARCH:
		if (!(entries[index][3] & NAT_VALID_3))
			return -1;
		memcpy(words, entries[index], sizeof(entries[index]));
		return index;
	default:
		return -1;
	}
}

static int execute(struct labmdio_chip *chip, u32 command)
{
	struct table napt = {
		.entries = chip->napt,
		.size = LABMDIO_NAPT,
		.slots = chip->doubts.slots,
		.key = { ~0U, ~0U, NAPT_PRIVATE_2, NAPT_PROTOCOL_3 | NAPT_PRIVATE_3 },
		.valid_word = 4,
		.valid = NAPT_AGE_4,
	};
	struct table hosts = {
		.entries = chip->hosts,
		.size = LABMDIO_HOSTS,
		.slots = LABMDIO_HOSTS,
		.key = { ~0U, ~0U, ~0U, ~0U, [6] = HOST_VERSION_6 },
		.valid_word = 6,
		.valid = HOST_AGE_6,
	};
	bool override = *labmdio_register(chip, LABMDIO_NAT_CTRL) & NAT_CTRL_OVERRIDE;
	u32 *words = labmdio_register(chip, LABMDIO_DATA);

	switch (FIELD_GET(COMMAND_TABLE, command)) {
	case TABLE_NAPT:
		return hashed(&napt, napt_filters, command, words, chip->doubts.ways, override);
	case TABLE_HOST:
		return hashed(&hosts, host_filters, command, words, LABMDIO_HOSTS, true);
	case TABLE_NAT:
		return placed(chip->nat, command, words);
	default:
		return -1;
	}
}

void labmdio_engine_command(struct labmdio_chip *chip, u32 value)
{
	u32 *command = labmdio_register(chip, LABMDIO_COMMAND);
	bool flush = FIELD_GET(COMMAND_FUNCTION, value) == FUNCTION_FLUSH;
	int index = -1;

	if (chip->hung || chip->busy_left)
		return;
	if (!(value & COMMAND_BUSY)) {
		*command = value;
		return;
	}
	chip->hung = chip->doubts.stuck;
	chip->busy_left = chip->doubts.busy_reads;
	chip->stale_left = chip->doubts.stale_reads;
	chip->stale = value & COMMAND_STATUS;
	if (!chip->hung && !ktime_before(ktime_get(), chip->deaf_until))
		index = execute(chip, value);
	value &= ~(COMMAND_BUSY | COMMAND_STATUS);
	if (index >= 0) {
		value |= COMMAND_STATUS;
		if (!flush)
			value = (value & ~COMMAND_INDEX) | FIELD_PREP(COMMAND_INDEX, index);
		else if (FIELD_GET(COMMAND_TABLE, value) == TABLE_NAPT)
			chip->deaf_until = ktime_add_ms(ktime_get(), chip->doubts.flush_ms);
	}
	*command = value;
}

/*
 * While a command runs each read of the high half brings its end nearer. After that the status,
 * in the low half, is at first the one before.
 */
u16 labmdio_engine_read(struct labmdio_chip *chip, bool high)
{
	u32 value = *labmdio_register(chip, LABMDIO_COMMAND);
	bool busy = chip->hung || chip->busy_left;

	if (high) {
		if (chip->busy_left)
			chip->busy_left--;
		return (busy ? value | COMMAND_BUSY : value) >> 16;
	}
	if (busy || chip->stale_left) {
		value = (value & ~COMMAND_STATUS) | chip->stale;
		if (!busy)
			chip->stale_left--;
	}
	return value;
}

unsigned int labmdio_engine_used(const struct labmdio_chip *chip)
{
	unsigned int i, used = 0;

	for (i = 0; i < LABMDIO_NAPT; i++)
		used += !!(chip->napt[i][4] & NAPT_AGE_4);
	return used;
}

bool labmdio_engine_set_age(struct labmdio_chip *chip, unsigned int index, unsigned int age)
{
	unsigned int from = index, to = index + 1;
	bool found = false;

	if (index == LABMDIO_NAPT) {
		from = 0;
		to = LABMDIO_NAPT;
	}
	for (; from < to; from++) {
		u32 *word = &chip->napt[from][4];

		if (!(*word & NAPT_AGE_4))
			continue;
		*word = (*word & ~NAPT_AGE_4) | FIELD_PREP(NAPT_AGE_4, age);
		found = true;
	}
	return found;
}
