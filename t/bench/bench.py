#!/usr/bin/env python3
"""Compares weir with nginx and haproxy: CPU time for each unit of work.

  t/bench/bench.py [--weir objs/weir] [--peer NAME=BINARY ...] [--case NAME ...]
                   [--rounds 3] [--seconds 4]

Every server runs with one worker on CPU 0; the clients and the origin share
CPU 1.  What counts is the time that the server's processes spent on a CPU, as
the kernel's scheduler has it, divided by the work done: throughput depends on
what else the machine does, this hardly.  Rounds of the servers alternate, the
median of each is printed, and the ratio peer / weir: above 1.00 weir is cheaper.

  ret       a response that the proxy makes itself
  h1        proxied, 128 bytes, 64 connections that stay open
  h1-16k    proxied, 16 KiB
  h1-close  proxied, 128 bytes, a connection for each request
  rules     20 maps, an access list of 1,000 networks and the last of 5 regex
            locations decide about a response that the proxy makes itself
            (weir and nginx, who share a language)
  bulk      proxied, 256 MiB a response
  tls-h1    as h1, over TLS (versions 1.2 and 1.3, a P-256 certificate, no resumption)
  h2        proxied over HTTP/2 and TLS, 128 bytes, 8 connections of 32 streams
  h2-16k    the same with 16 KiB
  tls-bulk  as bulk, over TLS
  handshake full handshakes of TLSv1.3 by X25519
  idle-h1   memory of an open connection between requests (4,000 of them)
  idle-ws   memory of an open WebSocket (2,000 of them)
  idle-tls  memory of an open connection with TLS (2,000 of them)
  idle-h2   the same with HTTP/2

Needs wrk, h2load, curl, openssl, taskset and a C compiler; nginx and haproxy where they are compared.
"""

import argparse
import os
import re
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
BULK = 256 * 1024 * 1024

# nginx's language, so that weir and nginx read the same text.  nginx wants to be
# told that an Upgrade may pass; weir needs no telling.
NGINX_LANGUAGE = """
user {user};
worker_processes 1;
daemon off;
pid {dir}/pid;
error_log {dir}/error.log error;
worker_rlimit_nofile 20000;
events {{ worker_connections 9500; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 3600s;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    upstream origin {{
        server 127.0.0.1:{origin};
        keepalive 256;
        keepalive_requests 1000000000;
    }}
    {maps}
    {tls}
    server {{
        {listen}
        {locations}
        location / {{ proxy_pass http://origin; }}
        location = /ret {{ return 200 "ok"; }}
        location /ws {{
            proxy_pass http://origin;
            proxy_read_timeout 3600s;
            {upgrade}
        }}
    }}
}}
"""
TLS = """ssl_certificate {dir}/cert.pem;
    ssl_certificate_key {dir}/key.pem;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_tickets off;
    ssl_session_cache off;"""

UPGRADE = 'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";'


def table(source, name, rows):
    return f"map {source} ${name} {{ {' '.join(f'{k} {v};' for k, v in rows)} default none; }}"


def maps():
    """12 of texts, 4 of hosts, 4 of regular expressions; most have no key that fits."""
    out = []
    for i, source in enumerate(["$uri", "$arg_user", "$request_method", "$http_user_agent", "$http_accept",
                                "$arg_lang", "$cookie_id", "$scheme$host", "$remote_addr", "$args",
                                "$http_referer", "$server_protocol"]):
        rows = [(f"key-{k}", f"value-{k}") for k in range(30)]
        rows += [("GET", "get"), ("de", "german"), ("127.0.0.1", "here"), ("HTTP/1.1", "one")]
        out.append(table(source, f"text{i}", rows))
    for i in range(4):
        rows = [(f"*.site-{k}.example", f"site-{k}") for k in range(30)]
        rows += [(f"www-{k}.*", f"www-{k}") for k in range(30)] + [("*.example.com", "com")]
        out.append(table("$host", f"host{i}", rows).replace("{ ", "{ hostnames; ", 1))
    for i, source in enumerate(["$http_user_agent", "$uri", "$arg_user", "$http_accept"]):
        rows = [('"~*(curl|wget|bot)/[0-9]+"', "robot"), ('"~^/api/v[0-9]+/"', "interface"),
                ('"~*mozilla.*(windows|linux)"', "browser"), ('"~^user-(?<no>[0-9]+)$"', "$no")]
        out.append(table(source, f"regex{i}", rows))
    return "\n    ".join(out)


