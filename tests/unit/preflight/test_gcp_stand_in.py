"""The stand-in's project: before the first deployment, after it, and in bad weather."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from sandbox.clouds import WEATHER
from sandbox.gcp import tokens
from sandbox.gcp.registry import GCP
from sandbox.kinds import Resource
from sandbox.store import Store
from spillway.models.stores import open_store
from spillway.preflight.gcp_region import region
from spillway.preflight.model import Row
from tests.support.memory_cloud import MemoryCloud
from tests.unit.preflight.fake_account import states
from tests.unit.preflight.fake_gcp import BUCKET, MANIFEST, NOW, OWN, PROJECT, REGION, STACK, TYPES, config
from tests.unit.preflight.kept import keep


def asked(directory: Path, changes: dict[str, Any] | None = None) -> dict[str, Row]:
    wanted = config(changes)
    made = region.rows(wanted, region.stand_in(wanted, directory), NOW, (REGION,), lambda _: None)
    found = {row.id: row for row in made}
    assert len(found) == len(made), "ids are unique"
    return found


def weather(directory: Path, text: str) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / WEATHER).write_text(text)


def group(cloud: MemoryCloud, name: str, machine_type: str, size: int, *, spot: bool) -> None:
    """A group and its template, as neighbours."""
    template = f"projects/{PROJECT}/global/instanceTemplates/{name}"
    scheduling = {"provisioningModel": "SPOT", "preemptible": True} if spot else {"provisioningModel": "STANDARD"}
    cloud.stand_in(tokens.INSTANCE_TEMPLATE, template, name=name, machineType=machine_type, scheduling=scheduling)
    cloud.stand_in(
        tokens.GROUP,
        f"projects/{PROJECT}/regions/{REGION}/instanceGroupManagers/{name}",
        name=name,
        targetSize=size,
        versions=[{"instanceTemplate": f"https://www.googleapis.com/compute/v1/{template}"}],
    )


def deployed(directory: Path, labels: dict[str, str] = OWN) -> MemoryCloud:
    cloud = MemoryCloud(REGION, PROJECT, GCP)
    place = f"projects/{PROJECT}"
    cloud.stand_in(tokens.ADDRESS, f"{place}/regions/{REGION}/addresses/lb", name="lb", labels=labels)
    cloud.stand_in(tokens.NETWORK, f"{place}/global/networks/vpc", name=f"spillway-{STACK}-vpc")
    cloud.stand_in(tokens.BUCKET, BUCKET, name=BUCKET, location=REGION.upper(), labels=labels)
    secrets = config().secrets
    for name in (secrets.certificate, secrets.api_keys):
        cloud.stand_in(tokens.SECRET, f"{place}/secrets/{name}", secretId=name, labels=labels)
    keep(directory, cloud)
    return cloud


def test_before_the_first_deployment_the_shipped_stack_is_ready_and_no_file_is_made(tmp_path: Path) -> None:
    found = asked(tmp_path / "sandbox")
    assert states(found) == {}
    assert {"weights", "certificate", "api-keys"} <= set(states(found, "note"))
    assert not (tmp_path / "sandbox").exists()


def test_a_deployed_region_is_not_counted_twice_and_misses_only_its_contents(tmp_path: Path) -> None:
    deployed(tmp_path)
    found = asked(tmp_path)
    assert states(found) == {"weights": "warning", "certificate": "warning", "api-keys": "warning"}
    assert found["addresses"].found == "0 used by others, 1 by this stack, quota 8"
    assert found["networks"].found == "0 used by others, 1 by this stack, quota 15"
    assert found["bucket"].found.endswith("this stack's")
    open_store(config(), tmp_path, None, 1).put(MANIFEST, b"{}", hashlib.sha256(b"{}").hexdigest())
    assert asked(tmp_path)["weights"].state == "ok"


def test_what_another_stack_holds_under_this_ones_names_fails(tmp_path: Path) -> None:
    deployed(tmp_path, {"spillway-stack": "gcp-us-east4"})
    secrets = config().secrets
    assert states(asked(tmp_path), "failure").keys() == {
        "bucket", f"name.{secrets.certificate}", f"name.{secrets.api_keys}",
    }  # fmt: skip


def test_the_bucket_of_another_project_is_taken(tmp_path: Path) -> None:
    with Store(tmp_path).transaction(write=True) as tx:
        tx.put("gcp", Resource(tokens.BUCKET, BUCKET, "global", "another", {}, {"name": BUCKET}))
    assert asked(tmp_path)["bucket"].found == f"{BUCKET}: taken by another project"


def test_the_weathers_quotas_are_the_projects(tmp_path: Path) -> None:
    quotas = "".join(
        f"  - {{cloud: gcp, region: us-central1, name: {prefix}NVIDIA_{model}_GPUS, value: 8}}\n"
        for prefix in ("", "PREEMPTIBLE_")
        for model in ("A100", "A100_80GB", "H100")
    )
    weather(tmp_path, f"quotas:\n{quotas}  - {{cloud: gcp, name: STATIC_ADDRESSES, value: 0}}\n")
    found = asked(tmp_path)
    assert found["quota.on-demand.NVIDIA_A100_GPUS"].state == "failure"
    assert found["quota.spot.PREEMPTIBLE_NVIDIA_A100_GPUS"].state == "warning"
    assert found["addresses"].state == "failure"
    weather(tmp_path, "quotas:\n  - {cloud: gcp, name: CPUS_ALL_REGIONS, value: 200}\n")
    assert asked(tmp_path)["quota.CPUS_ALL_REGIONS"].state == "failure"


def test_own_groups_are_a_part_of_what_the_stack_needs_and_others_are_not(tmp_path: Path) -> None:
    cloud = deployed(tmp_path)
    group(cloud, f"spillway-{STACK}-on-demand", TYPES[0], 2, spot=False)
    group(cloud, f"spillway-{STACK}-spot", TYPES[0], 2, spot=True)
    group(cloud, "theirs", TYPES[0], 1, spot=False)
    keep(tmp_path, cloud)
    found = asked(tmp_path)
    assert found["quota.on-demand.NVIDIA_A100_GPUS"].found == "64 GPUs, 8 used by others"
    assert found["quota.spot.PREEMPTIBLE_NVIDIA_A100_GPUS"].found == "64 GPUs"
    assert found["quota.GPUS_ALL_REGIONS"].found == "64 GPUs, 8 used by others"
    assert found["quota.on-demand.A2_CPUS"].found == "4096 vCPUs, 96 used by others"
    assert found["quota.spot.PREEMPTIBLE_CPUS"].found == "4096 vCPUs"
    assert found["quota.CPUS_ALL_REGIONS"].found == "4096 vCPUs, 96 used by others"


def test_sold_out_weather_is_a_note_since_up_succeeds(tmp_path: Path) -> None:
    weather(tmp_path, "soldOut:\n  - {cloud: gcp, market: spot}\n")
    found = asked(tmp_path)
    assert states(found) == {}
    assert found["sold-out.spot"].action == "`up` succeeds all the same; the fallback buys on-demand"


def test_images_are_found_as_the_program_finds_them(tmp_path: Path) -> None:
    assert asked(tmp_path, {"image": {"family": "spillway-vllm", "newest": True}})["image"].state == "ok"
    assert asked(tmp_path, {"image": {"family": "spillway-vllm", "version": "1.1"}})["image"].state == "failure"
    assert asked(tmp_path, {"image": {"family": "other", "newest": True}})["image"].state == "failure"
