#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Where a volume's key is, and where it is not: the whole memory of a VM is dumped
# while it stands still, and searched for the DEK in every form that it could have
# left behind (keyhunt.c lists them).
#
# Volumes and keystore are made here, on the host, and go into the VM as disks; the
# DEKs for the search are unwrapped here. No program in the VM ever sees one but
# those that are tested. Every volume has a DEK of its own, so what is found says
# where it was lost; every dump is searched for all of them.
#
#   run.sh [BOOT...]     main, kexec, generic, kill, kill-init, kill-secretmem; all without
#
# shellcheck disable=SC2154 # lib.sh's _said
. "$(dirname "$0")/../integration/lib.sh"
cd "$(dirname "$0")" || exit
here=$PWD
top=$(cd ../.. && pwd)
TEST=hygiene
# what is to be found on no disk; the VM reads it beside the keystore
pattern='kcache hygiene: this line is plaintext'

work=$(mktemp -d)
on_exit rm -rf "$work"
# kept for a look afterwards
found=$top/build/hygiene/found logs=$top/build/hygiene/logs
rm -rf "$found" "$logs"
mkdir -p "$found" "$logs"
ln -s "$found" "$work/found"
make -s -C "$here" || exit 1

# --- volumes ----------------------------------------------------------------
cat >"$work/kcache.conf" <<END2
helper = $top/build/tools/kcache-keyhelper
state_dir = $work/state
audit_file = $work/audit.jsonl
END2
export KCACHE_CONFIG=$work/kcache.conf
mkdir -m 700 "$work/state"

# volume NAME SIZE: a disk with a new volume, and its header for the search
volume() {
	truncate -s "$2" "$work/$1.img"
	"$top/build/tools/kcache" create -q "$work/$1.img" >/dev/null || return
	head -c 16M "$work/$1.img" >"$work/$1.header"
	truncate -s "$2" "$work/$1.header"
	echo "$1=$work/$1.header" >>"$work/names"
}
# control NAME: a key that is no volume's, which the VM gets
control() {
	head -c 64 /dev/urandom >"$work/$1.key"
	echo "$1=key:$work/$1.key" >>"$work/names"
}
for v in wiped leased edited digest nomodule stock used suspended kill1 kill2 kill3 kill4; do
	check "a volume is made: $v" volume $v 24M
done
check "a volume is made: life" volume life 96M
control planted
control dmcrypt
control canary
# what pause.c gives for random numbers
/usr/bin/python3 -c 'import sys
x = 1
for _ in range(64):
	x = (x * 1103515245 + 12345) % 2**32
	sys.stdout.buffer.write(bytes([x >> 16 & 255]))' >"$work/scratch.key"
echo "scratch=key:$work/scratch.key" >>"$work/names"
check "one's digest is edited" "$top/build/unit/luks2-edit" "$work/digest.img" set /digests/0/salt \
	"\"$(head -c 32 /dev/urandom | base64 -w0)\""

# the keystore and the known volumes, as they would be on the host's own disk
cp -r "$work/state" "$work/disk"
echo "$pattern" >"$work/disk/pattern"
truncate -s 32M "$work/state.img"
mke2fs -q -t ext4 -d "$work/disk" "$work/state.img" || exit 1

# --- the VM -----------------------------------------------------------------
# boot NAME EXIT-CODE GUEST-SCRIPT DISKS VM-OPTIONS...: its sentences are ours
boot() {
	local name=$1 code=$2 script=$3 disks=() d line
	shift 3

	for d in state $1; do
		disks+=(--disk "$work/$d.img")
	done
	shift
	check "$name: the VM ends as it should" expect_exit "$code" "$top/tests/qemu/vm" --mem 512 --time 150 \
		--scratch 1:16M --log "$logs/$name" --dump "$here/look $work $name" "${disks[@]}" \
		--add "$top/build/hygiene/pause.so:/usr/lib/kcache-pause.so" \
		--add "$work/planted.key:/kcache/planted.key" --add "$work/dmcrypt.key:/kcache/dmcrypt.key" \
		--add "$work/canary.key:/kcache/canary.key" "$@" "tests/hygiene/$script"
	while read -r line; do
		case $line in
		'ok - '*) pass "$name: ${line#ok - }" ;;
		'not ok - '*) fail "$name: ${line#not ok - }" ;;
		'    | '*) echo "$line" ;;
		esac
	done <"$logs/$name/output.log"
}