def rules():
    names = [f"$text{i}" for i in range(12)] + [f"$host{i}" for i in range(4)] + [f"$regex{i}" for i in range(4)]
    heads = [f'add_header X-Rules-{i} "{" ".join(names[i::4])}";' for i in range(4)]
    nets = [f"{'allow' if i % 2 else 'deny'} 10.{i // 4}.{i % 4 * 64}.0/{18 + i % 7};" for i in range(1000)]
    ends = ["php[0-9]?", "(jpg|jpeg|png)", "(css|js)", "(html|htm)", "(gif|ico)"]
    regexes = [f"location ~* ^/rules/.*\\.{e}$ {{ empty_gif; {' '.join(heads)} }}" for e in ends]
    return "\n        ".join(nets + ["allow 127.0.0.0/8;", "deny all;"] + regexes)


HAPROXY_LANGUAGE = """
global
    nbthread 1
    maxconn 9500
    ssl-default-bind-options no-tls-tickets
    tune.ssl.cachesize 0
defaults
    mode http
    timeout connect 5s
    timeout client 3600s
    timeout server 3600s
    timeout tunnel 3600s
    http-reuse always
frontend front
    bind 127.0.0.1:{port} {ssl} backlog 4096
    http-request return status 200 content-type text/plain string ok if {{ path /ret }}
    default_backend origin
backend origin
    server origin 127.0.0.1:{origin}
"""


# ---- what a tree of processes has used -------------------------------------

def tree(pid):
    pids = [pid]
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as f:
            for child in f.read().split():
                pids += tree(int(child))
    except OSError:
        pass
    return pids


def cpu_seconds(pid):
    total = 0
    for p in tree(pid):
        for task in os.listdir(f"/proc/{p}/task"):
            with open(f"/proc/{p}/task/{task}/schedstat") as f:
                total += int(f.read().split()[0])
    return total / 1e9


def memory_bytes(pid):
    total = 0
    for p in tree(pid):
        with open(f"/proc/{p}/smaps_rollup") as f:
            total += 1024 * sum(int(line.split()[1]) for line in f if line.startswith("Pss:"))
    return total


# ---- what is needed beside servers -----------------------------------------

def build(work):
    """The origin, a client for TLS (linked with weir's own OpenSSL, where there is one), a certificate."""
    cc = [os.environ.get("CC", "cc"), "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra"]
    deps = os.path.join(HERE, "../../deps")
    subprocess.run([*cc, "-o", f"{work}/origin", f"{HERE}/origin.c"], check=True)
    subprocess.run([*cc, f"-I{deps}/include", "-o", f"{work}/hand", f"{HERE}/hand.c", f"-L{deps}/lib", "-lssl",
                    "-lcrypto", "-ldl", "-lpthread", "-lz", "-lzstd"], check=True)
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-subj", "/CN=localhost", "-keyout", f"{work}/key.pem", "-out", f"{work}/cert.pem"],
                   check=True, capture_output=True)
    with open(f"{work}/both.pem", "wb") as both:
        for part in ("cert.pem", "key.pem"):
            with open(f"{work}/{part}", "rb") as f:
                both.write(f.read())
    os.chmod(f"{work}/key.pem", 0o640)


# ---- servers ---------------------------------------------------------------

def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until_open(port, proc):
    end = time.monotonic() + 10
    while time.monotonic() < end and proc.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return True
        except OSError:
            time.sleep(0.02)
    return False


def stop(proc):
    proc.send_signal(signal.SIGTERM)
    try:
        proc.wait(10)
    except subprocess.TimeoutExpired:
        proc.kill()
        proc.wait()


class Server:
    def __init__(self, name, binary, work, origin):
        self.name, self.binary = name, os.path.abspath(binary)
        self.dir = os.path.join(work, name)
        os.mkdir(self.dir)
        self.hand = f"{work}/hand"
        for f in ("cert.pem", "key.pem", "both.pem"):
            shutil.copy(f"{work}/{f}", self.dir)
        self.origin = origin

    def version(self):
        r = subprocess.run([self.binary, "-v"], capture_output=True, text=True)
        return (r.stdout + r.stderr).strip().splitlines()[0]

    def listen(self, case):
        """nginx had HTTP/2 as a word of listen, and may be old or new."""
        old = re.search(r"nginx/1\.(\d+)\.", self.version())
        old = self.name != "weir" and old is not None and int(old.group(1)) < 25
        words = (" ssl" if case in WITH_TLS else "") + (" http2" if case in WITH_H2 and old else "")
        on = "http2 on;" if case in WITH_H2 and not old else ""
        return f"listen 127.0.0.1:{self.port}{words} backlog=4096; {on}"

    def start(self, case):
        self.port = free_port()
        conf = os.path.join(self.dir, "conf")
        if self.name.startswith("haproxy"):
            language, cmd = HAPROXY_LANGUAGE, ["-db", "-f", conf]
        else:
            language, cmd = NGINX_LANGUAGE, ["-p", self.dir, "-c", conf]
        with open(conf, "w") as f:
            f.write(language.format(
                dir=self.dir, port=self.port, origin=self.origin, listen=self.listen(case),
                tls=TLS.format(dir=self.dir) if case in WITH_TLS else "",
                ssl=f"ssl crt {self.dir}/both.pem alpn h2,http/1.1" if case in WITH_TLS else "",
                maps=maps() if case == "rules" else "", locations=rules() if case == "rules" else "",
                user="root" if os.getuid() == 0 else "nobody",
                upgrade="" if self.name == "weir" else UPGRADE))
        with open(os.path.join(self.dir, "out"), "w") as out:
            self.proc = subprocess.Popen(["taskset", "-c", "0", self.binary] + cmd, stdout=out, stderr=out)
        if not wait_until_open(self.port, self.proc):
            self.stop()
            with open(os.path.join(self.dir, "out")) as out:
                sys.exit(f"{self.name} does not start:\n{out.read()}")
        self.pid = self.proc.pid

    def stop(self):
        stop(self.proc)


