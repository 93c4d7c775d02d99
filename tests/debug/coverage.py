#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Which lines ran: reads gcov's data, prints a table, judges.

    coverage.py [OPTION...] SOURCE-FOLDER DATA-FOLDER...

SOURCE-FOLDER, below the top of the tree, is what is looked at; each DATA-FOLDER
holds *.gcda, each with its *.gcno beside it, and they are added up, whichever
program or kernel wrote them.

    --report FILE    every line that did not run, with its function and its reason,
                     and those that ran fewer than ten times
    --min PERCENT    of all lines of *.c together; less is a failure
    --known FILE     lines that need not run, and why: others that did not are a
                     failure, and so is one that is in the source no more

A line of --known is "FILE FUNCTION: TEXT", TEXT being the line without what stands
around it: line numbers change with every edit. A comment above says why. A known line
that does run is fine: some are met by chance only.

Exit code 1 where something fell short, 2 where there was nothing to judge.
"""
import argparse
import collections
import json
import os
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def die(text):
    print(f"coverage: {text}", file=sys.stderr)
    sys.exit(2)


class Line:
    """One line of a source: how often it ran, in which functions it stands."""

    def __init__(self):
        self.count = 0
        self.functions = set()


def data_files(folder):
    for where, _, names in os.walk(folder):
        for name in sorted(names):
            if name.endswith(".gcda"):
                yield os.path.join(where, name)


def read(folder, source):
    """Yields (file below the top, line number, function, count)."""
    for path in data_files(folder):
        gcov = subprocess.run(["gcov", "--json-format", "--stdout", os.path.basename(path)],
                              cwd=os.path.dirname(path), capture_output=True)
        # one document a line; none, or a word of it, where the notes are of another build
        documents = [json.loads(text) for text in gcov.stdout.splitlines() if text.strip()]
        if gcov.returncode or not documents or b"mismatch" in gcov.stderr:
            die(f"gcov can make nothing of {path}: {gcov.stderr.decode()}")
        for document in documents:
            for f in document["files"]:
                name = os.path.normpath(os.path.join(document["current_working_directory"], f["file"]))
                # sources may have been built through links elsewhere
                at = name.rfind("/" + source + "/")
                name = name[at + 1:]
                if at < 0 or not os.path.exists(os.path.join(TOP, name)):
                    continue
                for line in f["lines"]:
                    yield name, line["line_number"], line.get("function_name", "-"), line["count"]


def known_lines(path):
    """{line of FILE: the comment above it}"""
    known = {}
    why = "?"
    above = False
    with open(path) as f:
        for text in f.read().splitlines():
            if text.startswith("#"):
                why = f"{why} {text[1:].strip()}" if above else text[1:].strip()
                above = True
                continue
            above = False
            if text:
                known[text] = why
    return known


def reasons(missed):
    """A line for each reason: how many lines, in which functions."""
    by = collections.defaultdict(list)
    for name, _, key, why in missed:
        if why:
            by[why].append(f"{os.path.basename(name)} {key.split(' ', 1)[1].split(':', 1)[0]}")
    for why, where in sorted(by.items(), key=lambda item: -len(item[1])):
        print(f"  {len(where):>4} did not run: {why}")
        print(f"{'':19}{', '.join(dict.fromkeys(where))}")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--report")
    p.add_argument("--min", type=float)
    p.add_argument("--known")
    p.add_argument("source")
    p.add_argument("data", nargs="+")
    a = p.parse_args()

    files = collections.defaultdict(lambda: collections.defaultdict(Line))
    for folder in a.data:
        for name, number, function, count in read(folder, a.source):
            line = files[name][number]
            line.count += count
            line.functions.add(function)
    if not files:
        die(f"no data about {a.source} in {' '.join(a.data)}")

    known = known_lines(a.known) if a.known else {}
    there = set()
    missed = []
    seldom = []
    lines = covered = 0
    print(f"  {'file':<32}{'lines':>7}{'covered':>9}{'percent':>9}")
    for name in sorted(files):
        with open(os.path.join(TOP, name)) as f:
            text = f.read().splitlines()
        hit = sum(1 for line in files[name].values() if line.count)
        print(f"  {name:<32}{len(files[name]):>7}{hit:>9}{100 * hit / len(files[name]):>8.1f} %")
        if name.endswith(".c"):
            lines += len(files[name])
            covered += hit
        for number, line in sorted(files[name].items()):
            keys = [f"{os.path.basename(name)} {function}: {text[number - 1].strip()}"
                    for function in sorted(line.functions)]
            there.update(keys)
            why = next((known[k] for k in keys if k in known), None)
            if not line.count:
                missed.append((name, number, keys[0], why))
            elif line.count < 10 and not why:
                seldom.append(f"{name}:{number}: {keys[0].split(' ', 1)[1]}    [{line.count} times]")
    percent = 100 * covered / lines
    print(f"  {'all ' + a.source + '/*.c':<32}{lines:>7}{covered:>9}{percent:>8.1f} %")
    reasons(missed)

    if a.report:
        with open(a.report, "w") as f:
            for name, number, key, why in missed:
                print(f"{name}:{number}: {key.split(' ', 1)[1]}" + (f"    [{why}]" if why else ""), file=f)
            print("\nran, but fewer than ten times:", *seldom, sep="\n", file=f)
        print(f"  each of them: {os.path.relpath(a.report, TOP)}")

    failed = 0

    def say(ok, sentence, details=()):
        nonlocal failed
        print(f"{'ok' if ok else 'not ok'} - {sentence}")
        for d in details:
            print(f"    | {d}")
        failed += not ok

    if a.min is not None:
        say(percent >= a.min, f"at least {a.min:g} % of the lines of {a.source}/*.c ran: {percent:.1f} %")
    if a.known:
        where = os.path.relpath(a.known, TOP)
        new = [f"{name}:{number}: {key}" for name, number, key, why in missed if not why]
        say(not new, f"each line that did not run is in {where}, with its reason", new)
        gone = sorted(set(known) - there)
        say(not gone, f"and {where} names no line that is in the source no more", gone)
    sys.exit(1 if failed else 0)


main()