# counts DUMP NAME: what was found of one key
counts() { sed -n "s/^$2: //p" "$found/$1"; }
# places DUMP NAME: up to 20 of them, for a reader
places() { grep "^# $2 " "$found/$1" | head -n 20 | sed 's/^/    | /'; }

NOTHING='key 0 half 0 whole 0 round 0 encrypt 0 decrypt 0 swapped 0 hmac 0 hex 0 base64 0 passphrase 0 span 0'

# exactly DUMP NAME "sentence" COUNTS: without a span in COUNTS it may be any
exactly() {
	local got

	got=$(counts "$1" "$2")
	if [ "$got" = "$4" ] || [ "${got% span *}" = "$4" ]; then
		pass "$3 ($got)"
	else
		fail "$3" "found: ${got:-no dump}"
		places "$1" "$2"
	fi
}
# none DUMP "sentence" [NAME...]: none of any volume's key (but of these)
none() {
	local dump=$1 sentence=$2 name rest bad='' n=0
	shift 2

	while IFS=': ' read -r name rest; do
		case " # planted dmcrypt canary $* " in *" $name "*) continue ;; esac
		n=$((n + 1))
		[ "$rest" = "$NOTHING" ] || bad+=" $name"
	done <"$found/$dump"
	if [ -z "$bad" ] && [ "$n" -gt 0 ]; then
		pass "$sentence ($n keys: $NOTHING)"
		return
	fi
	fail "$sentence" "found:${bad:- no dump}"
	for name in $bad; do
		echo "    | $name: $(counts "$dump" "$name")"
		places "$dump" "$name"
	done
}
# some DUMP NAME "sentence" FORM...: at least one of each form
some() {
	local dump=$1 name=$2 sentence=$3 got form
	shift 3

	got=$(counts "$dump" "$name")
	for form; do
		if ! [[ " $got " =~ " $form "[1-9] ]]; then
			fail "$sentence" "no $form: ${got:-no dump}"
			return
		fi
	done
	pass "$sentence ($got)"
}
# report DUMP "sentence" NAME...: says what was found, whatever it is
report() {
	local dump=$1 name
	echo "# $2"
	shift 2
	for name; do
		echo "#   $name: $(counts "$dump" "$name")"
	done
}
# ciphertext NAME: no line of the pattern is on the disk, and there is something
ciphertext() {
	local found written

	found=$(LC_ALL=C grep -aoF "$pattern" "$work/$1.img" | wc -l)
	written=$(tail -c +16777217 "$work/$1.img" | tr -d '\0' | head -c 4M | wc -c)
	echo "$found times the plaintext, at least $written bytes of data"
	[ "$found" -eq 0 ] && [ "$written" -eq 4194304 ]
}

# both halves, both directions, as aesni_intel has them in one allocation: the two
# round keys that are the key itself, once more where the other direction ends
ATTACHED='key 6 half 2 whole 0 round 54 encrypt 2 decrypt 2 swapped 0 hmac 0 hex 0 base64 0 passphrase 0'

ONCE='key 4 half 2 whole 1 round 0 encrypt 0 decrypt 0 swapped 0 hmac 0 hex 0 base64 0 passphrase 0'
LOADED='key 10 half 4 whole 1 round 54 encrypt 2 decrypt 2 swapped 0 hmac 0 hex 0 base64 0 passphrase 0'

