"""`spillway catalog`: machine types, where they are offered, and which models they hold."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from infra import catalog as data
from infra import fit, gpu_support
from infra.config import load_each
from infra.faults import did_you_mean, listed
from spillway import tables
from spillway.errors import SpillwayError

if TYPE_CHECKING:
    from rich.table import Table

    from infra.sections import Architecture, ModelSpec


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether one model runs on one machine type, and why not."""

    fits: bool
    why: str
    tensor_parallel: int | None = None
    needed_gib: float | None = None
    usable_gib: float | None = None
    room_tokens: int | None = None


def verdict(spec: ModelSpec, shape: Architecture, machine: data.Machine) -> Verdict:
    """The stack file's model and load on a machine type, over as many of its GPUs as the model can be split into."""
    why = gpu_support.unsupported(machine.compute_capability, spec.dtype, spec.kv_cache_dtype)
    if why:
        return Verdict(False, f"{machine.gpu_architecture}: {why}")
    sizes = tuple(fit.tensor_parallel_sizes(shape, machine.gpus // spec.pipeline_parallel))
    if not sizes:
        return Verdict(False, f"pipelineParallel {spec.pipeline_parallel} takes more than {machine.gpus} GPUs")
    size = spec.tensor_parallel if spec.tensor_parallel in sizes else sizes[-1]
    found = fit.estimate(spec.model_copy(update={"tensor_parallel": size}), shape, machine.gpu_memory_mib)
    needed, usable = round(found.needed / fit.GIB, 1), round(found.usable / fit.GIB, 1)
    text = f"{needed} of {usable} GiB per GPU"
    return Verdict(found.fits, text, size, needed, usable, found.room_tokens)


def catalog(
    region: Annotated[
        str | None, typer.Option(help="Only what this region of the cloud offers, with its zones.")
    ] = None,
    cloud: Annotated[str | None, typer.Option(help="aws unless given; with --storage, all of them.")] = None,
    machine: Annotated[str | None, typer.Option("--type", help="Only types that begin with this, such as p5.")] = None,
    stacks: Annotated[
        Path, typer.Option(help="Folder of stack files; their models and loads are tried on each type.")
    ] = Path("stacks"),
    storage: Annotated[
        bool, typer.Option("--storage", help="What one node gets of its disks, and how long weights take to them.")
    ] = False,
    stack: Annotated[
        str | None, typer.Option(help="With --storage: the machine types, volumes and model of this stack file.")
    ] = None,
    models: Annotated[bool, typer.Option("--models", help="List the known models instead.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON for programs.")] = False,
) -> None:
    """Machine types with GPUs: memory, architecture, disks, zones, and whether the models of the stack files fit."""
    if stack is not None and not storage:
        raise SpillwayError("--stack goes with --storage; --stacks names the folder of the stack files")
    if models:
        rows = [_model_row(name) for name in data.models()]
        _print(rows, as_json, lambda: _models_table(rows))
        return
    if cloud is not None and cloud not in data.READERS:
        raise SpillwayError(f"--cloud {cloud}: has to be {listed(data.READERS)}{did_you_mean(cloud, data.READERS)}")
    if storage:
        _storage(cloud, region, machine, stack, stacks, as_json)
        return
    found = _found(cloud or "aws", region, machine)
    specs = _specs(stacks)
    entries = [_machine_row(one, region, specs) for one in found]
    observed = data.observed(cloud or "aws")
    _print(entries, as_json, lambda: _machines_table(entries, region, list(specs), observed), observed)


def _found(cloud: str, region: str | None, prefix: str | None) -> list[data.Machine]:
    """The cloud's machine types that begin with prefix and are offered in the region."""
    if region is not None and region not in data.regions(cloud):
        hint = did_you_mean(region, data.regions(cloud))
        raise SpillwayError(f"--region {region}: unknown region{hint}; known are {listed(data.regions(cloud))}")
    found = [
        one
        for one in data.machines(cloud)
        if one.name.startswith(prefix or "") and (region is None or region in data.offered_in(one.name))
    ]
    if not found:
        where = f" in {region}" if region else f" on {cloud}" if cloud != "aws" else ""
        raise SpillwayError(f"no machine type{' beginning with ' + prefix if prefix else ''} is offered{where}")
    return found


def _storage(
    cloud: str | None, region: str | None, prefix: str | None, stack: str | None, stacks: Path, as_json: bool
) -> None:
    from infra import parity
    from spillway import catalog_storage as view
    from spillway.regions import chosen

    config = None
    if stack is not None:
        (config,) = chosen(stacks, [stack])
        if cloud not in (None, config.cloud):
            raise SpillwayError(f"--cloud {cloud}: --stack {stack} is on {config.cloud}; leave --cloud out")
        if region is not None or prefix is not None:
            given = "--region" if region is not None else "--type"
            raise SpillwayError(f"{given} goes without --stack, which says it already")
        found = list(config.machines)
    elif region is not None:
        owners = [cloud] if cloud else [one for one in data.READERS if region in data.regions(one)]
        found = _found(owners[0] if owners else "aws", region, prefix)
    elif cloud is not None:
        found = _found(cloud, None, prefix)
    else:
        found = [one for name in data.READERS for one in data.machines(name) if one.name.startswith(prefix or "")]
        if not found:
            raise SpillwayError(f"no machine type beginning with {prefix} is offered on any cloud")
    entries = view.entries(found, region, config)
    if as_json:
        rows = [view.as_json(entry) for entry in entries]
        typer.echo(json.dumps({"observed": parity.observed(), "rows": rows}, indent=2))
        return
    clouds = list(dict.fromkeys(one.cloud for one in found))
    for line in view.lines(entries, view.title(clouds, region, config)):
        typer.echo(line)


def _print(rows: Sequence[dict[str, Any]], as_json: bool, table: Any, observed: str | None = None) -> None:
    if as_json:
        typer.echo(json.dumps({"observed": observed or data.observed(), "rows": rows}, indent=2))
        return
    tables.show(table())


def _specs(stacks: Path) -> dict[str, tuple[ModelSpec, Architecture]]:
    """The models of all stack files, by name and type; each once. A folder that is not there has none, and neither has
    a faulty file: what it lacks may be what is looked for here."""
    regions, lines = load_each(stacks)
    for line in lines:
        typer.echo(f"spillway: warning: {line}", err=True)
    return {f"{one.model.name} {one.model.dtype}": (one.model, one.architecture) for one in regions.values()}


def _machine_row(
    machine: data.Machine, region: str | None, specs: dict[str, tuple[ModelSpec, Architecture]]
) -> dict[str, Any]:
    row: dict[str, Any] = asdict(machine)
    row["offered_in"] = {
        name: data.zones(machine.name, name) for name in data.offered_in(machine.name) if region in (None, name)
    }
    row["models"] = {name: asdict(verdict(spec, shape, machine)) for name, (spec, shape) in specs.items()}
    return row


def _model_row(name: str) -> dict[str, Any]:
    shape, dtype = data.architecture(name), data.native_dtype(name)
    return {
        "name": name,
        "params_billion": shape.params_billion,
        "dtype": dtype,
        "weights_gb": round(fit.checkpoint_bytes(shape, dtype) / 1e9, 1),
        "kv_bytes_per_token": int(fit.kv_bytes_per_token(shape, "auto", 1, shape.layers)),
        "attention_heads": shape.attention_heads,
        "kv_heads": shape.kv_heads,
        "layers": shape.layers,
        "max_positions": shape.max_positions,
        "tensor_parallel": list(fit.tensor_parallel_sizes(shape, 8)),
    }


def _table(columns: Iterable[tuple[str, bool]], title: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left", title_style="")
    for name, number in columns:
        table.add_column(name, justify="right" if number else "left", no_wrap=True)
    return table


def _machines_table(rows: Sequence[dict[str, Any]], region: str | None, models: Sequence[str], observed: str) -> Table:
    where = f"zones of {region}" if region else "regions"
    columns = [("type", False), ("GPUs", False), ("GiB each", True), ("arch", False), ("vCPU", True), ("NVMe GB", True)]
    columns += [("disk MB/s", True), ("EFA", True), (where, False), *((name, False) for name in models)]
    table = _table(columns, f"Offered as of {observed}; models with the load of their stack file")
    for row in rows:
        if region:
            there = " ".join(zone.removeprefix(region).lstrip("-") for zone in row["offered_in"].get(region, ()))
        else:
            there = str(len(row["offered_in"]))
        table.add_row(
            row["name"],
            f"{row['gpus']} {row['gpu']}",
            f"{row['gpu_memory_mib'] / 1024:.0f}",
            row["gpu_architecture"],
            str(row["vcpus"]),
            str(row["nvme_count"] * row["nvme_disk_gb"] or "-"),
            "?" if row["disk_max_mbps"] is None else f"{row['disk_max_mbps']:g}",
            str(row["efa"] or "-"),
            there or "-",
            *(_short(row["models"][name]) for name in models),
        )
    return table


def _short(found: dict[str, Any]) -> str:
    if found["fits"]:
        return f"yes, TP {found['tensor_parallel']}, {found['room_tokens'] // 1000}k tokens"
    if found["needed_gib"] is None:
        return f"no, {found['why'].split(':')[0]}"
    return f"no, {found['why']}"


def _models_table(rows: Sequence[dict[str, Any]]) -> Table:
    columns = [("model", False), ("params", True), ("stored in", False), ("weights GB", True), ("KV B/token", True)]
    columns += [("heads / KV", True), ("context", True), ("TP", False)]
    table = _table(columns, "Known models")
    for row in rows:
        table.add_row(
            row["name"],
            f"{row['params_billion']:g}B",
            row["dtype"],
            f"{row['weights_gb']:g}",
            str(row["kv_bytes_per_token"]),
            f"{row['attention_heads']} / {row['kv_heads']}",
            str(row["max_positions"]),
            " ".join(str(size) for size in row["tensor_parallel"]),
        )
    return table
