#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What happens to volumes in use, at random, for a while.

  events.py SEED SECONDS OTHER VOLUME...

VOLUME is NAME,KEY,DEVICE,SECTORS,LIMIT,SECTOR_SIZE,FLAGS: a mapped device of
SECTORS that may grow to LIMIT. FLAGS are letters: z its I/O waits while the key is
away (on_expiry:freeze), e its I/O may fail meanwhile, b DEVICE is a linear target
that may be made to fail for a moment, x and 4 it holds a mounted file system, xfs or
ext4, that grows with it. OTHER is a device with a volume made by kcache create.

Three at once: one does things to the volumes (key wipe and key set, tables of one
to three segments, suspend and resume with and without flush, growth, a device below
that fails); one attaches OTHER, writes, reads and detaches it; one takes a CPU away
and brings it back. What has to succeed and does not is told, and is the exit code.

Prints how often each of them was.
"""
import os
import random
import subprocess
import sys
import threading
import time

seed, seconds, other = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
end = time.monotonic() + seconds
counts = {}
wrong = []
lock = threading.Lock()


class Volume:
    def __init__(self, text):
        name, key, device, sectors, limit, size, flags = text.split(",")
        self.name, self.key, self.device, self.flags = name, key, device, flags
        self.sectors, self.limit, self.size = int(sectors), int(limit), int(size)
        # what the line has beside the sector size, which never changes
        self.options = ["lease:3600", "on_expiry:freeze"] if "z" in flags else []

    def line(self, begin, end_):
        options = [f"sector_size:{self.size}", *self.options]
        return (f"{begin} {end_ - begin} kcache aes-xts-plain64 :64:logon:kcache:{self.key} {begin} "
                f"{self.device} {begin} {len(options)} {' '.join(options)}")


def run(*args, may_fail=False, text=None):
    p = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, input=text)
    if p.returncode and not may_fail:
        with lock:
            wrong.append(f"{' '.join(args)}: exit {p.returncode}: {p.stdout.strip()}")
    return p.returncode


def count(event):
    with lock:
        counts[event] = counts.get(event, 0) + 1


def message(v, *words):
    run("dmsetup", "message", v.name, "0", *words)


def pause(rnd, most):
    time.sleep(rnd.random() * most)


def wipe_and_set(rnd, v):
    if not set("ze") & set(v.flags):
        return set_again(rnd, v)
    message(v, "key", "wipe")
    pause(rnd, 0.3)
    # what waits is pushed back, and stays with device-mapper until the resume
    push_back = "z" in v.flags and rnd.random() < 0.3
    if push_back:
        run("dmsetup", "suspend", "--noflush", "--nolockfs", v.name)
    message(v, "key", "set", f":64:logon:kcache:{v.key}")
    if push_back:
        run("dmsetup", "resume", v.name)
    return "wipe, pushed back, set" if push_back else "wipe, set"


def set_again(rnd, v):
    message(v, "key", "set", f":64:logon:kcache:{v.key}")
    return "set again"


def load_table(rnd, v, event):
    cuts = sorted(rnd.randrange(1, v.sectors * 512 // v.size) * v.size // 512 for _ in range(rnd.randint(0, 2)))
    edges = [0, *sorted(set(cuts)), v.sectors]
    table = "\n".join(v.line(a, b) for a, b in zip(edges, edges[1:]))
    if run("dmsetup", "reload", v.name, text=table + "\n"):
        return event
    if rnd.random() < 0.5:
        run("dmsetup", "suspend", *rnd.choice(([], ["--noflush"], ["--noflush", "--nolockfs"])), v.name)
    run("dmsetup", "resume", v.name)
    return event


def reload(rnd, v):
    return load_table(rnd, v, "table")


def suspend_flush(rnd, v):
    run("dmsetup", "suspend", v.name)
    pause(rnd, 0.2)
    run("dmsetup", "resume", v.name)
    return "suspend"


def suspend_noflush(rnd, v):
    run("dmsetup", "suspend", "--noflush", *rnd.choice(([], ["--nolockfs"])), v.name)
    pause(rnd, 0.2)
    run("dmsetup", "resume", v.name)
    return "suspend --noflush"


def grow(rnd, v, least=1):
    if v.sectors >= v.limit:
        return reload(rnd, v)
    v.sectors = min(v.limit, v.sectors + rnd.randint(least, least + 8) * 2048)
    load_table(rnd, v, "")
    if "4" in v.flags:
        run("resize2fs", f"/dev/mapper/{v.name}")
    if "x" in v.flags:
        run("xfs_growfs", f"/mnt/{v.name}")
    return "grow"


def below_fails(rnd, v):
    if "b" not in v.flags:
        return suspend_noflush(rnd, v)
    name = os.path.basename(v.device)
    size = subprocess.run(["blockdev", "--getsz", v.device], capture_output=True, text=True, check=True).stdout.strip()
    good = subprocess.run(["dmsetup", "table", name], capture_output=True, text=True, check=True).stdout
    for table in (f"0 {size} error\n", good):
        run("dmsetup", "reload", name, text=table)
        run("dmsetup", "suspend", *rnd.choice(([], ["--noflush"])), name)
        run("dmsetup", "resume", name)
        pause(rnd, 0.1)
    return "the device below fails"


EVENTS = (wipe_and_set, wipe_and_set, set_again, reload, reload, suspend_flush, suspend_noflush, grow, below_fails)


def on_volumes(volumes):
    rnd = random.Random(seed)
    # each of what the test relies on, once, however slow the machine is
    for v in volumes:
        count(grow(rnd, v, 8))
        count(below_fails(rnd, v))
        count(wipe_and_set(rnd, v))
    while time.monotonic() < end:
        count(rnd.choice(EVENTS)(rnd, rnd.choice(volumes)))
        pause(rnd, 0.15)


def on_other():
    rnd = random.Random(seed + 1)
    node = "/dev/mapper/other"
    while time.monotonic() < end:
        if run("kcache", "attach", "-q", other, "other"):
            break
        with open(node, "r+b", buffering=0) as f:
            data = rnd.randbytes(rnd.randint(1, 64) * 4096)
            at = rnd.randint(0, 64) * 4096
            os.pwrite(f.fileno(), data, at)
            os.fsync(f.fileno())
            os.posix_fadvise(f.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            if os.pread(f.fileno(), len(data), at) != data:
                wrong.append("the other volume does not hold what was written")
        if rnd.random() < 0.3:
            run("dmsetup", "message", "other", "0", "key", "wipe")
        if run("kcache", "detach", "-q", "other"):
            break
        count("attach, detach")


def on_cpu():
    rnd = random.Random(seed + 2)
    switch = "/sys/devices/system/cpu/cpu1/online"
    while time.monotonic() < end:
        for value in "01":
            with open(switch, "w", encoding="ascii") as f:
                f.write(value)
            pause(rnd, 1.0)
        count("CPU away and back")


threads = [threading.Thread(target=on_volumes, args=([Volume(t) for t in sys.argv[4:]],)),
           threading.Thread(target=on_other), threading.Thread(target=on_cpu)]
for t in threads:
    t.start()
for t in threads:
    t.join()
print("events: " + ", ".join(f"{counts[e]} {e}" for e in sorted(counts)))
for text in wrong[:10]:
    print(f"events: wrong: {text}")
sys.exit(1 if wrong else 0)
