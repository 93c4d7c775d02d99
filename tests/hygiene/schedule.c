// SPDX-License-Identifier: GPL-2.0-or-later
/* AES-256's key schedules, for looking for them: slow, and right by FIPS 197 alone. */
#include <string.h>

#include "schedule.h"

#define ROUNDS 14

static uint8_t times2(uint8_t x)
{
	return (uint8_t)(x << 1 ^ (x >> 7) * 0x1b);
}

static uint8_t times(uint8_t x, uint8_t n)
{
	uint8_t sum = 0;

	for (; n; n >>= 1, x = times2(x))
		if (n & 1)
			sum ^= x;
	return sum;
}

/* The inverse in GF(2^8), which is the 254th power, and the affine map (5.1.1). */
static uint8_t sub_byte(uint8_t x)
{
	uint8_t power = x, inverse = 1, out = 0x63;
	int i;

	for (i = 1; i < 8; i++) {
		power = times(power, power);
		inverse = times(inverse, power);
	}
	for (i = 0; i < 5; i++)
		out ^= (uint8_t)(inverse << i | inverse >> (8 - i));
	return out;
}

void schedule_encrypt(const uint8_t key[static 32], uint8_t enc[static SCHEDULE_SIZE])
{
	uint8_t rcon = 1;
	int i, j;

	memcpy(enc, key, 32);
	for (i = 32; i < SCHEDULE_SIZE; i += 4) {
		uint8_t t[4];

		for (j = 0; j < 4; j++) {
			t[j] = enc[i - 4 + (i % 32 ? j : (j + 1) % 4)];
			if (i % 16 == 0)
				t[j] = sub_byte(t[j]);
		}
		if (i % 32 == 0) {
			t[0] ^= rcon;
			rcon = times2(rcon);
		}
		for (j = 0; j < 4; j++)
			enc[i + j] = enc[i - 32 + j] ^ t[j];
	}
}

void schedule_decrypt(const uint8_t enc[static SCHEDULE_SIZE], uint8_t dec[static SCHEDULE_SIZE])
{
	static const uint8_t row[4] = { 14, 11, 13, 9 };
	int round, i, j;

	for (round = 0; round <= ROUNDS; round++) {
		const uint8_t *in = enc + 16 * (ROUNDS - round);
		uint8_t *out = dec + 16 * round;

		if (round == 0 || round == ROUNDS) {
			memcpy(out, in, 16);
			continue;
		}
		for (i = 0; i < 16; i++) {
			out[i] = 0;
			for (j = 0; j < 4; j++)
				out[i] ^= times(in[i / 4 * 4 + j], row[(j - i % 4 + 4) % 4]);
		}
	}
}
