"""`spillway image bench`: what an endpoint does under load, as a throughput record."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Protocol

import typer

from cost.records import PER_GPU, GoodputLimits, Refused, Row, Series, ThroughputRecord, text
from infra.faults import shown
from spillway import tables
from spillway.bench.figures import BUSY_CLIENT, Run, judged
from spillway.bench.loop import Loop, Point, Progress, watched
from spillway.errors import SpillwayError

if TYPE_CHECKING:
    from spillway.bench.client import Api, Endpoint, Target

KEY_VARIABLE: Final = "SPILLWAY_API_KEY"
KEY_MOST: Final = 4096
"""Characters; the gate looks at no more of a header either."""
FEWEST_REQUESTS: Final = 8
"""Measured at concurrencies below two as well, so that a median means something."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured, and what the record says of where."""

    hardware: str
    gpus: int
    lengths: tuple[tuple[int, int], ...]
    concurrencies: tuple[int, ...]
    rounds: int
    warm: int
    repeat: int
    limits: GoodputLimits
    precision: str
    weights: str
    series: str | None = None
    engine: str | None = None
    ready_s: float | None = None
    notes: tuple[str, ...] = ()

    def points(self) -> Iterator[Point]:
        for isl, osl in self.lengths:
            for number in self.concurrencies:
                yield Point(isl, osl, number, max(self.rounds * number, FEWEST_REQUESTS), self.warm)


@dataclass(slots=True)
class Measured:
    """What there is so far."""

    model: str
    engine: str
    load: str
    round_trip_ms: float
    rows: list[Row] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    caveats: list[str] = field(default_factory=list)
    interrupted: bool = False


class Screen(Protocol):
    """Who is told meanwhile."""

    def point(self, point: Point, repetition: int) -> Callable[[Progress], None]: ...
    def result(self, found: Row | Refused) -> None: ...


async def measure(
    target: Target, model: str | None, api: Api | None, plan: Plan, screen: Screen, save: Callable[[Measured], None],
    stop: asyncio.Event | None = None,
) -> Measured:  # fmt: skip
    """Measures point after point; `save` gets what there is after each. SIGINT ends it with what was measured.

    Raises SpillwayError when the endpoint cannot be measured at all.
    """
    from spillway.bench.client import Endpoint

    stop = stop or asyncio.Event()
    with _interruptible(stop):
        async with Endpoint(target, model, api) as endpoint:
            return await _measure(endpoint, plan, screen, save, stop)


@contextlib.contextmanager
def _interruptible(stop: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    try:
        loop.add_signal_handler(signal.SIGINT, stop.set)
    except (NotImplementedError, RuntimeError, ValueError):  # Windows, or not the main thread
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)


async def _measure(
    endpoint: Endpoint, plan: Plan, screen: Screen, save: Callable[[Measured], None], stop: asyncio.Event
) -> Measured:
    from spillway.bench.prompts import Prompts, calibrated

    source = random.Random()  # not seeded: a second measurement must not find the prompts of the first in a cache
    await endpoint.look()
    longest = max(isl + osl for isl, osl in plan.lengths)
    if endpoint.max_model_len is not None and longest > endpoint.max_model_len:
        raise SpillwayError(f"--length: {longest} tokens, the endpoint's limit is {endpoint.max_model_len} together")
    engine = plan.engine or await endpoint.version()
    if engine is None:
        raise SpillwayError('--engine: the endpoint shows no /version; name the engine, such as "vLLM 0.33.0"')
    await endpoint.try_lengths("Say yes.")
    found = Measured(endpoint.model, engine, _load(endpoint, plan), round(await endpoint.round_trip() * 1000, 2))

    async def count(prompt: str) -> int:
        sample = await endpoint.generate(prompt, 1)
        if not sample.ok or sample.prompt_tokens is None:
            raise SpillwayError(f"{endpoint.target.url}: {sample.fault or 'counts no tokens'}")
        return sample.prompt_tokens

    shapes: dict[int, Prompts] = {}
    for point in plan.points():
        if stop.is_set():
            break
        if point.isl not in shapes:
            shapes[point.isl] = Prompts(await calibrated(point.isl, count, source), source)
        runs: list[Run] = []
        for repetition in range(plan.repeat):
            loop = Loop(endpoint, shapes[point.isl].next, point)
            run = await watched(loop, stop, screen.point(point, repetition))
            # What an interruption leaves of a repetition counts when every worker could have ended one request.
            if not run.interrupted or len(run.good) >= point.concurrency:
                runs.append(run)
            if stop.is_set() or run.gave_up:
                break
        if runs:
            result = judged(point.isl, point.osl, point.concurrency, runs, plan.gpus, plan.limits)
            if isinstance(result, Row):
                found.rows.append(result)
            else:
                found.refused.append(result)
            screen.result(result)
            save(found)
    if stop.is_set():
        found.interrupted = True
        save(found)
    return found


