"""The Tencent Cloud region as a person deploys it: the real engine, the shipped stack file, the stand-in cloud."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sandbox.kinds import Resource
from sandbox.store import Store
from sandbox.tencentcloud import tokens
from tests.support.engine import EngineSandbox, changes, copied_project

pytestmark = pytest.mark.engine

STACK = "tencent-ap-guangzhou"


class TencentSandbox(EngineSandbox):
    def resources(self, token: str | None = None) -> list[Resource]:
        with Store(self.directory).transaction(write=False) as tx:
            return tx.all("tencentcloud", token)

    def outputs(self) -> Any:
        return self.pulumi("stack", "output", "--json", stack=STACK).ok().json


@pytest.fixture
def cloud(tmp_path: Path) -> TencentSandbox:
    return TencentSandbox(tmp_path / "sandbox", copied_project(tmp_path / "project"))


def test_a_region_lives_from_first_up_to_destroy(cloud: TencentSandbox) -> None:
    """One long test, as each step stands on the one before."""
    planned = changes(cloud.preview(STACK))
    assert set(planned) == {"create"}
    cloud.up(STACK).ok()
    state = cloud.pulumi("stack", "export", stack=STACK).ok().json["deployment"]["resources"]
    assert len(state) == planned["create"], "the preview and the up agree"
    assert sorted(r["type"] for r in state if r.get("protect")) == sorted(
        [tokens.GROUP, tokens.BUCKET, tokens.SECRET, tokens.SECRET]
    )

    outputs = cloud.outputs()
    assert set(outputs) == {"endpoint", "pools", "image", "modelStore"}
    (address,) = outputs["endpoint"]["addresses"]
    assert address.startswith("198.51.100.")
    assert outputs["pools"]["spot"] == {"name": None, "types": [], "size": 0}
    assert outputs["modelStore"].startswith("cos://spillway-models-ap-guangzhou-")

    assert changes(cloud.preview(STACK)) == {}, "nothing to do, says the preview"
    cloud.up(STACK, "--expect-no-changes").ok()
    assert changes(cloud.preview(STACK, "--refresh")) == {}, "nor does the cloud disagree"

    cloud.edit_stack(STACK, "target: 1", "target: 2")
    cloud.edit_stack(STACK, "queue: 100", "queue: 50")
    assert changes(cloud.preview(STACK)) == {"update": 2}, "the group's size, and what new nodes are told"
    cloud.up(STACK).ok()
    (group,) = cloud.resources(tokens.GROUP)
    assert (group["minSize"], group["desiredCapacity"]) == (2, 2)

    # A zone before the first one moves the balancer's inner address; the one that DNS knows stays.
    cloud.edit_stack(STACK, "zones: [ap-guangzhou-4,", "zones: [ap-guangzhou-3, ap-guangzhou-4,")
    cloud.up(STACK).ok()
    assert cloud.outputs()["endpoint"]["addresses"] == [address]
    (group,) = cloud.resources(tokens.GROUP)
    (balancer,) = cloud.resources(tokens.BALANCER)
    assert [link["loadBalancerId"] for link in group["forwardBalancerIds"]] == [balancer.id]
    assert changes(cloud.preview(STACK)) == {}

    refused = cloud.pulumi("destroy", "--yes", stack=STACK).failed()
    assert "protect" in refused.text
    cloud.pulumi("destroy", "--yes", "--ignore-protect", stack=STACK).ok()
    assert cloud.resources() == []


def test_another_region_is_a_copy_of_the_file_with_names_changed(cloud: TencentSandbox) -> None:
    other = "tencent-ap-shanghai"
    stacks = cloud.root / "stacks"
    text = (stacks / f"Pulumi.{STACK}.yaml").read_text()
    for old, new in (
        ("region: ap-guangzhou", "region: ap-shanghai"),
        ("[ap-guangzhou-4, ap-guangzhou-6]", "[ap-shanghai-4, ap-shanghai-5]"),
        ("10.48.0.0/16", "10.49.0.0/16"),
    ):
        assert old in text
        text = text.replace(old, new)
    (stacks / f"Pulumi.{other}.yaml").write_text(text)
    cloud.up(other).ok()
    assert changes(cloud.preview(other)) == {}
    assert {r.region for r in cloud.resources(tokens.GROUP)} == {"ap-shanghai"}
    cloud.pulumi("destroy", "--yes", "--ignore-protect", stack=other).ok()
    assert cloud.resources() == []


def test_the_load_sets_the_size_and_an_up_leaves_it_alone(cloud: TencentSandbox) -> None:
    from sandbox.drift import change

    cloud.edit_stack(STACK, "signal: none", "signal: cpu")
    cloud.up(STACK).ok()
    assert len(cloud.resources(tokens.SCALING_POLICY)) == 2
    (group,) = cloud.resources(tokens.GROUP)
    change(cloud.directory, f"{tokens.GROUP}:{group.id}", {"desiredCapacity": 2})
    cloud.pulumi("refresh", "--yes", stack=STACK).ok()
    cloud.edit_stack(STACK, "drainSeconds: 90", "drainSeconds: 60")
    cloud.up(STACK).ok()
    (group,) = cloud.resources(tokens.GROUP)
    assert group["desiredCapacity"] == 2


def test_nothing_secret_and_no_spot_is_in_the_plan(cloud: TencentSandbox) -> None:
    text = json.dumps(cloud.preview(STACK))
    assert "BEGIN " not in text
    assert "SPOTPAID" not in text
    assert "spotMaxPrice" not in text


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('version: "2026.11.1"', 'version: "1999.1.1"', "no image with image_name_regex=^spillway-vllm-1999-1-1$"),
        ("types: [GT4.41XLARGE948]", "types: [GN10Xp.20XLARGE320]", "V100 is sm_70"),
        ("signal: none", "signal: queue", "has to be cpu or none"),
    ],
)
def test_what_cannot_work_is_one_clear_line_and_registers_nothing(
    cloud: TencentSandbox, old: str, new: str, told: str
) -> None:
    cloud.edit_stack(STACK, old, new)
    failed = cloud.pulumi("preview", stack=STACK).failed()
    assert "Traceback" not in failed.text
    assert failed.text.count(told) >= 1
    assert cloud.resources() == []


def test_without_the_sdk_the_stack_file_gives_one_clear_line(cloud: TencentSandbox, tmp_path: Path) -> None:
    hide = tmp_path / "hide"
    hide.mkdir()
    (hide / "sitecustomize.py").write_text(
        "import importlib.util as u\n"
        "real = u.find_spec\n"
        "u.find_spec = lambda name, *more: None if name == 'tencentcloud_iac_pulumi' else real(name, *more)\n"
    )
    cloud.environment["PYTHONPATH"] = str(hide)
    failed = cloud.pulumi("preview", stack=STACK).failed()
    lines = [line.strip() for line in failed.text.splitlines() if "tencentcloud_iac_pulumi" in line]
    assert lines
    assert {line.partition("error: ")[2] for line in lines} == {
        f"stacks/Pulumi.{STACK}.yaml: spillway:region.cloud = tencent: needs tencentcloud_iac_pulumi, which is not "
        "installed; `make setup` installs it"
    }
    assert "Traceback" not in failed.text
