"""Where the engine is looked for, and what is accepted."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from spillway import engine, engine_cli, engine_sources
from spillway.cli import main
from spillway.engine import (
    CLI,
    HOST_SCRIPT,
    LANGUAGE_HOST,
    MARKER,
    MINIMUM,
    PROGRAMS,
    VERSION,
    Engine,
    cache_key,
    cached_engine,
    engine_on_path,
    ensure_engine,
    find_engine,
)
from tests.support.fake_engine import fake_engine, fake_pulumi, runs, script, silent


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "engine"


def cache_an_engine(root: Path, version: str = VERSION) -> Path:
    home = root / cache_key()
    fake_engine(home / "bin")
    sizes = {name: (home / "bin" / name).stat().st_size for name in PROGRAMS}
    (home / MARKER).write_text(json.dumps({"version": version, "source": "build", "sizes": sizes}), encoding="utf-8")
    return home


def test_there_is_no_engine_on_an_empty_machine_and_looking_writes_nothing(tmp_path: Path, root: Path) -> None:
    assert find_engine(path=str(tmp_path), root=root) is None
    assert not root.exists()


def test_a_suitable_engine_on_path_is_taken(tmp_path: Path, root: Path) -> None:
    pulumi = fake_engine(tmp_path / "bin")
    found = find_engine(path=str(tmp_path / "bin"), root=root)
    assert found == Engine(pulumi.parent, pulumi, pulumi.parent / LANGUAGE_HOST, VERSION, "path")


def test_the_engine_on_path_comes_before_the_cache(tmp_path: Path, root: Path) -> None:
    cache_an_engine(root)
    fake_engine(tmp_path / "bin", "v3.300.1")
    found = find_engine(path=str(tmp_path / "bin"), root=root)
    assert found is not None
    assert (found.source, found.version) == ("path", "3.300.1")


def test_the_cache_is_used_when_the_engine_on_path_does_not_fit(tmp_path: Path, root: Path) -> None:
    home = cache_an_engine(root)
    fake_engine(tmp_path / "bin", "v3.100.0")
    found = find_engine(path=str(tmp_path / "bin"), root=root)
    assert found is not None
    assert found.pulumi == home / "bin" / CLI


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("v3.258.9", "version 3.258.9, needed is 3.259.0 or newer, below 4.0.0"),
        ("v4.0.0", "version 4.0.0, needed is 3.259.0 or newer, below 4.0.0"),
        ("surprise", "`pulumi version` did not print a version: 'surprise'"),
    ],
)
def test_a_version_out_of_range_is_passed_over_with_a_reason(
    tmp_path: Path, root: Path, version: str, reason: str
) -> None:
    pulumi = fake_engine(tmp_path / "bin", version)
    assert engine_on_path(str(tmp_path / "bin"), root) == (None, f"{pulumi}: {reason}")


@pytest.mark.parametrize("version", ["3.259.0", "v3.259.0-dev.0", "v3.272.1"])
def test_versions_are_understood_with_and_without_v_and_suffix(tmp_path: Path, root: Path, version: str) -> None:
    fake_engine(tmp_path / "bin", version)
    assert find_engine(path=str(tmp_path / "bin"), root=root) is not None


def test_a_pulumi_that_fails_is_passed_over_with_its_last_line(tmp_path: Path, root: Path) -> None:
    fake_engine(tmp_path / "bin")
    script(tmp_path / "bin" / CLI, "echo first >&2; echo broken pipe fitting >&2; exit 7")
    _, reason = engine_on_path(str(tmp_path / "bin"), root)
    assert reason.endswith("`pulumi version` failed with exit code 7: broken pipe fitting")


def test_a_pulumi_that_hangs_is_given_up(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "PROBE_SECONDS", 0.2)
    fake_engine(tmp_path / "bin")
    script(tmp_path / "bin" / CLI, "exec sleep 30")
    _, reason = engine_on_path(str(tmp_path / "bin"), root)
    assert "gave no answer" in reason


def test_a_pulumi_without_a_language_host_is_passed_over(tmp_path: Path, root: Path) -> None:
    pulumi = fake_pulumi(tmp_path / "bin")
    _, reason = engine_on_path(str(tmp_path / "bin"), root)
    assert reason == f"{pulumi}: it has no {LANGUAGE_HOST} beside it or on PATH"
    assert runs(pulumi) == 0


def test_a_language_host_without_its_script_is_passed_over(tmp_path: Path, root: Path) -> None:
    pulumi = fake_engine(tmp_path / "bin")
    (pulumi.parent / HOST_SCRIPT).unlink()
    _, reason = engine_on_path(str(tmp_path / "bin"), root)
    assert reason == f"{pulumi}: its {LANGUAGE_HOST} has no {HOST_SCRIPT} beside it"


def test_the_language_host_may_be_elsewhere_on_path(tmp_path: Path, root: Path) -> None:
    fake_pulumi(tmp_path / "one")
    fake_engine(tmp_path / "two")
    (tmp_path / "two" / CLI).unlink()
    found = find_engine(path=f"{tmp_path / 'one'}{os.pathsep}{tmp_path / 'two'}", root=root)
    assert found is not None
    assert found.host.parent == tmp_path / "two"
    assert found.environment({"PATH": "/bin"})["PATH"] == os.pathsep.join(
        [str(tmp_path / "one"), str(tmp_path / "two"), "/bin"]
    )


def test_a_link_to_the_cli_leads_to_its_language_host(tmp_path: Path, root: Path) -> None:
    pulumi = fake_engine(tmp_path / "opt" / "pulumi")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / CLI).symlink_to(pulumi)
    found = find_engine(path=str(tmp_path / "bin"), root=root)
    assert found is not None
    assert found.pulumi == tmp_path / "bin" / CLI


def test_the_engine_on_path_is_run_once_and_again_only_after_it_changed(tmp_path: Path, root: Path) -> None:
    path = str(tmp_path / "bin")
    pulumi = fake_engine(tmp_path / "bin")
    for _ in range(3):
        assert find_engine(path=path, root=root) is not None
    assert runs(pulumi) == 1
    fake_engine(tmp_path / "bin", "v3.100.0")
    assert find_engine(path=path, root=root) is None
    assert runs(pulumi) == 2


def test_a_warm_look_up_starts_no_process(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "bin")
    fake_engine(tmp_path / "bin")
    find_engine(path=path, root=root)
    cache_an_engine(root)

    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    assert find_engine(path=path, root=root) is not None
    assert find_engine(path="", root=root) is not None
    assert ensure_engine(silent(), path="", root=root).source == "build"


@pytest.mark.parametrize("memory", ["", "[]", "{", '{"x": 3}'])
def test_a_damaged_memory_of_versions_only_costs_a_run(tmp_path: Path, root: Path, memory: str) -> None:
    root.mkdir(parents=True)
    (root / engine.PROBES).write_text(memory, encoding="utf-8")
    fake_engine(tmp_path / "bin")
    assert find_engine(path=str(tmp_path / "bin"), root=root) is not None


def test_a_cache_that_cannot_be_written_is_no_obstacle_to_looking(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    fake_engine(tmp_path / "bin")
    assert find_engine(path=str(tmp_path / "bin"), root=tmp_path / "file" / "engine") is not None


@pytest.mark.parametrize("damage", ["marker gone", "marker cut", "marker empty object", "program gone", "program cut"])
def test_an_incomplete_engine_in_the_cache_is_none(root: Path, damage: str) -> None:
    home = cache_an_engine(root)
    assert cached_engine(root) is not None
    marker, program = home / MARKER, home / "bin" / LANGUAGE_HOST
    match damage:
        case "marker gone":
            marker.unlink()
        case "marker cut":
            marker.write_text(marker.read_text(encoding="utf-8")[:-9], encoding="utf-8")
        case "marker empty object":
            marker.write_text("{}", encoding="utf-8")
        case "program gone":
            program.unlink()
        case "program cut":
            program.write_text("#!/bin/sh\n", encoding="utf-8")
    assert cached_engine(root) is None


def test_an_engine_from_the_cache_is_put_first_on_path(root: Path) -> None:
    home = cache_an_engine(root)
    found = cached_engine(root)
    assert found is not None
    assert found.environment({"PATH": "/usr/bin", "HOME": "/h"}) == {
        "PATH": f"{home / 'bin'}{os.pathsep}/usr/bin",
        "HOME": "/h",
    }


def test_a_path_on_which_the_engine_is_first_anyhow_keeps_its_order(tmp_path: Path, root: Path) -> None:
    fake_engine(tmp_path / "system")
    path = f"{tmp_path / 'venv'}{os.pathsep}{tmp_path / 'system'}"
    found = find_engine(path=path, root=root)
    assert found is not None
    assert found.environment({"PATH": path})["PATH"] == path


def test_the_pinned_modules_are_those_that_the_code_speaks_of() -> None:
    cli = (engine.MODULES / "cli" / "go.mod").read_text(encoding="utf-8")
    host = (engine.MODULES / "host" / "go.mod").read_text(encoding="utf-8")
    assert f"require github.com/pulumi/pulumi/pkg/v3 v{VERSION}" in cli
    assert re.search(rf"^\s*{engine_sources.SDK_MODULE} v{re.escape(VERSION)}\b", cli, re.MULTILINE)
    for text, module in ((cli, "cli"), (host, "host")):
        assert f"\ngo {'.'.join(map(str, engine_sources.GO_MINIMUM))}\n" in text
        package = engine_sources.PACKAGES[module][0]
        assert f'import _ "{package}"' in (engine.MODULES / module / "tools.go").read_text(encoding="utf-8")
    assert tuple(map(int, VERSION.split("."))) >= MINIMUM


def test_the_cache_key_changes_with_modules_and_flags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def key() -> str:
        cache_key.cache_clear()
        return cache_key()

    try:
        keys = [key()]
        assert re.fullmatch(rf"{re.escape(VERSION)}-[0-9a-f]{{12}}", keys[0])
        monkeypatch.setattr(engine, "BUILD_FLAGS", (*engine.BUILD_FLAGS, "-race"))
        keys.append(key())
        monkeypatch.setattr(engine, "MODULES", tmp_path)
        keys.append(key())
        (tmp_path / "cli").mkdir()
        (tmp_path / "cli" / "go.sum").write_text("example.com/module v1.0.0 h1:=\n", encoding="utf-8")
        keys.append(key())
        assert len(set(keys)) == 4
    finally:
        monkeypatch.undo()
        cache_key.cache_clear()


def test_the_path_to_export_has_the_engine_in_front(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "bin"
    told = Engine(folder, folder / "pulumi", folder / "pulumi-language-python", "3.259.0", "build")
    monkeypatch.setattr(engine_cli, "find_engine", lambda: told)
    monkeypatch.setenv("PATH", "/usr/bin")
    assert main(["engine", "path"]) == 0
    assert capsys.readouterr().out == f"{folder}:/usr/bin\n"
