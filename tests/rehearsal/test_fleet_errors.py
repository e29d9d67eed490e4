"""What cannot be read is one line: file, resource and property, value, what is allowed."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from rehearsal.fleet import load, load_exports, load_plans, load_sandbox, load_stack_files
from rehearsal.fleet.resources import SECRET_KEY, UNKNOWN
from spillway.errors import SpillwayError
from tests.rehearsal.record_fleet import GLOBALS, RECORDED

Change = Callable[[dict[str, Any]], None]
SECRET = {SECRET_KEY: "1b47061264138c4ac30d75fd1eb44270", "ciphertext": "v1:hidden"}


def edited(folder: Path, stack: str, change: Change, kind: str = "export") -> Path:
    """A recorded file, changed."""
    data = json.loads((RECORDED / f"{stack}.{kind}.json").read_text())
    change(data)
    path = folder / f"{stack}.json"
    path.write_text(json.dumps(data))
    return path


def rows(data: dict[str, Any]) -> list[dict[str, Any]]:
    if "steps" in data:
        return [step["newState"] for step in data["steps"]]
    found: list[dict[str, Any]] = data["deployment"]["resources"]
    return found


def named(data: dict[str, Any], name: str, type_: str = "") -> dict[str, Any]:
    return next(row for row in rows(data) if row["urn"].endswith(f"::{name}") and type_ in row["type"])


def line(read: Callable[[], object]) -> str:
    with pytest.raises(SpillwayError) as caught:
        read()
    assert len(caught.value.lines) == 1, caught.value.lines
    assert "\n" not in caught.value.lines[0]
    return caught.value.lines[0]


def faults(read: Callable[[], object]) -> tuple[str, ...]:
    """The lines of an error, none when there is none."""
    try:
        read()
    except SpillwayError as error:
        return error.lines
    return ()


def export_line(folder: Path, stack: str, change: Change) -> str:
    path = edited(folder, stack, change)
    return line(lambda: load_exports([path])).removeprefix(f"{path}: ")


def without(*types: str) -> Change:
    def change(data: dict[str, Any]) -> None:
        data["deployment"]["resources"] = [row for row in rows(data) if row["type"] not in types]

    return change


@pytest.mark.parametrize(
    ("stack", "type_", "told"),
    [
        ("aws-us-east-1", "aws:autoscaling/group:Group", "auto scaling groups"),
        ("azure-eastus", "azure-native:compute:VirtualMachineScaleSet", "scale sets"),
        (
            "gcp-us-central1",
            "gcp:compute/regionInstanceGroupManager:RegionInstanceGroupManager",
            "instance group managers",
        ),
        ("tencent-ap-guangzhou", "tencentcloud:As/scalingGroup:ScalingGroup", "a scaling group"),
    ],
)
def test_a_stack_without_pools(tmp_path: Path, stack: str, type_: str, told: str) -> None:
    assert export_line(tmp_path, stack, without(type_)) == (
        f"{stack}: has no pools; expected {told} in a region stack"
    )  # fmt: skip


def test_a_secret_where_a_number_is_needed(tmp_path: Path) -> None:
    def change(data: dict[str, Any]) -> None:
        named(data, "aws-us-east-1-pools-spot")["inputs"]["minSize"] = SECRET

    assert export_line(tmp_path, "aws-us-east-1", change) == (
        "aws-us-east-1-pools-spot: minSize = <not shown>: is a secret, where a whole number of 0 or more is read; "
        "export with `pulumi stack export --show-secrets`"
    )

    def hidden(data: dict[str, Any]) -> None:
        named(data, "aws-us-east-1-balancer-nodes")["inputs"]["deregistrationDelay"] = "[secret]"

    path = edited(tmp_path, "aws-us-east-1", hidden, "plan")
    assert "deregistrationDelay = <not shown>: is a secret" in line(lambda: load_plans([path]))


def test_a_secret_variable_of_the_function(tmp_path: Path) -> None:
    def change(data: dict[str, Any]) -> None:
        variables = named(data, "gcp-us-central1-scaling-fallback")["inputs"]["serviceConfig"]["environmentVariables"]
        variables["SPILLWAY_TARGET"] = SECRET
        named(data, "gcp-us-central1-scaling-fallback").pop("outputs", None)

    told = export_line(tmp_path, "gcp-us-central1", change)
    assert told.startswith(
        "gcp-us-central1-scaling-fallback: serviceConfig.environmentVariables.SPILLWAY_TARGET = <not"
    )


def test_an_unknown_version_of_a_state_a_provider_or_an_api(tmp_path: Path) -> None:
    assert export_line(tmp_path, "aws-us-east-1", lambda data: data.update(version=7)) == (
        "version = 7: unknown version of a state; expected 3 or 4"
    )

    def provider(data: dict[str, Any]) -> None:
        named(data, "aws-us-east-1", "pulumi:providers")["inputs"]["version"] = "8.0.0"

    assert export_line(tmp_path, "aws-us-east-1", provider) == (
        "aws-us-east-1: version = 8.0.0: expected 7.x of the provider aws"
    )

    def api(data: dict[str, Any]) -> None:
        row = named(data, "azure-eastus-pools-spot")
        row["type"] = "azure-native:compute/v20230301:VirtualMachineScaleSet"

    assert export_line(tmp_path, "azure-eastus", api) == (
        "azure-eastus-pools-spot: type = azure-native:compute/v20230301:VirtualMachineScaleSet: API version v20230301 "
        "is unknown here; expected azure-native:compute:VirtualMachineScaleSet, the SDK's own"
    )


@pytest.mark.parametrize(
    ("stack", "name", "key", "value", "told"),
    [
        (
            "aws-us-east-1", "aws-us-east-1-pools-spot", "maxSize", "many",
            "aws-us-east-1-pools-spot: maxSize = many: expected a whole number of 0 or more",
        ),
        (
            "aws-us-east-1", "aws-us-east-1-pools-spot", "maxSize", -1,
            "aws-us-east-1-pools-spot: maxSize = -1: expected a whole number of 0 or more",
        ),
        (
            "aws-us-east-1", "aws-us-east-1-pools-spot", "maxSize", None,
            "aws-us-east-1-pools-spot: maxSize: missing; expected a whole number of 0 or more",
        ),
        (
            "aws-us-east-1", "aws-us-east-1-pools-spot", "maxSize", UNKNOWN,
            "aws-us-east-1-pools-spot: maxSize: not known before the deployment; expected a whole number of 0 or more",
        ),
        (
            "aws-us-east-1", "aws-us-east-1-pools-spot-drain", "lifecycleTransition", "autoscaling:SOMETHING",
            "aws-us-east-1-pools-spot-drain: lifecycleTransition = autoscaling:SOMETHING: expected one of "
            "autoscaling:EC2_INSTANCE_LAUNCHING, autoscaling:EC2_INSTANCE_TERMINATING",
        ),
        (
            "gcp-us-central1", "gcp-us-central1-scaling-every-minute", "schedule", "0 4 * * 1",
            "gcp-us-central1-scaling-every-minute: schedule = 0 4 * * 1: expected every minute (* * * * *) or every "
            "few minutes (*/5 * * * *)",
        ),
        (
            "azure-eastus", "azure-eastus-pools-spot", "automaticRepairsPolicy", {"gracePeriod": "P1D"},
            "azure-eastus-pools-spot: automaticRepairsPolicy.gracePeriod = P1D: expected a duration in minutes such "
            "as PT30M",
        ),
        (
            "aws-us-east-1", "aws-us-east-1-spot", "userData", "bm9uc2Vuc2U=",
            "aws-us-east-1-spot: userData: expected cloud-init user data that writes /etc/spillway/node.json",
        ),
    ],
)  # fmt: skip
def test_a_property_that_is_not_what_it_has_to_be(
    tmp_path: Path, stack: str, name: str, key: str, value: Any, told: str
) -> None:
    def change(data: dict[str, Any]) -> None:
        row = named(data, name)
        row["inputs"][key] = value
        row.get("outputs", {}).pop(key, None)

    assert export_line(tmp_path, stack, change) == told


def test_a_function_that_would_refuse_its_own_environment(tmp_path: Path) -> None:
    def change(data: dict[str, Any]) -> None:
        row = named(data, "gcp-us-central1-scaling-fallback")
        row["inputs"]["serviceConfig"]["environmentVariables"]["SPILLWAY_FLOOR"] = "9"
        row.pop("outputs", None)

    assert export_line(tmp_path, "gcp-us-central1", change) == (
        "gcp-us-central1-scaling-fallback: environment: floor 9, target 2, max 6: expected floor <= target <= max"
    )


def test_what_is_no_export_and_no_plan(tmp_path: Path) -> None:
    nothing = tmp_path / "nothing.json"
    assert line(lambda: load_exports([nothing])) == f"{nothing}: cannot be read: No such file or directory"
    nothing.write_text("up to date")
    assert "is no JSON; expected the output of `pulumi stack export`" in line(lambda: load([nothing]))
    stack_file = Path(__file__).parents[2] / "stacks" / "Pulumi.global.yaml"
    assert f"stack files are read as a folder, all of them; name {stack_file.parent}" in line(
        lambda: load([stack_file])
    )
    nothing.write_text('{"steps": []}')
    assert line(lambda: load_plans([nothing])) == (
        f"{nothing}: steps: missing; expected the output of `pulumi preview --json --show-sames`"
    )
    nothing.write_text('{"version": 3, "deployment": {}}')
    assert line(lambda: load_exports([nothing])) == (
        f"{nothing}: deployment.resources: missing or empty: nothing is deployed in this stack"
    )
    plan, export = (RECORDED / f"aws-us-east-1.{kind}.json" for kind in ("plan", "export"))
    assert line(lambda: load([plan, export])) == (
        f"{plan}: is a plan beside exported stacks; expected files of one kind"
    )
    assert line(lambda: load_exports([export, export])) == (f"{export}: stack aws-us-east-1 is in {export} already")


def test_a_plan_without_what_stays_the_same(tmp_path: Path) -> None:
    for steps in ([], [{"op": "update", "urn": "u", "newState": {"urn": "u", "type": "t"}}]):
        path = tmp_path / "plan.json"
        path.write_text(json.dumps({"steps": steps, "changeSummary": {"same": 98, "update": 1}}))
        assert line(partial(load, [path])) == (
            f"{path}: steps: 98 that stay the same are left out; preview with --show-sames"
        )


def test_a_plan_of_the_global_stack_needs_its_regions(tmp_path: Path) -> None:
    files = [RECORDED / f"{stack}.plan.json" for stack in ("aws-us-east-1", "global")]
    assert line(lambda: load_plans(files)) == (
        f"{files[1]}: global: member azure-eastus: a plan does not say where azure-eastus is; give that stack's plan "
        "or export as well"
    )


def test_global_stacks_that_are_not_there_or_too_many(tmp_path: Path) -> None:
    files = [RECORDED / f"{stack}.export.json" for stack in ("aws-us-east-1", "global-cloudflare")]
    assert load_exports(files).world is not None
    assert line(lambda: load_exports(files, "global-cloudflair")) == (
        "global-cloudflair: no such global stack (did you mean global-cloudflare?); there are global-cloudflare"
    )
    files.append(RECORDED / "global-traffic-manager.export.json")
    assert line(lambda: load_exports(files)) == (
        "several global stacks: global-cloudflare and global-traffic-manager; name the one to take"
    )


def test_stacks_of_pipeline_roles_are_no_regions(tmp_path: Path) -> None:
    urn = "urn:pulumi:ci-aws::spillway::pulumi:pulumi:Stack::spillway-ci-aws"
    path = tmp_path / "ci-aws.export.json"
    resources = [{"urn": urn, "custom": False, "type": "pulumi:pulumi:Stack", "outputs": {"variables": {}}}]
    path.write_text(json.dumps({"version": 3, "deployment": {"resources": resources}}))
    region = RECORDED / "aws-us-east-1.export.json"
    assert [one.stack for one in load_exports([region, path]).regions] == ["aws-us-east-1"]
    assert line(lambda: load_exports([path])) == f"{path}: no region stack; expected at least one"


def test_folders_without_stacks(tmp_path: Path) -> None:
    assert line(lambda: load_stack_files(tmp_path)) == (
        f"{tmp_path}: holds no region stack; expected Pulumi.<cloud>-<region>.yaml"
    )
    assert line(lambda: load_stack_files(tmp_path / "no")) == (
        f"{tmp_path / 'no'}: there is no such folder; expected one with stack files (Pulumi.<stack>.yaml)"
    )
    assert line(lambda: load_sandbox(tmp_path)) == (
        f"{tmp_path}: is no sandbox with stacks in it; `make demo` deploys some"
    )
    assert "no stacks: expected a folder" in line(lambda: load([]))


def test_records_that_lead_in_a_circle(tmp_path: Path) -> None:
    def change(data: dict[str, Any]) -> None:
        row = named(data, "global-_from-priority-20.llm.example.com-after")
        for layer in ("inputs", "outputs"):
            if "aliases" in row.get(layer, {}):
                row[layer]["aliases"][0]["name"] = "_from-priority-10.llm.example.com"

    path = edited(tmp_path, "global", change)
    region = RECORDED / "aws-us-east-1.export.json"
    assert line(lambda: load_exports([region, path])) == (
        f"{path}: global: _from-priority-10.llm.example.com: records lead in a circle"
    )


def test_probes_that_are_not_alike(tmp_path: Path) -> None:
    def change(data: dict[str, Any]) -> None:
        named(data, "global-onprem-fra-198.51.100.10")["inputs"]["requestInterval"] = 30

    path = edited(tmp_path, "global", change)
    region = RECORDED / "aws-us-east-1.export.json"
    told = line(lambda: load_exports([region, path]))
    assert "requestInterval" in told
    assert "probes and answers are alike" in told


# What a file may hold instead of any value in it.
ODD: list[Any] = [
    None, "", "x", "1", -1, 0, 1.5, 10**30, "inf", "nan", True, [], {}, [None], [1], [{}], [[]], {"a": 1}, UNKNOWN,
    SECRET, "[secret]",
]  # fmt: skip
SERVING = ("aws-us-east-1", "azure-eastus", "gcp-us-central1")
STACKS = (*SERVING, "tencent-ap-guangzhou", *GLOBALS)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, below in steps:
        yield (*path, step)
        yield from places(below, (*path, step))


@pytest.mark.parametrize("kind", ["export", "plan"])
@pytest.mark.parametrize("stack", STACKS)
def test_whatever_stands_in_a_file_it_is_read_or_told_in_plain_lines(tmp_path: Path, stack: str, kind: str) -> None:
    whole = json.loads((RECORDED / f"{stack}.{kind}.json").read_text())
    chance = random.Random(f"{stack} {kind}")
    every = list(places(whole))
    path = tmp_path / f"{stack}.json"
    around = [RECORDED / f"{region}.{kind}.json" for region in SERVING if stack in GLOBALS]
    for _ in range(30):
        *way, last = chance.choice(every)
        data = copy.deepcopy(whole)
        place = data
        for step in way:
            place = place[step]
        place[last] = chance.choice(ODD)
        path.write_text(json.dumps(data))
        told = faults(partial(load, [*around, path]))
        assert not any("\n" in one for one in told), (way, last)
