"""The engine's start: its command, what is known before it is tried, and what a killed one left behind."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from images import node
from images.programs.serving import command, gpus, leftovers
from images.render import render_node_json
from tests.unit.test_render import config

ROOT = Path(__file__).parents[2]
H100 = "NVIDIA H100 80GB HBM3, 9.0, 580.173.02"
A100 = "NVIDIA A100-SXM4-80GB, 8.0, 580.173.02"
T4 = "Tesla T4, 7.5, 580.173.02"


def model(**changes: Any) -> node.Model:
    return config().model.model_copy(update=changes)


class Machine:
    """A node with a stand-in for vLLM and for the driver."""

    def __init__(self, tmp: Path, **changes: Any) -> None:
        self.tmp, self.run_folder, self.tools = tmp, tmp / "run", tmp / "bin"
        for folder in (self.run_folder, self.tools, tmp / "scratch", tmp / "data"):
            folder.mkdir(exist_ok=True)
        self.config = config(
            disks=node.Disks.model_construct(scratch=str(tmp / "scratch"), data=str(tmp / "data")), **changes
        )
        text = render_node_json(self.config)
        (tmp / "node.json").write_text(text)
        self.environment = {
            "PATH": f"{self.tools}:/usr/bin:/bin",
            "PYTHONPATH": str(ROOT),
            "SPILLWAY_NODE": str(tmp / "node.json"),
            "SPILLWAY_RUN": str(self.run_folder),
            "SPILLWAY_VLLM": str(self.tools / "vllm"),
            "SPILLWAY_VERSIONS": str(tmp / "versions.json"),
            "HOME": str(tmp),
        }
        self.tool("vllm", f'printf "%s\\n" "$0" "$@" > {tmp}/argv; env > {tmp}/environment; echo "pid $$"')
        self.gpus(*[H100] * 8)
        (tmp / "versions.json").write_text(
            '{"vllm": "0.33.0", "cuda": "13.0", "driverMinimum": "580.65.06", "architectures": [75, 80, 90]}'
        )

    def tool(self, name: str, body: str) -> None:
        (self.tools / name).write_text(f"#!/bin/sh\n{body}\n")
        (self.tools / name).chmod(0o755)

    def gpus(self, *lines: str) -> None:
        self.tool("nvidia-smi", f"cat <<'E'\n{chr(10).join(lines)}\nE")

    def stage(self) -> Path:
        folder = self.tmp / "scratch/models/m/r"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".complete").touch()
        return folder

    def call(self, what: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "images.programs.engine", what],
            env=self.environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip

    def refused(self) -> str:
        """The one line, which is in engine.json and journal alike."""
        done = self.call("check")
        assert done.returncode == 1, done
        found = json.loads((self.run_folder / "engine.json").read_text())
        assert found["state"] == "failed"
        (line,) = [json.loads(one) for one in done.stdout.splitlines()]
        assert line["detail"] == found["reason"]
        assert "Traceback" not in done.stderr
        return str(found["reason"])


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


# -- the command


def options(words: list[str]) -> dict[str, str]:
    return dict(zip(words[3:-1:2], words[4::2], strict=False))


def test_the_command_has_every_option_of_the_node() -> None:
    words = command.argv(config(), {}, "http://127.0.0.1:8000")
    assert words[:3] == ["/opt/vllm/bin/vllm", "serve", "/mnt/scratch/models/m/r"]
    assert options(words) == {
        "--served-model-name": "m",
        "--host": "127.0.0.1",
        "--port": "8000",
        "--tensor-parallel-size": "8",
        "--max-model-len": "32768",
        "--max-num-seqs": "32",
        "--gpu-memory-utilization": "0.9",
        "--dtype": "bfloat16",
        "--shutdown-timeout": "90",
    }
    assert words[-1] == "--disable-uvicorn-access-log"


def test_options_that_are_set_are_told_and_others_left_to_the_engine() -> None:
    words = command.argv(
        config(model=model(pipeline_parallel=2, quantization="fp8", kv_cache_dtype="fp8", dtype="auto")),
        {},
        "http://x:1",
    )
    found = options(words)
    assert found["--pipeline-parallel-size"] == "2"
    assert found["--quantization"] == "fp8"
    assert found["--kv-cache-dtype"] == "fp8"
    assert found["--dtype"] == "auto"


def test_streaming_reads_from_the_store() -> None:
    words = command.argv(config(model=model(load_format="stream")), {}, "http://x:1")
    assert words[2] == "s3://bucket/models/m/r/"
    assert options(words)["--load-format"] == "runai_streamer"


def test_on_azure_the_streamer_has_the_account_from_the_environment() -> None:
    streamed = config(model=model(load_format="stream", uri="az://account0/models/m/r/"))
    assert command.argv(streamed, {}, "http://x:1")[2] == "az://models/m/r/"
    assert command.variables(streamed, {})["AZURE_STORAGE_ACCOUNT_NAME"] == "account0"


def test_a_store_that_cannot_be_streamed_from_is_refused() -> None:
    with pytest.raises(command.Refused, match=r"cos://b/models/m/r/ is on none of s3://, gs://, az://"):
        command.argv(config(model=model(load_format="stream", uri="cos://b/models/m/r/")), {}, "http://x:1")


def test_a_replicas_node_adds_options_of_its_own() -> None:
    words = command.argv(config(), {"SPILLWAY_ENGINE_ARGS": "--distributed-executor-backend ray"}, "http://x:1")
    assert words[-2:] == ["--distributed-executor-backend", "ray"]
    with pytest.raises(command.Refused, match="SPILLWAY_ENGINE_ARGS"):
        command.argv(config(), {"SPILLWAY_ENGINE_ARGS": "'"}, "http://x:1")


@given(st.text(min_size=1).filter(lambda text: "\0" not in text))
def test_any_model_name_is_one_word(name: str) -> None:
    words = command.argv(config(model=model(name=name)), {}, "http://x:1")
    assert words[4] == name
    assert shlex.split(shlex.join(words)) == words


def test_the_engine_asks_nobody_outside() -> None:
    found = command.variables(config(), {"VLLM_SERVER_DEV_MODE": "1", "NOTIFY_SOCKET": "/x", "PYTHONPATH": "/app"})
    assert found["HF_HUB_OFFLINE"] == found["VLLM_NO_USAGE_STATS"] == found["DO_NOT_TRACK"] == "1"
    assert found["VLLM_CACHE_ROOT"] == "/var/lib/spillway/cache/vllm"
    assert not {"VLLM_SERVER_DEV_MODE", "NOTIFY_SOCKET", "PYTHONPATH"} & set(found)


# -- what is known before


def test_a_machine_that_can_serves(machine: Machine) -> None:
    folder = machine.stage()
    assert machine.call("check").returncode == 0
    assert json.loads((machine.run_folder / "engine.json").read_text())["state"] == "starting"
    done = machine.call("serve")
    assert done.returncode == 0, done.stderr
    words = (machine.tmp / "argv").read_text().splitlines()
    assert words[1:3] == ["serve", str(folder)]
    # The engine is the process that systemd started, so that SIGTERM reaches it.
    assert "pid " in done.stdout
    environment = (machine.tmp / "environment").read_text()
    assert "HF_HUB_OFFLINE=1" in environment
    assert f"VLLM_CACHE_ROOT={machine.tmp}/data/cache/vllm" in environment
    assert "PYTHONPATH" not in environment


def test_the_engine_takes_the_place_of_the_program(machine: Machine) -> None:
    machine.stage()
    process = subprocess.Popen(
        [sys.executable, "-m", "images.programs.engine", "serve"],
        env=machine.environment, cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    output, _ = process.communicate(timeout=60)
    assert f"pid {process.pid}" in output


def test_without_weights_it_says_what_staging_says(machine: Machine) -> None:
    (machine.run_folder / "stage.json").write_text('{"state": "failed", "reason": "wrong checksum: x"}')
    assert machine.refused().endswith("scratch/models/m/r yet: wrong checksum: x")


def test_half_a_copy_is_no_copy(machine: Machine) -> None:
    (machine.stage() / ".complete").unlink()
    assert "no weights at" in machine.refused()


def test_streaming_needs_no_copy(tmp_path: Path) -> None:
    assert Machine(tmp_path, model=model(load_format="stream")).call("check").returncode == 0


def test_an_image_without_an_engine_says_so(machine: Machine) -> None:
    (machine.tools / "vllm").unlink()
    assert machine.refused().endswith("vllm is not there: the image has no engine")


def test_no_driver_and_a_broken_one_are_told_apart(machine: Machine) -> None:
    machine.stage()
    machine.tool("nvidia-smi", 'echo "NVIDIA-SMI has failed because it couldn\'t communicate"; exit 9')
    assert machine.refused().startswith("the GPU driver does not answer: NVIDIA-SMI has failed")
    (machine.tools / "nvidia-smi").unlink()
    assert machine.refused() == "no NVIDIA driver: nvidia-smi is not installed"


def test_too_few_gpus(machine: Machine) -> None:
    machine.stage()
    machine.gpus(*[H100] * 7)
    assert machine.refused() == "model.tensorParallel: 8 GPUs are needed, the driver sees 7"


def test_a_driver_too_old_for_the_build(machine: Machine) -> None:
    machine.stage()
    machine.gpus(*[H100.replace("580.173.02", "570.195.03")] * 8)
    assert machine.refused() == "the GPU driver 570.195.03 is too old for CUDA 13.0, it needs 580.65.06 or newer"


def test_nonsense_of_the_driver_is_one_line(machine: Machine) -> None:
    machine.stage()
    machine.gpus("what", "is", "this")
    assert machine.refused() == "the GPU driver answers with something unknown: what"


def test_a_cpu_needs_no_gpus(machine: Machine) -> None:
    machine.stage()
    (machine.tools / "nvidia-smi").unlink()
    machine.environment["SPILLWAY_ENGINE_DEVICE"] = "cpu"
    assert machine.call("check").returncode == 0


@pytest.mark.parametrize("text", ["", "{}", "nonsense"])
def test_a_configuration_that_cannot_be_read(machine: Machine, text: str) -> None:
    (machine.tmp / "node.json").write_text(text)
    assert "node.json" in machine.refused()
    done = machine.call("serve")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def found(*lines: str) -> list[gpus.Gpu]:
    parts = [[part.strip() for part in line.split(",")] for line in lines]
    return [gpus.Gpu(name, int(cap.replace(".", "")), driver) for name, cap, driver in parts]


@pytest.mark.parametrize(
    ("changes", "line", "said"),
    [
        ({"dtype": "bfloat16"}, T4, "model.dtype bfloat16: Tesla T4 is sm_75, sm_80 or newer is needed; float16 runs"),
        ({"dtype": "float16"}, T4, None),
        ({"kv_cache_dtype": "fp8"}, A100, "model.kvCacheDtype fp8"),
        ({"kv_cache_dtype": "fp8"}, H100, None),
        ({"quantization": "fp8", "dtype": "auto"}, A100, None),  # weight-only, by Marlin
        ({"quantization": "modelopt_fp4", "dtype": "auto"}, T4, "model.quantization modelopt_fp4: Tesla T4 is sm_75"),
        ({"quantization": "compressed-tensors", "dtype": "auto"}, T4, None),  # follows from the checkpoint
    ],
)
def test_types_are_checked_against_the_gpu(changes: dict[str, Any], line: str, said: str | None) -> None:
    fault = gpus.fault(model(tensor_parallel=1, **changes), found(line), {})
    assert fault is None if said is None else fault is not None and fault.startswith(said)


def test_a_gpu_that_the_build_does_not_know() -> None:
    baked = {"vllm": "0.33.0", "architectures": [75, 80, 90]}
    assert gpus.fault(model(tensor_parallel=1), found("Tesla V100, 7.0, 580.173.02"), baked) == (
        "Tesla V100 (sm_70) is older than what vLLM 0.33.0 runs on (sm_75)"
    )


# -- leftovers


def test_leftovers_in_shared_memory_go_and_what_is_used_stays(tmp_path: Path) -> None:
    shm, proc = tmp_path / "shm", tmp_path / "proc"
    (proc / "42/fd").mkdir(parents=True)
    shm.mkdir()
    for name in ("psm_dead", "psm_mapped", "psm_open", "somebody-elses", "nccl-dead"):
        (shm / name).touch()
    (proc / "42/maps").write_text(f"7f00-7f01 rw-s 0 00:01 7 {shm}/psm_mapped\n")
    (proc / "42/fd/5").symlink_to(shm / "psm_open")
    assert leftovers.clean_shared_memory(shm, proc) == ["nccl-dead", "psm_dead"]
    assert sorted(path.name for path in shm.iterdir()) == ["psm_mapped", "psm_open", "somebody-elses"]


def test_semaphores_go_only_when_nothing_of_an_engine_lives(tmp_path: Path) -> None:
    shm, proc = tmp_path / "shm", tmp_path / "proc"
    (proc / "42").mkdir(parents=True)
    shm.mkdir()
    (shm / "sem.mp-abc").touch()
    (shm / "psm_mapped").touch()
    (proc / "42/maps").write_text(f"7f00-7f01 rw-s 0 00:01 7 {shm}/psm_mapped\n")
    assert leftovers.clean_shared_memory(shm, proc) == []
    (proc / "42/maps").write_text("")
    assert leftovers.clean_shared_memory(shm, proc) == ["psm_mapped", "sem.mp-abc"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to own files as others do")
def test_files_of_other_users_stay(tmp_path: Path) -> None:
    (tmp_path / "psm_other").touch()
    os.chown(tmp_path / "psm_other", 12345, -1)
    assert leftovers.clean_shared_memory(tmp_path, tmp_path / "none") == []


def test_caches_of_the_image_are_copied_once(tmp_path: Path) -> None:
    baked, cache = tmp_path / "baked", tmp_path / "cache"
    (baked / "vllm").mkdir(parents=True)
    (baked / "vllm/kernel").write_text("compiled")
    assert leftovers.seed_caches(cache, baked)
    assert (cache / "vllm/kernel").read_text() == "compiled"
    (cache / "vllm/kernel").write_text("newer")
    assert not leftovers.seed_caches(cache, baked)
    assert (cache / "vllm/kernel").read_text() == "newer"
    assert not leftovers.seed_caches(tmp_path / "other", tmp_path / "nothing")
