"""A network of its own with a cloud in it, and a client that asks the node as the world does.

Everything of one boot lives in one network namespace: port 80 of 169.254.169.254 is nobody else's there, nothing is
seen outside, and it is gone with its last process. This process stays where it is; its worker threads are inside.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from images.node import Cloud, NodeConfig
from images.render import render_user_data
from tests.boot import cloud, rootfs
from tests.support.node import staged

NAME: Final = "llm.example.com"
KEY: Final = "sk-boot-0123456789abcdefghijklmnopqrstuvwxyz"
CLONE_NEWNET: Final = 0x40000000
T = TypeVar("T")


@dataclass
class Answer:
    """Of the node. body: text. stamps: when each event of a stream came, seconds since the request."""

    status: int
    headers: dict[str, str]
    body: str
    protocol: str = ""
    stamps: list[float] = field(default_factory=list)

    @property
    def tokens(self) -> int:
        """Of a streamed answer: events with text in them."""
        return sum('"content": "t' in line for line in self.body.splitlines())

    @property
    def done(self) -> bool:
        return self.body.rstrip().endswith("data: [DONE]")


def config(name: Cloud = "aws", vault: str = "", *, slow: bool = False) -> NodeConfig:
    """The node of these boots. Its drain is short: a test waits for it. vault: URL of the Key Vault. slow: everything
    takes twenty times as long, so what is under way may take longer, and the engine its time to end.
    """
    certificate, keys = (f"{vault}/secrets/{one}" if vault else one for one in cloud.SECRETS[name])
    hooks = {"hooks": {"launching": cloud.LAUNCHING, "terminating": cloud.TERMINATING}} if name == "aws" else {}
    return staged.node(
        Path("/"),
        cloud.URIS[name],
        name,
        group=f"spillway-{name}-spot",
        serving={"name": NAME},
        drain={
            "noticeSeconds": 600 if slow else 60,
            "deregisterSeconds": 3,
            "drainSeconds": 300 if slow else 30,
        },
        disks={"scratch": "/mnt/scratch", "data": "/var/lib/spillway"},
        staging={"connections": 4, "partMib": 8},
        secrets={"certificate": certificate, "apiKeys": keys},
        **hooks,
    )


def certificates(*names: str) -> list[str]:
    """PEM of an authority, then of a leaf with its key for each name."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])

    now = datetime.now(UTC)
    authority = ec.generate_private_key(ec.SECP256R1())

    def sign(subject: str, key: ec.EllipticCurvePrivateKey, extension: x509.ExtensionType, critical: bool) -> str:
        builder = x509.CertificateBuilder().subject_name(named(subject)).issuer_name(named("boot test authority"))
        builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=30))
        signed = builder.add_extension(extension, critical).sign(authority, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM).decode()

    root = x509.BasicConstraints(ca=True, path_length=0)
    found = [sign("boot test authority", authority, root, True)]
    for name in names:
        key = ec.generate_private_key(ec.SECP256R1())
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        leaf = sign(name, key, x509.SubjectAlternativeName([x509.DNSName(name)]), False)
        found.append(leaf + key.private_bytes(*form).decode())
    return found


def _enter(namespace: str) -> None:
    """The calling thread is inside from now on."""
    libc = ctypes.CDLL(None, use_errno=True)
    handle = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
    try:
        if libc.setns(handle, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"setns {namespace}")
    finally:
        os.close(handle)


