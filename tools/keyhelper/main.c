// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * kcache-keyhelper: the process in which keys are unwrapped. Started by kcache
 * for one command, with a socket for requests and a mapping for the DEK; it
 * lives as long as that command and has no command line.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "kms-wire.h"
#include "provider.h"

/* Everything that OpenSSL reads, maps or executes, before it cannot any more. */
static bool load_openssl(void)
{
	EVP_CIPHER *gcm;

	if (kh_memory_init() || OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL) != 1)
		return false;
	gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	EVP_CIPHER_free(gcm);
	return gcm && RAND_status() == 1;
}

int main(void)
{
	static struct kh k;
	struct kc_error err = { 0 };
	uint8_t *mapping;
	int type = 0, r = 1;
	socklen_t len = sizeof(type);

	kc_harden_process();
	if (getsockopt(KC_WIRE_SOCKET, SOL_SOCKET, SO_TYPE, &type, &len) || type != SOCK_SEQPACKET) {
		fprintf(stderr, "kcache-keyhelper: this is started by kcache, see kcache(8)\n");
		return 1;
	}
	if (!load_openssl()) {
		fprintf(stderr, "kcache-keyhelper: cannot initialise OpenSSL\n");
		return 1;
	}
	mapping = kc_secret_map(KC_WIRE_MAPPING, KC_DEK_SIZE, &err);
	k.secrets = kc_secret_alloc(sizeof(*k.secrets), &err);
	if (!mapping || !k.secrets)
		fprintf(stderr, "kcache-keyhelper: %s\n", err.text);
	else if ((!kh_provider->prepare || !kh_provider->prepare(&k)) && !kh_sandbox(kh_provider))
		r = kh_serve(&k, KC_WIRE_SOCKET, mapping);
	kc_secret_free(k.secrets, sizeof(*k.secrets));
	/* without exit handlers: nothing is left that they could do here */
	_exit(r);
}