def _load(endpoint: Endpoint, plan: Plan) -> str:
    parts = [
        f"closed loop, fixed lengths (ISL/OSL), streaming {endpoint.api.replace('chat', 'chat completions')}, "
        "greedy, every prompt different",
        f"load held over the whole measurement: {plan.warm} requests of each worker before it, "
        f"{plan.rounds} of each in it, {plan.repeat} repetitions",
        "times taken by the client, with network, TLS and proxies; percentiles over all requests",
    ]
    if endpoint.lengths:
        parts.append(f"answers kept at their length by {' and '.join(endpoint.lengths)}")
    return "; ".join(parts)


def record(found: Measured, plan: Plan) -> ThroughputRecord | None:
    """The file's content; None while there is no point in it."""
    if not found.rows and not found.refused:
        return None
    caveats = list(plan.notes)
    if plan.repeat == 1:
        caveats.append("one repetition of each point: nothing says how far the figures scatter")
    busy = [row.concurrency for row in found.rows if (row.client_cpu or 0) > BUSY_CLIENT]
    if busy:
        caveats.append(
            f"the measuring process was busy itself from concurrency {min(busy)} on: the endpoint can do more"
        )
    if found.interrupted:
        caveats.append("ended early: not all points that were asked for are here")
    return ThroughputRecord(
        measured_on=datetime.now(UTC).date(),
        hardware=plan.hardware,
        engine=found.engine,
        weights=plan.weights,
        load=found.load,
        metric=PER_GPU,
        caveats=tuple(caveats),
        series=(
            Series(
                model=plan.series or found.model,
                precision=plan.precision,
                ready_s=plan.ready_s,
                rows=tuple(found.rows),
                refused=tuple(found.refused) or None,
            ),
        ),
        gpus=plan.gpus,
        goodput_limits=None if plan.limits == GoodputLimits() else plan.limits,
        round_trip_ms=found.round_trip_ms,
    )


