"""`spillway image`: the serving image rendered, checked, baked, accounted for and booted in tests."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from images import manifest
from images.node import Cloud
from infra.faults import did_you_mean, listed
from spillway.errors import SpillwayError
from spillway.options import Json, Stacks

if TYPE_CHECKING:
    from images.bake import Bake
    from images.manifest import Baked
    from spillway.image_checks import Result

app = typer.Typer(help="The serving image: render, validate, build, manifest, test.", no_args_is_help=True)

CloudName = Annotated[str, typer.Option("--cloud", help="aws, azure, gcp or tencent.")]
CloudNames = Annotated[
    list[str] | None,
    typer.Option("--cloud", help="Only this cloud; may be repeated. All when left out."),
]
Account = Annotated[
    str | None, typer.Option(help="Account, subscription or project, where stack files name several of a cloud.")
]
Version = Annotated[str | None, typer.Option("--image-version", help="Version to bake instead of the pinned one.")]
StacksIfAny = Annotated[Path | None, typer.Option("--stacks", help="Folder of stack files.", show_default="stacks")]
Manifests = Annotated[Path, typer.Option(help="Folder of the manifests of what was baked.")]


def known(name: str) -> Cloud:
    """The cloud of that name. Raises SpillwayError."""
    for cloud in manifest.clouds():
        if cloud == name:
            return cloud
    raise SpillwayError(f"--cloud {name}: has to be {listed(manifest.clouds())}{did_you_mean(name, manifest.clouds())}")


@app.command()
def render(
    cloud: CloudName,
    out: Annotated[Path, typer.Option(help="Folder to write to; what was rendered there before is replaced.")],
    account: Account = None,
    version: Version = None,
    stacks: StacksIfAny = None,
    as_json: Json = False,
) -> None:
    """What a bake is made of: the node's file tree, install scripts, SBOM, Packer's HCL, and user data to look at."""
    from images import bake as source
    from images.check import sample
    from images.render import render_user_data
    from spillway import image_stacks

    name = known(cloud)
    configs = image_stacks.regions_if_any(stacks)
    bake = image_stacks.bake_of(name, configs, account=account, version=version, example=True)
    try:
        source.refuse_faults()
        rendered = source.write(bake, out)
    except ValueError as error:
        raise SpillwayError(f"{name}: {error}") from None
    (out / "user-data.yaml").write_text(render_user_data(sample(name)))
    if as_json:
        files = sorted(
            str(path.relative_to(out)) for path in out.rglob("*") if not path.is_dir() and path.name != source.RENDERED
        )
        told = {"cloud": name, "family": bake.family, "version": bake.version, "regions": list(bake.regions)}
        typer.echo(json.dumps({**told, "source": rendered.checksum, "components": rendered.components, "files": files}))
        return
    typer.echo(f"{bake.family} {bake.version} for {name}: {', '.join(bake.regions)}")
    typer.echo(f"source {rendered.checksum}")
    typer.echo(f"{out}/source: tree, install scripts, sbom.json; {out}/packer: HCL and archive; {out}/user-data.yaml")


@app.command()
def validate(cloud: CloudNames = None, stacks: StacksIfAny = None, as_json: Json = False) -> None:
    """Everything about the image that can be found wrong without a cloud; says what it passed over, and why."""
    from spillway import image_checks

    clouds = [known(name) for name in cloud or manifest.clouds()]
    results = image_checks.run(clouds, stacks)
    bad = [one for one in results if one.state == "failed"]
    if as_json:
        typer.echo(json.dumps({"ok": not bad, "checks": [asdict(one) for one in results]}, indent=2))
    else:
        _show_checks(results)
    if bad:
        raise typer.Exit(1)


def _show_checks(results: Sequence[Result]) -> None:
    from spillway import tables

    table = tables.plain("check", "clouds", "needs", "result", "")
    for one in results:
        tables.add(table, one.state, one.check, ", ".join(one.clouds), one.needs, one.state, one.reason)
    tables.show(table)
    for one in results:
        for line in one.findings:
            typer.echo(f"{one.check}: {line}", err=True)


@app.command()
def build(
    cloud: Annotated[list[str], typer.Option("--cloud", help="Cloud to bake for, or `all` of the stack files.")],
    account: Account = None,
    version: Version = None,
    variables: Annotated[
        list[str] | None, typer.Option("--var", help="name=value for the template's variables; may be repeated.")
    ] = None,
    stacks: Stacks = Path("stacks"),
    manifests: Manifests = manifest.FOLDER,
    prune: Annotated[
        bool, typer.Option("--prune", help="Delete what is older than the last three versions and in no stack file.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Bake with Packer, in this order of clouds, and write down what came of it. Costs money: a builder for an hour."""
    from spillway import image_build as work
    from spillway import image_stacks

    configs = image_stacks.regions(stacks)
    wanted = image_stacks.wanted(configs)
    if "all" in cloud:
        names = [one for one in manifest.clouds() if one in {config.cloud for config in configs.values()}]
    else:
        names = [known(name) for name in dict.fromkeys(cloud)]
    for one in variables or ():
        if "=" not in one:
            raise SpillwayError(f"--var {one}: expected name=value")
    bakes = [image_stacks.bake_of(name, configs, account=account, version=version) for name in names]
    if not bakes:
        raise SpillwayError(f"{stacks}: there is no region stack to bake an image for")
    for bake in bakes:  # what is known before anything costs money
        work.refuse_existing(bake, _load(manifests, bake.cloud), "")
    packer = work.find()
    work.check_version(packer)
    for bake in bakes:
        work.check_account(bake)
    done: list[dict[str, Any]] = []
    with work.alone(manifests):
        for bake in bakes:
            say = _sayer(bake.cloud, quiet=as_json)
            entry, path = work.build(
                bake, manifests / bake.cloud, manifests, packer, variables=variables or (), say=say
            )
            say(f"{entry.family} {entry.version}: " + ", ".join(f"{region} {one}" for region, one in entry.ids.items()))
            gone, kept = _clear(bake, manifests, [one.version for one in wanted if one.version], prune=prune, say=say)
            done.append({"manifest": str(path), **asdict(entry), "older": kept, "deleted": gone})
    if as_json:
        typer.echo(json.dumps({"built": done}, indent=2))


