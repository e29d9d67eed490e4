"""`spillway image build`: the orchestration with Debian's Packer really at work, and what is told when Packer fails."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest
from moto import mock_aws

from images import bake as source
from images import manifest, tree
from images.node import Cloud
from spillway import cli, image_build
from tests.images.test_packer import legacy_packer
from tests.support import packer as packers

NULL = """
source "null" "node" {{
  communicator         = "ssh"
  ssh_host             = "127.0.0.1"
  ssh_port             = {port}
  ssh_username         = "root"
  ssh_private_key_file = "{key}"
  ssh_timeout          = "30s"
}}
"""
ALONE = """
source "null" "node" {
  communicator = "none"
}
build {
  sources = ["source.null.node"]
  provisioner "shell-local" {
    inline = ["echo vllm 0.33.0 > components.txt"]
  }
  post-processor "manifest" {
    output      = "packer-manifest.json"
    custom_data = { source = "abc" }
  }
}
"""
SCRIPTS = {
    "10-look.sh": "test -f ../rootfs/etc/systemd/system/spillway.target && test -f vllm.txt && test $(id -u) = 0",
    "20-note.sh": "install -d /usr/share/spillway && echo nginx 1.24.0-2 > /usr/share/spillway/components.txt",
    "90-clean.sh": "echo cleaned",
}


@pytest.fixture(autouse=True)
def _quick_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scripts that are quick and harmless instead of a bake's."""
    whole = tree.render_install

    def render(cloud: Cloud, target: Path) -> None:
        whole(cloud, target)
        for path in target.glob("[0-9]*.sh"):
            path.unlink()
        for name, line in SCRIPTS.items():
            (target / name).write_text(f"#!/usr/bin/env bash\nset -eu\n{line}\n")
            (target / name).chmod(0o755)

    monkeypatch.setattr(tree, "render_install", render)
    monkeypatch.delenv(image_build.PACKER, raising=False)