def _write(path: Path, content: str) -> None:
    """By rename, so that no half record is ever there."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        aside.write_text(content)
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise SpillwayError(f"--out {path}: {error.strerror}") from None


# --- what is shown ---


class Lines:
    """For what is not a terminal: a line on standard error for each point."""

    def point(self, point: Point, repetition: int) -> Callable[[Progress], None]:
        return lambda _: None

    def result(self, found: Row | Refused) -> None:
        typer.echo(_line(found), err=True)


class Live:
    """A bar on standard error for each repetition."""

    def __init__(self, plan: Plan) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as Bars

        self._plan = plan
        self.bars = Bars(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[now]}"),
            TimeElapsedColumn(), console=Console(stderr=True), transient=True,
        )  # fmt: skip
        self._task = self.bars.add_task("", total=1, now="", start=True)

    def point(self, point: Point, repetition: int) -> Callable[[Progress], None]:
        title = f"{point.isl}/{point.osl}  concurrency {point.concurrency}  run {repetition + 1}/{self._plan.repeat}"
        self.bars.reset(self._task, total=point.requests, description=title, now="")

        def tell(now: Progress) -> None:
            words = "warms up" if now.warming else f"{now.tokens_per_second or 0:.0f} tok/s"
            words += f", {now.failed} failed" if now.failed else ""
            self.bars.update(self._task, completed=now.done, now=words)

        return tell

    def result(self, found: Row | Refused) -> None:
        self.bars.console.print(_line(found), markup=False, highlight=False)


def _line(found: Row | Refused) -> str:
    head = f"{found.isl}/{found.osl}, concurrency {found.concurrency}: "
    if isinstance(found, Refused):
        return f"{head}no figure: {found.reason}"
    failed = f", {sum(found.errors.values())} failed" if found.errors else ""
    return (
        f"{head}{found.output_tok_s:g} tok/s per GPU, first token {found.ttft_p50_ms:.0f} ms, "
        f"then {found.tpot_p50_ms:.1f} ms per token{failed}"
    )


def show(made: ThroughputRecord) -> None:
    """The table."""
    limits = made.goodput_limits
    titles = [
        "in/out",
        "concurrency",
        "tok/s per GPU",
        "runs",
        "TTFT p50/p95 ms",
        "TPOT p50/p95 ms",
        "end to end p50/p95 s",
    ]
    table = tables.plain(*titles, *(["within limits", "goodput tok/s"] if limits else []), "failed")
    for row in made.series[0].rows:
        runs = row.runs_tok_s or (row.output_tok_s,)
        cells = [
            f"{row.isl}/{row.osl}",
            str(row.concurrency),
            f"{row.output_tok_s:g}",
            f"±{(max(runs) - min(runs)) / 2 / max(row.output_tok_s, 1e-9):.1%}" if len(runs) > 1 else "-",
            f"{row.ttft_p50_ms:.0f} / {row.ttft_p95_ms:.0f}",
            f"{row.tpot_p50_ms:.1f} / {row.tpot_p95_ms:.1f}",
            f"{(row.e2e_p50_ms or 0) / 1000:.2f} / {(row.e2e_p95_ms or 0) / 1000:.2f}",
            *([f"{row.goodput_share:.0%}", f"{row.goodput_tok_s:g}"] if limits else []),
            str(sum(row.errors.values())) if row.errors else "0",
        ]
        tables.add(table, "", *cells)
    typer.echo(f"{made.series[0].model}, {made.series[0].precision}, {made.engine}, {made.hardware}")
    tables.show(table)
    for refused in made.series[0].refused or ():
        typer.echo(_line(refused))
    for row in made.series[0].rows:
        for fault, number in (row.errors or {}).items():
            typer.echo(f"{row.isl}/{row.osl}, concurrency {row.concurrency}: {number} x {fault}")
    for caveat in made.caveats:
        typer.echo(f"note: {caveat}")


# --- the command ---


def bench(
    url: Annotated[str, typer.Argument(help="The endpoint: https://llm.example.com, or http://127.0.0.1:8000.")],
    hardware: Annotated[
        str, typer.Option(help='What it runs on, as the record tells it: "8x NVIDIA H100 (p5.48xlarge), driver 580".')
    ],
    gpus: Annotated[
        int | None, typer.Option(help="GPUs behind the endpoint; else the number that --hardware begins with.", min=1)
    ] = None,
    model: Annotated[str | None, typer.Option(help="Model id; not needed when the endpoint serves one.")] = None,
    series: Annotated[
        str | None, typer.Option(help="How the record names the model; the default is its id.", metavar="NAME")
    ] = None,
    precision: Annotated[str, typer.Option(help="Of weights and KV cache, as the record tells it.")] = "as served",
    weights: Annotated[str, typer.Option(help="Which weights, as the record tells it.")] = "those of the model",
    engine: Annotated[
        str | None, typer.Option(help='Engine and version; the default is what /version says: "vLLM 0.33.0".')
    ] = None,
    length: Annotated[
        list[str] | None, typer.Option(help="IN:OUT in tokens (default: 1024:512). May be repeated.", metavar="IN:OUT")
    ] = None,
    concurrency: Annotated[str, typer.Option(help="Requests in flight, with commas between.")] = "1,8,32,64,128",
    rounds: Annotated[
        int, typer.Option(help="Measured requests of each worker, in each repetition.", min=1, max=100_000)
    ] = 4,
    warm_up: Annotated[
        int, typer.Option(help="Requests of each worker before, which are not measured.", min=1, max=1000)
    ] = 1,
    repeat: Annotated[int, typer.Option(help="Repetitions of each point.", min=1, max=1000)] = 2,
    ttft_limit: Annotated[
        float | None, typer.Option(help="Goodput: milliseconds to the first token.", metavar="MS")
    ] = None,
    tpot_limit: Annotated[
        float | None, typer.Option(help="Goodput: milliseconds per token after it.", metavar="MS")
    ] = None,
    ready_seconds: Annotated[
        float | None, typer.Option(help="From the engine's start to its first token, for the record.", min=0)
    ] = None,
    note: Annotated[list[str] | None, typer.Option(help="A caveat for the record. May be repeated.")] = None,
    api: Annotated[
        str | None, typer.Option(help="completions or chat; the default is what the endpoint has, in this order.")
    ] = None,
    key_env: Annotated[
        str, typer.Option(help="Variable that holds the API key; without one, none is sent.", metavar="NAME")
    ] = KEY_VARIABLE,
    key_file: Annotated[Path | None, typer.Option(help="File that holds the API key.", metavar="FILE")] = None,
    resolve: Annotated[
        str | None,
        typer.Option(
            help="Connect to this address instead of asking DNS: for a node that is in none yet.", metavar="IP"
        ),
    ] = None,
    ca: Annotated[Path | None, typer.Option(help="PEM file of who signed the certificate.", metavar="FILE")] = None,
    timeout: Annotated[float, typer.Option(help="Seconds that one request may take.", min=0.1, max=86400)] = 600.0,
    out: Annotated[Path | None, typer.Option(help="Write the record here, after every point.", metavar="FILE")] = None,
    json_: Annotated[bool, typer.Option("--json", help="Print the record instead of a table.")] = False,
) -> None:
    """Measure an OpenAI-compatible endpoint under load, and write a throughput record.

    A closed loop at several concurrencies with fixed lengths: time to first token, time per output token, output
    tokens per second, and how much of it is within latency limits. It takes the whole endpoint for minutes. Ctrl-C
    ends it and keeps what was measured. The exit code is 1 when a point gave no figure, 130 after Ctrl-C.
    """
    plan = Plan(
        hardware=_one_line("--hardware", hardware),
        gpus=_gpus(hardware, gpus),
        lengths=tuple(dict.fromkeys(_length(one) for one in length or ["1024:512"])),
        concurrencies=_concurrencies(concurrency),
        rounds=rounds,
        warm=warm_up,
        repeat=repeat,
        limits=GoodputLimits(
            ttft_ms=_positive("--ttft-limit", ttft_limit), tpot_ms=_positive("--tpot-limit", tpot_limit)
        ),
        precision=_one_line("--precision", precision),
        weights=_one_line("--weights", weights),
        series=None if series is None else _one_line("--series", series),
        engine=None if engine is None else _one_line("--engine", engine),
        ready_s=ready_seconds,
        notes=tuple(_one_line("--note", one) for one in note or ()),
    )
    if api not in (None, "completions", "chat"):
        raise SpillwayError(f"--api {shown(api)}: has to be completions or chat")
    if out is not None and not out.absolute().parent.is_dir():
        raise SpillwayError(f"--out {out}: there is no folder {out.absolute().parent}")
    if out is not None and (out.is_dir() or not os.access(out.absolute().parent, os.W_OK)):
        # Now, and not after the minutes that the first point takes.
        raise SpillwayError(f"--out {out}: {'is a folder' if out.is_dir() else 'its folder is not writable'}")
    target = _target(url, _key(key_env, key_file), resolve, ca, timeout)

    def save(found: Measured) -> None:
        made = record(found, plan)
        if out is not None and made is not None:
            _write(out, text(made))

    found = _run(target, model, api, plan, save)  # type: ignore[arg-type]  # checked above
    made = record(found, plan)
    if made is None:
        typer.echo("nothing was measured", err=True)
    elif json_:
        typer.echo(text(made), nl=False)
    else:
        show(made)
    if out is not None and made is not None:
        typer.echo(f"written: {out}", err=True)
    if found.interrupted:
        raise typer.Exit(130)
    if found.refused:
        raise typer.Exit(1)


def _run(target: Target, model: str | None, api: Api | None, plan: Plan, save: Callable[[Measured], None]) -> Measured:
    import sys

    if not sys.stderr.isatty():
        return asyncio.run(measure(target, model, api, plan, Lines(), save))
    screen = Live(plan)
    with screen.bars:
        return asyncio.run(measure(target, model, api, plan, screen, save))


def _target(url: str, key: str | None, resolve: str | None, ca: Path | None, timeout: float) -> Target:
    import ipaddress

    import httpx

    from spillway.bench.client import Target

    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL("")
    # httpx takes any number for a port, and asyncio fails at it only when it connects.
    port = parsed.port is None or 1 <= parsed.port <= 65535
    if parsed.scheme not in ("http", "https") or not parsed.host or not port:
        raise SpillwayError(f"URL {shown(url)}: has to be https://HOST or http://HOST, with a port if it is another")
    if parsed.userinfo or parsed.query:
        raise SpillwayError("URL: no user, password or query in it; the API key comes by --key-env or --key-file")
    if parsed.path not in ("", "/", "/v1", "/v1/"):
        raise SpillwayError(f"URL {shown(url)}: without a path, or with /v1")
    if resolve is not None:
        try:
            ipaddress.ip_address(resolve)
        except ValueError:
            raise SpillwayError(f"--resolve {shown(resolve)}: has to be an IP address") from None
    if ca is not None and parsed.scheme != "https":
        raise SpillwayError("--ca: only with https://")
    if key and parsed.scheme == "http" and not _loopback(resolve or parsed.host):
        raise SpillwayError("URL: an API key is not sent in plain text; use https://, or http:// on the node itself")
    return Target(parsed.copy_with(path="/"), key, resolve, ca, timeout)


def _loopback(host: str) -> bool:
    """An address of this machine, and no name that only looks like one: 127.example.com is somebody's."""
    import ipaddress

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _key(variable: str, file: Path | None) -> str | None:
    if file is None:
        found = os.environ.get(variable, "")
        if not found and variable != KEY_VARIABLE:
            raise SpillwayError(f"--key-env {variable}: this variable is not set")
        where = variable
    else:
        try:
            with file.open(encoding="utf-8") as opened:  # and no more of it than a key has: it may be a device
                found, where = opened.read(KEY_MOST).strip(), str(file)
        except (OSError, UnicodeDecodeError) as error:
            raise SpillwayError(f"--key-file {file}: {getattr(error, 'strerror', None) or 'is no text'}") from None
        if not found:
            raise SpillwayError(f"--key-file {file}: is empty")
    if found and not re.fullmatch(r"[\x21-\x7e]+", found):
        raise SpillwayError(f"{where}: an API key is one line of printable characters without spaces")
    return found or None


