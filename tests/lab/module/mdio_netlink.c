// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The generic netlink family "mdio": programs of 16-bit transfers that run under the lock of a bus
 * from their first to their last instruction. A stand-in for the module mdio-netlink of mdio-tools
 * 1.3.2, made after what is known of its messages; unlike that one it can be used from any network
 * namespace, since each scenario has one, and it knows no clause 45.
 */
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <net/genetlink.h>

#include "labmdio.h"

enum { COMMAND_TRANSFER = 1 };
enum { ATTR_UNSPEC, ATTR_BUS, ATTR_TIMEOUT, ATTR_PROGRAM, ATTR_DATA, ATTR_ERROR, ATTR_END };
enum { OP_UNSPEC, OP_READ, OP_WRITE, OP_AND, OP_OR, OP_ADD, OP_JEQ, OP_JNE, OP_EMIT, OP_END };

#define BUS_NAME_LEN 61
#define TIMEOUT_MAX_MS 10000
#define TIMEOUT_MS 100
#define PROGRAM_BYTES 4096
#define INSTRUCTIONS (PROGRAM_BYTES / sizeof(u64))
#define REGISTERS 8
/* Words of an answer, and those that go into one of its messages. */
#define WORDS 8192
#define MESSAGE_WORDS 900

/* What an argument may be: the bit of its mode. */
#define NONE BIT(0)
#define REG BIT(1)
#define IMM BIT(2)
#define EITHER (REG | IMM)

static const u8 labmdio_modes[OP_END][3] = {
	[OP_READ] = { EITHER, EITHER, REG },
	[OP_WRITE] = { EITHER, EITHER, EITHER },
	[OP_AND] = { EITHER, EITHER, REG },
	[OP_OR] = { EITHER, EITHER, REG },
	[OP_ADD] = { EITHER, EITHER, REG },
	[OP_JEQ] = { EITHER, EITHER, IMM },
	[OP_JNE] = { EITHER, EITHER, IMM },
	[OP_EMIT] = { EITHER, NONE, NONE },
};

struct labmdio_program {
	unsigned int count;
	unsigned int emitted;
	u16 registers[REGISTERS];
	u64 instructions[INSTRUCTIONS];
	u32 words[WORDS];
};

/* Bit fields of a little-endian host, in the order of their declaration: 8, 2 and thrice 18. */
static u8 labmdio_op(u64 instruction)
{
	return instruction;
}

static u32 labmdio_arg(u64 instruction, unsigned int number)
{
	return instruction >> (10 + 18 * number) & 0x3ffff;
}

static int labmdio_program_check(const struct labmdio_program *program,
				 struct netlink_ext_ack *extack)
{
	unsigned int i, arg;

	for (i = 0; i < program->count; i++) {
		u64 instruction = program->instructions[i];
		u8 op = labmdio_op(instruction);

		if (op == OP_UNSPEC || op >= OP_END) {
			NL_SET_ERR_MSG(extack, "Illegal instruction");
			return -EINVAL;
		}
		for (arg = 0; arg < 3; arg++) {
			if (labmdio_modes[op][arg] & BIT(labmdio_arg(instruction, arg) >> 16))
				continue;
			NL_SET_ERR_MSG(extack, "Argument invalid");
			return -EINVAL;
		}
	}
	return 0;
}

static u16 labmdio_value(const struct labmdio_program *program, u32 arg)
{
	return BIT(arg >> 16) & REG ? program->registers[arg % REGISTERS] : arg;
}

static int labmdio_execute(struct labmdio_program *program, struct mii_bus *bus,
			   unsigned long deadline)
{
	int pc;

	for (pc = 0; pc >= 0 && pc < program->count; pc++) {
		u64 instruction = program->instructions[pc];
		u16 a = labmdio_value(program, labmdio_arg(instruction, 0));
		u16 b = labmdio_value(program, labmdio_arg(instruction, 1));
		u16 c = labmdio_value(program, labmdio_arg(instruction, 2));
		u16 *into = &program->registers[labmdio_arg(instruction, 2) % REGISTERS];
		u8 op = labmdio_op(instruction);
		int err = 0;

		if (time_after(jiffies, deadline))
			return -ETIMEDOUT;
		if ((op == OP_READ || op == OP_WRITE) && a >= PHY_MAX_ADDR)
			return -ENXIO;
		switch (op) {
		case OP_READ:
			err = __mdiobus_read(bus, a, b);
			if (err >= 0)
				*into = err;
			break;
		case OP_WRITE:
			err = __mdiobus_write(bus, a, b, c);
			break;
		case OP_AND:
			*into = a & b;
			break;
		case OP_OR:
			*into = a | b;
			break;
		case OP_ADD:
			*into = a + b;
			break;
		case OP_JEQ:
			pc += a == b ? (s16)c : 0;
			break;
		case OP_JNE:
			pc += a != b ? (s16)c : 0;
			break;
		case OP_EMIT:
			if (program->emitted == WORDS)
				return -ENOSPC;
			program->words[program->emitted++] = a;
			break;
		}
		if (err < 0)
			return err;
	}
	return 0;
}