main() {
	boot main 0 guest-main.sh 'life wiped leased edited digest nomodule stock used suspended'

	some main-control planted "control: what a program of the guest holds is found in every form" \
		key half whole hex base64 hmac swapped passphrase
	some main-control dmcrypt "control: the schedules of dm-crypt are found" \
		key half whole round encrypt decrypt
	none main-control "and no key of a volume yet"
	none main-failed "after attaches that failed after the DEK was unwrapped (no module, edited token, wrong digest): none"
	exactly main-attached life "attached: the key schedules of the key cache, in one place, and nothing else" \
		"$ATTACHED span 976"
	none main-attached "attached: of all other keys none" life
	none main-detached "after detach: none"
	exactly main-live wiped "before the wipe: the key cache's schedules" "$ATTACHED span 976"
	exactly main-live leased "before the lease's end: the key cache's schedules" "$ATTACHED span 976"
	exactly main-live suspended "before suspend: the key cache's schedules" "$ATTACHED span 976"
	exactly main-live scratch "an ephemeral volume: the key cache's schedules, and nothing else" "$ATTACHED span 976"
	exactly main-gone wiped "after key wipe: none" "$NOTHING"
	exactly main-gone suspended "after kcache suspend: none" "$NOTHING"
	exactly main-gone scratch "after detach of an ephemeral volume: none" "$NOTHING"
	exactly main-gone leased "after the lease's end: none" "$NOTHING"
	none main-gone "and of all other keys none"
	some main-stock stock "stock cryptsetup has it open: dm-crypt has the key" encrypt decrypt
	exactly main-stock suspended "after kcache resume: the key cache's schedules, and nothing else" "$ATTACHED span 976"
	none main-stock "stock cryptsetup has it open: of all other keys none" stock suspended
	none main-closed "after stock cryptsetup closed it: none"
	check "power goes off with a volume in use: its key is wiped" grep -aE 'key_wipe: key logon:kcache:.* is wiped' \
		<(sed -n '/kcache-vm: end/,$p' "$logs/main/console.log")
	none main-off "after power-off with a volume in use: none"
	some main-off canary "control: what a program held then is still there" key half whole
	check "no plaintext is on the disk after ext4, discards and detach" ciphertext life
	check "control: on a disk without encryption it is" grep -qaF "$pattern" "$work/state.img"
}

generic() {
	boot generic 121 guest-generic.sh life --cpu max,-aes --cut-at 'cut the power'
	exactly generic-attached life "attached with the generic cipher: the key cache's schedules and nothing else" \
		"$ATTACHED"
	none generic-attached "of all other keys none" life
	none generic-detached "after detach: none"
	check "no plaintext is on the disk after a power cut" ciphertext life
}

kexec() {
	local image v tiny=$work/tiny

	image=$("$top/tests/qemu/image.sh" "$("$top/tests/kdir.sh" --vm)") || return
	mkdir "$tiny" "$work/second"
	(cd "$tiny" && cpio -idm --quiet <"$image/initrd") || return
	cp "$here/second-init" "$tiny/init"
	(cd "$tiny" && find . | cpio --quiet -o -H newc -R 0:0) >"$work/second/initrd"
	cp "$image/vmlinux" "$work/second/"
	truncate -s 160M "$work/second.img"
	mke2fs -q -t ext4 -d "$work/second" "$work/second.img" || return
	boot kexec 0 guest-kexec.sh 'used second wiped leased stock nomodule'
	for v in used wiped leased stock nomodule; do
		exactly kexec-attached $v "before kexec, $v: the key cache's schedules" "$ATTACHED span 976"
	done
	some kexec-second canary "control: the second kernel finds what a program of the first held" key half whole
	none kexec-second "in the second kernel: none"
}

# kill NAME VM-OPTION...: what is left of kcache when it is killed in the middle of attach
kill_boot() {
	local name=$1
	shift

	boot "$name" 0 guest-kill.sh 'kill1 kill2 kill3 kill4' "$@"
	exactly "$name-paused" kill1 "$name: the key helper has just decrypted the DEK: once" "$ONCE span 64"
	exactly "$name-paused" kill2 "$name: kcache is about to hand it to the kernel: once" "$ONCE span 64"
	exactly "$name-paused" kill3 "$name: it is in the kernel's keyring: once" "$ONCE span 64"
	exactly "$name-paused" kill4 "$name: the table is loaded: once in the keyring, and the key cache's schedules" \
		"$LOADED"
}

[ $# -gt 0 ] || set -- main kexec generic kill kill-init kill-secretmem
for boot; do
	case $boot in
	main | kexec | generic) "$boot" ;;
	kill)
		kill_boot kill
		report kill-killed "killed by SIGKILL under Debian's own settings, which clear no freed pages:" kill1 kill2 kill3 kill4
		none kill-killed "of all other keys none" kill1 kill2 kill3 kill4
		;;
	kill-init)
		kill_boot kill-init --append init_on_free=1
		none kill-init-killed "killed by SIGKILL in the middle of attach, with init_on_free=1: none"
		;;
	kill-secretmem)
		kill_boot kill-secretmem --append secretmem.enable=1
		none kill-secretmem-killed "killed by SIGKILL in the middle of attach, with the DEK in memfd_secret: none"
		;;
	*) fail "there is a boot $boot" ;;
	esac
done
