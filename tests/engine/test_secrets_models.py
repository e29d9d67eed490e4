"""`spillway secrets` and `spillway models` over three regions on three clouds, each deployed by the real engine."""

from __future__ import annotations

import base64
import json
import logging
import random
from pathlib import Path
from typing import Any

import pytest

from sandbox.clouds import VARIABLE
from sandbox.store import CLOUDS, Store
from spillway.cli import main
from tests.support.engine import EngineSandbox, changes, copied_project
from tests.unit.secrets.certificates import Issued, bundle, fresh

pytestmark = pytest.mark.engine

REGIONS = ("aws-us-east-1", "azure-eastus", "gcp-us-central1")
MODEL, REVISION, OLDER, NEWER = "deepseek-r1-distill-llama-70b", "2025-01-20", "2024-12-26", "2025-02-01"
VALUES = {
    "aws:secretsmanager/secretVersion:SecretVersion",
    "azure-native:keyvault:Secret",
    "gcp:secretmanager/secretVersion:SecretVersion",
}
"""Where the stand-in clouds keep values of secrets."""


@pytest.fixture(scope="module")
def regions(tmp_path_factory: pytest.TempPathFactory) -> EngineSandbox:
    """The shipped stack files of one region per cloud, deployed."""
    folder = tmp_path_factory.mktemp("three")
    made = EngineSandbox(folder / "sandbox", copied_project(folder / "project"))
    for path in stacks(made).glob("Pulumi.*.yaml"):
        if path.name.removeprefix("Pulumi.").removesuffix(".yaml") not in REGIONS:
            path.unlink()
    for stack in REGIONS:
        made.up(stack).ok()
    return made


def stacks(sandbox: EngineSandbox) -> Path:
    return sandbox.root / "stacks"


