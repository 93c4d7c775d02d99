#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""KTAP as KUnit prints it into the kernel's log, taken strictly.

    ktap.py NAME <LOG      prints a line a suite and what failed, and at the end
                           "NAME: N passed, N failed"; exit code 0 if all passed

The kernel's own reader forgives: misnumbered results, a suite that is not there,
a log that ends in the middle. Here each of these is a failure, and so is a test
that was skipped: a suite that does not run is not a suite that passed. Only the
plan says what has to be there, so a log without one fails too.

Linux 6.1 writes "ok 1 - name", later kernels "ok 1 name" and a version line in
front of each suite; both are read. Other lines of the log are passed over, and
shown with the failure that they stand in front of.
"""
import re
import sys

STAMP = re.compile(r"^(<\d+>)?\[ *\d+\.\d+\](\[ *[TC]\d+\])? ?")
RESULT = re.compile(r"^(not ok|ok) (\d+)(?: -)? (\S+)(?: # *(.*))?$")
PLAN = re.compile(r"^1\.\.(\d+)$")
# a line that means to be one of these and is not
SUSPECT = re.compile(r"^( {4})?(not ok|ok)\b|^( {4})?1\.\.")


class Suite:
    """One suite while it is read: its plan, what has come of it."""

    def __init__(self, name):
        self.name = name
        self.plan = None
        self.seen = []
        self.passed = 0
        self.failed = 0


class Reader:
    """Reads the lines of a log; .passed, .failures and .suites are the outcome."""

    def __init__(self):
        self.passed = 0
        self.failures = []
        self.suites = []
        self._header = False
        self._plan = None
        self._suite = None
        self._notes = []

    def _fail(self, why):
        self.failures.append((why, self._notes))
        self._notes = []
        if self._suite:
            self._suite.failed += 1

    def _case(self, verdict, number, name, directive):
        s = self._suite
        if s is None:
            self._fail(f"{name}: a result outside of a suite")
            return
        if s.plan is None:
            self._fail(f"{s.name}: a result before the suite's plan")
            return
        if name in s.seen:
            self._fail(f"{s.name}.{name}: a second result")
            return
        s.seen.append(name)
        if number != len(s.seen):
            self._fail(f"{s.name}.{name}: numbered {number}, it is the {len(s.seen)}.")
        elif number > s.plan:
            self._fail(f"{s.name}.{name}: the plan was {s.plan} tests")
        elif directive and directive.upper().startswith(("SKIP", "TODO")):
            self._fail(f"{s.name}.{name}: did not run: {directive}")
        elif verdict != "ok":
            self._fail(f"{s.name}.{name}")
        else:
            s.passed += 1
            self.passed += 1
            self._notes = []

    def _begin_suite(self, name):
        if self._suite:
            self._fail(f"{self._suite.name}: ends without its result")
        if name in [s.name for s in self.suites]:
            self._fail(f"{name}: a second suite of this name")
        self._suite = Suite(name)
        self.suites.append(self._suite)

    def _end_suite(self, verdict, number, name, directive):
        s = self._suite
        if s is None or s.name != name:
            self._fail(f"{name}: the result of a suite that has not begun")
            return
        if number != len(self.suites):
            self._fail(f"{name}: numbered {number}, it is the {len(self.suites)}.")
        if s.plan is None or len(s.seen) < s.plan:
            self._fail(f"{name}: {len(s.seen)} results of {s.plan} planned")
        if directive and directive.upper().startswith(("SKIP", "TODO")):
            self._fail(f"{name}: did not run: {directive}")
        elif (verdict == "ok") != (s.failed == 0):
            self._fail(f"{name}: says {verdict}, with {s.failed} failures")
        self._suite = None
        self._notes = []

    def line(self, text):
        text = STAMP.sub("", text.rstrip("\r\n"))
        inner = text[4:] if text.startswith("    ") else None
        if text == "KTAP version 1":
            # a kernel with KUnit prints "1..0" of its own when it boots
            if self._header and (self._plan != 0 or self.suites or self.failures):
                self._fail("a second header")
            self._plan = None if self._plan == 0 else self._plan
            self._header = True
            return
        # nothing before the header counts: the boot may have tests of its own
        if not self._header:
            return
        if m := PLAN.match(text):
            if self._plan is not None:
                self._fail("a second plan")
            self._plan = int(m[1])
        elif inner is not None and (m := re.match(r"^# Subtest: (\S+)$", inner)):
            self._begin_suite(m[1])
        elif inner is not None and (m := PLAN.match(inner)):
            if self._suite is None or self._suite.plan is not None:
                self._fail("a plan outside of a suite, or its second one")
            else:
                self._suite.plan = int(m[1])
        elif inner is not None and (m := RESULT.match(inner)):
            self._case(m[1], int(m[2]), m[3], m[4])
        elif m := RESULT.match(text):
            self._end_suite(m[1], int(m[2]), m[3], m[4])
        elif SUSPECT.match(text):
            self._fail(f"not to be read: {text}")
        else:
            self._notes.append(text)

    def end(self):
        if not self._header:
            self._fail("there is no KTAP header in the log")
            return
        if self._suite:
            self._fail(f"{self._suite.name}: the log ends in the middle of it")
            self._suite = None
        if not self._plan:
            self._fail("there is no plan in the log")
        elif len(self.suites) != self._plan:
            self._fail(f"{len(self.suites)} suites of {self._plan} planned")


def read(lines):
    """All of a log. Returns the Reader."""
    reader = Reader()
    for text in lines:
        reader.line(text)
    reader.end()
    return reader


def main(argv):
    if len(argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    name = argv[1]
    reader = read(sys.stdin.buffer.read().decode("utf-8", "replace").splitlines())
    for suite in reader.suites:
        print(f"  {'TEST':<7} {name}: {suite.name}: {suite.passed} passed, {suite.failed} failed")
    for why, notes in reader.failures:
        print(f"not ok - {name}: {why}")
        for note in notes[-40:]:
            print(f"    | {note}")
    print(f"{name}: {reader.passed} passed, {len(reader.failures)} failed")
    return 0 if reader.passed and not reader.failures else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv))
