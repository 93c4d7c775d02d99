#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Other drivers of device-mapper and md below us, LVM above us.
. "$(dirname "$0")/lib.sh"
# shellcheck source-path=SCRIPTDIR source=lib-path.sh
. "$TESTDIR/lib-path.sh"
# shellcheck source-path=SCRIPTDIR source=lib-path-below.sh
. "$TESTDIR/lib-path-below.sh"

new_session
add_key ctx

d=$(disk 1)
mdadm_quiet() { mdadm "$@" 2>&1 | grep -v 'Defaulting\|started' || true; }

# --- below --------------------------------------------------------------------
modprobe -a dm-delay dm-flakey raid1 raid456
on_exit dmsetup remove -f below
dmsetup create below --table "0 131072 delay $d 0 20"
both_ways dm-delay /dev/mapper/below
dmsetup remove below

mdadm_quiet -CR /dev/md8 -l1 -n2 --assume-clean --metadata=1.2 "$(disk 1)" "$(disk 2)"
on_exit mdadm -S /dev/md8
both_ways "md raid1" /dev/md8 sector_size:4096
check "both legs hold the same" cmp -n "$EXTENT" -i 1048576 "$(disk 1)" "$(disk 2)"
mdadm -S /dev/md8 2>/dev/null
mdadm --zero-superblock "$(disk 1)" "$(disk 2)"

mdadm_quiet -CR /dev/md9 -l5 -n3 --assume-clean --chunk=16 "$(disk 1)" "$(disk 2)" "$(disk 3)"
on_exit mdadm -S /dev/md9
both_ways "md raid5" /dev/md9
map m kcache ctx 0 /dev/md9 0 12288
get /dev/mapper/m >/tmp/before
mdadm -f /dev/md9 "$(disk 2)" 2>/dev/null
check "md raid5 without a disk reads right" cmp /tmp/before <(get /dev/mapper/m)
unmap m
mdadm -S /dev/md9 2>/dev/null
mdadm --zero-superblock "$(disk 1)" "$(disk 2)" "$(disk 3)"

# --- errors of the device come up ---------------------------------------------
dmsetup create below --table "0 131072 flakey $d 0 3600 0"
both_ways "dm-flakey, up" /dev/mapper/below sector_size:4096
map m kcache ctx 0 /dev/mapper/below 0 12288 sector_size:4096
flaky() { dmsetup suspend below && dmsetup reload below --table "0 131072 flakey $d 0 0 3600 $*" && dmsetup resume below; }
large() { dd if=/dev/mapper/m of=/dev/null bs=1M count=1 iflag=direct; }
large_write() { dd if=/tmp/extent of=/dev/mapper/m bs=1M count=1 oflag=direct; }
head -c 4096 /tmp/extent >/tmp/one
write_block /dev/mapper/m 0 /tmp/one
flaky 1 error_writes
check "a write error comes up" not write_block /dev/mapper/m 1 /tmp/one
check "as EIO" said 'Input/output error'
check "a large write's too" not large_write
check "reads work meanwhile" cmp /tmp/one <(read_block /dev/mapper/m 0)
# down without a feature: everything fails
flaky 0
check "a read error comes up" not read_block /dev/mapper/m 0
check "as EIO" said 'Input/output error'
check "a large read's too" not large
check "they are not counted as ours" same "$(state_of m errors)" 0
flaky 1 drop_writes
check "dropped writes are nobody's error" write_block /dev/mapper/m 0 /tmp/extent
check "the device has the old data" cmp /tmp/one <(read_block /dev/mapper/m 0)
dmsetup suspend below
dmsetup reload below --table "0 131072 flakey $d 0 3600 0"
dmsetup resume below
check "when the device is well again, so are we" large_write
check "and the data is right" cmp -n 1048576 /tmp/extent <(get /dev/mapper/m)
unmap m
dmsetup remove below

# --- LVM above ----------------------------------------------------------------
for n in 1 2; do
	blank "$(disk $n)"
	map "pv$n" kcache ctx 0 "$(disk $n)" 0 131072 sector_size:4096
done
lvm() { command lvm "$@" --config 'global{locking_type=1 use_lvmpolld=0 event_activation=0} activation{udev_sync=0 udev_rules=0 verify_udev_operations=1} devices{filter=["a|/dev/mapper/pv|","r|.*|"] use_devicesfile=0}' 2>/dev/null; }
check "physical volumes on kcache" lvm pvcreate -qff /dev/mapper/pv1 /dev/mapper/pv2
check "a volume group" lvm vgcreate -q vg /dev/mapper/pv1 /dev/mapper/pv2
on_exit dmsetup remove -f vg-lin vg-str
check "a linear volume" lvm lvcreate -q -y -Wn -Zn -L 24M -n lin vg
check "a striped one" lvm lvcreate -q -y -Wn -Zn -i2 -I16k -L 24M -n str vg
for lv in lin str; do
	check "fio verifies on the $lv volume" write_all /dev/mapper/vg-$lv 4096
	get /dev/mapper/vg-$lv >/tmp/$lv
done
check "it deactivates" lvm vgchange -q -an vg
unmap pv1
unmap pv2
for n in 1 2; do
	map "pv$n" crypt ctx 0 "$(disk $n)" 0 131072 sector_size:4096
done
check "with dm-crypt below, the volume group is there" lvm vgchange -q -ay vg
for lv in lin str; do
	check "and what was written to the $lv volume" cmp /tmp/$lv <(get /dev/mapper/vg-$lv)
done
lvm vgchange -q -an vg
unmap pv1
unmap pv2
