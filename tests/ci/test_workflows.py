"""The workflows: clean by actionlint and zizmor, without rights that they do not need, and calling what exists."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from spillway.cli import app
from tests.ci import actionlint

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
ACTIONS = sorted((GITHUB / "actions").glob("*/action.yml"))
FILES = [*WORKFLOWS, *ACTIONS]
DOCS = (ROOT / "docs" / "ci.md").read_text()
ZIZMOR = Path(sys.executable).parent / "zizmor"
PRIVILEGED = ("preview-comment",)


def name(path: Path) -> str:
    return path.stem if path.parent.name == "workflows" else path.parent.name


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.load(path.read_text(), yaml.BaseLoader)  # `on` is no boolean here
    return found


def jobs(path: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = read(path)["jobs"]
    return found


def steps(path: Path) -> Iterator[dict[str, Any]]:
    found = read(path)
    if "runs" in found:
        yield from found["runs"]["steps"]
        return
    for job in found["jobs"].values():
        yield from job["steps"]


def zizmor(folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if key not in ("GH_TOKEN", "GITHUB_TOKEN")}
    return subprocess.run(
        [ZIZMOR, "--offline", "--no-progress", "--color=never", "--config", GITHUB / "zizmor.yml", folder],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    program = actionlint.found()
    if program is None:
        pytest.skip(actionlint.lacks())
    return subprocess.run([program, "-no-color"], cwd=folder, capture_output=True, text=True, check=False)


def test_actionlint_has_nothing_to_say() -> None:
    done = lint(ROOT)
    assert (done.returncode, done.stdout) == (0, "")


def test_zizmor_has_nothing_to_say() -> None:
    done = zizmor(GITHUB)
    assert done.returncode == 0, done.stdout


def planted(tmp_path: Path, old: str, new: str, workflow: str = "preview") -> Path:
    """A checkout's workflows with one thing changed."""
    shutil.copytree(GITHUB, tmp_path / ".github")
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    path = tmp_path / ".github" / "workflows" / f"{workflow}.yml"
    before = path.read_text()
    assert old in before
    path.write_text(before.replace(old, new, 1))
    return tmp_path


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ('spillway ci matrix --for preview --base "$BASE"',
         "spillway ci matrix --base ${{ github.head_ref }}", "template-injection"),
        ("@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1", "@v7", "unpinned-uses"),
        ("    permissions:\n      contents: read\n    outputs:", "    permissions: write-all\n    outputs:",
         "excessive-permissions"),
        ("          persist-credentials: false\n", "", "artipacked"),
        ("\n  pull_request:\n", "\n  pull_request_target:\n", "dangerous-triggers"),
    ],
)  # fmt: skip
def test_zizmor_notices_what_attackers_look_for(tmp_path: Path, old: str, new: str, rule: str) -> None:
    done = zizmor(planted(tmp_path, old, new) / ".github")
    assert done.returncode != 0
    assert f"[{rule}]" in done.stdout


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("needs: [stacks, preview]", "needs: [stacks, previews]", "previews"),
        ("steps.matrix.outputs.any", "steps.matrixx.outputs.any", "matrixx"),
        ("          stack: ${{ matrix.stack }}", "          stac: ${{ matrix.stack }}", "stac"),
        ('          if [ -n "$FLEET_BUDGET" ]; then', "          if [ -n $FLEET_BUDGET; then", ""),
    ],
)
def test_actionlint_notices_what_would_fail_on_github(tmp_path: Path, old: str, new: str, told: str) -> None:
    if not told and shutil.which("shellcheck") is None:
        pytest.skip("there is no shellcheck, by which actionlint looks at scripts")
    done = lint(planted(tmp_path, old, new))
    assert done.returncode == 1
    assert told in done.stdout


@pytest.mark.parametrize("path", WORKFLOWS, ids=name)
def test_nothing_is_allowed_but_what_a_job_names(path: Path) -> None:
    assert read(path)["permissions"] == {}
    for key, job in jobs(path).items():
        rights = job["permissions"]
        assert rights["contents"] == "read", key
        writes = {right for right, level in rights.items() if level == "write"}
        assert writes <= {"id-token", "pull-requests", "issues"}
        # Who may write where people read has no identity in a cloud, and the other way round.
        assert "id-token" not in writes or writes == {"id-token"}, key
        assert int(job["timeout-minutes"]) <= 180


