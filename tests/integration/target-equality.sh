#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# What kcache writes dm-crypt reads, and the other way round: for every sector
# size, with and without iv_large_sectors, IV offsets (past 32 bits too) and
# offsets on the device.
. "$(dirname "$0")/lib.sh"
. "$TESTDIR/lib-dm.sh"

new_session
add_key eq
len=1024
data=$(mktemp)
on_exit rm -f "$data"

# through FROM TO: fresh data through one, compared through the other
through() {
	head -c $((len * 512)) /dev/urandom >"$data"
	put "$data" "/dev/mapper/$1" && get "/dev/mapper/$2" | cmp - "$data"
}
# both LINE-ARGUMENTS...: the same line as kcache and as dm-crypt, at once
both() {
	map kcache kcache eq "$@" && map crypt crypt eq "$@"
}
unboth() { dmsetup remove --retry kcache crypt; }

# All pairs are made by one dmsetup and compared by one program: under TCG the
# processes would take most of the time. Each pair has an area of its own.
tables='' names=() whats=()
area=0
for ss in 512 1024 2048 4096; do
	for large in '' iv_large_sectors; do
		for iv in 0 8 34359738368; do
			n=${#whats[@]}
			area=$((area + len + 8))
			# shellcheck disable=SC2086 # an empty option is none
			set -- "$iv" "$(disk 1)" $area $len sector_size:$ss $large
			tables+="k$n,,,rw,$(line kcache eq "$@");c$n,,,rw,$(line crypt eq "$@");"
			names+=("k$n" "c$n")
			whats+=("sector_size:$ss $large iv_offset $iv")
		done
	done
done
check "as many devices as there are kinds" dmsetup create --concise "${tables%;}"
on_exit dmsetup remove "${names[@]}"
results=$(python3 "$TESTDIR/pairs.py" ${#whats[@]})
for ((n = 0; n < ${#whats[@]}; n++)); do
	check "dm-crypt reads what kcache wrote: ${whats[n]}" has_line "$results" "k$n c$n equal"
	check "kcache reads what dm-crypt wrote: ${whats[n]}" has_line "$results" "c$n k$n equal"
done
check "the devices go" dmsetup remove --retry "${names[@]}"

# the same without any option, and under the cipher's other name
both 0 "$(disk 1)" 0 $len
check "without options too" through kcache crypt
unboth
check "the device holds ciphertext" not cmp -n $((len * 512)) "$data" "$(disk 1)"
check "capi:xts(aes)-plain64 is the same cipher" \
	dmsetup create w --table "$(line kcache eq 0 "$(disk 1)" 0 $len | sed 's/aes-xts-plain64/capi:xts(aes)-plain64/')"
on_exit dmsetup remove -f w
get_equals() { get "$1" | cmp - "$data"; }
check "and reads the same" get_equals /dev/mapper/w
unmap w

# other keys are other data, other sectors are other ciphertext
head -c 4096 /dev/zero >"$data"
cat "$data" "$data" >"$data.2"
on_exit rm -f "$data.2"
map w kcache eq 0 "$(disk 1)" 0 $len && put "$data.2" /dev/mapper/w && unmap w
check "equal sectors are unequal on the disk" same \
	"$(get "$(disk 1)" | head -c 8192 | xxd -p -c 512 | sort | uniq -d | wc -l)" 0
add_key other
map w kcache other 0 "$(disk 1)" 0 $len
check "another key reads something else" not cmp -n 8192 /dev/mapper/w "$data.2"
unmap w

# bios and bvecs of odd shapes: random O_DIRECT scatter lists
for ss in 512 4096; do
	for large in '' iv_large_sectors; do
		# shellcheck disable=SC2086
		both 0 "$(disk 2)" 0 65536 sector_size:$ss $large
		check "scattered buffers are read as they were written, both ways: sector_size:$ss $large" \
			python3 "$TESTDIR/iovec.py" /dev/mapper/kcache /dev/mapper/crypt $ss
		unboth
	done
done
