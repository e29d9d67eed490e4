"""Previews side by side: whatever happens to one, the others have their row, and the failed one has its reason."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from spillway.errors import SpillwayError
from spillway.preview import runs
from spillway.preview.runs import IGNORE_PROTECT, Ran, command, preview, preview_all
from tests.preview.test_document import text

GOOD = text("gcp-us-central1")
Answer = tuple[int, str, str]


def fails(message: str, severity: str = "error") -> Answer:
    return 255, json.dumps({"steps": [], "diagnostics": [{"severity": severity, "message": message}]}), ""


def runner(answers: dict[str, Answer | Exception]) -> runs.Runner:
    def run(stack: str, arguments: Sequence[str]) -> Answer:
        found = answers[stack]
        if isinstance(found, Exception):
            raise found
        return found

    return run


def one(answer: Answer | Exception, stack: str = "gcp-us-central1") -> Ran:
    return preview(stack, runner({stack: answer}))


def test_a_plan_is_read() -> None:
    found = one((0, GOOD, ""))
    assert found.plan is not None
    assert found.plan.stack == "gcp-us-central1"
    assert found.errors == ()


@pytest.mark.parametrize(("answer", "words"), [
    (fails("error: stacks/Pulumi.gcp-us-central1.yaml: image.family = X: wrong\n"), "image.family = X: wrong"),
    ((1, "", "warning: old\nerror: no such stack 'x'\n"), "no such stack 'x'"),
    ((1, "", "Traceback\n  File\nKeyError: 3\n"), "Traceback"),
    ((0, "{", ""), "is no JSON"),
    ((0, "", ""), "is no JSON"),
    ((2, GOOD, ""), "the engine ended with 2"),
    ((0, text("azure-eastus"), ""), "previewed stack azure-eastus instead"),
    (SpillwayError("the engine was still running after 30 min, and was ended"), "still running after 30 min"),
    (RuntimeError("boom"), "RuntimeError: boom"),
])  # fmt: skip
def test_whatever_happens_is_the_stacks_own_reason(answer: Answer | Exception, words: str) -> None:
    found = one(answer)
    assert found.plan is None
    assert any(words in line for line in found.errors)


def test_one_that_fails_leaves_the_others_and_their_order() -> None:
    names = ["azure-eastus", "gcp-us-central1", "global"]
    answers: dict[str, Answer | Exception] = {name: (0, text(name), "") for name in names}
    answers["gcp-us-central1"] = RuntimeError("killed")
    told: list[str] = []
    found = preview_all(names, runner(answers), 2, told.append)
    assert [each.stack for each in found] == names
    assert [each.plan is None for each in found] == [False, True, False]
    assert sorted(told) == names


def test_no_more_run_at_once_than_asked_for() -> None:
    busy, most, lock = 0, 0, threading.Lock()

    def run(stack: str, arguments: Sequence[str]) -> Answer:
        nonlocal busy, most
        with lock:
            busy, most = busy + 1, max(most, busy + 1)
        threading.Event().wait(0.02)
        with lock:
            busy -= 1
        return fails("no")

    preview_all([f"aws-{number}" for number in range(9)], run, 3)
    assert most == 3


def test_a_protected_resource_is_looked_at_once_more_and_stays_refused() -> None:
    asked: list[tuple[str, ...]] = []

    def run(stack: str, arguments: Sequence[str]) -> Answer:
        asked.append(tuple(arguments))
        if IGNORE_PROTECT in arguments:
            return 0, GOOD, ""
        return fails('unable to replace resource "urn:x" as it is currently marked for protection. To unprotect')

    (found,) = preview_all(["gcp-us-central1"], run, 1)
    assert found.plan is not None
    assert "marked for protection" in found.refused[0]
    assert [IGNORE_PROTECT in each for each in asked] == [False, True]


def test_previews_change_nothing() -> None:
    """What is asked of the engine is a preview, whatever the options."""
    asked: list[Sequence[str]] = []

    def run(stack: str, arguments: Sequence[str]) -> Answer:
        asked.append(arguments)
        return 0, GOOD, ""

    preview_all(["gcp-us-central1"], run, 1, options=("--refresh",))
    assert asked[0][0] == "preview"
    assert "--refresh" in asked[0]
    assert "--show-sames" in asked[0]


def test_a_command_that_cannot_be_started_or_takes_too_long_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SpillwayError, match="cannot be started"):
        command(["/no/such/engine"], {})
    monkeypatch.setattr(runs, "TIMEOUT", 0.2)
    with pytest.raises(SpillwayError, match="was ended"):
        command([sys.executable, "-c", "import time; time.sleep(60)"], {})


def test_a_command_has_no_input_and_its_own_folder(tmp_path: Path) -> None:
    line = [sys.executable, "-c", "import os, sys; print(os.getcwd(), repr(sys.stdin.read()))"]
    code, told, _ = command(line, {}, tmp_path)
    assert (code, told.strip()) == (0, f"{tmp_path} ''")