@pytest.mark.parametrize("path", FILES, ids=name)
def test_actions_are_pinned_by_commit_and_told_in_the_docs(path: Path) -> None:
    for step in steps(path):
        used = step.get("uses", "")
        if not used or used.startswith("./.github/actions/"):
            assert not used or (ROOT / used / "action.yml").is_file()
            continue
        action, _, commit = used.partition("@")
        assert re.fullmatch(r"[0-9a-f]{40}", commit), used
        (tag,) = set(re.findall(rf"{re.escape(used)} # (v[0-9.]+)", path.read_text()))
        assert f"| `{action}` | {tag} | `{commit}` |" in DOCS


def test_the_table_of_actions_has_none_that_is_not_used() -> None:
    used = {step["uses"].partition("@")[0] for path in FILES for step in steps(path) if "@" in step.get("uses", "")}
    assert set(re.findall(r"^\| `([a-z-]+/[a-z-]+)` \| v", DOCS, re.M)) == used


def test_nothing_is_deployed_for_a_pull_request() -> None:
    for path in WORKFLOWS:
        events = read(path)["on"]
        deploys = [one for one in steps(path) if re.search(r"pulumi (up|destroy|refresh|import)", one.get("run", ""))]
        if deploys:
            assert name(path) == "deploy"
            assert set(events) == {"push", "workflow_dispatch"}
            assert events["push"]["branches"] == ["main"]
        assert "pull_request_target" not in events


def test_a_deployment_takes_an_environment_and_its_roles_are_used_nowhere_else() -> None:
    for path in WORKFLOWS:
        for key, job in jobs(path).items():
            text = yaml.dump(job)
            if "DEPLOY" in text.replace("DEPLOYED", ""):
                assert (name(path), key, job["environment"]) == ("deploy", "deploy", "production")
                assert job["strategy"]["max-parallel"] == "1"
                assert job["strategy"]["fail-fast"] == "true"
            elif "PREVIEW_ROLE" in text:
                assert "environment" not in job  # it would be another subject than the role's


@pytest.mark.parametrize(
    "path", [GITHUB / "workflows" / f"{one}.yml" for one in ("preview-fork", *PRIVILEGED)], ids=name
)
def test_what_a_fork_may_start_has_no_secret_and_no_identity(path: Path) -> None:
    text = path.read_text()
    assert "secrets." not in text
    assert "vars." not in text
    assert "id-token" not in text.split("jobs:", 1)[1]
    assert "./.github/actions/login" not in text


def test_the_run_that_may_comment_on_forks_takes_nothing_of_theirs_for_code() -> None:
    path = GITHUB / "workflows" / "preview-comment.yml"
    (job,) = jobs(path).values()
    checkout = next(one for one in job["steps"] if one.get("uses", "").startswith("actions/checkout@"))
    assert checkout["with"] == {"persist-credentials": "false"}  # no ref: the default branch
    download = next(one for one in job["steps"] if one.get("uses", "").startswith("actions/download-artifact@"))
    assert download["with"]["path"].startswith("${{ runner.temp }}/")  # never over the code
    runs = [one["run"] for one in job["steps"] if "run" in one]
    assert runs == ['.venv/bin/spillway ci comment --fork-run "$RESULT"']
    assert {key: level for key, level in job["permissions"].items() if level == "write"} == {"pull-requests": "write"}


def test_a_pull_request_is_previewed_by_exactly_one_of_two_workflows() -> None:
    (own,) = [job["if"] for key, job in jobs(GITHUB / "workflows" / "preview.yml").items() if key == "stacks"]
    (fork,) = [job["if"] for job in jobs(GITHUB / "workflows" / "preview-fork.yml").values()]
    negated = own.replace("==", "\0").replace("!=", "==").replace("\0", "!=").replace("&&", "||")
    assert " ".join(negated.split()) == " ".join(fork.split())


def test_every_setting_is_in_the_docs() -> None:
    text = "".join(path.read_text() for path in FILES)
    for kind in ("vars", "secrets"):
        for setting in set(re.findall(rf"\b{kind}\.([A-Z_]+)", text)):
            assert f"`{setting}`" in DOCS, setting


def test_checkouts_leave_no_credentials_behind() -> None:
    for path in WORKFLOWS:
        for step in steps(path):
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] == "false"


