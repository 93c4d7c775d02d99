#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What only tokens do: names of keys, PINs that are wrong, locked or missing, tokens of
# one label, tokens that go away and come back, and modules that do not behave.
# shellcheck disable=SC2154,SC2016 # run.sh exports $DIR, $top; check eval expands later
set -u

# shellcheck source=SCRIPTDIR/../integration/lib.sh
. "$top/tests/integration/lib.sh"
# shellcheck source=SCRIPTDIR/softhsm.sh
. "$top/tests/providers/softhsm.sh"

kms=$top/build/providers/kms
blob=$DIR/blob
key='pkcs11:id=%01;token=kv;type=secret-key'

kms() { timeout 60 "$kms" "$@"; }
named() { same "$(kms describe "$1" | head -n 1)" "$2"; }
both() { expect_exit "$1" "${@:3}" && said "$2"; }
# with SETTING VALUE COMMAND...: kcache.conf changed for one command
with() {
	sed "/^$1 =/d" "$KCACHE_CONFIG" >"$DIR/with.conf"
	[ -z "$2" ] || echo "$1 = $2" >>"$DIR/with.conf"
	chmod 600 "$DIR/with.conf"
	KCACHE_CONFIG=$DIR/with.conf "${@:3}"
}

softhsm_up || { fail "a token is made"; exit 1; }

# --- names ----------------------------------------------------------------------

check "a key has its id and its token's label in its name" named 'pkcs11:token=kv;object=kek1' "$key"
check "whatever order it was named in" named 'pkcs11:type=secret-key;id=%01;token=kv' "$key"
check "the canonical name is one" named "$key" "$key"
serial=$(pkcs11-tool --module "$SOFTHSM" -L 2>/dev/null | sed -n 's/ *serial num *: *//p' | head -n 1)
check "a serial number stays, if it was named" named "pkcs11:serial=$serial;object=kek1" \
	"pkcs11:id=%01;serial=$serial;token=kv;type=secret-key"
while read -r name code why; do
	check "$name: $why" expect_exit "$code" kms describe "$name"
done <<'EOR'
pkcs11: 1 no token
pkcs11:token=kv 1 no object
pkcs11:object=kek1 1 no token
pkcs11:token=kv;object=kek1;colour=red 1 nobody knows that attribute
pkcs11:token=kv;id=%0g 1 no encoding
pkcs11:token=kv;object=kek1;type=private 1 a private key
pkcs11:token=kv;object=kek1?x-kcache-mechanism=rot13 1 no mechanism
pkcs11:token=kv;object=kek1?pin-source=|cat 1 a PIN from a program
pkcs11:token=kv;object=kek1?module-path=/lib/other.so 1 another module than kcache.conf's
pkcs11:token=kv;object=nobody 7 no such key
pkcs11:token=elsewhere;object=kek1 6 no such token
EOR
check "a PIN in a name is refused" expect_exit 1 kms describe 'pkcs11:token=kv;object=kek1?pin-value=4321'
check "and not repeated" not said 4321
check "it is sealed" kms wrap "$key" "$blob"
check "a name in a token that has a module is refused" both 1 'no canonical key id' \
	kms unwrap "$key?module-path=$SOFTHSM" "$blob"
check "nor may it name a file" both 1 'no canonical key id' kms unwrap "$key?pin-source=file:/etc/shadow" "$blob"
check "the label is not the canonical name" both 1 'no canonical key id' kms unwrap 'pkcs11:object=kek1;token=kv;type=secret-key' "$blob"
check "the keys of the token are listed" same "$(kms list pkcs11 | sort)" \
	"$(printf '%s\n' "$key" 'pkcs11:id=%02;token=kv;type=secret-key')"
check "the module can be named with the key" with pkcs11_module '' kms describe "pkcs11:token=kv;object=kek1?module-path=$SOFTHSM"
check "without any it is exit 1" both 1 'no PKCS#11 module is configured' with pkcs11_module '' kms describe "$key"

# --- which keys serve -----------------------------------------------------------

check "a key of 128 bits is made" softhsm_key kv 1234 small 10 16
check "and refused" both 1 'InvalidKeyUsageException: .*not an AES key of 256 bits' kms describe 'pkcs11:token=kv;object=small'
check "a second key of one id is made" softhsm_key kv 1234 twin 01
check "neither is taken for the other" both 1 'keys in the token answer' kms describe "$key"
pkcs11-tool --module "$SOFTHSM" --token-label kv --login --pin 1234 -b -y secrkey --label twin >/dev/null 2>&1
check "when it is gone the first one serves" kms unwrap "$key" "$blob"

