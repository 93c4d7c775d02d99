#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Evaluates what the VMs printed (build/bench/KERNEL-{instr,noinit,smp}.txt).

  report.py print|full|check|record FOLDER KERNEL...

print: the table, and a last line that says which rows of limits.json hold;
full: also Documentation/benchmarks; check: over the floor against recorded.json;
record: makes recorded.json.
"""
import collections
import datetime
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
DOCUMENTS = os.path.join(HERE, "..", "..", "Documentation", "benchmarks")
DEVICES = ["ram0", "linear", "kcache", "tuned", "shipped"]
# a row may be so many instructions worse than recorded
TOLERANCE = 40
METHOD = (
    "QEMU TCG with -icount shift=0,sleep=off, one CPU: the guest's clock counts executed "
    "instructions. Random O_DIRECT I/O at depth 1 on a brd ramdisk written completely before; "
    "each figure the least of several rounds of one process, all devices in the same boot. "
    "floor = dm-linear + the bare cipher calls. Wall times: multi-threaded TCG, two CPUs, turns "
    "A B A B in one boot, the median ratio of neighbours."
)
HONEST = (
    "Instructions are a cost model, not a time: an AES round counts as one, a string "
    "instruction as one per iteration, a cache miss as nothing."
)


class Boots:
    """What the boots of one kernel measured."""

    def __init__(self, folder, kernel):
        self.kernel = kernel
        self.release = ""
        self.drivers = {}
        self.cipher = {}
        self.io = {}
        self.switches = {}
        self.noinit = {}
        self.walls = collections.defaultdict(lambda: collections.defaultdict(list))
        self.workers = {}
        # CPUs of the measuring machine: all, and what other work took during the SMP boot
        self.cpus = self.others = 0
        for what in ("instr", "noinit", "smp"):
            path = os.path.join(folder, f"{kernel}-{what}.txt")
            if os.path.exists(path):
                with open(path, encoding="ascii") as lines:
                    for line in lines:
                        self.take(what, line.split())

    def take(self, what, words):
        match words:
            case ["kernel", release]:
                self.release = release
            case ["driver", whose, name]:
                self.drivers[whose] = name
            case ["floor", sector, operation, count] if what == "instr":
                self.cipher[int(sector), operation] = int(count)
            case ["io", device, sector, size, operation, count, switches]:
                key = device, int(sector), int(size), operation
                if what == "instr":
                    self.io[key] = float(count)
                    self.switches[key] = float(switches)
                else:
                    self.noinit[key] = float(count)
            case ["wall", test, who, nanoseconds]:
                self.walls[test][who].append(float(nanoseconds))
            case ["workers", who, count]:
                self.workers[who] = int(count)
            case ["others", others, cpus]:
                self.others, self.cpus = round(float(others), 2), int(cpus)

    def table(self, io):
        """One dict for each sector size, size and operation that was measured."""
        for _, sector, size, operation in sorted(k for k in io if k[0] == "kcache"):
            count = {d: io[d, 0 if d in ("ram0", "linear") else sector, size, operation]
                     for d in DEVICES}
            count["floor"] = (count["linear"] +
                              size // sector * self.cipher[sector, operation])
            count["over"] = count["kcache"] - count["floor"]
            yield {"sector": sector, "size": size, "operation": operation, **count}

    def busy(self):
        """Two virtual CPUs did not have two to themselves, nearly."""
        return bool(self.walls) and self.cpus - self.others < 1.8

    # Each measure of limits.json: yields (case, value) for one operation or test.

    def over(self, row, operation):
        for line in self.table(self.io):
            if (line["size"] == row["size"] and line["sector"] in row["sectors"] and
                    line["operation"] == operation):
                yield operation, line["over"]

    def ratio(self, row, operation):
        for line in self.table(self.io):
            if (line["size"] == row["size"] and line["sector"] in row["sectors"] and
                    line["operation"] == operation):
                case = operation if len(row["sectors"]) == 1 else f"{operation}/{line['sector']}"
                yield case, line["kcache"] / min(line[a] for a in row["against"])

    def wall(self, row, test):
        if test in self.walls and not self.busy():
            ours, theirs = (self.walls[test][who] for who in (row["who"], row["against"][0]))
            yield test, statistics.median(a / b for a, b in zip(ours, theirs))

    def most_switches(self, _row, operation):
        counts = [n for k, n in self.switches.items() if k[0] == "kcache" and k[3] == operation]
        if counts:
            yield operation, max(counts)

    def iou_workers(self, row, operation):
        if row["who"] in self.workers:
            yield operation, self.workers[row["who"]]


MEASURES = {
    "over": Boots.over,
    "ratio": Boots.ratio,
    "wall": Boots.wall,
    "switches": Boots.most_switches,
    "workers": Boots.iou_workers,
}


def limit_rows():
    with open(os.path.join(HERE, "limits.json"), encoding="utf-8") as file:
        return json.load(file)["rows"]


def judge(boots):
    """Every row of limits.json for every kernel where it was measured: dicts."""
    for row in limit_rows():
        for b in boots:
            for what, limits in row["limit"].items():
                limit = limits.get(b.kernel, limits["any"])
                for case, value in MEASURES[row["measure"]](b, row, what):
                    yield {"row": row["row"], "kernel": b.kernel, "case": case,
                           "measured": round(value, 3), "limit": limit, "holds": value <= limit}


def name(size):
    return f"{size >> 20} MiB" if size >> 20 else f"{size >> 10} KiB" if size >> 10 else f"{size} B"


def print_table(boots):
    print(f"{'kernel':8}{'sector':>6} {'I/O':>8} {'':6}" +
          "".join(f"{h:>11}" for h in ("raw", "linear", "floor", "kcache", "tuned", "shipped",
                                       "over floor", "/tuned", "/shipped")))
    for b in boots:
        for io, mark in ((b.io, " "), (b.noinit, "*")):
            for t in b.table(io):
                print(f"{b.kernel:8}{t['sector']:6} {name(t['size']):>8} {t['operation']:5}{mark}" +
                      "".join(f"{t[c]:11,.0f}" for c in ("ram0", "linear", "floor", "kcache",
                                                        "tuned", "shipped", "over")) +
                      f"{t['kcache'] / t['tuned']:11.3f}{t['kcache'] / t['shipped']:11.3f}")
    print("instructions per I/O; tuned, shipped: dm-crypt with no_read_workqueue "
          "no_write_workqueue, and without")
    if any(b.noinit for b in boots):
        print("* init_on_alloc=0: Debian zeroes every fresh page, which instruction counts overstate")
    for b in boots:
        for test, who in b.walls.items():
            (a, ours), (c, theirs) = who.items()
            ratios = [x / y for x, y in zip(ours, theirs)]
            print(f"{b.kernel:8}{test}: {a} {statistics.median(ours) / 1e3:,.0f} us, "
                  f"{c} {statistics.median(theirs) / 1e3:,.0f} us, ratio "
                  f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
        if b.workers:
            print(f"{b.kernel:8}iou-wrk threads: " +
                  ", ".join(f"{w} {n}" for w, n in b.workers.items()))
        if b.busy():
            print(f"{b.kernel:8}other work took {b.others} of {b.cpus} CPUs meanwhile: "
                  "these wall times count as not measured")


def verdict(results):
    """The last line."""
    holds, fails, missing = [], [], []
    for row in (r["row"] for r in limit_rows()):
        cases = [r for r in results if r["row"] == row]
        bad = [r for r in cases if not r["holds"]]
        if bad:
            fails.append(row + " (" + ", ".join(
                "{kernel} {case} {measured:g}, not {limit:g}".format(**r) for r in bad) + ")")
        else:
            (holds if cases else missing).append(row)
    line = f"{len(holds)} of {len(holds) + len(fails)} rows hold: {'; '.join(holds) or 'none'}."
    if fails:
        line += f" Do not: {'; '.join(fails)}."
    if missing:
        line += f" Not measured: {'; '.join(missing)}."
    return line


def recorded():
    path = os.path.join(HERE, "recorded.json")
    if not os.path.exists(path):
        return path, {}
    with open(path, encoding="utf-8") as file:
        return path, json.load(file)


def figures(b):
    return {f"{t['size']} {t['operation']}, {t['sector']}-byte sectors": round(t["over"])
            for t in b.table(b.io)}


def check(b):
    """Prints in the manner of the other test suites."""
    _, all_recorded = recorded()
    passed = failed = 0
    now = figures(b)
    for row, was in all_recorded.get(b.kernel, {}).items():
        good = row in now and now[row] <= was + TOLERANCE
        passed += good
        failed += not good
        print(f"{'ok' if good else 'not ok'} - {b.kernel} {row}: {now.get(row, 'nothing')} "
              f"over the floor, recorded {was}")
    print(f"bench: {passed} passed, {failed} failed")
    return failed == 0 and passed > 0


def record(b):
    path, all_recorded = recorded()
    all_recorded[b.kernel] = figures(b)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(all_recorded, file, indent=2)
        file.write("\n")
    print(f"{path}: {all_recorded[b.kernel]}")


def document(boots, results):
    os.makedirs(DOCUMENTS, exist_ok=True)
    qemu = subprocess.run(["qemu-system-x86_64", "--version"], capture_output=True, text=True,
                          check=True).stdout.splitlines()[0]
    qemu = re.sub(r".*version ([^ ]+).*", r"\1", qemu)
    date = datetime.date.today().isoformat()
    with open(os.path.join(DOCUMENTS, "results.json"), "w", encoding="utf-8") as file:
        json.dump({
            "date": date, "qemu": qemu, "method": METHOD, "instructions": HONEST,
            "kernels": {b.kernel: {
                "release": b.release, "drivers": b.drivers,
                "cipher": {f"{op} {sector}": n for (sector, op), n in b.cipher.items()},
                "io": list(b.table(b.io)), "io_init_on_alloc_0": list(b.table(b.noinit)),
                "wall_ns": b.walls, "cpus_taken_by_other_work": b.others, "iou_wrk": b.workers} for b in boots},
            "rows": results}, file, indent=1)
        file.write("\n")
    chart(boots, date, qemu)


CHART = """
set terminal {terminal}
set output '{output}'
set multiplot layout 2,1 title "{title}\\n{{/*0.8 {note}}}"
set style data histogram
set style histogram rowstacked
set style fill solid
set boxwidth 0.8
set xtics rotate by -45 nomirror
set grid ytics
set yrange [0:*]
set rmargin 10
set key outside top right horizontal
do for [i=0:1] {{
    set title i == 0 ? "4096-byte sectors" : "512-byte sectors"
    plot '{data}' index i using 2:xtic(1) title "dm-linear" lc rgb '#9aa5b1', \\
         '' index i using 3 title "bare cipher" lc rgb '#4c78a8', \\
         '' index i using 4 title "the target itself" lc rgb '#e45756'
}}
unset multiplot
"""


def chart(boots, date, qemu):
    """4 KiB: what the device, the cipher and the target cost, stacked; two sector sizes."""
    releases = ", ".join(b.release for b in boots)
    with tempfile.NamedTemporaryFile("w", suffix=".data") as data:
        for sector in (4096, 512):
            for b in boots:
                for t in b.table(b.io):
                    if (t["size"], t["sector"]) != (4096, sector):
                        continue
                    for d in ("kcache", "tuned", "shipped"):
                        print(f'"{b.kernel} {t["operation"]} {d}"', t["linear"],
                              t["floor"] - t["linear"], t[d] - t["floor"], file=data)
                    print('"" 0 0 0', file=data)
            print("\n", file=data)
        data.flush()
        for suffix, terminal in (("svg", "svg size 1200,1000 dynamic background 'white'"),
                                 ("png", "pngcairo size 1200,1000")):
            script = CHART.format(
                terminal=terminal, output=os.path.join(DOCUMENTS, f"instructions.{suffix}"),
                title=f"Instructions per 4 KiB I/O, {date}, QEMU {qemu} TCG icount, {releases}",
                note="instructions, not time: an AES round counts one, a cache miss nothing",
                data=data.name)
            subprocess.run(["gnuplot"], input=script, text=True, check=True)


def main():
    mode, folder, *kernels = sys.argv[1:]
    boots = [Boots(folder, k) for k in kernels]
    if mode == "check":
        sys.exit(0 if check(boots[0]) else 1)
    if mode == "record":
        return record(boots[0])
    results = list(judge(boots))
    print_table(boots)
    if mode == "full":
        document(boots, results)
    print(verdict(results))


main()
