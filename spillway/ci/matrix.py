"""Which stacks a pipeline works on, one job each: where each is previewed, and what its job has to log in to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from infra import stackfile
from infra.faults import ConfigError, did_you_mean, listed
from spillway.errors import SpillwayError
from spillway.preview import git
from spillway.preview.review import kinds
from spillway.preview.touched import touched

Purpose = Literal["preview", "drift", "deploy"]
MOST: Final = 256
"""Jobs of one matrix: https://docs.github.com/en/actions/reference/limits"""
DNS_CLOUDS: Final[Mapping[str, str]] = {"route53": "aws", "traffic-manager": "azure", "cloudflare": "cloudflare"}
FEDERATED: Final = ("aws", "azure", "gcp")
"""Clouds that take the pipeline's own identity (OIDC): nothing secret is kept for them."""
REACHED: Final = (*FEDERATED, "cloudflare")
"""Cloudflare takes a token. Others are previewed on stand-in clouds, and deployed by a person."""
EXTRAS: Final = ("aws", "azure", "cloudflare", "gcp", "tencent")
BACKENDS: Final[Mapping[str, str]] = {"s3://": "aws", "azblob://": "azure", "gs://": "gcp"}
"""Start of a state backend's address -> the cloud whose login it takes
(https://www.pulumi.com/docs/iac/concepts/state-and-backends/)."""


@dataclass(frozen=True, slots=True)
class Job:
    """One stack. cloud: of the stack, of a global one its DNS provider's; on: where it is previewed; extras: SDKs to
    install; logins: clouds to log in to, that of the state backend among them; path: what touches it."""

    stack: str
    kind: str
    cloud: str
    on: Literal["account", "sandbox"]
    extras: tuple[str, ...]
    logins: tuple[str, ...]
    path: str = ""

    def json(self) -> dict[str, Any]:
        return {
            "stack": self.stack, "kind": self.kind, "cloud": self.cloud, "on": self.on,
            "extras": " ".join(self.extras), "logins": list(self.logins), "touchedBy": self.path,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plan:
    """Jobs in the order in which they are deployed; left_out: stack -> why it has none."""

    jobs: tuple[Job, ...]
    left_out: Mapping[str, str]

    def json(self) -> dict[str, Any]:
        return {"include": [one.json() for one in self.jobs], "leftOut": dict(self.left_out)}


def plan(
    root: Path,
    purpose: Purpose,
    *,
    named: Sequence[str] = (),
    base: str | None = None,
    deployed: Sequence[str] = (),
    backend: str = "",
) -> Plan:
    """named: only these; otherwise those that differ from `base`, without a base all. deployed: stacks that stand in
    accounts that the pipeline may enter; the others are previewed on stand-in clouds, and neither looked at for drift
    nor deployed, unless they are named. backend: address of the state. Raises SpillwayError.
    """
    here = kinds(root)
    for name in (*named, *deployed):
        if name not in here:
            raise SpillwayError(f"{name}: no such stack{did_you_mean(name, here)}; there are {listed(here, 'and')}")
    chosen, left_out = _chosen(root, here, named, base)
    jobs = []
    for name in sorted(chosen, key=lambda one: (here[one] == "global", one)):  # DNS leads only to what stands
        cloud = _cloud(root, name, here[name])
        reached = cloud in REACHED and (name in deployed or (purpose == "deploy" and name in named))
        if purpose != "preview" and not reached:
            left_out[name] = _why_not(cloud)
            continue
        if purpose == "deploy" and here[name].startswith("ci-"):
            left_out[name] = "holds the roles that pipelines work as: a person deploys it"
            continue
        jobs.append(_job(name, here[name], cloud, reached, chosen[name], backend))
    if len(jobs) > MOST:
        raise SpillwayError(f"{len(jobs)} stacks: a matrix has at most {MOST} jobs; name some of them")
    return Plan(tuple(jobs), {name: left_out[name] for name in sorted(left_out)})


def _why_not(cloud: str) -> str:
    if cloud not in REACHED:
        return f"pipelines have no login for {cloud}: a person looks at it and deploys it"
    return "not among the deployed stacks (SPILLWAY_STACKS)"


def _chosen(
    root: Path, here: Mapping[str, str], named: Sequence[str], base: str | None
) -> tuple[dict[str, str], dict[str, str]]:
    if named:
        return dict.fromkeys(named, ""), {}
    if base is None:
        return dict.fromkeys(here, ""), {}
    commit = git.fork_point(root, base)
    gone = {name: "gone" for name in git.stack_files(root, commit) if name not in here}
    found = touched(git.changed(root, commit), {**gone, **here})
    why = "its stack file is gone: what stands of it stays, and costs, until `pulumi destroy`"
    return {name: path for name, path in found.items() if name in here}, {n: why for n in found if n in gone}


def _job(name: str, kind: str, cloud: str, reached: bool, path: str, backend: str) -> Job:
    if not reached:
        # The stand-in clouds take the types of all SDKs, and a global stack reads region stacks of several.
        return Job(name, kind, cloud, "sandbox", EXTRAS, (), path)
    state = next((login for start, login in BACKENDS.items() if backend.startswith(start)), None)
    logins = sorted({one for one in (cloud, state) if one in FEDERATED})
    return Job(name, kind, cloud, "account", (cloud,), tuple(logins), path)


def _cloud(root: Path, name: str, kind: str) -> str:
    if kind.startswith("ci-"):
        return kind.removeprefix("ci-")
    if kind != "global":
        return kind
    try:
        config = stackfile.read(root / "stacks" / f"Pulumi.{name}.yaml").get(stackfile.GLOBAL_KEY)
    except ConfigError:  # its preview tells
        return "aws"
    dns = config.get("dns") if isinstance(config, Mapping) else None
    provider = dns.get("provider") if isinstance(dns, Mapping) else None
    return DNS_CLOUDS.get(str(provider), "aws")


def read_plan(text: str, file: str) -> tuple[dict[str, str], dict[str, str]]:
    """(stack -> what touched it, stack -> why it has no job) of what `json()` made. Raises SpillwayError."""
    import json

    try:
        found = json.loads(text)
        jobs = {str(one["stack"]): str(one.get("touchedBy", "")) for one in found["include"]}
        return jobs, {str(name): str(why) for name, why in found.get("leftOut", {}).items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise SpillwayError(f"{file}: is not what `spillway ci matrix` wrote") from None