for how in key-wrap key-wrap-pad; do
	check "$how by name wraps" kms wrap "$key?x-kcache-mechanism=$how" "$blob.$how"
	check "and unwraps" kms unwrap "$key?x-kcache-mechanism=$how" "$blob.$how"
	check "what it wrapped is nothing to AES-GCM" expect_exit 8 kms unwrap "$key" "$blob.$how"
	check "nor the other way round" expect_exit 8 kms unwrap "$key?x-kcache-mechanism=$how" "$blob"
	check "from it to AES-GCM" kms rewrap "$key?x-kcache-mechanism=$how" "$blob.$how" "$key" "$blob.gcm"
	check "which opens" kms unwrap "$key" "$blob.gcm"
done

# --- PINs -----------------------------------------------------------------------

pin() { rm -f "$DIR/other-pin" && (umask 077 && printf '%s' "$1" >"$DIR/other-pin"); }
with_pin() { pin "$1"; with pkcs11_pin_file "$DIR/other-pin" "${@:2}"; }
check "a wrong PIN is exit 2" both 2 '^CKR_PIN_INCORRECT: ' with_pin 9999 kms unwrap "$key" "$blob"
check "which is never shown" not said 9999
check "a PIN without a newline is one too" with_pin 1234 kms unwrap "$key" "$blob"
check "an empty file is exit 2" expect_exit 2 with_pin '' kms unwrap "$key" "$blob"
check "two lines are exit 2" expect_exit 2 with_pin $'1234\n5678\n' kms unwrap "$key" "$blob"
check "no file is exit 2" expect_exit 2 with pkcs11_pin_file "$DIR/none" kms unwrap "$key" "$blob"
open_pin() { pin 1234; chmod "$1" "$DIR/other-pin"; with pkcs11_pin_file "$DIR/other-pin" kms unwrap "$key" "$blob"; }
check "a file that others read is exit 2" both 2 'can be read by others' open_pin 0640
check "no PIN anywhere is exit 2, with what to do" both 2 '^PinRequired: .*pkcs11_pin_file' with pkcs11_pin_file '' kms unwrap "$key" "$blob"
mkdir -m 700 "$DIR/credentials" && (umask 077 && echo 1234 >"$DIR/credentials/kcache.pkcs11-pin")
check "systemd's credential serves" env CREDENTIALS_DIRECTORY="$DIR/credentials" bash -c \
	"sed /pkcs11_pin_file/d '$KCACHE_CONFIG' >'$DIR/c.conf'; chmod 600 '$DIR/c.conf'; KCACHE_CONFIG='$DIR/c.conf' '$kms' unwrap '$key' '$blob'"
check "the name can say where the PIN is" with pkcs11_pin_file '' kms describe "pkcs11:token=kv;object=kek1?pin-source=file:$DIR/pin"

typed() { # PIN VERB...: exit code in the last line
	timeout 60 "$top/tests/providers/type.py" 'PIN for' "$1" "$tools/kcache" "${@:2}" | tr -d '\r'
}
typed_pin() { with pkcs11_pin_file '' typed "$1" key describe "$key"; }
out=$(typed_pin 1234)
check "somebody at the terminal is asked" has_line "$out" "exit 0"
check "and nothing of the PIN is shown" not grep -F 1234 <<<"$out"
out=$(typed_pin 8888)
check "a wrong PIN is exit 2" has_line "$out" "exit 2"
check "asked for once" same "$(grep -c 'PIN for' <<<"$out")" 1
out=$(typed_pin '')
check "none is exit 2" has_line "$out" "exit 2"
out=$(with pkcs11_pin_file '' typed 1234 -q key describe "$key")
check "with -q nobody is asked: exit 2" has_line "$out" "exit 2"
check "nobody was" not grep -F 'PIN for' <<<"$out"
if truncate -s 64M "$DIR/volume"; then
	out=$(with pkcs11_pin_file '' typed 1234 create "$DIR/volume" --key 'pkcs11:token=kv;object=kek1' --force)
	check "a volume is made with a PIN that is typed" has_line "$out" "exit 0"
	check "it names the key in full" eval '"$tools/kcache" dump "$DIR/volume" | grep -F "key:         $key"'
fi

# --- several tokens ---------------------------------------------------------------

