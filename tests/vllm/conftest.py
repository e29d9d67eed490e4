"""Whether the rung ran, with which engine, and what was measured; why not where it was skipped."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.vllm import environment

RUNG = "rung 5, the real engine"
REPORTS = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[REPORTS] = []
    config.addinivalue_line("markers", "vllm: runs the real vLLM; builds 6 GB the first time (make test-vllm)")
    config.addinivalue_line("markers", "xdist_group(name): tests that share a machine")


# After `-m` has taken out what does not run anyway: to ask whether the rung can run takes a look at PyPI.
@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    mine = [item for item in items if item.get_closest_marker("vllm")]
    if mine and (lacking := environment.lacks()):
        for item in mine:
            item.add_marker(pytest.mark.skip(reason=f"{RUNG}: {lacking}"))


@pytest.fixture(scope="session")
def report(pytestconfig: pytest.Config) -> list[str]:
    """Lines for the end of the run."""
    return pytestconfig.stash[REPORTS]


@pytest.fixture(scope="session")
def tell(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """A line on the terminal at once: a build of minutes in silence looks like a hang."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")

    def line(text: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\n{RUNG}: {text}", flush=True)

    return line


@pytest.fixture(scope="session")
def engine(tell: Callable[[str], None], report: list[str]) -> environment.Engine:
    """The engine of this machine, built where there is none."""
    began, there = time.monotonic(), environment.there()
    found = environment.engine(tell)
    took = f"there already ({there})" if there else f"downloaded and installed in {time.monotonic() - began:.0f} s"
    report.append(f"the engine's environment: {took}")
    report.append(environment.side_by_side(found))
    tell(environment.side_by_side(found))
    return found


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    counts: dict[str, int] = {}
    for outcome in ("passed", "failed", "error", "skipped"):
        number = sum("tests/vllm/" in one.nodeid for one in terminalreporter.stats.get(outcome, []))
        if number:
            counts[outcome] = number
    if not counts:
        return
    terminalreporter.section("image, with the real engine")
    if set(counts) == {"skipped"}:
        terminalreporter.write_line(f"{RUNG}: skipped: {environment.lacks()}")
    else:
        terminalreporter.write_line(f"{RUNG}: ran: {', '.join(f'{n} {what}' for what, n in counts.items())}")
    for line in terminalreporter.config.stash[REPORTS]:
        terminalreporter.write_line(f"  {line}")
