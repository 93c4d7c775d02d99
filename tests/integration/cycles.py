#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""In the VM: a volume's whole life, N times over, and what is left of it afterwards.

  cycles.py N

Each cycle makes, attaches, writes, detaches and erases a volume in a file, and makes,
writes and detaches an ephemeral one. What the first ones alone bring (the module, the
tools' pages, slabs) is out of the way before the count begins. A leak of one object, of
whatever kind, in every cycle is N objects at the end: nothing may have grown by half of
that. Slab objects are counted for each cache by name, so that it says whose they are.

Prints "ok - ..." and "not ok - ..." lines (life-cycles.host.sh).
"""
import glob
import os
import re
import subprocess
import sys
import time

n = int(sys.argv[1])
WARM_UP = 10
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
        sys.exit(1)
    return p.stdout


def verbs():
    return re.findall(r"^  ([a-z]+) ", run("kcache", "--help"), re.M)


def text(path):
    with open(path, encoding="ascii", errors="replace") as f:
        return f.read()


def write(node):
    fd = os.open(node, os.O_WRONLY | os.O_DSYNC)
    os.pwrite(fd, b"life" * 16384, 0)
    os.close(fd)


def cycle():
    run("kcache", "create", "-q", f"{WORK}/volume", "--force")
    run("kcache", "attach", "-q", f"{WORK}/volume", "vol")
    write("/dev/mapper/vol")
    run("kcache", "detach", "-q", "vol")
    if "erase" in VERBS:
        run("kcache", "erase", "-q", f"{WORK}/volume", "--force")
    run("kcache", "create", "-q", f"{WORK}/scratch", "--ephemeral", "scratch", "--force")
    write("/dev/mapper/scratch")
    run("kcache", "detach", "-q", "scratch")


def forget():
    """What is kept of each volume on purpose: the list of known ones, the audit trail."""
    for f in glob.glob(f"{WORK}/state/volumes/*"):
        os.unlink(f)
    os.truncate(f"{WORK}/audit.jsonl", 0)


def settle():
    """Caches that may be dropped are, revoked keys collected, slabs without objects gone."""
    calm, before = 0, None
    for _ in range(50):
        with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as f:
            f.write("3")
        for cache in glob.glob("/sys/kernel/slab/*/shrink"):
            with open(cache, "w", encoding="ascii") as f:
                f.write("1")
        now = sum(slab().values())
        calm = calm + 1 if before is not None and abs(now - before) <= 50 else 0
        if calm == 5:
            return
        before = now
        time.sleep(0.2)


def slab():
    """Objects in use, for each cache."""
    lines = text("/proc/slabinfo").splitlines()[2:]
    return {f[0]: int(f[1]) for f in (line.split() for line in lines)}


def ciphers():
    """Users of each xts(aes) of the kernel's: one for each tfm."""
    blocks = [dict(re.findall(r"^(\w+) *: (.*)$", b, re.M)) for b in text("/proc/crypto").split("\n\n")]
    return {b["driver"]: int(b["refcnt"]) for b in blocks if "xts" in b.get("name", "")}


def threads():
    names = [text(f).strip() for f in glob.glob("/proc/[0-9]*/comm")]
    return sorted(c for c in names if re.match(r"kcache|kdmflush|loop\d|dm-", c))


def meminfo():
    return {k: int(v.split()[0]) for k, v in (line.split(":", 1) for line in text("/proc/meminfo").splitlines())}


def count():
    settle()
    return {
        "keys": len(text("/proc/keys").splitlines()),
        "bytes of root's key quota": int(text("/proc/key-users").split("/")[-1].split()[0]),
        "open files": int(text("/proc/sys/fs/file-nr").split()[0]),
        "kernel threads": threads(),
        "mapped devices": [x for x in run("dmsetup", "ls").splitlines() if not x.startswith("No devices")],
        "loop devices": run("losetup", "-n").splitlines(),
        "ciphers": ciphers(),
        "users of the module": int(text("/sys/module/dm_kcache/refcnt")),
        "files in /dev/mapper": sorted(os.listdir("/dev/mapper")),
        "mounts": len(text("/proc/mounts").splitlines()),
    }, slab(), meminfo()


os.makedirs(f"{WORK}/state", mode=0o700)
with open(f"{WORK}/kcache.conf", "w", encoding="ascii") as conf:
    conf.write(f"state_dir = {WORK}/state\naudit_file = {WORK}/audit.jsonl\n")
os.chmod(f"{WORK}/kcache.conf", 0o600)
for name in ("volume", "scratch"):
    with open(f"{WORK}/{name}", "wb") as f:
        f.truncate(17 << 20)
run("modprobe", "dm-kcache")
VERBS = verbs()

for _ in range(WARM_UP):
    cycle()
forget()
things, objects, memory = count()
begin = time.monotonic()
for i in range(n):
    cycle()
took = time.monotonic() - begin
forget()
things_after, objects_after, memory_after = count()

print(f"# {n} cycles in {took:.0f} s, {took / n:.2f} s each" + ("" if "erase" in VERBS else ", without erase"))
for what, before in things.items():
    after = things_after[what]
    if isinstance(before, int):
        say(after - before < max(2, n // 20), f"{what}: no more than before", f"{before}, now {after}")
    else:
        say(after == before, f"{what}: as before", f"{before}, now {after}")
grown = sorted(((objects_after[c] - objects.get(c, 0), c) for c in objects_after), reverse=True)
print("# slab caches that grew most: " + ", ".join(f"{c} {d}" for d, c in grown[:8] if d > 0))
print("# KiB: " + ", ".join(f"{k} {memory_after[k] - memory[k]:+d}" for k in
                            ("MemAvailable", "SUnreclaim", "SReclaimable", "Percpu", "KernelStack", "VmallocUsed")))
leaks = [f"{c} {d}" for d, c in grown if d >= n / 2]
say(not leaks, "no slab cache has grown by half an object for each cycle", ", ".join(leaks))
# a page for each cycle would be more than that
say(memory["MemAvailable"] - memory_after["MemAvailable"] < 2048 + 2 * n, "nor is memory missing",
    f"{memory['MemAvailable']} KiB available, now {memory_after['MemAvailable']}")
run("rmmod", "dm-kcache")
say(True, "the module can be unloaded")
sys.exit(failed)