# ---- cases: each gives (figure, what else to say) ----------------------------

def client(*cmd):
    return subprocess.run(["taskset", "-c", "1", *cmd], capture_output=True, text=True, timeout=300).stdout


def wrk(url, seconds, headers):
    args = [x for h in headers for x in ("-H", h)]
    out = client("wrk", "-t1", "-c64", f"-d{seconds}s", *args, url)
    done = re.search(r"(\d+) requests in", out)
    if done is None or "Non-2xx" in out or "Socket errors" in out:
        raise RuntimeError(out.strip())
    return int(done.group(1))


def requests(path, *headers, scheme="http"):
    def run(server, seconds):
        url = f"{scheme}://127.0.0.1:{server.port}{path}"
        wrk(url, 1, headers)
        cpu, clock = cpu_seconds(server.pid), time.monotonic()
        n = wrk(url, seconds, headers)
        cpu, clock = cpu_seconds(server.pid) - cpu, time.monotonic() - clock
        return cpu / n * 1e6, f"{n / clock:.0f} requests/s"
    return run, "us a request"


def h2_requests(path):
    def load(server, n):
        out = client("h2load", "-t1", "-c8", "-m32", f"-n{n}", f"https://127.0.0.1:{server.port}{path}")
        if f"status codes: {n} 2xx" not in out:
            raise RuntimeError(out.strip())

    def run(server, seconds):
        n = seconds * 10000
        load(server, 5000)
        cpu, clock = cpu_seconds(server.pid), time.monotonic()
        load(server, n)
        cpu, clock = cpu_seconds(server.pid) - cpu, time.monotonic() - clock
        return cpu / n * 1e6, f"{n / clock:.0f} requests/s"
    return run, "us a request"


def handshakes(server, seconds):
    def shake(n):
        if subprocess.run(["taskset", "-c", "1", server.hand, str(server.port), str(n), "X25519"]).returncode != 0:
            raise RuntimeError("a handshake failed")
    n = seconds * 200
    shake(20)
    cpu, clock = cpu_seconds(server.pid), time.monotonic()
    shake(n)
    cpu, clock = cpu_seconds(server.pid) - cpu, time.monotonic() - clock
    return cpu / n * 1e6, f"{n / clock:.0f} handshakes/s"


def bulk(server, seconds, scheme="http"):
    def fetch():
        url = f"{scheme}://127.0.0.1:{server.port}/{BULK}"
        got = client("curl", "-sk", "--http1.1", "-o", "/dev/null", "-w", "%{http_code} %{size_download}", url)
        if got != f"200 {BULK}":
            raise RuntimeError(f"curl: {got}")
    fetch()
    cpu, clock = cpu_seconds(server.pid), time.monotonic()
    times = 0
    while times < 2 or time.monotonic() - clock < seconds / 2:
        fetch()
        times += 1
    cpu, clock = cpu_seconds(server.pid) - cpu, time.monotonic() - clock
    return cpu / (times * BULK / 1e9), f"{times * BULK / 1e9 / clock:.2f} GB/s"


def settled(pid):
    """Memory once it has stopped to change."""
    last = memory_bytes(pid)
    for _ in range(50):
        time.sleep(0.1)
        now = memory_bytes(pid)
        if now == last:
            break
        last = now
    return last


def idle(count, request, status):
    def run(server, seconds):
        before = settled(server.pid)
        socks = []
        try:
            for _ in range(count):
                s = socket.create_connection(("127.0.0.1", server.port), 10)
                socks.append(s)
                s.sendall(request)
            for s in socks:
                if not s.recv(4096).startswith(b"HTTP/1.1 " + status):
                    raise RuntimeError("a connection was not answered")
            after = settled(server.pid)
        finally:
            for s in socks:
                s.close()
        return (after - before) / count, f"{after / 2**20:.1f} MiB in all"
    return run, "bytes each"