@pytest.fixture
def builder(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """(port, private key) of an SSH server in a mount namespace of its own, where what a bake writes is in memory."""
    needed = {"unshare": "util-linux", "ssh-keygen": "openssh-client", "sudo": "sudo", "scp": "openssh-client"}
    for tool, package in {**needed, "/usr/sbin/sshd": "openssh-server"}.items():
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed (apt-get install {package})")
    if os.geteuid() != 0:
        pytest.skip("a mount namespace needs root")
    for name in ("host", "client"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    settings = {
        "ListenAddress": f"127.0.0.1:{port}",
        "HostKey": tmp_path / "host",
        "AuthorizedKeysFile": tmp_path / "client.pub",
        "PermitRootLogin": "prohibit-password",
        "StrictModes": "no",
        "UsePAM": "no",
        "PidFile": "none",
    }
    (tmp_path / "sshd_config").write_text("".join(f"{key} {value}\n" for key, value in settings.items()))
    script = f"""
for place in /usr/share /var/tmp /usr/local/bin /run; do mount -t tmpfs tmpfs $place || exit 77; done
mkdir /run/sshd
printf '#!/bin/sh\\nexit 2\\n' > /usr/local/bin/cloud-init
chmod 0755 /usr/local/bin/cloud-init
exec /usr/sbin/sshd -D -e -f {tmp_path}/sshd_config
"""
    process = subprocess.Popen(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", script], stderr=subprocess.PIPE, text=True
    )
    try:
        for _ in range(100):
            if process.poll() is not None:
                assert process.stderr is not None
                pytest.skip(f"no mount namespace here: {process.stderr.read().strip()[:200]}")
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield port, tmp_path / "client"
    finally:
        process.terminate()
        process.wait(10)


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = cli.main(["image", *words])
    out, err = capsys.readouterr()
    return code, out, err


def test_packer_uploads_the_archive_runs_the_steps_and_its_manifest_becomes_ours(
    builder: tuple[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    port, key = builder
    files = {"null.pkr.hcl": NULL.format(port=port, key=key)}
    old, new = "source.googlecompute.node", "source.null.node"
    packers.real(tmp_path / "bin", legacy_packer(), files, old, new)
    monkeypatch.setenv("PATH", packers.on_path(tmp_path / "bin"))
    folder = tmp_path / "manifests"
    code, out, err = run(capsys, "build", "--cloud", "gcp", "--manifests", str(folder))
    assert (code, err) == (0, ""), out + err
    assert "cleaned" in out
    (entry,) = manifest.load(folder, "gcp")
    assert entry.ids == {"global": "Null"}  # the null builder's artifact
    assert (
        entry.source
        == json.loads((folder / "gcp/packer/packer-manifest.json").read_text())["builds"][0]["custom_data"]["source"]
    )
    assert entry.components["nginx"] == "1.24.0-2"  # came back from the builder
    assert entry.components["vllm"]
    assert time.time() - entry.baked < 600


def test_a_step_that_fails_ends_the_bake_with_what_packer_said(
    builder: tuple[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    port, key = builder
    monkeypatch.setitem(SCRIPTS, "20-note.sh", "echo 'bake: no such package' >&2; exit 3")
    files = {"null.pkr.hcl": NULL.format(port=port, key=key)}
    packers.real(tmp_path / "bin", legacy_packer(), files, "source.googlecompute.node", "source.null.node")
    monkeypatch.setenv("PATH", packers.on_path(tmp_path / "bin"))
    code, out, err = run(capsys, "build", "--cloud", "gcp", "--manifests", str(tmp_path / "manifests"))
    assert code == 1
    assert "bake: no such package" in out
    assert "spillway: gcp: `packer build` ended with 1:" in err
    assert "exit status: 3" in err
    assert manifest.load(tmp_path / "manifests", "gcp") == []


def test_packer_works_with_no_builder_at_all(tmp_path: Path) -> None:
    """Null builder, shell-local, manifest: what every machine with Packer can show of the hand-over."""
    (tmp_path / "build.pkr.hcl").write_text(ALONE)
    subprocess.run([legacy_packer(), "build", "."], cwd=tmp_path, check=True, capture_output=True, timeout=60)
    when, ids = manifest.from_packer(tmp_path / "packer-manifest.json", "gcp", ("us-central1",))
    assert ids == {"global": "Null"}
    assert time.time() - when < 600
    assert manifest.components({}, tmp_path / "components.txt") == {"vllm": "0.33.0"}


IDS = {
    "aws": "us-east-1:ami-00000000000000001,us-east-2:ami-00000000000000002,us-west-2:ami-00000000000000003",
    "azure": "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/galleries/x/images/y/versions/2026.11.1",
    "gcp": "spillway-vllm-2026-11-1",
    "tencent": "ap-guangzhou:img-00000001",
}


@pytest.fixture
def bin_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", packers.on_path(tmp_path / "bin"))
    return tmp_path / "bin"


@contextmanager
def aws() -> Iterator[None]:
    """AWS, its account the one of the stack files."""
    with pytest.MonkeyPatch.context() as patch:
        for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(key, "test")
        patch.delenv("AWS_SESSION_TOKEN", raising=False)
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        with mock_aws():
            boto3.setup_default_session()
            yield


@pytest.mark.parametrize("cloud", ["aws", "azure", "gcp", "tencent"])
def test_every_clouds_artifact_becomes_ids_by_region(
    cloud: str, bin_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packers.pretend(bin_folder, manifest={"artifact_id": IDS[cloud]}, components="nginx 1.24\nvllm 9\nodd\n")
    with aws():
        code, out, err = run(capsys, "build", "--cloud", cloud, "--manifests", str(tmp_path / "m"), "--json")
    assert code == 0, err
    built = json.loads(out)["built"][0]
    expected = {
        "aws": {"us-east-1": "ami-00000000000000001", "us-east-2": "ami-00000000000000002",
                "us-west-2": "ami-00000000000000003"},
        "azure": {"eastus": IDS["azure"]},
        "gcp": {"global": IDS["gcp"]},
        "tencent": {"ap-guangzhou": "img-00000001"},
    }  # fmt: skip
    assert built["ids"] == expected[cloud]
    assert built["components"]["nginx"] == "1.24"
    assert built["components"]["vllm"] != "9"  # what is pinned is what was asked for
    words = [call["argv"] for call in packers.calls(bin_folder)]
    assert [word[0] for word in words] == ["version", "init", "build"]
    assert words[-1] == ["build", "-color=false", "-on-error=cleanup", "."]
    folder = {f"{cloud}.pkr.hcl", "build.pkr.hcl", "plugins.pkr.hcl", source.ARCHIVE}
    assert set(packers.calls(bin_folder)[-1]["files"]) == folder


def test_all_bakes_every_cloud_of_the_stack_files(
    bin_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packers.pretend(bin_folder, manifest={"artifact_id": ",".join([IDS["aws"], IDS["tencent"]])})
    with aws():
        code, out, _ = run(capsys, "build", "--cloud", "all", "--manifests", str(tmp_path / "m"))
    assert code == 0
    assert {path.name for path in (tmp_path / "m").glob("*.json")} == {
        f"manifest-{cloud}.json" for cloud in ("aws", "azure", "gcp", "tencent")
    }
    assert "aws: ==> amazon-ebs.node: Creating temporary keypair..." in out


def test_a_version_is_baked_once(bin_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    packers.pretend(bin_folder, manifest={"artifact_id": IDS["gcp"]})
    words = ("build", "--cloud", "gcp", "--manifests", str(tmp_path / "m"))
    assert run(capsys, *words)[0] == 0
    before = len(packers.calls(bin_folder))
    code, _, err = run(capsys, *words)
    assert code == 1
    assert err.count("\n") == 1
    assert "spillway-vllm 2026.11.1 is baked already" in err
    assert len(packers.calls(bin_folder)) == before  # nothing was asked of Packer
    assert run(capsys, *words, "--image-version", "2026.11.2")[0] == 0
    assert [one.version for one in manifest.load(tmp_path / "m", "gcp")] == ["2026.11.1", "2026.11.2"]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"version": "Packer v1.6.6"}, "is Packer 1.6.6: the pinned plugins need 1.14.0 or newer"),
        ({"version": "packer: not today"}, "says no version of Packer: packer: not today"),
        ({"init": {"code": 1, "says": ["Error: Missing plugins", "x"]}}, "`packer init` ended with 1:"),
        (
            {"build": {"code": 1, "says": ["==> googlecompute.node: Error: quota 'CPUS' exceeded", "cleaning"]}},
            "quota 'CPUS' exceeded",
        ),
        ({"build": {"code": 1, "says": []}}, "it said nothing"),
        ({"manifest": None}, "Packer's manifest names no image"),
        ({"manifest": "{"}, "Packer's manifest names no image"),
        ({"manifest": '{"builds": [], "last_run_uuid": "x"}'}, "Packer's manifest names no image"),
    ],
)
def test_what_packer_does_wrong_is_told_and_nothing_is_written_down(
    wanted: dict[str, object], said: str, bin_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packers.pretend(bin_folder, **wanted)
    code, _, err = run(capsys, "build", "--cloud", "gcp", "--manifests", str(tmp_path / "m"))
    assert code == 1
    assert said in err
    assert "Traceback" not in err
    assert not (tmp_path / "m/manifest-gcp.json").exists()


def test_no_packer_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    code, _, err = run(capsys, "build", "--cloud", "gcp", "--manifests", str(tmp_path / "m"))
    assert (code, err.count("\n")) == (1, 1)
    assert "packer is not on PATH; Packer 1.16.0 is at https://github.com/hashicorp/packer/releases" in err


def test_a_packer_that_does_not_end_is_ended(
    bin_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    packers.pretend(bin_folder, build={"seconds": 60})
    monkeypatch.setattr(image_build, "BUILD_SECONDS", 1.0)
    began = time.monotonic()
    code, _, err = run(capsys, "build", "--cloud", "gcp", "--manifests", str(tmp_path / "m"))
    assert code == 1
    assert "has been ended" in err
    assert time.monotonic() - began < 30
    assert packers.calls(bin_folder)[-1]["argv"] == ["cleaned"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_packer_takes_its_builder_away(number: signal.Signals, bin_folder: Path, tmp_path: Path) -> None:
    packers.pretend(bin_folder, build={"seconds": 60})
    words = [
        sys.executable,
        "-m",
        "spillway.cli",
        "image",
        "build",
        "--cloud",
        "gcp",
        "--manifests",
        str(tmp_path / "m"),
    ]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if "Creating temporary keypair" in line and packers.calls(bin_folder)[-1]["argv"][0] == "build":
            break
    time.sleep(0.5)
    process.send_signal(number)
    told = process.communicate(timeout=60)[0]
    assert "Terminating the source AWS instance" in told
    assert "Traceback" not in told
    assert packers.calls(bin_folder)[-1]["argv"] == ["cleaned"]
    assert process.returncode == 128 + number
    assert not (tmp_path / "m/manifest-gcp.json").exists()


def test_credentials_of_another_account_are_refused_before_anything_costs(
    bin_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    packers.pretend(bin_folder)
    with aws():
        role = boto3.client("sts").assume_role(RoleArn="arn:aws:iam::999999999999:role/other", RoleSessionName="bake")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", role["Credentials"]["AccessKeyId"])
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", role["Credentials"]["SecretAccessKey"])
        monkeypatch.setenv("AWS_SESSION_TOKEN", role["Credentials"]["SessionToken"])
        boto3.setup_default_session()
        code, _, err = run(capsys, "build", "--cloud", "aws", "--manifests", str(tmp_path / "m"))
    assert (code, err.count("\n")) == (1, 1)
    assert "the credentials are of account 999999999999, the stack files say 123456789012" in err
    assert [call["argv"][0] for call in packers.calls(bin_folder)] == ["version"]


def test_an_image_that_did_not_reach_a_region_is_written_down_and_told(
    bin_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packers.pretend(bin_folder, manifest={"artifact_id": "us-east-1:ami-00000000000000001"})
    with aws():
        code, _, err = run(capsys, "build", "--cloud", "aws", "--manifests", str(tmp_path / "m"))
    assert code == 1
    assert "is baked, but not in us-east-2, us-west-2" in err
    assert manifest.load(tmp_path / "m", "aws")[0].ids == {"us-east-1": "ami-00000000000000001"}


def test_one_build_at_a_time(bin_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    packers.pretend(bin_folder)
    with image_build.alone(tmp_path / "m"):
        code, _, err = run(capsys, "build", "--cloud", "gcp", "--manifests", str(tmp_path / "m"))
    assert code == 1
    assert "another `spillway image build` works here" in err


def test_variables_go_to_packer_as_they_are(
    bin_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packers.pretend(bin_folder, manifest={"artifact_id": IDS["gcp"]})
    words = ("build", "--cloud", "gcp", "--manifests", str(tmp_path / "m"))
    code, _, err = run(capsys, *words, "--var", "network")
    assert (code, err) == (1, "spillway: --var network: expected name=value\n")
    assert run(capsys, *words, "--var", "network=builders", "--var", "use_iap=true")[0] == 0
    argv = packers.calls(bin_folder)[-1]["argv"]
    assert argv[3:] == ["-var", "network=builders", "-var", "use_iap=true", "."]
