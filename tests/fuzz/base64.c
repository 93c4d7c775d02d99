// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * OpenSSL's base64 with the bounds of its buffers checked: what a library does
 * that is not compiled for it, AddressSanitizer does not see. For the linker's
 * --wrap.
 */
#include <openssl/evp.h>
#include <sanitizer/asan_interface.h>

#include "fuzz.h"

int __real_EVP_DecodeBlock(unsigned char *out, const unsigned char *in, int len);
int __real_EVP_EncodeBlock(unsigned char *out, const unsigned char *in, int len);
int __wrap_EVP_DecodeBlock(unsigned char *out, const unsigned char *in, int len);
int __wrap_EVP_EncodeBlock(unsigned char *out, const unsigned char *in, int len);

static bool room(const void *p, int len)
{
	return !__asan_region_is_poisoned((void *)p, (size_t)len);
}

int __wrap_EVP_DecodeBlock(unsigned char *out, const unsigned char *in, int len)
{
	must(room(in, len) && room(out, len / 4 * 3));
	return __real_EVP_DecodeBlock(out, in, len);
}

/* a NUL stands behind what is written */
int __wrap_EVP_EncodeBlock(unsigned char *out, const unsigned char *in, int len)
{
	must(room(in, len) && room(out, (len + 2) / 3 * 4 + 1));
	return __real_EVP_EncodeBlock(out, in, len);
}
