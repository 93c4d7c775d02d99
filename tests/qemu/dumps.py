#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""
Dumps the VM's memory while it stands still, through QEMU's monitor.

    dumps.py MONITOR PORT MIB FILE COMMAND...

MONITOR is a QMP socket, PORT the socket behind the guest's third virtio port.
The guest asks by a line with a name (tests/qemu/dump) and goes on when it is
answered; once it has turned itself off there is one more dump, named "off", and
QEMU is told to end. For each, COMMAND NAME FILE is run, and FILE removed.
Exits with 0 if every dump was made and every COMMAND was content.
"""
import json
import os
import selectors
import socket
import subprocess
import sys
import time


def connect(path):
    """QEMU makes its sockets a moment after it was started."""
    until = time.monotonic() + 30
    while True:
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.connect(path)
            return sock
        except OSError:
            sock.close()
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


class Monitor:
    """QMP: JSON lines; a request is answered in order, events come in between."""

    def __init__(self, path):
        self.sock = connect(path)
        self.rest = b""
        self.answers = []
        self.off = False
        self.ask("qmp_capabilities")

    def read(self):
        got = self.sock.recv(65536)
        if not got:
            raise EOFError
        *lines, self.rest = (self.rest + got).split(b"\n")
        for line in lines:
            message = json.loads(line)
            if message.get("event") == "SHUTDOWN":
                self.off = True
            elif "return" in message or "error" in message:
                self.answers.append(message)

    def ask(self, command, **arguments):
        self.sock.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
        while not self.answers:
            self.read()
        answer = self.answers.pop(0)
        if "error" in answer:
            raise RuntimeError(f"{command}: {answer['error']['desc']}")


def main():
    monitor_path, port_path, mib, path = sys.argv[1:5]
    command = sys.argv[5:]
    monitor = Monitor(monitor_path)
    port = connect(port_path)
    failed = 0

    def dump(name):
        nonlocal failed
        monitor.ask("stop")
        monitor.ask("pmemsave", val=0, size=int(mib) << 20, filename=path)
        if not monitor.off:
            monitor.ask("cont")
        code = subprocess.run(command + [name, path], stdin=subprocess.DEVNULL, check=False).returncode
        os.unlink(path)
        if code:
            failed = 1
        return code

    wait = selectors.DefaultSelector()
    wait.register(monitor.sock, selectors.EVENT_READ)
    wait.register(port, selectors.EVENT_READ)
    line = b""
    while not monitor.off:
        ready = [key.fileobj for key, _ in wait.select()]
        if monitor.sock in ready:
            monitor.read()
        if port in ready:
            got = port.recv(4096)
            if not got:
                wait.unregister(port)
            line += got
            while b"\n" in line:
                name, line = line.split(b"\n", 1)
                port.sendall(b"%d\n" % dump(name.decode("ascii")))
    dump("off")
    monitor.ask("quit")
    return failed


try:
    sys.exit(main())
except (EOFError, ConnectionError):
    # the machine is gone: killed, or by a power cut that was asked for
    sys.exit(0)
except (OSError, RuntimeError) as e:
    print(f"dumps.py: {e}", file=sys.stderr)
    sys.exit(1)