def scripts() -> list[tuple[str, str]]:
    found = [(name(path), one["run"]) for path in FILES for one in steps(path) if "run" in one]
    found += [("docs", block) for block in re.findall(r"```(?:yaml|groovy)\n(.*?)```", DOCS, re.S)]
    return found


CALL = re.compile(r"spillway ((?:ci \w+|preview|engine \w+))((?:[^\n;|]|\n\s*--)*)")


def test_every_call_of_spillway_is_of_a_command_with_these_options() -> None:
    count = 0
    for where, text in scripts():
        array = re.findall(r"--[a-z-]+", " ".join(re.findall(r"options\+?=\((.*?)\)", text)))
        for match in CALL.finditer(text):
            count += 1
            command: Any = typer.main.get_command(app)
            for word in match[1].split():
                command = command.commands[word]
            known = {option for parameter in command.params for option in parameter.opts}
            used = re.findall(r"(?<=\s)--[a-z-]+", match[2])
            used += array if "options[@]" in match[2] else []
            assert set(used) <= known, (where, match[0])
    assert count > 12


def run_script(script: str, tmp_path: Path, **environment: str) -> list[str]:
    """What `spillway` is called with when bash runs a step as GitHub does."""
    stub = tmp_path / ".venv" / "bin" / "spillway"
    stub.parent.mkdir(parents=True, exist_ok=True)
    stub.write_text('#!/bin/sh\nfor one in "$@"; do printf "%s\\n" "$one"; done >>called\n')
    stub.chmod(0o755)
    called = tmp_path / "called"
    called.unlink(missing_ok=True)
    line = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    subprocess.run(line, cwd=tmp_path, check=True, env={"PATH": os.environ["PATH"], **environment})
    return called.read_text().splitlines() if called.exists() else []


def script_of(path: str, step: str) -> str:
    for one in steps(GITHUB / path):
        if one.get("name") == step:
            text: str = one["run"]
            return text
    raise AssertionError(f"{path} has no step {step}")


def test_the_preview_step_passes_on_what_it_is_given_and_runs_none_of_it(tmp_path: Path) -> None:
    script = script_of("actions/preview/action.yml", "Preview")
    evil = "x; touch pwned; $(touch pwned)"
    given = {"STACK": evil, "PLACE": "account", "BASE": "origin/`touch pwned`", "REFRESH": "true", "EXIT_ZERO": "false"}
    assert run_script(script, tmp_path, **given) == [
        "preview", evil, "--on", "account", "--out", f"results/preview-{evil}", "--base", "origin/`touch pwned`",
        "--refresh",
    ]  # fmt: skip
    assert not (tmp_path / "pwned").exists()
    plain = {"STACK": "a", "PLACE": "sandbox", "BASE": "", "REFRESH": "false", "EXIT_ZERO": "true"}
    assert run_script(script, tmp_path, **plain) == [
        "preview", "a", "--on", "sandbox", "--out", "results/preview-a", "--exit-zero",
    ]  # fmt: skip


def test_a_rollout_by_hand_takes_the_stacks_of_the_form_and_after_a_merge_the_touched_ones(tmp_path: Path) -> None:
    script = script_of("workflows/deploy.yml", "Which stacks, in which order")
    given = {"BEFORE": "abc", "DEPLOYED": "a b", "BACKEND": "", "GITHUB_OUTPUT": "out"}
    by_hand = run_script(script, tmp_path, STACKS="x $(touch pwned)", **given)
    assert by_hand[:3] == ["ci", "matrix", "x $(touch pwned)"]
    assert "--base" not in by_hand
    merged = run_script(script, tmp_path, STACKS="", **given)
    assert merged[2:4] == ["--base", "abc"]
    assert merged[4:8] == ["--for", "deploy", "--deployed", "a b"]
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(("dns", "more"), [("true", []), ("false", ["--no-dns"])])
def test_the_gate_asks_dns_unless_there_is_none_yet(tmp_path: Path, dns: str, more: list[str]) -> None:
    script = script_of("workflows/deploy.yml", "The gate to the next one")
    assert run_script(script, tmp_path, STACK="s", DNS=dns) == [
        "ci",
        "gate",
        "s",
        "--wait",
        "60",
        "--steady",
        "180",
        *more,
    ]
    script = script_of("workflows/deploy.yml", "Whether anybody else is ready")
    assert run_script(script, tmp_path, STACK="s", DNS=dns) == ([] if more else ["ci", "gate", "--before", "s"])
