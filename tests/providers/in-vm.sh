#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# In the VM of tests/integration/kcache-providers.host.sh: /usr/lib/carried has a TPM, a
# PKCS#11 module, and the libraries of the key helpers; the fake KMS runs here too.
# shellcheck source=SCRIPTDIR/vm.sh
. "$(dirname "$0")/vm.sh"

# --- the three services ------------------------------------------------------
on_exit fakekms_down
check "the fake KMS runs" fakekms_up
arn=$(kcache key create --provider aws)
check "a key is made there" test -n "$arn"

printf 'directories.tokendir = /var/lib/tokens\nobjectstore.backend = file\n' >"$STATE/softhsm2.conf"
export SOFTHSM2_CONF=$STATE/softhsm2.conf
(umask 077 && echo 1234 >"$STATE/pin")
/usr/lib/carried/swtpm socket --tpm2 --tpmstate dir=/var/lib/tpm --server type=tcp,port=2321,bindaddr=127.0.0.1 \
	--ctrl type=tcp,port=2322,bindaddr=127.0.0.1 --flags not-need-init,startup-clear >"$STATE/swtpm.log" 2>&1 &
on_exit kill $!
listens() { (: <"/dev/tcp/127.0.0.1/2321") 2>/dev/null; }
check "the TPM answers" wait_for 20 listens
cat >>"$KCACHE_CONFIG" <<-END
	pkcs11_module = /usr/lib/carried/libsofthsm2.so
	pkcs11_pin_file = $STATE/pin
	tpm2_tcti = swtpm:host=127.0.0.1,port=2321
END

# --- a volume under each -----------------------------------------------------
for key in local:alias/kcache "$arn" 'pkcs11:token=kv;object=kek1' tpm2:pcrs=7+15; do
	name=${key%%:*}
	[ "$name" != arn ] || name=aws
	loop_device 32M
	check "$name: a volume is created" kcache create -q "$LOOP" --key "$key"
	check "$name: it attaches" kcache attach "$LOOP" vol
	head -c 1M /dev/urandom >/tmp/data
	check "$name: it is written" dd if=/tmp/data of=/dev/mapper/vol bs=64k oflag=direct status=none
	check "$name: it is detached" kcache detach vol
	check "$name: no key of ours is left" no_keys
	check "$name: it attaches again" kcache attach "$LOOP" vol
	check "$name: and has its data" cmp -n 1048576 /tmp/data /dev/mapper/vol
	kcache detach vol
	check "$name: stock cryptsetup opens it by its token" cryptsetup open --token-only "$LOOP" stock
	check "$name: and reads the same" cmp -n 1048576 /tmp/data /dev/mapper/stock
	cryptsetup close stock
done

# --- many at once, half of all calls told to come later -------------------------
many=20
loops=()
for ((i = 0; i < many; i++)); do
	loop_device 20M
	kcache create -q "$LOOP" --key "$arn" >/dev/null || fail "volume $i is made"
	loops+=("$LOOP")
done
check "the KMS throttles every other call" control '{"throttle": 0.5}'
pids=()
for ((i = 0; i < many; i++)); do
	kcache attach "${loops[i]}" "many$i" --timeout 60 >"/tmp/many$i" 2>&1 &
	pids+=($!)
done
good=0
for ((i = 0; i < many; i++)); do
	if wait "${pids[i]}"; then good=$((good + 1)); else cat "/tmp/many$i"; fi
done
check "$many attaches at once all succeed" test $good -eq $many
for ((i = 0; i < many; i++)); do kcache detach "many$i"; done
check "and no key of ours is left" no_keys
control '{"throttle": 0}'

# --- nobody there ---------------------------------------------------------------
fakekms_down
t0=$(date +%s%N)
check "a dead endpoint is exit 6" refused 6 ConnectionError "${loops[0]}" kcache attach "${loops[0]}" vol --timeout 5
check "no more than a second after the deadline" test $((($(date +%s%N) - t0) / 1000000)) -le 6000
