# SPDX-License-Identifier: GPL-2.0-or-later
"""What the test servers have in common: HTTP/1.1 on 127.0.0.1, a thread for each
connection, TLS if asked for, and the ways in which an answer can go wrong on
its way.
"""
import http.server
import os
import signal
import socket
import ssl
import struct
import sys
import threading
import time


class Reset(Exception):
    """Ends a connection with RST and no answer."""


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024  # hundreds of hosts at once

    def __init__(self, port, handler, certificate=None):
        super().__init__(("127.0.0.1", port), handler)
        self.tls = None
        if certificate:
            self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls.minimum_version = ssl.TLSVersion.TLSv1_2
            self.tls.load_cert_chain(certificate)

    def finish_request(self, request, client_address):
        # in the connection's own thread: one that never shakes hands holds up nobody
        if self.tls:
            try:
                request = self.tls.wrap_socket(request, server_side=True)
            except (OSError, ValueError):
                return
        try:
            super().finish_request(request, client_address)
        finally:
            if self.tls:
                request.close()

    def shutdown_request(self, request):
        # without a FIN before the RST, where Handler.reset() wants one
        try:
            if struct.unpack("ii", request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8))[0]:
                self.close_request(request)
                return
        except OSError:
            pass
        super().shutdown_request(request)

    def handle_error(self, request, client_address):
        if not issubclass(sys.exc_info()[0], (OSError, Reset)):
            super().handle_error(request, client_address)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    disable_nagle_algorithm = True

    def log_message(self, format, *args):
        pass

    def lower_headers(self):
        return {k.lower(): v for k, v in self.headers.items()}

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(self, status, body, kind="application/x-amz-json-1.1", headers=(), form=None):
        """@form: None, or "truncated", "slow-drip": how the body gets there."""
        body = body.encode() if isinstance(body, str) else body
        self.send_response_only(status)
        for name, value in [("Content-Type", kind), ("Content-Length", str(len(body))), *headers]:
            self.send_header(name, value)
        self.end_headers()
        if form == "truncated":
            self.wfile.write(body[:len(body) // 2])
            self.close_connection = True
        elif form == "slow-drip":
            for i in range(len(body)):
                self.wfile.write(body[i:i + 1])
                self.wfile.flush()
                time.sleep(0.25)
        else:
            self.wfile.write(body)

    def reset(self):
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise Reset


def serve(server):
    """Until SIGTERM, or until who started it is gone; says the port first."""
    parent = os.getppid()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    # in one piece: who reads it may be gone after the first
    os.write(1, b"%d\n" % server.server_address[1])
    while os.getppid() == parent:
        time.sleep(0.5)
