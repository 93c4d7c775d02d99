#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""A server on this machine's 127.0.0.1 that a VM reaches at its own 127.0.0.1.

The VM has no network: HTTP requests go through tests/qemu/vm --channel, one at a time,
each a length of four bytes and the bytes, and so do the answers.

  channel.py host SOCKET PORT    on this machine, before the VM is started
  channel.py vm PORT             in the VM; prints "ready"
"""

import glob
import os
import socket
import struct
import sys
import threading


def http_message(stream):
    """One request or answer with its body, as bytes; none at the end of the stream."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = stream.readline()
        if not line:
            return b""
        head += line
    length = 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            length = int(value)
    return head + stream.read(length)


def read_exactly(read, n):
    data = b""
    while len(data) < n:
        more = read(n - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def receive(read):
    return read_exactly(read, struct.unpack(">I", read_exactly(read, 4))[0])


def frame(data):
    return struct.pack(">I", len(data)) + data


def ask(port, request):
    with socket.create_connection(("127.0.0.1", port)) as server:
        server.sendall(request)
        return http_message(server.makefile("rb"))


def host(path, port):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    print("ready", flush=True)
    while True:
        vm, _ = listener.accept()
        try:
            while True:
                vm.sendall(frame(ask(port, receive(vm.recv))))
        except (EOFError, ConnectionError):
            vm.close()


def serve(client, fd, lock):
    stream = client.makefile("rb")
    while request := http_message(stream):
        with lock:
            data = frame(request)
            while data:
                data = data[os.write(fd, data):]
            answer = receive(lambda n: os.read(fd, n))
        client.sendall(answer)
    client.close()


def vm(port):
    fd = os.open(glob.glob("/dev/vport*p4")[0], os.O_RDWR)
    lock = threading.Lock()
    listener = socket.create_server(("127.0.0.1", port))
    print("ready", flush=True)
    while True:
        client, _ = listener.accept()
        threading.Thread(target=serve, args=(client, fd, lock), daemon=True).start()


if sys.argv[1] == "host":
    host(sys.argv[2], int(sys.argv[3]))
else:
    vm(int(sys.argv[2]))
