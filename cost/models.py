"""Shapes of models: those of the stacks (infra/catalog.py), and some that only cost knows (data/models.yaml)."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from infra import catalog
from infra.catalog import NotInCatalog
from infra.faults import did_you_mean

if TYPE_CHECKING:
    from infra.sections import Architecture

DATA: Final = Path(__file__).parent / "data"


def read_data(name: str) -> dict[str, Any]:
    """A YAML file of cost/data."""
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    found: dict[str, Any] = yaml.load((DATA / name).read_bytes(), Loader=loader)
    return found


@lru_cache(maxsize=1)
def _own() -> dict[str, Any]:
    return read_data("models.yaml")


def names() -> tuple[str, ...]:
    """Every model that has a shape."""
    return (*catalog.models(), *_own()["models"])


def shape(name: str) -> Architecture:
    """The shape of a model; NotInCatalog for an unknown one."""
    if name in _own()["models"]:
        from infra.sections import Architecture

        return Architecture.model_validate(_own()["models"][name]["architecture"])
    if not catalog.is_model(name):
        raise NotInCatalog(f"unknown model{did_you_mean(name, names())}; `spillway catalog --models` lists them")
    return catalog.architecture(name)


def active_billion(name: str) -> float:
    """1e9 parameters that one token passes through: all of them, but of mixtures of experts."""
    told = _own()["active"].get(name)
    return float(told["activeBillion"]) if told else shape(name).params_billion
