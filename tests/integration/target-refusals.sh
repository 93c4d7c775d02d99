#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Each table line that is wrong is refused with a sentence of its own, before the
# device is touched.
. "$(dirname "$0")/lib.sh"
. "$TESTDIR/lib-dm.sh"

new_session
add_key good
head -c 32 /dev/urandom >"$KEYS/half"
cat "$KEYS/half" "$KEYS/half" >"$KEYS/twice"
add_key twice "$KEYS/twice"
head -c 1048576 /dev/urandom | dd of="$(disk 1)" bs=1M conv=fsync status=none
before=$(head -c 1048576 "$(disk 1)" | sha256sum)
sentences=()

hex=$(head -c 64 /dev/urandom | xxd -p -c 64)
hex32=$(head -c 32 /dev/urandom | xxd -p -c 32)
d=$(disk 1)
k=:64:logon:kcache:good

# One process a line: what the kernel said to each is read at the end, between
# the marks.
rows=() patterns=()
attempt() { # WHAT SENTENCE-REGEX TABLE
	echo "<6>refusal ${#rows[@]}" >/dev/kmsg
	if dmsetup create "bad${#rows[@]}" --table "$3" 2>/dev/null; then
		dmsetup remove "bad${#rows[@]}"
		echo "<6>table: 0:0: kcache: accepted" >/dev/kmsg
	fi
	rows+=("$1")
	patterns+=("$2")
}
said_to() { # ROW: the first sentence
	awk -v n="refusal $1\$" -v m="refusal $(($1 + 1))\$" '$0 ~ n { on = 1 } $0 ~ m { exit } on' <<<"$log" |
		sed -n 's/.*table: [0-9:]*: kcache: //p' | head -n 1
}

while IFS='|' read -r what sentence table; do
	[ -n "$what" ] || continue
	attempt "$what" "$sentence" "$table"
