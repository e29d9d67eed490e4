"""What an image is made of goes together, and what does not is said in one line."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from images import versions
from images.programs.serving import gpus
from infra import gpu_support


def test_the_components_go_together() -> None:
    assert versions.check() == []


def changed(path: str, value: Any) -> dict[str, Any]:
    document = copy.deepcopy(versions.load())
    *folders, last = path.split("/")
    at = document
    for folder in folders:
        at = at[folder]
    if value is None:
        del at[last]
    else:
        at[last] = value
    return document


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        (
            "components/nvidia-driver/version",
            "570.195.03",
            "570.195.03 is too old for CUDA 13.0, which needs 580.65.06",
        ),
        ("components/cuda/version", "14.0", "14.0 is not known"),
        ("components/fabric-manager/version", "580.126.20", "is not the driver's version 580.173.02"),
        ("components/fabric-manager/package", "nvidia-fabricmanager-580", "the package is nvidia-fabricmanager,"),
        ("components/dcgm/package", "datacenter-gpu-manager-4-cuda12", "is not DCGM 4 for CUDA 13"),
        ("components/dcgm/version", "1:4.5.0-1", "dcgm-exporter: 4.8.3-1 goes with DCGM 4.6.0, not 1:4.5.0-1"),
        ("components/vllm/version", "0.32.0", "0.32.0 here, 0.33.0 in requirements/vllm.txt"),
        ("components/torch/version", "2.13.0", "2.13.0 here, 2.14.0 in requirements/vllm.txt"),
        ("components/ray/version", 2.6, "is not text"),
        ("components/ray/source", None, "ray: has no source"),
        ("components/ray/date", "soon", "'soon' is no date"),
        ("components/efa-installer/sha256", None, "is verified by sha256 and has none"),
        ("components/efa-installer/version", "newest", "newest is only for signed repositories"),
        ("architectures", ["sm_80", "sm_90"], "has no sm_100 (aws, gcp has it)"),
        ("architectures", ["sm_70", "sm_75"], "sm_70 is both supported and refused"),
        ("refused", {}, "has no sm_70"),
        ("keys/nvidia/fingerprint", "3bf863cc", "fingerprint is not 40 hexadecimal digits"),
        ("components/dcgm", None, "is not what images/versions.py expects: KeyError: 'dcgm'"),
        ("components/dcgm/version", "newer", "is not what images/versions.py expects: IndexError"),
        ("components/efa-installer/version", "1.41.0; rm -rf /", "is no single word of a version"),
        ("components/fluent-bit/package", "$(id)", "is no single word of a version or package"),
        ("components/vllm/version", "0.33.0\n", "is no single word of a version or package"),
        ("components/doca-ofed/url", "https://example.com/x & id", "is no https address"),
        ("keys/nvidia/url", "http://example.com/key", "keys: nvidia: url 'http://example.com/key' is no https address"),
    ],
)
def test_what_does_not_go_together_is_said(path: str, value: Any, line: str) -> None:
    assert any(line in found for found in versions.check(changed(path, value))), versions.check(changed(path, value))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("x: [", "is no YAML"),
        ("[]", "is no mapping"),
        ("components: {}", "has no keys"),
        ("components: 5", "no components"),
    ],
)
def test_a_file_that_is_none_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, told: str) -> None:
    (tmp_path / "versions.yaml").write_text(text)
    monkeypatch.setattr(versions, "FILE", tmp_path / "versions.yaml")
    versions.load.cache_clear()
    try:
        with pytest.raises(ValueError, match=rf"versions\.yaml: .*{told}") as error:
            versions.load()
    finally:
        versions.load.cache_clear()
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("driver", "name"),
    [
        ("570.195.03", "nvidia-fabricmanager-570"),
        ("575.57.08", "nvidia-fabricmanager-575"),
        ("580.65.06", "nvidia-fabricmanager"),
        ("590.44.01", "nvidia-fabricmanager"),
    ],
)
def test_the_fabric_manager_has_one_name_below_580_and_another_from_it_on(driver: str, name: str) -> None:
    assert versions.fabric_manager(driver) == name


def test_what_the_image_runs_is_what_stack_files_may_ask_for() -> None:
    supported = {versions.capability(one) for one in versions.load()["architectures"]}
    assert min(supported) == gpu_support.OLDEST
    assert all(versions.capability(one) < gpu_support.OLDEST for one in versions.load()["refused"])
    # The start of the engine refuses on the node what the stack file is refused for.
    assert (gpus.BFLOAT16, gpus.NATIVE_FP8) == (gpu_support.BFLOAT16, gpu_support.NATIVE_FP8)
    assert gpus.METHODS["modelopt_fp4"] == gpu_support.MARLIN_FP4


def test_locks_are_read_again_when_they_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("vllm", "node"):
        text = (versions.REQUIREMENTS / f"{name}.txt").read_text()
        (tmp_path / f"{name}.txt").write_text(text)
    monkeypatch.setattr(versions, "REQUIREMENTS", tmp_path)
    lock = tmp_path / "node.txt"
    good = lock.read_text()
    lock.write_text("--index-url https://mirror.example.com/simple\n" + good)
    assert any("names an index" in line for line in versions.check())
    lock.write_text(good + "left-pad==1.0\n")
    assert versions.check() == ["requirements/node.txt: left-pad==1.0 has no hash"]
    lock.write_text(good.replace("boto3==", "boto3==0."))
    assert any("boto3 0." in line and "uv.lock" in line for line in versions.check())
    lock.unlink()
    assert any("No such file" in line for line in versions.check())


def test_the_nodes_programs_have_what_they_import() -> None:
    found = versions.locked("node")
    for name in ("aiohttp", "pydantic", "boto3", "azure-identity", "google-auth", "requests", "cryptography"):
        assert name in found


def test_versions_are_text_and_each_cloud_has_its_own() -> None:
    document = yaml.safe_load(versions.FILE.read_text())
    assert "efa-installer" in versions.components("aws", document)
    assert "efa-installer" not in versions.components("azure", document)
    assert "doca-ofed" in versions.components("azure", document)
    assert json.dumps(versions.node_document())