class Cli:
    """`spillway ... --sandbox --json` on the three stack files; remembers all that was told, logged or printed."""

    def __init__(
        self, sandbox: EngineSandbox, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        self._sandbox, self._capsys, self._caplog = sandbox, capsys, caplog
        self.told: list[str] = []

    def __call__(self, *arguments: str, code: int = 0) -> Any:
        found = main([*arguments, "--stacks", str(stacks(self._sandbox)), "--sandbox", "--json"])
        out, err = self._capsys.readouterr()
        self.told += [out, err, self._caplog.text]
        self._caplog.clear()
        assert found == code, out + err
        return json.loads(out)


@pytest.fixture
def run(
    regions: EngineSandbox,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> Cli:
    monkeypatch.setenv(VARIABLE, str(regions.directory))
    caplog.set_level(logging.DEBUG)
    return Cli(regions, capsys, caplog)


def by_stack(answer: Any, key: str = "state") -> dict[str, Any]:
    """One value of each region's row."""
    rows = answer.get("regions") or answer["secrets"]
    assert [row["stack"] for row in rows] == list(REGIONS)
    return {row["stack"]: row[key] for row in rows}


def shown(answer: Any, secret: str) -> dict[str, Any]:
    return {row["stack"]: row for row in answer["secrets"] if row["secret"] == secret}


def traces(text: str) -> list[bytes]:
    """A text as it is, and what of it stays the same in base64 wherever it begins in the encoded text."""
    data = text.encode()
    found = [data]
    for shift in range(3):
        encoded = base64.b64encode(b"x" * shift + data)
        found.append(encoded[-(-shift * 8 // 6) : (shift + len(data)) * 8 // 6])
    return found


def holds(haystack: bytes, text: str) -> bool:
    return any(trace in haystack for trace in traces(text))


def lines_of(one: Issued) -> list[str]:
    """Each line of the private key's PEM, without its last one, which is short."""
    return one.key_pem.splitlines()[1:-2]


def kept(sandbox: EngineSandbox) -> dict[str, bytes]:
    """Everything that anybody but the secret stores keeps: the engine's states in the clear, its backend, home and
    logs; stack files; what the stand-in clouds hold beside the values (user data, metadata, settings, archives)."""
    files = [
        path
        for folder in (sandbox.directory, sandbox.root)
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(CLOUDS)
    ]
    found = {str(path): path.read_bytes() for path in files}
    for stack in REGIONS:
        export = sandbox.pulumi("stack", "export", "--show-secrets", stack=stack).ok()
        found[f"state of {stack}"] = export.text.encode()
    store = Store(sandbox.directory)
    with store.transaction(write=False) as tx:
        for cloud in ("aws", "azure-native", "gcp"):
            for one in tx.all(cloud):
                if one.token not in VALUES:
                    found[f"{one.token} {one.id}"] = json.dumps([one.inputs, one.outputs]).encode()
    store.close()
    return found


def test_a_pair_and_keys_reach_every_cloud_are_renewed_and_stay_there(
    regions: EngineSandbox, run: Cli, tmp_path: Path
) -> None:
    empty = run("secrets", "show")
    assert {row["state"] for row in empty["secrets"]} == {"warning"}
    assert all("empty" in row["detail"] for row in empty["secrets"])

    file = tmp_path / "pair.pem"
    first, second = fresh(), fresh(80)
    file.write_text(bundle(first))
    assert set(by_stack(run("secrets", "push", "--certificate", str(file), "--dry-run")).values()) == {"would push"}
    assert set(by_stack(run("secrets", "push", "--certificate", str(file))).values()) == {"pushed"}
    assert set(by_stack(run("secrets", "push", "--certificate", str(file))).values()) == {"unchanged"}
    before = shown(run("secrets", "show"), "certificate")
    assert {row["state"] for row in before.values()} == {"ok"}
    assert {row["daysLeft"] for row in before.values()} == {60}
    assert all(row["pushed"] for row in before.values())

    file.write_text(bundle(second))
    assert set(by_stack(run("secrets", "push", "--certificate", str(file))).values()) == {"pushed"}
    after = shown(run("secrets", "show"), "certificate")
    assert {row["daysLeft"] for row in after.values()} == {80}
    assert len({row["fingerprint"] for row in after.values()}) == 1, "the same pair everywhere"
    assert all(after[stack]["version"] != before[stack]["version"] for stack in REGIONS)

    old = run("secrets", "key", "web", "--limit", "600")
    new = run("secrets", "key", "web-2")
    assert set(by_stack(old).values()) == set(by_stack(new).values()) == {"pushed"}
    assert set(by_stack(run("secrets", "key", "web", "--remove")).values()) == {"pushed"}
    keys = shown(run("secrets", "show"), "api-keys")
    assert [[key["name"] for key in keys[stack]["keys"]] for stack in REGIONS] == [["web-2"]] * 3
    assert {row["state"] for row in keys.values()} == {"ok"}

    for stack in REGIONS:  # a pushed value is no drift, and the engine reads none
        regions.up(stack, "--refresh", "--expect-no-changes").ok()
    assert main(["sandbox", "show", "--json"]) == 0
    places = kept(regions) | {"what was told": "".join(run.told).encode()}
    for public in ("/etc/spillway/node.json", f"/models/{MODEL}/{REVISION}/", "llm.example.com"):
        assert sum(holds(data, public) for data in places.values()) > 3, "what is not secret is found"
    for data in (places[f"state of {stack}"] for stack in REGIONS):
        assert holds(data, "/etc/spillway/node.json"), "user data is searched through its encoding"
    told_once = {old["key"], new["key"]}
    for one in (first, second):
        for line in lines_of(one):
            assert [where for where, data in places.items() if holds(data, line)] == []
    for key in told_once:
        assert [where for where, data in places.items() if holds(data, key)] == ["what was told"]
        assert "".join(run.told).count(key) == 1, "when it was made"


def test_nodes_are_told_where_their_secrets_are_and_weights_will_be(regions: EngineSandbox, run: Cli) -> None:
    bucket = {
        stack: where.removesuffix(" (sandbox)") for stack, where in by_stack(run("models", "list"), "where").items()
    }
    secrets = run("secrets", "show")["secrets"]
    for stack in REGIONS:
        state = regions.pulumi("stack", "export", stack=stack).ok().stdout.encode()
        assert holds(state, f"{bucket[stack]}/models/{MODEL}/{REVISION}/")
        for name in (row["name"] for row in secrets if row["stack"] == stack):
            assert holds(state, name)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    folder = tmp_path / "weights"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "llama"}')
    (folder / "model.safetensors").write_bytes(random.Random(1).randbytes(200_000))
    return folder


def copies(regions: EngineSandbox, stack: str, revision: str) -> list[Path]:
    """The files of a revision in the region's stand-in bucket."""
    mark = {"aws": "123456789012", "azure": "spillway0", "gcp": "spillway-test"}[stack.partition("-")[0]]
    paths = (regions.directory / "models").glob(f"*{mark}*/*/objects/models/{MODEL}/{revision}/*")
    return sorted(path for path in paths if path.is_file())


def test_weights_are_in_three_places_are_mended_and_rolled_back(
    regions: EngineSandbox, run: Cli, weights: Path
) -> None:
    assert not any(row["served"]["there"] for row in run("models", "list")["regions"])
    for revision in (OLDER, REVISION):
        assert set(by_stack(run("models", "push", str(weights), "--revision", revision)).values()) == {"pushed"}
        (weights / "config.json").write_text('{"model_type": "llama", "rope_theta": 500000.0}')
    assert all(row["served"]["there"] for row in run("models", "list")["regions"])
    assert set(by_stack(run("models", "verify"), "ok").values()) == {True}
    for stack in REGIONS:
        names = [path.name for path in copies(regions, stack, REVISION)]
        assert names == ["config.json", "manifest.json", "model.safetensors"]

    damaged = next(p for p in copies(regions, "azure-eastus", REVISION) if p.name == "model.safetensors")
    damaged.write_bytes(b"?" + damaged.read_bytes()[1:])
    found = by_stack(run("models", "verify", code=1), "ok")
    assert found == {"aws-us-east-1": True, "azure-eastus": False, "gcp-us-central1": True}
    damaged.unlink()
    mended = by_stack(run("models", "push", str(weights), "--revision", REVISION))
    assert mended == {"aws-us-east-1": "unchanged", "azure-eastus": "pushed", "gcp-us-central1": "unchanged"}
    assert set(by_stack(run("models", "verify"), "ok").values()) == {True}

    before = {path: path.read_bytes() for path in stacks(regions).iterdir()}
    run("models", "rollback")
    for stack in REGIONS:
        regions.project.sync()
        plan = regions.preview(stack)
        assert changes(plan), "the pointer is the stack file's, so the plan shows it"
        assert any(
            holds(json.dumps(step["newState"]).encode(), f"/models/{MODEL}/{OLDER}/")
            for step in plan["steps"]
            if step["op"] != "same" and step.get("newState")
        )
    run("models", "rollback", "--to", REVISION)
    assert {path: path.read_bytes() for path in stacks(regions).iterdir()} == before


def test_a_revision_goes_from_one_cloud_to_the_others(regions: EngineSandbox, run: Cli, weights: Path) -> None:
    run("models", "push", str(weights), "--revision", NEWER, "--stack", "gcp-us-central1")
    copied = run("models", "sync", "--from", "gcp-us-central1", "--revision", NEWER)
    assert {row["stack"]: row["state"] for row in copied["regions"]} == {
        "aws-us-east-1": "pushed",
        "azure-eastus": "pushed",
    }
    assert set(by_stack(run("models", "verify", "--revision", NEWER), "ok").values()) == {True}
    contents = {
        tuple(path.read_bytes() for path in copies(regions, stack, NEWER) if path.name != "manifest.json")
        for stack in REGIONS
    }
    assert contents == {((weights / "config.json").read_bytes(), (weights / "model.safetensors").read_bytes())}


@pytest.mark.parametrize("stack", REGIONS)
def test_every_region_is_asked_alone_as_well(run: Cli, stack: str) -> None:
    assert {row["stack"] for row in run("secrets", "show", "--stack", stack)["secrets"]} == {stack}
    assert [row["stack"] for row in run("models", "list", "--stack", stack)["regions"]] == [stack]