check "a second token has another PIN" eval 'softhsm_token second 777777 && softhsm_key second 777777 kek1 01'
check "the first one opens as before" kms unwrap "$key" "$blob"
check "the second one by its own PIN" with_pin 777777 kms describe 'pkcs11:token=second;object=kek1'
check "a third one has the first one's label" eval 'softhsm_token kv 4444 && softhsm_key kv 4444 x 01 || true'
check "then the label is not enough" both 1 'tokens answer to that name' kms unwrap "$key" "$blob"
check "the serial number is" kms describe "pkcs11:serial=$serial;object=kek1"
for dir in "$DIR"/tokens/*; do
	grep -qaF "$serial" "$dir/token.object" || rm -rf "$dir"
done
check "alone again it opens" kms unwrap "$key" "$blob"

# --- tokens that go and come back ---------------------------------------------------

check "the token is taken away: exit 6" eval 'mv "$DIR/tokens" "$DIR/away" && mkdir "$DIR/tokens" && expect_exit 6 kms unwrap "$key" "$blob"'
check "which is said" said '^CKR_TOKEN_NOT_PRESENT: '
check "when it is back it opens" eval 'rmdir "$DIR/tokens" && mv "$DIR/away" "$DIR/tokens" && kms unwrap "$key" "$blob"'

# --- modules that do not behave -------------------------------------------------------

control=$DIR/control-file
sed "s|^pkcs11_module = .*|pkcs11_module = $top/build/providers/shim.so|" "$KCACHE_CONFIG" >"$DIR/shim.conf"
echo "pkcs11_module_args = $SOFTHSM $control" >>"$DIR/shim.conf"
chmod 600 "$DIR/shim.conf"
shim() { # LINES COMMAND...
	printf '%b\n' "$1" >"$control"
	rm -f "$control.log"
	KCACHE_CONFIG=$DIR/shim.conf "${@:2}"
}
count() { same "$(grep -c "^$1" "$control.log")" "$2"; }

check "through the shim it opens" shim '' kms unwrap "$key" "$blob"
check "a token that makes its own nonce" shim own-nonce kms wrap "$key" "$blob.own"
check "has it read back" kms unwrap "$key" "$blob.own"
check "one that changes ours, too" shim other-nonce kms wrap "$key" "$blob.other"
check "has it read back" kms unwrap "$key" "$blob.other"
check "one that would use zeros again and again is refused" expect_exit 1 shim zero-nonce kms wrap "$key" "$blob.zero"
check "a session that was lost is opened anew" shim lost kms unwrap "$key" "$blob"
check "once" count session 2
check "one that is lost every time is exit 6" both 6 '^CKR_SESSION_HANDLE_INVALID: ' shim 'lost 1' kms unwrap "$key" "$blob"
check "after one more try" count session 2
for rv in 0x5 0x6 0x40 0x110 0x30000; do
	check "C_Decrypt fails with $rv: exit 8" expect_exit 8 shim "decrypt $rv" kms unwrap "$key" "$blob"
done
check "the token is pulled in C_Decrypt: exit 6" both 6 '^CKR_DEVICE_REMOVED: ' shim 'decrypt 0x32' kms unwrap "$key" "$blob"
check "a locked PIN is exit 7" both 7 '^CKR_PIN_LOCKED: ' shim 'login 0xa4' kms unwrap "$key" "$blob"
check "a token that says so before is not asked" both 7 '^CKR_PIN_LOCKED: ' shim 'flags 0x40000' kms unwrap "$key" "$blob"
check "the PIN was not tried" not count login 1
check "the last try is not made" both 2 'one more wrong PIN' shim final kms unwrap "$key" "$blob"
check "the PIN was not tried" not count login 1
check "a refused PIN is exit 2" both 2 '^CKR_PIN_INCORRECT: ' shim 'login 0xa0' kms unwrap "$key" "$blob"
check "after one try" count login 1
check "asked again by the same command it is refused" both 2 '^CKR_PIN_INCORRECT: ' shim 'login 0xa0' kms again "$key" "$blob"
check "and not tried again" count login 1
gone='rm -rf "$DIR/away"; mv "$DIR/tokens" "$DIR/away"; mkdir "$DIR/tokens"; rmdir "$DIR/tokens"; mv "$DIR/away" "$DIR/tokens"'
check "a token that went and came back serves the same command" kms twice "$key" "$blob" "DIR='$DIR'; $gone"
check "a module that hangs is exit 6" expect_exit 6 shim hang kms unwrap "$key" "$blob"
check "one that crashes, too" expect_exit 6 shim crash kms unwrap "$key" "$blob"

cp "$top/build/providers/shim.so" "$DIR/module.so"
chmod 666 "$DIR/module.so"
check "a module that anybody can write is not loaded" both 2 'can be changed by others' with pkcs11_module "$DIR/module.so" kms unwrap "$key" "$blob"
check "what is no module is not used" expect_exit 1 with pkcs11_module /bin/true kms unwrap "$key" "$blob"
