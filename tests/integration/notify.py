#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What systemd would hear: notify.py SOCKET FILE makes a socket for $NOTIFY_SOCKET and
appends each line that comes, after the seconds since the start, to FILE."""
import socket
import sys
import time

s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
start = time.monotonic()
with open(sys.argv[2], "a", buffering=1) as f:
    while True:
        for line in s.recv(4096).decode().splitlines():
            f.write(f"{time.monotonic() - start:.2f} {line}\n")
