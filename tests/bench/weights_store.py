"""A store of weights on loopback: nginx, which answers ranges from memory, plain and encrypted."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import ipaddress
import json
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.bench.surroundings import program
from tests.support.node.staged import BUCKET, FOLDER, NAME, REVISION, noise

SHARD: Final = 256 << 20
BLOCK: Final = 16 << 20
NGINX: Final = """
worker_processes 1; daemon off; pid {tmp}/nginx.pid; error_log {tmp}/error.log; worker_rlimit_nofile 4096;
events {{ worker_connections 1024; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;
  client_body_temp_path {tmp}/body; proxy_temp_path {tmp}/proxy; fastcgi_temp_path {tmp}/fastcgi;
  uwsgi_temp_path {tmp}/uwsgi; scgi_temp_path {tmp}/scgi;
  ssl_certificate {tmp}/certificate.pem; ssl_certificate_key {tmp}/key.pem; ssl_protocols TLSv1.2 TLSv1.3;
  server {{ listen 127.0.0.1:{plain}; listen 127.0.0.1:{encrypted} ssl; root {root}; }}
}}
"""


@dataclass(frozen=True)
class Store:
    """size: bytes of all files. paths: of the shards, as they are asked for."""

    size: int
    paths: tuple[str, ...]
    plain: int
    encrypted: int
    authority: Path
    process: psutil.Process

    def cpu(self) -> float:
        """Seconds so far."""
        every = [self.process, *self.process.children(recursive=True)]
        return sum(one.cpu_times().user + one.cpu_times().system for one in every)


def lacks() -> str | None:
    """Why there can be no store here; None: there can."""
    return None if program("nginx") else "nginx, which stands for the object store, is not installed"


@contextlib.contextmanager
def serving(tmp: Path, gib: float) -> Iterator[Store]:
    """The store with a model of so many GiB in shards. tmp: a folder of its own."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as here:
        root = Path(here)
        root.chmod(0o755)
        size = _fill(root, gib)
        _certify(tmp)
        plain, encrypted = _free_port(), _free_port()
        conf = tmp / "nginx.conf"
        conf.write_text(NGINX.format(tmp=tmp, plain=plain, encrypted=encrypted, root=root))
        nginx = program("nginx") or "nginx"
        server = subprocess.Popen([nginx, "-p", str(tmp), "-c", str(conf)], stderr=subprocess.DEVNULL)
        try:
            _until_open(plain)
            folder = root / BUCKET / FOLDER
            paths = tuple(f"/{BUCKET}/{FOLDER}{one.name}" for one in sorted(folder.glob("*.safetensors")))
            yield Store(size, paths, plain, encrypted, tmp / "certificate.pem", psutil.Process(server.pid))
        finally:
            server.terminate()
            server.wait(10)


def _fill(root: Path, gib: float) -> int:
    """Shards and their manifest, in memory; bytes of them."""
    folder = root / BUCKET / FOLDER
    folder.mkdir(parents=True)
    entries = []
    block = noise(BLOCK)
    count = max(1, round(gib * (1 << 30) / SHARD))
    for number in range(count):
        hash_ = hashlib.sha256()
        path = folder / f"model-{number + 1:05}-of-{count:05}.safetensors"
        with path.open("wb") as file:
            for part in range(SHARD // BLOCK):
                data = number.to_bytes(4, "big") + part.to_bytes(4, "big") + block[8:]
                hash_.update(data)
                file.write(data)
        entries.append({"path": path.name, "size": SHARD, "sha256": hash_.hexdigest()})
    config = b'{"architectures": ["TinyForCausalLM"]}'
    (folder / "config.json").write_bytes(config)
    entries.append({"path": "config.json", "size": len(config), "sha256": hashlib.sha256(config).hexdigest()})
    body = {"schemaVersion": 1, "model": NAME, "revision": REVISION, "files": entries}
    (folder / "manifest.json").write_text(json.dumps(body))
    return count * SHARD + len(config)


def _certify(folder: Path) -> None:
    """A key and a certificate of 127.0.0.1 that is its own authority, for a day."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "store")])
    now = datetime.datetime.now(datetime.UTC)
    found = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    (folder / "certificate.pem").write_bytes(found.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _until_open(port: int) -> None:
    for _ in range(200):
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("nginx does not listen")
