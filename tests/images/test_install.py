"""The bake scripts: what they download is what was meant, one version of everything, nothing left behind.

They change a machine and need the vendors' repositories, so they run at a bake; here are their text and their shared
functions.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from pathlib import Path
from typing import get_args

import pytest

from images import tree, versions
from images.node import Cloud
from images.programs import when
from images.programs.serving import leftovers
from tests.unit.test_render import config

CLOUDS: tuple[Cloud, ...] = get_args(Cloud)


@pytest.fixture(scope="module")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> dict[Cloud, Path]:
    found = {}
    for cloud in CLOUDS:
        found[cloud] = tmp_path_factory.mktemp(cloud)
        tree.render_install(cloud, found[cloud])
    return found


def text(folder: Path) -> str:
    return "\n".join(path.read_text() for path in sorted(folder.glob("*.sh")))


def test_scripts_are_numbered_executable_and_share_one_library(scripts: dict[Cloud, Path]) -> None:
    for folder in scripts.values():
        names = sorted(path.name for path in folder.iterdir())
        assert [name for name in names if not name[0].isdigit()] == ["lib.sh", "node.txt", "vllm.txt"]
        for path in folder.glob("[0-9]*"):
            assert re.fullmatch(r"\d\d-[a-z]+\.sh", path.name)
            assert path.stat().st_mode & 0o111
            assert "source ./lib.sh" in path.read_text()


def test_cleaning_is_last_and_the_tree_comes_after_the_packages(scripts: dict[Cloud, Path]) -> None:
    names = sorted(path.name for path in scripts["aws"].glob("[0-9]*"))
    assert names[-1] == "90-clean.sh"
    assert names.index("60-tree.sh") > names.index("50-node.sh") > names.index("20-nvidia.sh")


def test_nothing_is_downloaded_past_the_library_that_checks_it(scripts: dict[Cloud, Path]) -> None:
    for folder in scripts.values():
        for path in folder.glob("[0-9]*"):
            assert not re.search(r"\b(curl|wget)\b .*http", path.read_text()), path.name
            assert "apt-key add" not in path.read_text()
            assert "trusted=yes" not in path.read_text()


def test_versions_are_written_in_one_place() -> None:
    pinned = [entry["version"] for entry in versions.load()["components"].values()]
    for source in tree.INSTALL.iterdir():
        for version in pinned:
            if re.search(r"\d+\.\d+\.\d", version):
                assert version not in source.read_text(), f"{source.name}: {version}"


def test_each_cloud_has_its_own_network(scripts: dict[Cloud, Path]) -> None:
    words = {"aws": "aws-efa-installer", "azure": "doca-ofed", "gcp": "nccl-gib"}
    for cloud, word in words.items():
        for other in CLOUDS:
            assert (word in (scripts[other] / "30-network.sh").read_text()) == (other == cloud)


def test_the_driver_is_one_version_of_open_modules_and_runs_nowhere_yet(scripts: dict[Cloud, Path]) -> None:
    script = (scripts["aws"] / "20-nvidia.sh").read_text()
    assert "nvidia-driver-pinning-$driver" in script
    assert f"readonly driver={versions.load()['components']['nvidia-driver']['version']}" in script
    assert "apt_install nvidia-fabricmanager\n" in script
    assert re.search(r"systemctl enable .*nvidia-persistenced.service .*nvidia-fabricmanager.service", script)
    assert not re.search(r"systemctl (start|restart|enable --now)", text(scripts["aws"]))
    assert "nvidia-smi" not in re.sub(r"#.*", "", script)


def test_python_packages_are_installed_by_hash_without_resolving(scripts: dict[Cloud, Path]) -> None:
    for name in ("40-engine.sh", "50-node.sh"):
        script = (scripts["gcp"] / name).read_text()
        for option in ("--require-hashes", "--no-deps", "--only-binary :all:"):
            assert option in script


@pytest.mark.parametrize(
    "what",
    [
        "/etc/machine-id",
        "/etc/ssh/ssh_host_*",
        "cloud-init clean",
        ".bash_history",
        "/var/lib/apt/lists",
        "ssh.service",
    ],
)
def test_what_must_not_be_in_an_image_is_taken_away(scripts: dict[Cloud, Path], what: str) -> None:
    assert what in (scripts["azure"] / "90-clean.sh").read_text()


def library(folder: Path, tmp_path: Path, body: str, **tools: str) -> subprocess.CompletedProcess[str]:
    """Runs `body` with the library's functions, and with these tools in place of the system's."""
    fakes = tmp_path / "bin"
    fakes.mkdir(exist_ok=True)
    for name, script in tools.items():
        (fakes / name).write_text(f"#!/bin/bash\n{script}\n")
        (fakes / name).chmod(0o755)
    return subprocess.run(
        ["bash", "-c", f"source ./lib.sh\n{body}"], cwd=folder,
        env={"PATH": f"{fakes}:/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


CURL = 'while (( $# )); do [[ $1 == --output ]] && target=$2; shift; done; cp "$SOURCE" "$target"'


def test_a_download_with_another_checksum_is_no_file(scripts: dict[Cloud, Path], tmp_path: Path) -> None:
    (tmp_path / "source").write_text("content")
    curl = CURL.replace("$SOURCE", str(tmp_path / "source"))
    good = hashlib.sha256(b"content").hexdigest()
    target = tmp_path / "target"
    done = library(scripts["aws"], tmp_path, f"fetch https://example.com/x {good} {target}", curl=curl)
    assert (done.returncode, target.read_text()) == (0, "content")
    target.unlink()
    done = library(scripts["aws"], tmp_path, f"fetch https://example.com/x {'0' * 64} {target}; echo on", curl=curl)
    assert done.returncode != 0
    assert not target.exists()
    assert "on" not in done.stdout


@pytest.mark.skipif(shutil.which("gpg") is None, reason="gpg is not installed")
def test_a_repository_key_that_is_another_is_not_trusted(scripts: dict[Cloud, Path], tmp_path: Path) -> None:
    home = tmp_path / "gpg"
    home.mkdir(mode=0o700)
    gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""]
    for name in ("vendor", "stranger"):
        subprocess.run([*gpg, "--quick-generate-key", name, "ed25519"], check=True, capture_output=True, timeout=60)
    shown = subprocess.run([*gpg, "--with-colons", "--fingerprint"], check=True, capture_output=True, text=True).stdout
    vendor, stranger = re.findall(r"^fpr:+([0-9A-F]{40}):", shown, re.MULTILINE)
    both = subprocess.run([*gpg, "--armor", "--export"], check=True, capture_output=True).stdout
    only = subprocess.run([*gpg, "--armor", "--export", stranger], check=True, capture_output=True).stdout
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)
    source, target = tmp_path / "source", tmp_path / "trusted.gpg"
    curl = CURL.replace("$SOURCE", str(source))
    source.write_bytes(both)
    done = library(scripts["aws"], tmp_path, f"repository_key https://example.com/k {vendor} {target}", curl=curl)
    assert done.returncode == 0, done.stderr
    trusted = subprocess.run(
        ["gpg", "--show-keys", "--with-colons", str(target)], capture_output=True, text=True
    ).stdout
    assert vendor in trusted
    assert stranger not in trusted
    target.unlink()
    source.write_bytes(only)
    done = library(scripts["aws"], tmp_path, f"repository_key https://example.com/k {vendor} {target}", curl=curl)
    assert done.returncode != 0
    assert not target.exists()


def test_a_node_on_its_own_has_no_part_in_a_replica() -> None:
    assert not any(when.applies(config(), role) for role in ("ray-head", "ray-worker"))


def test_what_another_engine_has_compiled_goes_into_the_image_of_its_cloud(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree, "CACHES", tmp_path)
    (tmp_path / "aws.tar.gz").write_bytes(b"kernels")
    for cloud in ("aws", "gcp"):
        tree.render_install(cloud, tmp_path / "install" / cloud)
    assert (tmp_path / "install/aws/caches.tar.gz").read_bytes() == b"kernels"
    assert not (tmp_path / "install/gcp/caches.tar.gz").exists()
    assert str(leftovers.BAKED) in (tmp_path / "install/aws/40-engine.sh").read_text()
