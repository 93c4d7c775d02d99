#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""In the VM: a volume's whole life, N times over, and what is left of it afterwards.

  cycles.py N

Each cycle makes, attaches, writes, detaches and erases a volume in a file, and makes,
writes and detaches an ephemeral one; two go on at a time, one for each CPU. What the first ones alone bring (the module, the
tools' pages, slabs) is out of the way before the count begins. A leak of one object, of
whatever kind, in every cycle is N objects at the end: nothing may have grown by three
quarters of that. By 64 it may, or by one slab that a CPU has at hand, so N is 100 or
more. Slab objects are counted for each cache by name, so that it says whose they are.

Prints "ok - ..." and "not ok - ..." lines (life-cycles.host.sh).
"""
import glob
import os
import re
import subprocess
import sys
import threading
import time

n = int(sys.argv[1])
WARM_UP = 10
WORKERS = 2
PER_SLAB = {}
WORK = "/tmp/cycles"
ENV = dict(os.environ, KCACHE_CONFIG=f"{WORK}/kcache.conf")
failed = False


def say(ok, sentence, why=""):
    global failed
    failed |= not ok
    print(f"{'ok' if ok else 'not ok'} - {sentence}" + (f"\n    | {why}" if why and not ok else ""), flush=True)


def run(*args):
    p = subprocess.run(args, env=ENV, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if p.returncode:
        say(False, " ".join(args), f"exit {p.returncode}: {p.stdout.strip()}")
        os._exit(1)
    return p.stdout


def text(path):
    with open(path, encoding="ascii", errors="replace") as f:
        return f.read()


def write(node):
    fd = os.open(node, os.O_WRONLY | os.O_DSYNC)
    os.pwrite(fd, b"life" * 16384, 0)
    os.close(fd)


def cycle(who):
    volume, vol, scratch = f"{WORK}/volume{who}", f"vol{who}", f"scratch{who}"
    run("kcache", "create", "-q", volume, "--force")
    run("kcache", "attach", "-q", volume, vol)
    write(f"/dev/mapper/{vol}")
    run("kcache", "detach", "-q", vol)
    run("kcache", "erase", "-q", volume, "--force")
    run("kcache", "create", "-q", f"{WORK}/{scratch}", "--ephemeral", scratch, "--force")
    write(f"/dev/mapper/{scratch}")
    run("kcache", "detach", "-q", scratch)


def cycles(times):
    def some(who):
        for _ in range(who, times, WORKERS):
            cycle(who)

    workers = [threading.Thread(target=some, args=(who,)) for who in range(WORKERS)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()


def forget():
    """What this host remembers of each volume on purpose. The audit trail is pages of a file."""
    for f in glob.glob(f"{WORK}/state/volumes/*"):
        os.unlink(f)


def slab():
    """Objects in use, for each cache, with nothing kept that may be dropped, and what was
    revoked collected. All of a slab that a CPU has at hand counts as in use, and looking
    takes objects too, which RCU gives back later: the least of several looks is nearest
    to the truth."""
    least = {}
    # what vfree() keeps for later, kernel stacks for instance, goes when a module is loaded
    run("rmmod", "dm-kcache")
    run("modprobe", "dm-kcache")
    shrink = [os.open(f, os.O_WRONLY) for f in glob.glob("/sys/kernel/slab/*/shrink")]
    for _ in range(6):
        with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as f:
            f.write("3")
        for cache in shrink:
            os.write(cache, b"1")
        time.sleep(1)
        for line in text("/proc/slabinfo").splitlines()[2:]:
            cache, objects, _, _, per_slab = line.split()[:5]
            least[cache] = min(int(objects), least.get(cache, int(objects)))
            PER_SLAB[cache] = int(per_slab)
    for cache in shrink:
        os.close(cache)
    return least


def quota():
    """Bytes: "0: usage nkeys/nikeys qnkeys/maxkeys qnbytes/maxbytes"."""
    users = (line.split() for line in text("/proc/key-users").splitlines())
    return next(int(u[-1].split("/")[0]) for u in users if u[0] == "0:")


def ciphers():
    """Users of each xts(aes) of the kernel's: one for each tfm."""
    blocks = [dict(re.findall(r"^(\w+) *: (.*)$", b, re.M)) for b in text("/proc/crypto").split("\n\n")]
    return {b["driver"]: int(b["refcnt"]) for b in blocks if "xts" in b.get("name", "")}


def threads():
    names = [text(f).strip() for f in glob.glob("/proc/[0-9]*/comm")]
    return sorted(c for c in names if re.match(r"kcache|kdmflush|loop\d|dm-", c))


def meminfo():
    info = {k: int(v.split()[0]) for k, v in (line.split(":", 1) for line in text("/proc/meminfo").splitlines())}
    # free, too, is what a CPU keeps at hand of pages
    zones = text("/proc/zoneinfo").splitlines()
    info["AtHand"] = 4 * sum(int(line.split()[1]) for line in zones if line.lstrip().startswith("count:"))
    return info


def count():
    objects = slab()
    return {
        "keys": len(text("/proc/keys").splitlines()),
        "bytes of root's key quota": quota(),
        "open files": int(text("/proc/sys/fs/file-nr").split()[0]),
        "kernel threads": threads(),
        "mapped devices": [x for x in run("dmsetup", "ls").splitlines() if not x.startswith("No devices")],
        "loop devices": [text(f) for f in glob.glob("/sys/block/loop*/loop/backing_file")],
        "ciphers": ciphers(),
        "users of the module": int(text("/sys/module/dm_kcache/refcnt")),
        "files in /dev/mapper": sorted(os.listdir("/dev/mapper")),
        "mounts": len(text("/proc/mounts").splitlines()),
    }, objects, meminfo()


os.makedirs(f"{WORK}/state", mode=0o700)
with open(f"{WORK}/kcache.conf", "w", encoding="ascii") as conf:
    conf.write(f"state_dir = {WORK}/state\naudit_file = {WORK}/audit.jsonl\n")
os.chmod(f"{WORK}/kcache.conf", 0o600)
for w in range(WORKERS):
    for name in ("volume", "scratch"):
        with open(f"{WORK}/{name}{w}", "wb") as file:
            file.truncate(17 << 20)
run("modprobe", "dm-kcache")

cycles(WARM_UP)
forget()
things, objects, memory = count()
begin = time.monotonic()
cycles(n)
took = time.monotonic() - begin
forget()
things_after, objects_after, memory_after = count()

print(f"# {n} cycles in {took:.0f} s, {took / n:.2f} s each")
for what, before in things.items():
    after = things_after[what]
    if isinstance(before, int):
        # the count of open files is one a CPU, and up to 32 of each are not told
        say(after - before < n // 20 + (65 if what == "open files" else 2), f"{what}: no more than before", f"{before}, now {after}")
    else:
        say(after == before, f"{what}: as before", f"{before}, now {after}")
grown = sorted(((objects_after[c] - objects.get(c, 0), c) for c in objects_after), reverse=True)
print("# slab caches that grew most: " + ", ".join(f"{c} {d}" for d, c in grown[:8] if d > 0))
print("# KiB: " + ", ".join(f"{k} {memory_after[k] - memory[k]:+d}" for k in
                            ("MemAvailable", "AtHand", "Shmem", "SUnreclaim", "SReclaimable", "Percpu", "KernelStack", "VmallocUsed")))
leaks = [f"{c} {d}" for d, c in grown if d > max(n * 3 / 4, 64, PER_SLAB[c])]
say(not leaks, "no slab cache has grown with the cycles", ", ".join(leaks))
# files in memory (volumes, audit trail) are no leak
kept = {k: memory_after[k] - memory[k] for k in memory}
say(-kept["MemAvailable"] - kept["AtHand"] - kept["Shmem"] < 2048 + 4 * n, "nor is memory missing", str(kept))
say(kept["SUnreclaim"] + kept["Percpu"] + kept["KernelStack"] < 512 + n, "least of all the kernel's own", str(kept))
sys.exit(failed)
