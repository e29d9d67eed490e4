"""`spillway secrets`: one certificate and the API keys, in the secret store of every region."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from spillway.errors import SpillwayError, WrongUsage
from spillway.options import Json, Profile, Stack, Stacks

if TYPE_CHECKING:
    from infra.config import RegionConfig
    from spillway.secrets.keys import ApiKey
    from spillway.secrets.pem import Pair
    from spillway.secrets.store import Kind
    from spillway.secrets.work import Open, Pushed, Value

app = typer.Typer(no_args_is_help=True, help="One certificate and the API keys, in every region's secret store.")

BYTES_MAX: Final = 1_000_000
"""Of a file that is read; no store takes a tenth of it."""

Sandbox = Annotated[bool, typer.Option("--sandbox", help="The stand-in clouds' stores.")]


@app.command()
def push(
    certificate: Annotated[
        str | None, typer.Option(help="PEM file: the certificate, its intermediates in order; - is standard input.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="PEM file of its key, where that is not in the same file; - is standard input.")
    ] = None,
    api_keys: Annotated[
        str | None, typer.Option("--api-keys", help="JSON list of {name, hash, limit}; - is standard input.")
    ] = None,
    stack: Stack = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be pushed, and push nothing.")] = False,
    sandbox: Sandbox = False,
    json_: Json = False,
    profile: Profile = None,
    stacks: Stacks = Path("stacks"),
) -> int:
    """Put a certificate with its key, the API keys, or both into every region's store.

    Checked first: key, order of the chain, dates, and that the certificate is for every name that leads to the regions.
    A region that holds the same already is left alone, and one that was never deployed is skipped unless it is named.
    Exit code 1 when something was refused, a region failed, or every one was skipped.
    """
    from spillway.secrets import view, work

    if certificate is None and api_keys is None:
        raise WrongUsage("secrets push: name --certificate FILE, --api-keys FILE, or both")
    if key is not None and certificate is None:
        raise WrongUsage("secrets push: --key goes with --certificate")
    regions, open_store = _regions(stacks, stack, sandbox, profile)
    read = _Inputs()
    values: dict[Kind, Value] = {}
    told: dict[str, Any] = {"sandbox": sandbox, "dryRun": dry_run, "certificate": None, "keys": None}
    pair = _pair(read, certificate, key) if certificate is not None else None
    if pair is not None:
        values["certificate"] = work.certificate_value(pair)
    if api_keys is not None:
        listed = _listed(read, api_keys)
        told["keys"] = len(listed)
        values["api-keys"] = work.keys_value(listed)
    skipped = {} if stack else work.absent(regions, tuple(values), open_store)
    there = [config for config in regions if config.stack_name not in skipped]
    if pair is not None and certificate is not None:
        told["certificate"] = _judged(pair, _hosts(stacks, there or regions), certificate, datetime.now(UTC))
    results = work.push(there, values, open_store, dry_run)
    left = [work.skipped(one, kind, skipped[one.stack_name]) for one in regions for kind in values if one not in there]
    view.results([*results, *left], told, json_)
    return _code([*results, *left])


@app.command()
def show(
    stack: Stack = None,
    sandbox: Sandbox = False,
    json_: Json = False,
    profile: Profile = None,
    stacks: Stacks = Path("stacks"),
) -> int:
    """Say what every region holds: until when its certificate is good, for which names, and whose API keys.

    Values are never shown. Exit code 1 when a region's clients are refused, or nothing could be asked of it.
    """
    from spillway.secrets import view, work

    regions, open_store = _regions(stacks, stack, sandbox, profile)
    rows = work.show(regions, _hosts(stacks, regions), open_store, datetime.now(UTC))
    view.shown(rows, sandbox, json_)
    return 1 if any(row.state == "failure" for row in rows) else 0


@app.command()
def key(
    name: Annotated[str, typer.Argument(help="Whose key it is: letters, digits and . _ @ -")],
    limit: Annotated[
        int | None, typer.Option(min=1, max=1_000_000, help="Requests per minute; no limit when left out.")
    ] = None,
    existing: Annotated[
        bool, typer.Option("--existing", help="Do not make a key: read it from standard input.")
    ] = False,
    remove: Annotated[bool, typer.Option("--remove", help="Take the key out of every region.")] = False,
    stack: Stack = None,
    sandbox: Sandbox = False,
    json_: Json = False,
    profile: Profile = None,
    stacks: Stacks = Path("stacks"),
) -> int:
    """Make an API key: print it once, and add its hash to every region's list.

    The key itself is kept nowhere. A region that failed gets it with --existing; one that was never deployed is skipped
    unless it is named. Exit code 1 when a region failed, or every one was skipped.
    """
    from spillway.secrets import keys, view, work
    from spillway.secrets.store import NotThere

    if keys.name_fault(name):
        raise SpillwayError(f"secrets key: NAME {keys.name_fault(name)}")
    if remove and (existing or limit is not None):
        raise WrongUsage("secrets key: --remove goes without --limit and --existing")
    regions, open_store = _regions(stacks, stack, sandbox, profile)
    text = ""
    if not remove:
        text = _Inputs().text("standard input", "-").strip() if existing else keys.new_key()
    try:
        entry = keys.ApiKey(name, keys.hash_of(text) if text or existing else "", limit)
    except keys.NotKeys as error:
        raise SpillwayError(f"standard input: {error}") from None
    held = work.read_keys(regions, open_store)
    absent = {one: str(found) for one, found in held.items() if isinstance(found, NotThere) and not stack}
    left = [work.skipped(one, "api-keys", absent[one.stack_name]) for one in regions if one.stack_name in absent]
    regions = [one for one in regions if one.stack_name not in absent]
    wanted = {one: found for one, found in held.items() if one not in absent}
    held = dict(wanted)
    faults = []
    for where, found in held.items():
        if isinstance(found, SpillwayError):
            continue
        others = tuple(one for one in found if one.name != name)
        if not remove:
            faults += _clashes(where, entry, found)
            others = found if entry in found else (*found, entry)
        wanted[where] = others
    if faults:
        raise SpillwayError(*faults)
    results = work.write_keys(regions, wanted, open_store)
    made = text if not remove and not existing and any(result.ok for result in results) else None
    view.key(name, limit, made, [*results, *left], sandbox, json_)
    return _code([*results, *left])


def _code(results: Sequence[Pushed]) -> int:
    """0 when something was done and nothing failed."""
    return 0 if all(one.ok for one in results) and any(not one.skipped for one in results) else 1


def _clashes(where: str, entry: ApiKey, found: Sequence[ApiKey]) -> list[str]:
    for one in found:
        if one != entry and one.name == entry.name:
            return [f"{where}: {entry.name} has another key or limit there; --remove it first, or take another name"]
        if one != entry and one.hash == entry.hash:
            return [f"{where}: this key is there already, as {one.name}"]
    return []


class _Inputs:
    """Reads files and, once, standard input: secrets never stand in a command line, where every process sees them."""

    def __init__(self) -> None:
        self._taken = ""

    def text(self, option: str, path: str) -> str:
        """Raises SpillwayError with the option, never with a word of what was read."""
        if path == "-":
            if self._taken:
                raise SpillwayError(f"{option} = -: standard input is {self._taken} already")
            self._taken = option
            data = sys.stdin.buffer.read(BYTES_MAX + 1)
        else:
            try:
                with Path(path).open("rb") as file:
                    data = file.read(BYTES_MAX + 1)
            except OSError as error:
                raise SpillwayError(f"{option} = {path}: cannot be read: {error.strerror or error}") from None
        if len(data) > BYTES_MAX:
            raise SpillwayError(f"{option} = {path}: more than {BYTES_MAX:,} bytes")
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise SpillwayError(f"{option} = {path}: not text; DER becomes PEM by openssl x509 -inform der") from None


def _pair(read: _Inputs, certificate: str, key: str | None) -> Pair:
    from spillway.secrets import pem

    texts = [read.text("--certificate", certificate)]
    if key is not None:
        texts.append(read.text("--key", key))
    try:
        return pem.parse(*texts)
    except pem.NotPem as error:
        hint = "; name its file with --key" if key is None and "no private key" in str(error) else ""
        raise SpillwayError(f"--certificate = {certificate}: {error}{hint}") from None


def _judged(pair: Pair, hosts: Mapping[str, Sequence[str]], file: str, now: datetime) -> dict[str, Any]:
    """What may be told of the certificate, its warnings included. hosts: stack -> the names that clients reach it by.

    Raises SpillwayError when clients would refuse it, with the stacks that want what it lacks.
    """
    from spillway.preflight.secret_checks import covers
    from spillway.secrets import pem, work

    found = list(pem.faults(pair, (), now))
    lines = [f"--certificate = {file}: {fault.text}" for fault in found if fault.severity == "failure"]
    missing: dict[str, list[str]] = {}
    for stack, names in hosts.items():
        for host in names:
            if not covers(pair.names, host):
                missing.setdefault(host, []).append(stack)
    if missing:
        told = ", ".join(f"{host} (wanted by {', '.join(stacks)})" for host, stacks in sorted(missing.items()))
        names = ", ".join(pair.names[:5]) + (", ..." if len(pair.names) > 5 else "")
        fits = [stack for stack in hosts if not any(stack in stacks for stacks in missing.values())]
        hint = f"; it would do for {' '.join(f'--stack {stack}' for stack in fits)}" if fits else ""
        lines.append(f"--certificate = {file}: not for {told}: its names are {names or 'none'}{hint}")
    if lines:
        raise SpillwayError(*lines)
    return {**work.certificate_facts(pair, now), "warnings": [fault.text for fault in found]}


def _listed(read: _Inputs, file: str) -> tuple[ApiKey, ...]:
    from spillway.secrets import keys

    try:
        found = keys.parse(read.text("--api-keys", file))
    except keys.NotKeys as error:
        raise SpillwayError(f"--api-keys = {file}: {error}") from None
    if not found:
        raise SpillwayError(f"--api-keys = {file}: an empty list would keep everybody out")
    return found


def _regions(
    stacks: Path, names: list[str] | None, sandbox: bool, profile: str | None
) -> tuple[list[RegionConfig], Open]:
    from spillway.regions import asked_sandbox, chosen, within_reach
    from spillway.secrets.stores import CLOUDS, open_store

    directory = asked_sandbox("secrets", sandbox, profile)
    opener: Callable[[RegionConfig], Any] = lambda config: open_store(config, directory, profile)  # noqa: E731
    return within_reach("secrets", chosen(stacks, names or []), CLOUDS, names or ()), opener


def _hosts(stacks: Path, regions: Sequence[RegionConfig]) -> dict[str, list[str]]:
    """Stack -> the names that clients reach it by: its own, and those of the global stacks that lead to it."""
    from spillway.regions import global_names

    return {
        config.stack_name: list(dict.fromkeys((config.service.name, *global_names(stacks, config.stack_name))))
        for config in regions
    }
