"""What a member says of itself at its health path, asked as the providers' checkers ask."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from spillway.dns_ask import ready
from tests.support.dns_zone import SERVICE


@contextmanager
def https(
    tmp_path: Path, status: int, oldest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2, *, endless: bool = False
) -> Iterator[tuple[int, list[tuple[str | None, str]]]]:
    """A member on loopback with a certificate of its own; gives its port, and (SNI, Host) of what it was asked.

    oldest: the TLS version below which it does not go. endless: its answer's body never ends."""
    key, certificate = _certificate(tmp_path)
    seen: list[tuple[str | None, str]] = []
    names: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append((names[-1] if names else None, self.headers["Host"]))
            self.send_response(status)
            self.end_headers()
            with contextlib.suppress(OSError):  # until the asker has gone
                while endless:
                    self.wfile.write(b".")
                    time.sleep(0.05)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = oldest
    context.load_cert_chain(certificate, key)
    context.sni_callback = lambda _, name, __: names.append(name)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1], seen
    finally:
        server.shutdown()
        server.server_close()


def _certificate(folder: Path) -> tuple[Path, Path]:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "somebody else")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=9)).not_valid_after(now - timedelta(days=1))
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    files = folder / "key.pem", folder / "certificate.pem"
    files[0].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    files[1].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return files


@pytest.mark.parametrize(("status", "says"), [(200, "ready"), (302, "answers 302"), (503, "answers 503")])
def test_a_member_is_asked_by_address_with_the_services_name(tmp_path: Path, status: int, says: str) -> None:
    with https(tmp_path, status) as (port, seen):
        assert ready("127.0.0.1", port, "/readyz", SERVICE) == says
    assert seen == [(SERVICE, SERVICE)]  # and an expired certificate of somebody else does not matter


def test_a_member_that_speaks_tls_1_3_alone_is_not_ready_for_route53s_checkers(tmp_path: Path) -> None:
    with https(tmp_path, 200, ssl.TLSVersion.TLSv1_3) as (port, _):
        assert ready("127.0.0.1", port, "/readyz", SERVICE) == "only TLS 1.3"


def test_a_body_that_never_ends_keeps_nobody_waiting(tmp_path: Path) -> None:
    began = time.monotonic()
    with https(tmp_path, 200, endless=True) as (port, _):
        assert ready("127.0.0.1", port, "/readyz", SERVICE) == "ready"
        assert time.monotonic() - began < 5


def test_an_address_or_a_path_that_makes_no_url_is_a_word() -> None:
    assert ready("127.0.0.1\n", 443, "/readyz", SERVICE) == "InvalidURL"


def test_a_member_that_does_not_listen_or_speaks_no_tls() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        assert ready("127.0.0.1", closed.getsockname()[1], "/readyz", SERVICE) == "refused"
