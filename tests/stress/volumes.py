#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Many volumes attached at once, and detached: what each of them costs.

  volumes.py N SLICE-PREFIX

Volumes 1 to N lie on /dev/mapper/SLICE-PREFIX1 and so on, made by kcache create.
Attaches all of them, then detaches all of them, and prints time and memory for the
first and the last tenth. Time is the median, and is held against the machine's own
pace, which other work on it changes: each is followed by a kcache dump, which looks at
nothing but its volume. Memory is what MemFree lost, less what the kernel could have
back at once (clean pages of files, for which caches are dropped before each reading).

Prints "ok - ..." and "not ok - ..." lines.
"""
import glob
import re
import statistics
import subprocess
import sys
import time

n, prefix = int(sys.argv[1]), sys.argv[2]
tenth = max(1, n // 10)
FIELDS = ("MemFree", "SUnreclaim", "SReclaimable", "Percpu", "KernelStack", "PageTables", "VmallocUsed")
failed = False


def say(ok, sentence, why=""):
    global failed
    failed |= not ok
    print(f"{'ok' if ok else 'not ok'} - {sentence}" + (f"\n    | {why}" if why and not ok else ""), flush=True)


def memory():
    """KiB of each of FIELDS, when things have come to rest. Free is also what a CPU
    keeps at hand of pages, and a slab that nothing is in."""
    calm = 0
    now = {"MemFree": 0}
    for _ in range(60):
        before = now
        with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as f:
            f.write("3")
        for cache in glob.glob("/sys/kernel/slab/*/shrink"):
            with open(cache, "w", encoding="ascii") as f:
                f.write("1")
        with open("/proc/meminfo", encoding="ascii") as f:
            now = {k: int(v.split()[0]) for k, v in (line.split(":", 1) for line in f) if k in FIELDS}
        with open("/proc/zoneinfo", encoding="ascii") as f:
            now["MemFree"] += 4 * sum(int(line.split()[1]) for line in f if line.lstrip().startswith("count:"))
        calm = calm + 1 if abs(now["MemFree"] - before["MemFree"]) <= 128 else 0
        if calm == 3:
            break
        time.sleep(0.2)
    return now


def less(a, b):
    return {k: a[k] - b[k] for k in FIELDS}


def kcache(*args):
    begin = time.monotonic()
    p = subprocess.run(["kcache", *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if p.returncode:
        say(False, f"kcache {' '.join(args)}", f"exit {p.returncode}: {p.stdout.strip()}")
        sys.exit(1)
    return time.monotonic() - begin


def attach(i):
    return kcache("attach", "-q", f"/dev/mapper/{prefix}{i}", f"many{i}")


def detach(i):
    return kcache("detach", "-q", f"many{i}")


def paced(verb, i):
    """Seconds for it, and of the first and last how many times as long as a dump that is."""
    took = verb(i)
    if tenth < i <= n - tenth:
        return took, None
    return took, took / kcache("dump", f"/dev/mapper/{prefix}{i}")


def keys():
    with open("/proc/keys", encoding="ascii") as f:
        return sum("kcache:" in line for line in f)


def mapped():
    out = subprocess.run(["dmsetup", "ls", "--target", "kcache"], capture_output=True, text=True, check=True).stdout
    return sum(line.startswith("many") for line in out.splitlines())


def ciphers():
    """Users of each xts(aes) of the kernel's: one for each tfm."""
    with open("/proc/crypto", encoding="ascii") as f:
        blocks = [dict(re.findall(r"^(\w+) *: (.*)$", b, re.M)) for b in f.read().split("\n\n")]
    return {b["driver"]: int(b["refcnt"]) for b in blocks if "xts" in b.get("name", "")}


def loops():
    return subprocess.run(["losetup", "-n"], capture_output=True, text=True, check=False).stdout


# what the first ones alone bring: the module, the tools' own pages, slabs
for i in range(1, tenth + 1):
    attach(i)
for i in range(1, tenth + 1):
    detach(i)
time.sleep(1)
marks = [memory()]
before = ciphers()
took, gone = [], []
for i in range(1, n + 1):
    took.append(paced(attach, i))
    if i in (tenth, n - tenth, n):
        marks.append(memory())
say(mapped() == n, f"{n} volumes are attached at once")
say(keys() == 0, "no keyring holds a key of theirs")
for i in range(1, n + 1):
    gone.append(paced(detach, i))
after = memory()

first, last, whole = less(marks[0], marks[1]), less(marks[2], marks[3]), less(marks[0], marks[3])


def times(what, each):
    """What an early one and a late one took, printed; how much longer the late one was."""
    sides = [[statistics.median(x[k] for x in part) for k in (0, 1)] for part in (each[:tenth], each[-tenth:])]
    print(f"# {what}: {sides[0][0] * 1000:.0f} ms for one of the first {tenth}, {sides[1][0] * 1000:.0f} ms for one of"
          f" the last; {sum(x[0] for x in each):.1f} s for {n}; {sides[0][1]:.2f} and {sides[1][1]:.2f} times a dump")
    return sides[1][1] / sides[0][1]


longer_attach, longer_detach = times("attach", took), times("detach", gone)
print(f"# memory: {first['MemFree'] / tenth:.0f} KiB for one of the first {tenth}, {last['MemFree'] / tenth:.0f} KiB"
      f" for one of the last; {whole['MemFree'] / 1024:.1f} MiB for {n}")
print("# of it, for one of all: " + ", ".join(f"{k} {-whole[k] / n:.1f} KiB" for k in FIELDS[1:]))
left = less(marks[0], after)
print("# left behind by all of them: " + ", ".join(f"{k} {v} KiB" for k, v in
                                                    [("MemFree", left["MemFree"])] + [(k, -left[k]) for k in FIELDS[1:]]))
say(last["MemFree"] <= 1.2 * first["MemFree"] + 256, "the last cost no more memory than the first")
# attach looks at each other device for a second one with the volume's UUID
say(longer_attach <= 1.3, "the last took no longer to attach than the first", f"{longer_attach:.2f} times")
say(longer_detach >= 1 / 1.3, "with many there a detach takes no longer than with few", f"{1 / longer_detach:.2f} times")
say(mapped() == 0 and keys() == 0, "after detach no mapped device and no key is left")
say(loops() == "", "and no loop device")
say(ciphers() == before, "no cipher of theirs is held", f"{before}, now {ciphers()}")
# a volume's own structures are some 10 KiB of slab, its reserve 1 MiB: neither may stay
say(left["MemFree"] <= whole["MemFree"] // 20, "the memory is free again", str(left))
say(-left["SUnreclaim"] <= max(512, -whole["SUnreclaim"] // 10), "the slab too", str(left))
sys.exit(failed)
