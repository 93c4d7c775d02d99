#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What stands in a TPM's place and is none: no-tpm.py PORT rc:0xN|garbage|long|relay:PORT:FILE

relay passes everything on to the TPM at that port and writes what the bus showed to FILE."""
import socket
import struct
import sys
import threading

port, mode = int(sys.argv[1]), sys.argv[2]


def answer(command):
    if mode.startswith("rc:"):
        return struct.pack(">HII", 0x8001, 10, int(mode[3:], 0))
    if mode == "long":
        return struct.pack(">HII", 0x8001, 0xfffffff0, 0)
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>hello</html>"


def relay(client):
    _, to, file = mode.split(":")
    with socket.create_connection(("127.0.0.1", int(to))) as tpm, open(file, "ab", 0) as log:
        def pump(a, b):
            while data := a.recv(65536):
                log.write(data)
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)

        back = threading.Thread(target=pump, args=(tpm, client))
        back.start()
        pump(client, tpm)
        back.join()


def serve(client):
    with client:
        try:
            if mode.startswith("relay:"):
                relay(client)
            while command := client.recv(65536):
                client.sendall(answer(command))
        except OSError:
            pass


with socket.create_server(("127.0.0.1", port)) as server:
    while True:
        serve(server.accept()[0])
