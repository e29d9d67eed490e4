"""What the programs of a node really export: asked of them, not written down."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

from images.programs.gate import Gate
from images.programs.gating.pace import Pace
from tests.support.node.vllm_stand_in import StandIn

ROOT = Path(__file__).parents[2]
GPU_FIELDS = ROOT / "images" / "rootfs" / "etc" / "spillway" / "gpu-metrics.csv"
NODE_NAMES = Path(__file__).parent / "node_exporter_metrics.txt"
NAME = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{| )")


def names(page: str) -> set[str]:
    """Names of the samples of a page, and of families without one."""
    found = {match[1] for line in page.splitlines() if (match := NAME.match(line))}
    return found | {line.split()[2] for line in page.splitlines() if line.startswith("# TYPE")}


def gpu() -> set[str]:
    """Fields that DCGM's exporter is told to export."""
    lines = [line for line in GPU_FIELDS.read_text().splitlines() if line and not line.startswith("#")]
    return {line.split(",")[0].strip() for line in lines}


def node() -> set[str]:
    """As recorded of a node exporter with the unit's collectors."""
    return {line for line in NODE_NAMES.read_text().splitlines() if line and not line.startswith("#")}


def scraped(run: Path, monkeypatch: Any) -> dict[str, set[str]]:
    """The gate and the engine's stand-in, over HTTP."""
    import aiohttp

    async def go() -> dict[str, set[str]]:
        async with StandIn(token_ms=1) as engine:
            monkeypatch.setenv("SPILLWAY_RUN", str(run))
            monkeypatch.setenv("SPILLWAY_ENGINE", engine.url)
            gate, stop = Gate(Pace()), asyncio.Event()
            serving = asyncio.create_task(gate.serve("127.0.0.1", 0, stop))
            await asyncio.wait_for(gate.listening.wait(), 10)
            async with aiohttp.ClientSession() as session:
                await (await session.post(f"{engine.url}/v1/completions", json={"model": "m", "max_tokens": 2})).read()
                pages = {
                    job: await (await session.get(f"{url}/metrics")).text()
                    for job, url in (("engine", engine.url), ("gate", f"http://127.0.0.1:{gate.port}"))
                }
            stop.set()
            await serving
            return {job: names(page) for job, page in pages.items()}

    return asyncio.run(go())


def all_names(run: Path, monkeypatch: Any) -> set[str]:
    """Of all four jobs, and what Prometheus adds itself."""
    found = scraped(run, monkeypatch)
    return found["gate"] | found["engine"] | node() | gpu() | {"up", "ALERTS"}
