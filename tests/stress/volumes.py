#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Many volumes attached at once, and detached: what each of them costs.

  volumes.py N SLICE-PREFIX

Volumes 1 to N lie on /dev/mapper/SLICE-PREFIX1 and so on, made by kcache create.
Attaches all of them, then detaches all of them, and prints time and memory for the
first and the last tenth. Time is the shortest of them: the machine does other things too. Memory is what
MemFree lost, less what the kernel could have back at once (clean pages of files, for
which caches are dropped before each reading).

Prints "ok - ..." and "not ok - ..." lines.
"""
import glob
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


def keys():
    with open("/proc/keys", encoding="ascii") as f:
        return sum("kcache:" in line for line in f)


def mapped():
    out = subprocess.run(["dmsetup", "ls", "--target", "kcache"], capture_output=True, text=True, check=True).stdout
    return sum(line.startswith("many") for line in out.splitlines())


def loops():
    return subprocess.run(["losetup", "-n"], capture_output=True, text=True, check=False).stdout


# what the first ones alone bring: the module, the tools' own pages, slabs
for i in range(1, tenth + 1):
    attach(i)
for i in range(1, tenth + 1):
    detach(i)
time.sleep(1)
marks = [memory()]
took = []
for i in range(1, n + 1):
    took.append(attach(i))
    if i in (tenth, n - tenth, n):
        marks.append(memory())
say(mapped() == n, f"{n} volumes are attached at once")
say(keys() == 0, "no keyring holds a key of theirs")
gone = []
for i in range(1, n + 1):
    gone.append(detach(i))
after = memory()

first, last, whole = less(marks[0], marks[1]), less(marks[2], marks[3]), less(marks[0], marks[3])
t_first, t_last = min(took[:tenth]), min(took[-tenth:])
print(f"# attach: {t_first * 1000:.0f} ms for one of the first {tenth}, {t_last * 1000:.0f} ms for one of the last;"
      f" {sum(took):.1f} s for {n}")
print(f"# detach: {min(gone[:tenth]) * 1000:.0f} ms for one of the first {tenth},"
      f" {min(gone[-tenth:]) * 1000:.0f} ms for one of the last; {sum(gone):.1f} s for {n}")
print(f"# memory: {first['MemFree'] / tenth:.0f} KiB for one of the first {tenth}, {last['MemFree'] / tenth:.0f} KiB"
      f" for one of the last; {whole['MemFree'] / 1024:.1f} MiB for {n}")
print("# of it, for one of all: " + ", ".join(f"{k} {-whole[k] / n:.1f} KiB" for k in FIELDS[1:]))
left = less(marks[0], after)
print("# left behind by all of them: " + ", ".join(f"{k} {v} KiB" for k, v in
                                                    [("MemFree", left["MemFree"])] + [(k, -left[k]) for k in FIELDS[1:]]))
say(last["MemFree"] <= 1.5 * first["MemFree"] + 256, "the last cost no more memory than the first")
# attach looks for a second device with the volume's UUID, on every block device there
# is: ten sectors of each that holds something else. That part grows with their number.
say(t_last <= (1.5 + n / 50) * t_first, "an attach takes longer by no more than the look at each other device",
    f"{t_first * 1000:.0f} ms, then {t_last * 1000:.0f} ms")
say(min(gone[-tenth:]) <= 1.5 * min(gone[:tenth]), "a detach takes as long as before")
say(mapped() == 0 and keys() == 0, "after detach no mapped device and no key is left")
say(loops() == "", "and no loop device")
# a volume's own structures are some 10 KiB of slab, its reserve 1 MiB: neither may stay
say(left["MemFree"] <= whole["MemFree"] // 20, "the memory is free again", str(left))
say(-left["SUnreclaim"] <= max(512, -whole["SUnreclaim"] // 10), "the slab too", str(left))
sys.exit(failed)