done <<END
a key in hex|Key bytes are refused|0 8 kcache aes-xts-plain64 $hex 0 $d 0
a key in hex of 32 bytes|Key bytes are refused|0 8 kcache aes-xts-plain64 $hex32 0 $d 0
no key at all|Key bytes are refused|0 8 kcache aes-xts-plain64 - 0 $d 0
a reference of 32 bytes|Key of 32 bytes is refused: it would be AES-128|0 8 kcache aes-xts-plain64 :32:logon:kcache:good 0 $d 0
a reference of 48 bytes|Invalid key size|0 8 kcache aes-xts-plain64 :48:logon:kcache:good 0 $d 0
a reference without a size|Cannot parse key|0 8 kcache aes-xts-plain64 :logon:kcache:good 0 $d 0
a reference without a description|Key description is missing|0 8 kcache aes-xts-plain64 :64:logon: 0 $d 0
an unknown key type|Unknown key type|0 8 kcache aes-xts-plain64 :64:asymmetric:x 0 $d 0
equal key halves|Key halves are equal|0 8 kcache aes-xts-plain64 :64:logon:kcache:twice 0 $d 0
another mode|Unsupported cipher|0 8 kcache aes-cbc-essiv:sha256 $k 0 $d 0
another IV|Unsupported cipher|0 8 kcache aes-xts-plain $k 0 $d 0
another cipher|Unsupported cipher|0 8 kcache serpent-xts-plain64 $k 0 $d 0
the null cipher|Unsupported cipher|0 8 kcache cipher_null-ecb $k 0 $d 0
an IV offset that is no number|Invalid iv_offset|0 8 kcache aes-xts-plain64 $k x $d 0
a negative IV offset|Invalid iv_offset|0 8 kcache aes-xts-plain64 $k -8 $d 0
an IV offset with something behind it|Invalid iv_offset|0 8 kcache aes-xts-plain64 $k 8x $d 0
an IV offset of 2^64 + 8|Invalid iv_offset|0 8 kcache aes-xts-plain64 $k 18446744073709551624 $d 0
a device that is not there|Device lookup failed|0 8 kcache aes-xts-plain64 $k 0 /dev/none 0
an offset that is no number|Invalid device offset|0 8 kcache aes-xts-plain64 $k 0 $d one
a device offset of 2^64|Invalid device offset|0 8 kcache aes-xts-plain64 $k 0 $d 18446744073709551616
a device offset with a sign|Invalid device offset|0 8 kcache aes-xts-plain64 $k 0 $d +8
too few arguments|Not enough arguments|0 8 kcache aes-xts-plain64 $k 0 $d
an unknown option|Unknown option|0 8 kcache aes-xts-plain64 $k 0 $d 0 1 fast
a lease of no time|Invalid lease|0 8 kcache aes-xts-plain64 $k 0 $d 0 1 lease:0
on_expiry without a lease|on_expiry is of no use|0 8 kcache aes-xts-plain64 $k 0 $d 0 1 on_expiry:fail
an on_expiry that is none|Invalid on_expiry|0 8 kcache aes-xts-plain64 $k 0 $d 0 2 lease:9 on_expiry:thaw
an on_expiry that is none behind one that is|Invalid on_expiry|0 8 kcache aes-xts-plain64 $k 0 $d 0 3 lease:9 on_expiry:fail on_expiry:thaw
an option count too high|Number of options|0 8 kcache aes-xts-plain64 $k 0 $d 0 2 allow_discards
an option count too low|Number of options|0 8 kcache aes-xts-plain64 $k 0 $d 0 1 allow_discards iv_large_sectors
an option count of 2^32|Number of options|0 8 kcache aes-xts-plain64 $k 0 $d 0 4294967296
an integrity option|Integrity options are not supported|0 8 kcache aes-xts-plain64 $k 0 $d 0 1 integrity:28:aead
an integrity key|Integrity options are not supported|0 8 kcache aes-xts-plain64 $k 0 $d 0 1 integrity_key_size:32
a sector size that is no power of two|Invalid sector_size|0 24 kcache aes-xts-plain64 $k 0 $d 0 1 sector_size:1536
a sector size of 256|Invalid sector_size|0 8 kcache aes-xts-plain64 $k 0 $d 0 1 sector_size:256
a sector size of 8192|Invalid sector_size|0 16 kcache aes-xts-plain64 $k 0 $d 0 1 sector_size:8192
a sector size of 0|Invalid sector_size|0 8 kcache aes-xts-plain64 $k 0 $d 0 1 sector_size:0
a sector size with something behind it|Invalid sector_size|0 8 kcache aes-xts-plain64 $k 0 $d 0 1 sector_size:512k
a sector size of 2^32 + 512|Invalid sector_size|0 8 kcache aes-xts-plain64 $k 0 $d 0 1 sector_size:4294967808
a lease of 2^32 + 1|Invalid lease|0 8 kcache aes-xts-plain64 $k 0 $d 0 1 lease:4294967297
a key description with a backslash|White space and backslashes|0 8 kcache aes-xts-plain64 :64:logon:kcache:a\\\\b 0 $d 0
a length that is not whole sectors|Length is not a multiple|0 9 kcache aes-xts-plain64 $k 0 $d 0 1 sector_size:4096
an IV offset that is not whole sectors|iv_offset is not a multiple|0 8 kcache aes-xts-plain64 $k 4 $d 0 1 sector_size:4096
a device offset that is not whole sectors|Device offset is not a multiple|0 8 kcache aes-xts-plain64 $k 0 $d 4 1 sector_size:4096
END

# a second segment is where a start can be odd
two_segments() {
	printf '%s\n' "0 4 linear $d 0" "4 8 kcache aes-xts-plain64 $k 0 $d 8 1 sector_size:4096"
}
attempt "a start that is not whole sectors" 'Start in the mapped device is not a multiple' "$(two_segments)"

log=$(dmesg)
for i in "${!rows[@]}"; do
	sentence=$(said_to "$i")
	check "${rows[i]} is refused with its sentence" matches "$sentence" "^${patterns[i]}"
	sentences[i]=${sentence%% (-*}
done
check "there are as many sentences as reasons" same \
	"$(printf '%s\n' "${sentences[@]}" | sort -u | wc -l)" "$(printf '%s\n' "${patterns[@]}" | sort -u | wc -l)"
check "the device is untouched" same "$(head -c 1048576 "$d" | sha256sum)" "$before"
check "no key in hex got into the log" not grep -qiF -e "$hex" -e "$hex32" <(dmesg)
check "nothing is mapped" same "$(dmsetup ls)" 'No devices found'
check "the module can be unloaded: no reference was lost" modprobe -r dm-kcache
