#!/usr/bin/env python3
"""Counts what TLS and HTTP/2 cost: instructions for each unit of work.

  t/bench/count.py [--weir objs/weir] [--case NAME ...] [--keep DIR]

weir runs in one process under callgrind; what is counted is its own code and
that of the libraries, not the kernel's.  It hardly depends on what else the
machine does, so small differences show.  Each case warms up, sets the
counters to zero, and does a known amount of work.

  ret-h1 ret-h2         a response that weir makes itself, one request at a time
  tls-h1 h2 h2-m10      proxied, 128 bytes: one request at a time on each of 8
                        connections, by HTTP/1.1, HTTP/2, and ten at a time
  h1-16k h2-16k         proxied, 16 KiB, one at a time
  bulk-h1 bulk-h2       proxied, 16 MiB: instructions a KiB
  hand-x25519 hand-p256 hand-mlkem
                        a full handshake of TLSv1.3 with that group, and one of
  hand-raw-*            OpenSSL's own server (t/bench/hand.c) without anything around it

With --keep the profiles stay there, for callgrind_annotate.

Needs valgrind, h2load, curl, openssl and a C compiler.
"""

import argparse
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

from bench import build, free_port, stop, wait_until_open

CONF = """
worker_processes 1;
daemon off;
master_process off;
pid {dir}/pid;
error_log {dir}/error.log error;
events {{ worker_connections 9500; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 3600s;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    upstream origin {{ server 127.0.0.1:{origin}; keepalive 256; keepalive_requests 1000000000; }}
    ssl_certificate {dir}/cert.pem;
    ssl_certificate_key {dir}/key.pem;
    ssl_session_tickets off;
    {more}
    server {{
        listen 127.0.0.1:{port} ssl backlog=4096;
        http2 on;
        location / {{ proxy_pass http://origin; }}
        location = /ret {{ return 200 "ok"; }}
    }}
}}
"""


class Counted:
    """A server under callgrind."""

    def __init__(self, dir, cmd, port):
        self.dir, self.port = dir, port
        self.proc = subprocess.Popen(["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={dir}/cg",
                                      "--dump-instr=no", *cmd], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if not wait_until_open(port, self.proc):
            sys.exit(f"{cmd[0]} does not start")

    def control(self, *what):
        subprocess.run(["callgrind_control", *what, str(self.proc.pid)], check=True, capture_output=True)

    def count(self, work):
        """Instructions that work() makes the server execute."""
        before = set(glob.glob(f"{self.dir}/cg.*"))
        self.control("-z")
        work()
        self.control("-d")
        new = set(glob.glob(f"{self.dir}/cg.*")) - before
        self.profile = max(new, key=os.path.getsize)
        with open(self.profile) as f:
            return int(re.search(r"^(?:summary|totals): (\d+)", f.read(), re.M).group(1))


# ---- clients: each does `n` units of work ------------------------------------

def h2load(n, port, path, *how):
    out = subprocess.run(["h2load", f"-n{n}", *how, f"https://127.0.0.1:{port}{path}"],
                         capture_output=True, text=True, timeout=600).stdout
    if f" {n} succeeded" not in out or f"status codes: {n} 2xx" not in out:
        sys.exit(f"h2load: {out}")


def load(n, path, *how):
    # its connections are not counted: what twice as many requests cost more is
    def run(server):
        h2load(n, server.port, path, *how)
        once = server.count(lambda: h2load(n, server.port, path, *how))
        return (server.count(lambda: h2load(2 * n, server.port, path, *how)) - once) / n
    return run, "a request"


def bulk(flag):
    def fetch(server, size):
        got = subprocess.run(["curl", "-sk", flag, "-o", "/dev/null", "-w", "%{size_download}",
                              f"https://127.0.0.1:{server.port}/{size}"], capture_output=True, text=True).stdout
        if got != str(size):
            sys.exit(f"curl: {got}")

    def run(server):
        fetch(server, 1 << 20)
        small = server.count(lambda: fetch(server, 4 << 20))
        return (server.count(lambda: fetch(server, 20 << 20)) - small) / 16384
    return run, "a KiB"


def handshakes(n, group):
    def run(server):
        def go(n):
            r = subprocess.run([server.client, str(server.port), str(n), group])
            if r.returncode != 0:
                sys.exit("a handshake failed")
        go(10)
        return server.count(lambda: go(n)) / n
    return run, "a handshake"


CASES = {
    "ret-h1": load(400, "/ret", "--h1", "-c8", "-m1"),
    "ret-h2": load(400, "/ret", "-c8", "-m1"),
    "tls-h1": load(400, "/128", "--h1", "-c8", "-m1"),
    "h2": load(400, "/128", "-c8", "-m1"),
    "h2-m10": load(800, "/128", "-c8", "-m10"),
    "h1-16k": load(400, "/16384", "--h1", "-c8", "-m1"),
    "h2-16k": load(400, "/16384", "-c8", "-m1"),
    "h2-16k-m10": load(800, "/16384", "-c8", "-m10"),
    "bulk-h1": bulk("--http1.1"),
    "bulk-h2": bulk("--http2"),
    "hand-x25519": handshakes(100, "X25519"),
    "hand-p256": handshakes(100, "P-256"),
    "hand-mlkem": handshakes(100, "X25519MLKEM768"),
}
RAW = {f"hand-raw-{g}": CASES[f"hand-{g}"] for g in ("x25519", "p256", "mlkem")}


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--weir", default="objs/weir")
    ap.add_argument("--case", action="append", choices=[*CASES, *RAW])
    ap.add_argument("--conf", default="", help="more directives for http {}")
    ap.add_argument("--keep", metavar="DIR")
    a = ap.parse_args()

    work = tempfile.mkdtemp(prefix="weir-count-")
    os.chmod(work, 0o755)
    build(work)
    origin_port = free_port()
    origin = subprocess.Popen([f"{work}/origin", str(origin_port)])
    try:
        wait_until_open(origin_port, origin)
        for case in a.case or [*CASES, *RAW]:
            dir, port = f"{work}/{case}", free_port()
            os.mkdir(dir)
            for f in ("cert.pem", "key.pem"):
                shutil.copy(f"{work}/{f}", dir)
            cmd = [f"{work}/hand", "-s", str(port), f"{dir}/cert.pem", f"{dir}/key.pem"]
            if case not in RAW:
                with open(f"{dir}/conf", "w") as f:
                    f.write(CONF.format(dir=dir, port=port, origin=origin_port, more=a.conf))
                cmd = [os.path.abspath(a.weir), "-p", dir, "-c", f"{dir}/conf"]
            server = Counted(dir, cmd, port)
            server.client = f"{work}/hand"
            try:
                run, unit = (RAW if case in RAW else CASES)[case]
                print(f"{case:16} {run(server):12.0f} instructions {unit}", flush=True)
                if a.keep:
                    os.makedirs(a.keep, exist_ok=True)
                    shutil.copy(server.profile, f"{a.keep}/{case}")
            finally:
                stop(server.proc)
    finally:
        stop(origin)
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