def _sayer(cloud: Cloud, *, quiet: bool) -> Any:
    def say(line: str) -> None:
        typer.echo(f"{cloud}: {line}", err=quiet)

    return say


def _clear(bake: Bake, folder: Path, named: Sequence[str], *, prune: bool, say: Any) -> tuple[list[str], list[str]]:
    """Versions that were deleted, and those that could be."""
    from spillway import image_retire

    images = _load(folder, bake.cloud)
    old = [one for one in manifest.surplus(images, named) if one.account == bake.account]
    if not old:
        return [], []
    versions = [one.version for one in old]
    if not prune:
        say(f"older than the last {manifest.KEEP} and in no stack file: {', '.join(versions)} (--prune deletes them)")
        return [], versions
    for one in old:
        image_retire.delete(bake, one)
        images = [other for other in images if other != one]
        manifest.save(folder, bake.cloud, images)
        say(f"deleted {one.version}")
    return versions, []


def _load(folder: Path, cloud: Cloud) -> list[Baked]:
    try:
        return manifest.load(folder, cloud)
    except manifest.Unreadable as error:
        raise SpillwayError(str(error)) from None


@app.command("manifest")
def show_manifest(
    cloud: CloudNames = None,
    stacks: StacksIfAny = None,
    manifests: Manifests = manifest.FOLDER,
    as_json: Json = False,
) -> None:
    """What was baked, which image every stack file comes down to, and which of them name one that is not there."""
    from spillway import image_stacks, tables

    clouds = [known(name) for name in cloud or manifest.clouds()]
    images: dict[Cloud, list[Baked]] = {name: _load(manifests, name) for name in clouds}
    configs = image_stacks.regions_if_any(stacks)
    found = manifest.references([one for one in image_stacks.wanted(configs) if one.cloud in clouds], images)
    if as_json:
        typer.echo(json.dumps(manifest.as_json(images, found), indent=2))
        return
    table = tables.plain("cloud", "family", "version", "baked", "source", "images", "components")
    for name, entries in images.items():
        for one in entries:
            when = datetime.fromtimestamp(one.baked, UTC).strftime("%Y-%m-%d %H:%M")
            ids = "\n".join(f"{region} {image}" for region, image in one.ids.items())
            parts = ", ".join(f"{key} {value}" for key, value in one.components.items())
            tables.add(table, "", name, one.family, one.version, when, one.source[:12], ids, parts)
    if any(images.values()):
        tables.show(table)
    else:
        typer.echo(f"{manifests}: nothing was baked from here yet")
    if found:
        rows = tables.plain("stack", "image", "standing", "id")
        for ref in found:
            tables.add(rows, ref.standing, ref.stack, ref.wanted, ref.standing, ref.id or "-")
        tables.show(rows)


@app.command("test")
def climb(
    rung: Annotated[list[int] | None, typer.Option(help="Only this rung, 1 to 5; may be repeated.")] = None,
    as_json: Json = False,
) -> None:
    """Climb the rungs of the image's tests that this machine can: static, programs, nspawn, QEMU, the real engine."""
    from spillway import image_rungs, tables

    results = image_rungs.climb(rung or (), quiet=as_json)
    if as_json:
        typer.echo(json.dumps({"rungs": [asdict(one) for one in results]}, indent=2))
    else:
        table = tables.plain("rung", "what", "result", "passed", "skipped", "failed", "")
        for one in results:
            counts = (str(one.passed), str(one.skipped), str(one.failed))
            tables.add(table, one.state, str(one.rung), one.name, one.state, *counts, "\n".join(one.reasons))
        tables.show(table)
    if any(one.state == "failed" for one in results):
        raise typer.Exit(1)


if find_spec("spillway.image_bench") is not None:

    def _bench() -> Any:
        from spillway.image_bench import bench

        return bench

    app.command("bench")(_bench())