static struct genl_family labmdio_family;

static int labmdio_answer(const struct labmdio_program *program, struct genl_info *info, int error)
{
	unsigned int messages = program->emitted / MESSAGE_WORDS + 1, at = 0;
	struct sk_buff *skb = nlmsg_new(messages * (MESSAGE_WORDS * sizeof(u32) + 128), GFP_KERNEL);

	if (!skb)
		return -ENOMEM;
	do {
		unsigned int words = min_t(unsigned int, program->emitted - at, MESSAGE_WORDS);
		void *header = genlmsg_put(skb, info->snd_portid, info->snd_seq, &labmdio_family,
					   NLM_F_MULTI | NLM_F_ACK, COMMAND_TRANSFER);
		struct nlattr *data = header ? nla_nest_start(skb, ATTR_DATA) : NULL;

		if (!data || nla_put_nohdr(skb, words * sizeof(u32), &program->words[at]))
			goto too_long;
		nla_nest_end(skb, data);
		at += words;
		if (at == program->emitted && error && nla_put_s32(skb, ATTR_ERROR, error))
			goto too_long;
		genlmsg_end(skb, header);
	} while (at < program->emitted);
	if (!nlmsg_put(skb, info->snd_portid, info->snd_seq, NLMSG_DONE, 0, NLM_F_MULTI))
		goto too_long;
	return genlmsg_reply(skb, info);

too_long:
	nlmsg_free(skb);
	return -EMSGSIZE;
}

static int labmdio_transfer(struct sk_buff *request, struct genl_info *info)
{
	struct nlattr *code = info->attrs[ATTR_PROGRAM];
	unsigned int timeout_ms = TIMEOUT_MS;
	struct labmdio_program *program;
	char name[BUS_NAME_LEN + 1];
	struct mii_bus *bus;
	int err;

	if (!info->attrs[ATTR_BUS] || !code || nla_len(code) % sizeof(u64)) {
		NL_SET_ERR_MSG(info->extack, "Bus or program missing or unaligned");
		return -EINVAL;
	}
	if (info->attrs[ATTR_TIMEOUT])
		timeout_ms = nla_get_u16(info->attrs[ATTR_TIMEOUT]);
	program = kvzalloc(sizeof(*program), GFP_KERNEL);
	if (!program)
		return -ENOMEM;
	program->count = nla_len(code) / sizeof(u64);
	memcpy(program->instructions, nla_data(code), nla_len(code));
	err = labmdio_program_check(program, info->extack);
	if (err)
		goto out;
	nla_strscpy(name, info->attrs[ATTR_BUS], sizeof(name));
	bus = mdio_find_bus(name);
	if (!bus) {
		err = -ENODEV;
		goto out;
	}
	mutex_lock(&bus->mdio_lock);
	err = labmdio_execute(program, bus, jiffies + msecs_to_jiffies(timeout_ms));
	mutex_unlock(&bus->mdio_lock);
	put_device(&bus->dev);
	err = labmdio_answer(program, info, err);
out:
	kvfree(program);
	return err;
}

static const struct nla_policy labmdio_policy[ATTR_END] = {
	[ATTR_BUS] = { .type = NLA_NUL_STRING, .len = BUS_NAME_LEN },
	[ATTR_TIMEOUT] = NLA_POLICY_MAX(NLA_U16, TIMEOUT_MAX_MS),
	[ATTR_PROGRAM] = { .type = NLA_BINARY, .len = PROGRAM_BYTES },
	[ATTR_DATA] = { .type = NLA_REJECT },
	[ATTR_ERROR] = { .type = NLA_REJECT },
};

static const struct genl_small_ops labmdio_commands[] = {
	{
		.cmd = COMMAND_TRANSFER,
		.doit = labmdio_transfer,
		.flags = GENL_ADMIN_PERM,
	},
};

static struct genl_family labmdio_family __ro_after_init = {
	.name = "mdio",
	.version = 1,
	.maxattr = ATTR_END - 1,
	.policy = labmdio_policy,
	.netnsok = true,
	.module = THIS_MODULE,
	.small_ops = labmdio_commands,
	.n_small_ops = ARRAY_SIZE(labmdio_commands),
	.resv_start_op = COMMAND_TRANSFER + 1,
};

int __init labmdio_netlink_init(void)
{
	return genl_register_family(&labmdio_family);
}

void labmdio_netlink_exit(void)
{
	genl_unregister_family(&labmdio_family);
}