class Lab:
    """A folder of this boot, a network and a cloud: made on entry, gone at the end.

    machine: the node is one that reaches 127.0.0.1 of this network as 169.254.169.254; otherwise it is a container in
    this network, where metadata are at their real address.
    """

    def __init__(self, name: str, *, machine: bool, cloud: Cloud = "aws") -> None:
        self.name = f"spillway-{name}-{os.getpid()}"
        self.folder = rootfs.WORK / self.name
        self.machine = machine
        self.cloud: Cloud = cloud
        self.config = config(cloud, slow=machine)
        self.https = 443
        self.environment: dict[str, str] = {}
        """/etc/spillway/environment."""
        self._control = 0
        self._cloud: subprocess.Popen[str] | None = None
        self._threads: ThreadPoolExecutor | None = None

    @property
    def files(self) -> dict[str, str]:
        """What the node has beside the image: the authority of the stand-ins, and their names."""
        names = f"169.254.169.254 metadata.google.internal\n127.0.0.1 {cloud.VAULT}\n"
        return {
            "etc/spillway/authority.pem": (self.folder / "authority.pem").read_text(),
            # cloud-init writes /etc/hosts from this.
            "etc/cloud/templates/hosts.debian.tmpl": f"## template:jinja\n127.0.0.1 localhost\n{names}",
        }

    def __enter__(self) -> Self:
        rootfs.WORK.mkdir(exist_ok=True)
        self.folder.mkdir()
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self) -> None:
        for name, pem in zip(("authority", "tls", "vault"), certificates(NAME, cloud.VAULT), strict=True):
            (self.folder / f"{name}.pem").write_text(pem)
        key = {"name": "tester", "hash": f"sha256:{hashlib.sha256(KEY.encode()).hexdigest()}", "limit": None}
        (self.folder / "keys.json").write_text(json.dumps([key]))
        (self.folder / "user-data").write_text(render_user_data(self.config))
        for command in (["netns", "add", self.name], ["-n", self.name, "link", "set", "lo", "up"]):
            subprocess.run(["ip", *command], check=True, timeout=20)
        address = ["ip", "-n", self.name, "address", "add", "169.254.169.254/32", "dev", "lo"]
        if not self.machine:
            subprocess.run(address, check=True, timeout=20)
        self._threads = ThreadPoolExecutor(12, initializer=_enter, initargs=(self.name,))
        command = [
            *self.inside, sys.executable, "-m", "tests.boot.cloud", "--cloud", self.cloud, "--folder", str(self.folder),
            "--metadata-host", "127.0.0.1" if self.machine else "169.254.169.254", "--metadata-port", "80",
            "--user-data", str(self.folder / "user-data"),
        ]  # fmt: skip
        with (self.folder / "cloud.log").open("w") as log:
            self._cloud = subprocess.Popen(
                command, cwd=rootfs.ROOT, stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL, text=True
            )
        assert self._cloud.stdout
        line = self._cloud.stdout.readline()
        if not line:
            raise RuntimeError(f"the stand-in cloud does not start:\n{(self.folder / 'cloud.log').read_text()[-2000:]}")
        told = json.loads(line)
        self._control = told["control"]
        host = "169.254.169.254" if self.machine else "127.0.0.1"
        found = {name: value.replace("{host}", host) for name, value in told["environment"].items()}
        if vault := found.pop("VAULT", ""):
            self.config = config(self.cloud, vault, slow=self.machine)
            (self.folder / "user-data").write_text(render_user_data(self.config))
        engine = "--start-seconds 1 --first-token-ms 20 --token-ms 40 --teardown-seconds 1"
        found |= {"SPILLWAY_ENGINE_DEVICE": "cpu", "SPILLWAY_ENGINE_ARGS": f'"{engine}"'}
        if self.machine:  # QEMU's model of a disk is another than Amazon's
            found["SPILLWAY_LOCAL_DISKS"] = "/dev/disk/by-id/nvme-QEMU_NVMe_Ctrl_*"
        self.environment = found

    def __exit__(self, *_: object) -> None:
        if self._threads:
            self._threads.shutdown(wait=False, cancel_futures=True)
        if self._cloud:
            end(self._cloud)
        subprocess.run(["ip", "netns", "delete", self.name], check=False, capture_output=True, timeout=20)
        rootfs.remove(self.folder / "root")
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def inside(self) -> list[str]:
        """What a command begins with to run in this network."""
        return ["nsenter", f"--net=/run/netns/{self.name}"]

    def submit(self, work: Callable[..., T], *arguments: Any, **more: Any) -> Future[T]:
        """Runs it in a thread of this network."""
        assert self._threads
        return self._threads.submit(work, *arguments, **more)

    # -- the cloud

    def tell(self, what: str, **body: Any) -> dict[str, Any]:
        """Says something to the stand-in cloud, or asks it for its `state`."""

        def work() -> dict[str, Any]:
            connection = http.client.HTTPConnection("127.0.0.1", self._control, timeout=20)
            with contextlib.closing(connection):
                method, data = ("GET", None) if what == "state" else ("POST", json.dumps(body))
                connection.request(method, f"/{what}", data, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                text = answer.read()
                if answer.status >= 400:
                    raise RuntimeError(f"{what}: {answer.status} {text!r}")
                found: dict[str, Any] = json.loads(text) if text else {}
                return found

        return self.submit(work).result(30)

    # -- the node

    def context(self) -> ssl.SSLContext:
        """Of a client that trusts the one authority, and the name in the certificate."""
        context = ssl.create_default_context(cafile=str(self.folder / "authority.pem"))
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        return context

    def _ask(self, method: str, path: str, body: Any, headers: dict[str, str], timeout: float, trust: bool) -> Answer:
        began = time.monotonic()
        context = self.context() if trust else ssl._create_unverified_context()
        with (
            socket.create_connection(("127.0.0.1", self.https), timeout) as plain,
            context.wrap_socket(plain, server_hostname=NAME) as secure,
        ):
            connection = http.client.HTTPConnection(NAME)
            connection.sock = secure
            data = json.dumps(body) if body is not None else None
            connection.request(method, path, data, {"Content-Type": "application/json", **headers})
            answer = connection.getresponse()
            lines, stamps = [], []
            while line := answer.readline():
                if line.strip():
                    stamps.append(time.monotonic() - began)
                lines.append(line)
            found = {name.lower(): value for name, value in answer.getheaders()}
            text = b"".join(lines).decode("utf-8", "replace")
            return Answer(answer.status, found, text, secure.version() or "", stamps)

    def ask(
        self, method: str, path: str, body: Any = None, *, key: str = "", timeout: float = 5, trust: bool = True
    ) -> Answer:
        """One request over TLS 1.3, its certificate and name checked. Raises OSError, http.client.HTTPException."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return self.submit(self._ask, method, path, body, headers, timeout, trust).result(timeout + 90)

    def chat(self, tokens: int, *, key: str = KEY, timeout: float = 60) -> Future[Answer]:
        """A streamed chat completion, under way."""
        body = {
            "model": staged.NAME,
            "messages": [{"role": "user", "content": "private words of a prompt"}],
            "max_tokens": tokens,
            "stream": True,
        }
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        return self.submit(self._ask, "POST", "/v1/chat/completions", body, headers, timeout, True)

    def ready(self) -> tuple[int, str]:
        """Status of /readyz and the reason in it; (0, fault) when nobody answers."""
        try:
            answer = self.ask("GET", "/readyz", timeout=3)
        except (OSError, http.client.HTTPException) as error:
            return 0, str(error)
        reason = json.loads(answer.body).get("reason", "") if answer.status == 503 else ""
        return answer.status, str(reason)

    def until(self, status: int, within: float, every: float = 0.05) -> Readiness:
        """Waits for /readyz to answer so; what it said on the way. Raises AssertionError."""
        began = time.monotonic()
        seen: list[tuple[float, int, str]] = []
        while (now := time.monotonic() - began) < within:
            found = self.ready()
            if not seen or seen[-1][1:] != found:
                seen.append((time.monotonic() - began, *found))
            if found[0] == status:
                return Readiness(time.monotonic() - began, seen)
            time.sleep(max(every, 0.0))
        raise AssertionError(f"/readyz is not {status} after {now:.0f} s: {seen}")

    def until_gone(self, within: float = 240) -> None:
        """Waits until nobody answers any more."""
        began = time.monotonic()
        while self.ready()[0]:
            assert time.monotonic() - began < within, "still answers"
            time.sleep(0.2)


@dataclass(frozen=True)
class Readiness:
    """seconds: of the wait. seen: (when, status, reason), each change."""

    seconds: float
    seen: list[tuple[float, int, str]]


def end(process: subprocess.Popen[Any], seconds: float = 10) -> None:
    """SIGTERM, then SIGKILL, to this one process."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
    if process.poll() is None:
        process.kill()
        process.wait(10)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe:
            pipe.close()