def idle_tls(count, protocol):
    def run(server, seconds):
        def opened(n):
            held = subprocess.Popen([server.hand, "-i", str(server.port), str(n), "X25519", protocol],
                                    stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            if held.stdout.readline() != b"open\n":
                raise RuntimeError("a connection was not answered")
            return held
        with opened(10) as few:
            few.stdin.close()
        before = settled(server.pid)
        with opened(count) as many:
            after = settled(server.pid)
            many.stdin.close()
        return (after - before) / count, f"{after / 2**20:.1f} MiB in all"
    return run, "bytes each"


UPGRADE_REQUEST = (b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")

CASES = {
    "ret": requests("/ret"),
    "h1": requests("/128"),
    "h1-16k": requests("/16384"),
    "h1-close": requests("/128", "Connection: close"),
    "rules": requests("/rules/of/the/house.gif?user=user-1234&lang=de", "Host: www.example.com", "Cookie: id=17",
                      "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
                      "Accept: image/avif,image/webp,*/*"),
    "bulk": (bulk, "s a GB"),
    "tls-h1": requests("/128", scheme="https"),
    "h2": h2_requests("/128"),
    "h2-16k": h2_requests("/16384"),
    "tls-bulk": (lambda server, seconds: bulk(server, seconds, "https"), "s a GB"),
    "handshake": (handshakes, "us each"),
    "idle-h1": idle(4000, b"GET /ret HTTP/1.1\r\nHost: x\r\n\r\n", b"200"),
    "idle-ws": idle(2000, UPGRADE_REQUEST, b"101"),
    "idle-tls": idle_tls(2000, "http/1.1"),
    "idle-h2": idle_tls(2000, "h2"),
}
WITH_TLS = {"tls-h1", "h2", "h2-16k", "tls-bulk", "handshake", "idle-tls", "idle-h2"}
WITH_H2 = {"h2", "h2-16k", "idle-h2"}


# Who has no words for a case.
UNABLE = {("rules", "haproxy")}


# ---- rounds ----------------------------------------------------------------

def one_round(case, server, seconds):
    server.start(case)
    try:
        return CASES[case][0](server, seconds)
    except (RuntimeError, OSError, subprocess.TimeoutExpired) as e:
        print(f"{case}: {server.name}: {e}", file=sys.stderr)
        return None
    finally:
        server.stop()


def compare(case, servers, rounds, seconds):
    servers = [s for s in servers if (case, s.name) not in UNABLE]
    results = {s.name: [] for s in servers}
    for _ in range(rounds):
        for s in servers:
            results[s.name].append(one_round(case, s, seconds))
    ok, base = True, None
    for s in servers:
        if None in results[s.name]:
            print(f"{case:9} {s.name:8} FAILED", flush=True)
            ok = False
            continue
        figures = sorted(f for f, _ in results[s.name])
        figure = statistics.median(figures)
        base = figure if s.name == "weir" else base
        ratio = f"{figure / base:6.2f}" if base and base > 0 else "     -"
        print(f"{case:9} {s.name:8} {figure:9.4g} {CASES[case][1]:13} {ratio}   "
              f"{figures[0]:.4g} .. {figures[-1]:.4g}, {results[s.name][-1][1]}", flush=True)
    return ok


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--weir", default="objs/weir")
    ap.add_argument("--peer", action="append", metavar="NAME=BINARY")
    ap.add_argument("--case", action="append", choices=CASES)
    ap.add_argument("--rounds", type=int, default=3)
    ap.add_argument("--seconds", type=int, default=4)
    a = ap.parse_args()

    binaries = [("weir", a.weir)] + [p.split("=", 1) for p in a.peer or
                                     ["nginx=/usr/sbin/nginx", "haproxy=/usr/sbin/haproxy"]]
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    work = tempfile.mkdtemp(prefix="weir-bench-")
    os.chmod(work, 0o755)
    build(work)
    port = free_port()
    origin = subprocess.Popen(["taskset", "-c", "1", f"{work}/origin", str(port)])
    try:
        wait_until_open(port, origin)
        for name, binary in binaries:
            if os.path.exists(binary):
                continue
            if name == "weir" or a.peer:
                sys.exit(f"{name}: there is no {binary}")
            print(f"# {name}: not installed")
        servers = [Server(n, b, work, port) for n, b in binaries if os.path.exists(b)]
        for s in servers:
            print(f"# {s.name}: {s.version()}")
        print("#                  median                 peer/weir   least .. most, rate", flush=True)
        ok = [compare(c, servers, a.rounds, a.seconds) for c in a.case or CASES]
    finally:
        stop(origin)
        shutil.rmtree(work, ignore_errors=True)
    sys.exit(0 if all(ok) else 1)


if __name__ == "__main__":
    main()
