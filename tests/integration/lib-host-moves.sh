#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# In the VMs of life-host-moves.host.sh: the first host makes two volumes and goes, the
# second one has their disks, and what was carried.
#
#   lib-host-moves.sh first|second
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/lib-kcache.sh"

# volume under the fake KMS, volume under the local keystore, what is carried
read -r aws local carried <<<"$DISKS"
set -a
# shellcheck source=/dev/null
. /etc/aws.env
set +a
export HOME=$STATE

echo /usr/lib/carried >/etc/ld.so.conf.d/carried.conf
ldconfig
busybox ip link set lo up

reach_kms() {
	coproc channel { exec python3 "$(dirname "$0")/../qemu/channel.py" vm "${AWS_ENDPOINT_URL_KMS##*:}"; }
	# shellcheck disable=SC2154 # coproc's
	on_exit kill "$channel_PID"
	local said
	read -r -t 20 said <&"${channel[0]}"
	same "$said" ready
}

# fill NAME, hash NAME: a filesystem with files, and what is in them
fill() {
	mkfs.ext4 -q "/dev/mapper/$1" && mount "/dev/mapper/$1" /mnt &&
		head -c 8M /dev/urandom >/mnt/data && echo "$1" >/mnt/name && hash_here >"/media/$1.sha" && umount /mnt
}
hash_here() { (cd /mnt && sha256sum data name); }
has_its_data() {
	fsck.ext4 -fn "/dev/mapper/$1" && mount -o ro "/dev/mapper/$1" /mnt && same "$(hash_here)" "$(cat "/media/$1.sha")" &&
		umount /mnt
}
(umask 077 && echo "a passphrase of the keystore" >"$STATE/passphrase")
mkdir -p /media
check "the carried disk is there" mount "$carried" /media

first() {
	check "the KMS is reached" reach_kms
	kcache key create --provider aws >/media/arn
	check "a key is made there" grep -q '^arn:aws:kms:' /media/arn
	check "a volume under it" kcache create -q "$aws" --key "$(cat /media/arn)"
	check "and one under the local keystore" kcache create -q "$local"
	kcache key describe local:alias/kcache --json | jq -r .key >/media/local
	check "one attaches" kcache attach "$aws" remote
	check "the other one too" kcache attach "$local" own
	check "data are on one" fill remote
	check "and on the other" fill own
	check "both are detached" kcache detach remote && kcache detach own
	check "the keystore is backed up" kcache key backup /media/keystore.backup --passphrase-file "$STATE/passphrase"
}

second() {
	arn=$(cat /media/arn) key=$(cat /media/local)
	check "a host that knows nothing refuses the volume" refused 8 "which this host does not pin" "$aws" kcache attach "$aws" vol
	check "with its key named, but no KMS in reach, it has to wait" refused 6 "cannot reach 127.0.0.1" "$aws" kcache attach "$aws" vol --key "$arn" -t 5
	check "the KMS is reached" reach_kms
	check "with its key named it attaches" kcache attach "$aws" remote --key "$arn"
	check "and has its data" has_its_data remote
	check "it is detached" kcache detach remote
	check "the next time the key is known" kcache attach "$aws" remote
	check "and the data are there" has_its_data remote
	check "it is detached again" kcache detach remote

	check "a volume under another host's keystore is refused" refused 8 "which this host does not pin" "$local" kcache attach "$local" vol
	check "with its key named, there is no such key" refused 7 "there is no key $key" "$local" kcache attach "$local" vol --key "$key"
	check "the keystore comes back from its backup" kcache key restore /media/keystore.backup --passphrase-file "$STATE/passphrase"
	check "that alone lets no key in" refused 8 "which this host does not pin" "$local" kcache attach "$local" vol
	echo "allow_key = $key" >>"$KCACHE_CONFIG"
	check "with the key allowed by the configuration it attaches" kcache attach "$local" own
	check "and has its data" has_its_data own
	check "it is detached" kcache detach own
	check "stock cryptsetup opens the moved volume as well" cryptsetup open --token-only "$aws" stock
	cp /media/remote.sha /media/stock.sha
	check "to the same data" has_its_data stock
	cryptsetup close stock
	check "no key of ours is left" no_keys
	check "what was done is in this host's log, which holds" kcache audit verify
}

"$1"
umount /media