def _gpus(hardware: str, told: int | None) -> int:
    if told is not None:
        return told
    number = re.match(r"\s*(\d+)\s*x\b", hardware)
    if number is None or int(number[1]) < 1:
        raise SpillwayError(f'--gpus: needed, since --hardware {shown(hardware)} does not begin like "8x NVIDIA H100"')
    return int(number[1])


def _length(told: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,7}):(\d{1,7})", told)
    if match is None or int(match[1]) < 16 or int(match[2]) < 2:
        raise SpillwayError(f"--length {shown(told)}: has to be IN:OUT, at least 16:2 tokens, such as 1024:512")
    return int(match[1]), int(match[2])


def _concurrencies(told: str) -> tuple[int, ...]:
    parts = [part.strip() for part in told.split(",")]
    if not all(part.isdecimal() and 1 <= int(part) <= 4096 for part in parts):
        raise SpillwayError(f"--concurrency {shown(told)}: has to be numbers from 1 to 4096, such as 1,8,32")
    return tuple(sorted({int(part) for part in parts}))


def _positive(option: str, value: float | None) -> float | None:
    if value is not None and not 0 < value < float("inf"):
        raise SpillwayError(f"{option} {value:g}: has to be milliseconds above 0")
    return value


def _one_line(option: str, value: str) -> str:
    if not value.strip() or not value.isprintable():
        raise SpillwayError(f"{option}: has to be one line of text that can be printed")
    return value.strip()
