"""What clouds offer: GPU machine types, the zones that have them, the shapes of known models. Data, dated, no prices.

    machine("p5.48xlarge").gpus                      # 8
    zones("p4de.24xlarge", "us-east-1")              # ("us-east-1b", "us-east-1c")
    architecture("deepseek-r1-distill-llama-70b")    # Architecture, as in the model's config.json

The data lies beside this file in data/ with its sources, and is read on first use only.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from infra import machines as machine_data
from infra.faults import did_you_mean
from infra.machines import Machine

if TYPE_CHECKING:
    from infra.sections import Architecture, NetworkBase

DATA: Final = Path(__file__).parent / "data"
MIB: Final = 1 << 20
GIB: Final = 1 << 30
_YAML: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


__all__ = [
    "Machine", "NotInCatalog", "architecture", "checker_networks", "checkers", "is_machine", "is_model",
    "machine", "machines", "models", "native_dtype", "observed", "offered_in", "regions",
    "zone_name", "zones",
]  # fmt: skip


class NotInCatalog(LookupError):
    """A machine type, region or model that the catalog does not know; the text says so in one line."""


CHECKERS: Final = {"route53": "route53_checkers.yaml", "cloudflare": "cloudflare_ranges.yaml"}
"""DNS provider -> the file with the networks of its health checkers."""


@lru_cache(maxsize=len(CHECKERS))
def checkers(provider: str) -> dict[str, Any]:
    """The networks from which a DNS provider's checks (and Cloudflare's proxies) reach an endpoint: networks, observed,
    source."""
    return _load(CHECKERS[provider])


def checker_networks(network: NetworkBase, *, route53: bool = True) -> tuple[str, ...]:
    """Networks of health checkers to let in besides the clients; none where everybody is let in.

    route53: False where a list that AWS keeps stands for Route 53's.
    """
    from infra import cidr

    if cidr.is_open(network.clients):
        return ()
    asked = [name for name in CHECKERS if name in network.checkers and (route53 or name != "route53")]
    return tuple(net for name in asked for net in checkers(name)["networks"] if net not in network.clients)


def _load(name: str) -> dict[str, Any]:
    # What clouds report is JSON (twenty times faster to read); what people write is YAML.
    raw = (DATA / name).read_bytes()
    data: dict[str, Any] = json.loads(raw) if name.endswith(".json") else yaml.load(raw, Loader=_YAML)
    return data


READERS: Final = {
    "aws": machine_data.of_aws,
    "azure": machine_data.of_azure,
    "gcp": machine_data.of_gcp,
    "tencent": machine_data.of_tencent,
}
"""Cloud -> how its data file is read."""


@lru_cache(maxsize=len(READERS))
def _machines(cloud: str) -> dict[str, Machine]:
    return READERS[cloud](_load(f"{cloud}_machines.json"))


@lru_cache(maxsize=len(READERS))
def _offerings(cloud: str) -> dict[str, Any]:
    return _load(f"{cloud}_offerings.json")


@lru_cache(maxsize=1)
def _models() -> dict[str, dict[str, Any]]:
    models: dict[str, dict[str, Any]] = _load("models.yaml")["models"]
    return models


def machines(cloud: str = "aws") -> tuple[Machine, ...]:
    """All machine types of a cloud, in the order of its data file."""
    return tuple(_machines(cloud).values())


def machine(name: str) -> Machine:
    """One machine type by name, which says the cloud as well; NotInCatalog for an unknown one."""
    for cloud in READERS:
        if name in _machines(cloud):
            return _machines(cloud)[name]
    known = [one for cloud in READERS for one in _machines(cloud)]
    raise NotInCatalog(f"unknown machine type {name}{did_you_mean(name, known)}")


def is_machine(name: str, cloud: str | None = None) -> bool:
    """Whether the catalog has this machine type, of one cloud when given."""
    return any(name in _machines(one) for one in ([cloud] if cloud else READERS))


def regions(cloud: str = "aws") -> tuple[str, ...]:
    """All regions of a cloud whose offerings are recorded, sorted."""
    return tuple(_offerings(cloud)["regions"])


def zones(name: str, region: str) -> tuple[str, ...]:
    """The region's zones that offer the machine type; empty where none does, where nobody told, or either is unknown.

    As the cloud writes them: us-east-1a, us-central1-a, ap-guangzhou-3, and a number on Azure.
    """
    for cloud in READERS:
        if name in _machines(cloud):
            letters: str = _offerings(cloud)["offerings"].get(name, {}).get(region, "")
            return tuple(zone_name(cloud, region, letter) for letter in letters)
    return ()


def zone_name(cloud: str, region: str, letter: str) -> str:
    """A zone by the letter (Azure, Tencent: number) that tells it from its neighbours."""
    return {"aws": f"{region}{letter}", "gcp": f"{region}-{letter}", "tencent": f"{region}-{letter}"}.get(cloud, letter)


def offered_in(name: str) -> tuple[str, ...]:
    """The regions that offer the machine type in any zone, sorted."""
    return next((tuple(_offerings(c)["offerings"].get(name, {})) for c in READERS if name in _machines(c)), ())


def observed(cloud: str = "aws") -> str:
    """The day on which the offerings were read, YYYY-MM-DD."""
    return str(_offerings(cloud)["observed"])


def models() -> tuple[str, ...]:
    """Names of all known models, in the order of the data file."""
    return tuple(_models())


def is_model(name: str) -> bool:
    """Whether the catalog has this model."""
    return name in _models()


def architecture(name: str) -> Architecture:
    """The shape of a known model; NotInCatalog for an unknown one."""
    from infra.sections import Architecture

    if name not in _models():
        raise NotInCatalog(f"unknown model {name}{did_you_mean(name, _models())}")
    # Construction by alias without validation: a test validates the data file once for all.
    return Architecture.model_construct(**_models()[name]["architecture"])


def native_dtype(name: str) -> str:
    """What the published checkpoint of a known model is stored in: bfloat16, float16, fp8 ..."""
    return str(_models()[name]["dtype"])
