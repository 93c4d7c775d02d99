# SPDX-License-Identifier: GPL-2.0-or-later
"""Certificates for servers on 127.0.0.1, by the openssl command: a CA, and a
certificate of it that is right, or wrong in one way.

    certs.py FOLDER     makes ca.pem and KIND.pem (certificate and key) there
"""
import os
import subprocess
import sys

# kind: (subjectAltName, from, to); dates as openssl ca takes them
LONG_AGO, FAR = "20200101000000Z", "20491231235959Z"
KINDS = {
    "good": ("IP:127.0.0.1,DNS:localhost", LONG_AGO, FAR),
    "wrong-name": ("DNS:kms.example.com", LONG_AGO, FAR),
    "expired": ("IP:127.0.0.1,DNS:localhost", LONG_AGO, "20200201000000Z"),
}

CONFIG = """
[ca]
default_ca = here
[here]
database = {dir}/index
new_certs_dir = {dir}
serial = {dir}/serial
certificate = {dir}/ca.pem
private_key = {dir}/ca.key
default_md = sha256
policy = any
unique_subject = no
copy_extensions = copy
[any]
commonName = supplied
[req]
distinguished_name = dn
[dn]
[v3_ca]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
"""


def _openssl(*args):
    subprocess.run(["openssl", *args], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def make(folder):
    """ca.pem and a KIND.pem for each of KINDS."""
    def at(name):
        return os.path.join(folder, name)

    with open(at("conf"), "w") as f:
        f.write(CONFIG.format(dir=folder))
    with open(at("index"), "w"), open(at("serial"), "w") as f:
        f.write("01\n")
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-config", at("conf")]
    _openssl("req", "-x509", *new_key, "-keyout", at("ca.key"), "-out", at("ca.pem"), "-days", "3650",
             "-subj", "/CN=dm-kcache test CA", "-extensions", "v3_ca")
    for kind, (names, start, end) in KINDS.items():
        _openssl("req", "-new", *new_key, "-keyout", at(kind + ".key"), "-out", at(kind + ".csr"),
                 "-subj", f"/CN={kind}", "-addext", f"subjectAltName={names}")
        _openssl("ca", "-batch", "-notext", "-config", at("conf"), "-in", at(kind + ".csr"),
                 "-out", at(kind + ".crt"), "-startdate", start, "-enddate", end)
        with open(at(kind + ".pem"), "w") as out:
            for part in (".crt", ".key"):
                with open(at(kind + part)) as f:
                    out.write(f.read())


if __name__ == "__main__":
    make(sys.argv[1])
