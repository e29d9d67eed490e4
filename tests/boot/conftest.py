"""Which rungs ran, which were skipped and why; a rung that is skipped is never silent."""

from __future__ import annotations

from typing import Any

import pytest

from tests.boot import needs

RUNGS = {"nspawn": "rung 3, systemd-nspawn", "qemu": "rung 4, QEMU"}
REPORTS = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[REPORTS] = []
    config.addinivalue_line("markers", "boot: boots a node; one after the other in one process (make test-boot)")
    config.addinivalue_line("markers", "xdist_group(name): tests that share a machine")


@pytest.fixture(scope="session")
def report(pytestconfig: pytest.Config) -> list[str]:
    """Lines for the end of the run."""
    return pytestconfig.stash[REPORTS]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for rung in RUNGS:
        mine = [item for item in items if f"tests/boot/test_{rung}" in item.nodeid]
        if mine and (lacking := needs.lacks(rung)):
            for item in mine:
                item.add_marker(pytest.mark.skip(reason=f"{RUNGS[rung]}: {lacking}"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With xdist (`-n 2 --dist loadgroup`: a rung in each process) the lines go to who writes the summary."""
    told: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if told is not None:
        told["boot"] = session.config.stash[REPORTS]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    node.config.stash[REPORTS].extend(getattr(node, "workeroutput", {}).get("boot", ()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    counts: dict[str, dict[str, int]] = {rung: {} for rung in RUNGS}
    for outcome in ("passed", "failed", "error", "skipped"):
        for one in terminalreporter.stats.get(outcome, []):
            for rung in RUNGS:
                if f"tests/boot/test_{rung}" in one.nodeid:
                    counts[rung][outcome] = counts[rung].get(outcome, 0) + 1
    if not any(counts.values()):
        return
    terminalreporter.section("image, booted")
    for rung, name in RUNGS.items():
        found = counts[rung]
        if not found:
            terminalreporter.write_line(f"{name}: not asked for")
        elif set(found) == {"skipped"}:
            terminalreporter.write_line(f"{name}: skipped: {needs.lacks(rung)}")
        else:
            told = ", ".join(f"{number} {outcome}" for outcome, number in found.items())
            terminalreporter.write_line(f"{name}: ran: {told}")
    for line in terminalreporter.config.stash[REPORTS]:
        terminalreporter.write_line(f"  {line}")
