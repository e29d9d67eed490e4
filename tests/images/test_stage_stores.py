"""The copy against every kind of store, by the identity that belongs to it; Azurite and fake-gcs-server where they are.

`azurite-blob` (npm install azurite) and `fake-gcs-server` (go install github.com/fsouza/fake-gcs-server) are looked for
on the PATH; the stand-ins of tests/support/node/stores.py are always there.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest

from tests.support.node import stores
from tests.support.node.staged import FOLDER, Machine, manifest, node, noise, weights
from tests.support.node.stores import Fault

Kind = Literal["blob", "gcs", "cos"]
URIS = {"blob": "az://spillway0123", "gcs": "gs://bucket-1", "cos": "cos://bucket-1250000000"}
CLOUDS = {"blob": "azure", "gcs": "gcp", "cos": "tencent"}
ENDPOINTS = {"blob": "SPILLWAY_BLOB_ENDPOINT", "gcs": "STORAGE_EMULATOR_HOST", "cos": "SPILLWAY_COS_ENDPOINT"}
FILES = {**weights(2_500_000), "sub folder/a+b %41~é.json": noise(100)}


@contextmanager
def world(tmp: Path, kind: Kind) -> Iterator[tuple[Machine, stores.Watched, stores.Objects, stores.Metadata]]:
    objects, metadata = stores.Objects(kind), stores.Metadata()
    watched = stores.Watched(objects)
    with stores.serve(watched) as url, stores.serve(metadata) as imds:
        config = node(tmp, f"{URIS[kind]}/{FOLDER}", CLOUDS[kind])
        place = "" if kind == "blob" else URIS[kind].partition("//")[2] + "/"
        for path, data in {**FILES, "manifest.json": manifest(FILES)}.items():
            objects.objects[place + FOLDER + path] = data
        yield Machine(tmp, config, {ENDPOINTS[kind]: url, "SPILLWAY_METADATA": imds}), watched, objects, metadata


@pytest.mark.parametrize("kind", ["blob", "gcs", "cos"])
def test_every_store_gives_every_file_to_the_nodes_identity(tmp_path: Path, kind: Kind) -> None:
    with world(tmp_path, kind) as (machine, watched, _, _):
        code, journal = machine.run()
        assert code == 0, journal
        assert machine.files() == FILES
        assert watched.bytes("00001-of") == 2_500_000


@pytest.mark.parametrize("kind", ["blob", "gcs", "cos"])
def test_every_store_heals_from_throttles_and_broken_bodies(tmp_path: Path, kind: Kind) -> None:
    with world(tmp_path, kind) as (machine, watched, _, _):
        watched.faults = [
            Fault("00001-of", "status", 503, times=2, headers={"Retry-After": "1"}),
            Fault("00002-of", "cut", 200_000, times=2),
            Fault("config.json", "status", 500, times=1),
        ]
        code, journal = machine.run()
        assert code == 0, journal
        assert machine.files() == FILES


@pytest.mark.parametrize("kind", ["blob", "gcs", "cos"])
def test_every_store_is_asked_again_for_what_is_missing_or_denied(tmp_path: Path, kind: Kind) -> None:
    with world(tmp_path, kind) as (machine, watched, _, _):
        watched.faults = [Fault("manifest.json", "status", 403, times=1), Fault("00001-of", "status", 404, times=1)]
        code, journal = machine.run()
        assert code == 0, journal
        uri = machine.config.model.uri
        assert f"{uri}manifest.json: 403" in journal
        assert f"{uri}model-00001-of-00002.safetensors: 404" in journal
        assert machine.files() == FILES


def test_nothing_secret_is_told_when_a_store_refuses(tmp_path: Path) -> None:
    for kind in ("blob", "gcs", "cos"):
        (tmp_path / kind).mkdir()
        with world(tmp_path / kind, kind) as (machine, watched, _, _):
            watched.faults = [Fault("", "status", 403)]
            process = machine.start()
            time.sleep(2.5)
            process.kill()
            _, journal = process.communicate()
            told = journal + (machine.tmp / "run/stage.json").read_text()
            assert "403" in told
            for secret in (stores.TOKEN, stores.KEY_SECRET, stores.SESSION):
                assert secret not in told


def _port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def _running(command: list[str], port: int) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while True:
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert time.monotonic() < deadline, f"{command[0]} did not start"
            time.sleep(0.1)
        yield
    finally:
        process.kill()
        process.wait()


@pytest.mark.skipif(not shutil.which("fake-gcs-server"), reason="fake-gcs-server is not installed")
def test_fake_gcs_server_gives_every_file(tmp_path: Path) -> None:
    port, metadata = _port(), stores.Metadata()
    for path, data in {**FILES, "manifest.json": manifest(FILES)}.items():
        target = tmp_path / "gcs/bucket-1" / FOLDER / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    command = ["fake-gcs-server", "-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-backend", "memory"]
    command += ["-data", str(tmp_path / "gcs")]
    with _running(command, port), stores.serve(metadata) as imds:
        config = node(tmp_path, f"gs://bucket-1/{FOLDER}", "gcp")
        machine = Machine(
            tmp_path, config, {"STORAGE_EMULATOR_HOST": f"http://127.0.0.1:{port}", "SPILLWAY_METADATA": imds}
        )
        code, journal = machine.run()
        assert code == 0, journal
        assert machine.files() == FILES


@pytest.mark.skipif(not shutil.which("azurite-blob"), reason="azurite-blob is not installed")
def test_azurite_gives_every_file_to_a_bearer_of_its_token(tmp_path: Path) -> None:
    from azure.storage.blob import BlobServiceClient

    certificate, key = _loopback_certificate(tmp_path)
    port, metadata = _port(), stores.Metadata()
    command = ["azurite-blob", "--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(tmp_path / "az")]
    command += ["--oauth", "basic", "--cert", certificate, "--key", key, "--skipApiVersionCheck", "--silent"]
    well_known = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
    base = f"https://127.0.0.1:{port}/devstoreaccount1"
    with _running(command, port), stores.serve(metadata) as imds:
        service = BlobServiceClient(base, credential=well_known, connection_verify=certificate)
        container = service.create_container("models")
        for path, data in {**FILES, "manifest.json": manifest(FILES)}.items():
            container.upload_blob(FOLDER.removeprefix("models/") + path, data)
        metadata.token = _jwt()
        config = node(tmp_path, f"az://devstoreaccount1/{FOLDER}", "azure")
        machine = Machine(
            tmp_path,
            config,
            {"SPILLWAY_BLOB_ENDPOINT": base, "SPILLWAY_METADATA": imds, "SSL_CERT_FILE": certificate},
        )
        code, journal = machine.run()
        assert code == 0, journal
        assert machine.files() == FILES


def _jwt() -> str:
    """A token that Azurite takes: it looks at audience, issuer and dates, and at no signature.

    https://github.com/Azure/Azurite#oauth-configuration
    """
    import base64

    def part(body: dict[str, object]) -> str:
        return base64.urlsafe_b64encode(json.dumps(body).encode()).decode().rstrip("=")

    now = int(time.time())
    body: dict[str, object] = {
        "aud": "https://storage.azure.com",
        "iss": "https://sts.windows.net/ab1f708d-50f6-404c-a006-d71b2ac7a606/",
        "iat": now - 60,
        "nbf": now - 60,
        "exp": now + 3600,
    }
    return f"{part({'alg': 'RS256', 'typ': 'JWT'})}.{part(body)}.c2lnbmF0dXJl"


def _loopback_certificate(tmp: Path) -> tuple[str, str]:
    certificate, key = tmp / "loopback.pem", tmp / "loopback.key"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    return str(certificate), str(key)


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs a file system without O_DIRECT")
def test_a_file_system_without_direct_writes_is_written_through_the_page_cache(tmp_path: Path) -> None:
    with world(tmp_path, "gcs") as (machine, _, _, _):
        scratch = Path("/dev/shm") / f"spillway-test-{tmp_path.name}-{_port()}"
        scratch.mkdir()
        try:
            disks = {"scratch": str(scratch), "data": str(tmp_path)}
            config = node(tmp_path, machine.config.model.uri, "gcp", disks=disks)
            other = Machine(tmp_path, config, machine.environment)
            code, journal = other.run()
            assert code == 0, journal
            assert other.files() == FILES
        finally:
            shutil.rmtree(scratch)
