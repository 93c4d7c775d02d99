# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Data checks over any device. Sourced after lib-path.sh, by tests whose key is
# "ctx".

# bytes that both ways write
EXTENT=3670016
[ -e /tmp/extent ] || head -c $EXTENT /dev/urandom >/tmp/extent

# write_all DEVICE SMALLEST: random sizes up to 1 MiB and down to SMALLEST, random
# offsets, deep; every block is read back and checked
write_all() {
	(cd /tmp && fio --thread --direct=1 --randrepeat=0 --group_reporting --verify_fatal=1 --verify=crc32c \
		--filename="$1" --ioengine=libaio --iodepth=16 --rw=randwrite \
		--name=large --size=3M --bsrange="$2-1M" \
		--name=small --offset=3M --size=512k --bsrange="$2-8k")
}

# both_ways NAME DEVICE [OPTION...]: sets $inline, $deferred, $fanned
both_ways() {
	local name=$1 dev=$2 smallest sectors=$((EXTENT / 512)) wanted
	shift 2

	inline=0 deferred=0 fanned=0
	smallest=$(blockdev --getss "$dev")
	case " $* " in *sector_size:*) wanted=${*##*sector_size:} wanted=${wanted%% *} ;; *) wanted=512 ;; esac
	[ "$smallest" -ge "$wanted" ] || smallest=$wanted
	map a kcache ctx 0 "$dev" 0 $sectors "$@" || { fail "$name: a volume"; return; }
	check "$name: fio verifies" write_all /dev/mapper/a "$smallest"
	get /dev/mapper/a >/tmp/ours
	inline=$(state_of a inline) deferred=$(state_of a deferred) fanned=$(state_of a fanned_out)
	echo "# $name: inline $inline, deferred $deferred, fanned out $fanned"
	check "$name: no error" same "$(state_of a errors)" 0
	check "$name: large bios were divided" test "$fanned" -gt 0
	unmap a
	map b crypt ctx 0 "$dev" 0 $sectors "$@"
	check "$name: dm-crypt reads it" cmp /tmp/ours <(get /dev/mapper/b)
	put /tmp/extent /dev/mapper/b
	unmap b
	map a kcache ctx 0 "$dev" 0 $sectors "$@"
	check "$name: kcache reads what dm-crypt wrote" cmp /tmp/extent <(get /dev/mapper/a)
	unmap a
}

# null_disk NAME ATTRIBUTE=VALUE...: 64 MiB of memory; sets $NULL
null_disk() {
	local dir=/sys/kernel/config/nullb/$1 a

	modprobe null_blk nr_devices=0
	mountpoint -q /sys/kernel/config || mount -t configfs none /sys/kernel/config
	mkdir "$dir" || return
	on_exit rmdir "$dir"
	on_exit null_off "$dir"
	shift
	echo 64 >"$dir/size"
	echo 1 >"$dir/memory_backed"
	for a; do
		echo "${a#*=}" >"$dir/${a%%=*}" || fail "null_blk knows ${a%%=*}"
	done
	echo 1 >"$dir/power" || return
	# by the folder's name or by number: that depends on the kernel
	NULL=/dev/$(basename "$dir")
	[ -b "$NULL" ] || NULL=/dev/nullb$(cat "$dir/index")
}
null_off() { echo 0 >"$1/power"; }
