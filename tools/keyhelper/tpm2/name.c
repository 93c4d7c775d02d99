// SPDX-License-Identifier: GPL-2.0-or-later
/* What a TPM key is called: the PCRs that it is sealed to, and their bank. */
#include <stdio.h>
#include <string.h>

#include <tss2/tss2_tpm2_types.h>

#include "seal.h"

static const struct {
	const char *name;
	uint16_t id;
	size_t size;
} banks[] = {
	{ "sha256", TPM2_ALG_SHA256, 32 },
	{ "sha1", TPM2_ALG_SHA1, 20 },
	{ "sha384", TPM2_ALG_SHA384, 48 },
	{ "sha512", TPM2_ALG_SHA512, 64 },
};

#define N_BANKS (sizeof(banks) / sizeof(banks[0]))

/* The registry of the UAPI group (Linux TPM PCR Registry). */
static const char *const pcr_names[KT_PCRS] = {
	[0] = "firmware code", [1] = "firmware configuration", [2] = "option ROMs", [3] = "option ROM data",
	[4] = "boot loader", [5] = "partition table", [7] = "Secure Boot state", [8] = "GRUB commands",
	[9] = "kernel and initrd", [10] = "IMA", [11] = "unified kernel image", [12] = "kernel command line",
	[13] = "system extensions", [14] = "shim's MOK", [15] = "system identity", [16] = "debugging",
	[23] = "applications",
};

const char *kt_pcr_name(int pcr)
{
	return pcr >= 0 && pcr < KT_PCRS ? pcr_names[pcr] : NULL;
}

size_t kt_bank_size(uint16_t bank)
{
	size_t i;

	for (i = 0; i < N_BANKS; i++)
		if (banks[i].id == bank)
			return banks[i].size;
	return 0;
}

const char *kt_bank_name(uint16_t bank)
{
	size_t i;

	for (i = 0; i < N_BANKS; i++)
		if (banks[i].id == bank)
			return banks[i].name;
	return "unknown";
}

static bool parse_bank(const char *s, size_t len, struct kt_pcrs *p)
{
	size_t i;

	for (i = 0; i < N_BANKS; i++) {
		if (strlen(banks[i].name) != len || strncmp(banks[i].name, s, len) != 0)
			continue;
		p->bank = banks[i].id;
		return true;
	}
	return false;
}

/* "7+15"; no sign, no leading zero, none twice */
static bool parse_mask(const char *s, size_t len, struct kt_pcrs *p)
{
	const char *end = s + len;
	unsigned int n;

	if (len == 4 && !strncmp(s, "none", 4))
		return true;
	for (;;) {
		if (s == end || *s < '0' || *s > '9')
			return false;
		n = (unsigned int)(*s++ - '0');
		if (n && s < end && *s >= '0' && *s <= '9')
			n = n * 10 + (unsigned int)(*s++ - '0');
		if (n >= KT_PCRS || p->mask & 1U << n)
			return false;
		p->mask |= 1U << n;
		if (s == end)
			return true;
		if (*s++ != '+')
			return false;
	}
}

bool kt_pcrs_parse(const char *s, struct kt_pcrs *p)
{
	bool bank = false, mask = false, ok;
	size_t len;

	memset(p, 0, sizeof(*p));
	p->bank = TPM2_ALG_SHA256;
	while (*s) {
		len = strcspn(s, ",");
		if (!bank && !strncmp(s, "bank=", 5))
			ok = bank = parse_bank(s + 5, len - 5, p);
		else
			ok = !mask && !strncmp(s, "pcrs=", 5) && (mask = parse_mask(s + 5, len - 5, p));
		if (!ok)
			return false;
		s += len;
		if (*s == ',' && !*++s)
			return false;
	}
	/* a bank of no PCRs says nothing */
	return p->mask || !bank;
}

void kt_pcrs_format(const struct kt_pcrs *p, char *out, size_t size)
{
	char list[KT_PCRS * 3 + 1] = "";
	size_t n = 0;
	int i;

	for (i = 0; i < KT_PCRS; i++)
		if (p->mask & 1U << i)
			n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%d", n ? "+" : "", i);
	if (p->mask && p->bank != TPM2_ALG_SHA256)
		snprintf(out, size, "bank=%s,pcrs=%s", kt_bank_name(p->bank), list);
	else
		snprintf(out, size, "pcrs=%s", n ? list : "none");
}
