"""The `spillway` command: fast help, one line per error, exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import typer

from spillway import cli, engine, engine_cli
from spillway.engine import REPOSITORY, Engine
from spillway.errors import SpillwayError


@pytest.fixture
def extra(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """What the module `probe` has; its attribute `command` is registered as `spillway probe`."""
    content: dict[str, object] = {}
    module = type(sys)("probe")
    module.__dict__.update(content)
    monkeypatch.setitem(sys.modules, "probe", module)
    monkeypatch.setattr(cli, "COMMANDS", {**cli.COMMANDS, "probe": cli.Lazy("probe:command", "Only in tests.")})
    return module.__dict__


def test_help_names_every_command_and_imports_none() -> None:
    check = (
        "import sys; from spillway.cli import COMMANDS, main; code = main(['--help']);"
        "heavy = {'rich', 'pulumi', 'pydantic', 'filelock'};"
        "heavy |= {lazy.target.split(':')[0] for lazy in COMMANDS.values()};"
        "print(sorted(heavy & sys.modules.keys())); sys.exit(code)"
    )
    answer = subprocess.run([sys.executable, "-c", check], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    *text, loaded = answer.stdout.splitlines()
    assert loaded == "[]"
    for name, lazy in cli.COMMANDS.items():
        assert any(line.split()[:1] == [name] for line in text), name
        assert lazy.help.split()[0] in answer.stdout


@pytest.mark.parametrize("name", sorted(cli.COMMANDS))
def test_every_registered_command_exists_and_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    module, _, attribute = cli.COMMANDS[name].target.partition(":")
    assert hasattr(import_module(module), attribute)
    assert cli.main([name, "--help"]) == 0
    assert f"Usage: spillway {name}" in capsys.readouterr().out


def test_a_module_that_is_missing_is_an_error_and_not_a_missing_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "COMMANDS", {"gone": cli.Lazy("spillway.gone:app", "Gone.")})
    assert cli.main(["gone"]) == 1
    assert "No module named 'spillway.gone'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "spillway: Missing command (see `spillway --help`)"),
        (["engin"], "spillway: No such command 'engin'. Did you mean 'engine'? (see `spillway --help`)"),
        (["engine", "nope"], "spillway: No such command 'nope' (see `spillway engine --help`)"),
        (["engine", "show", "--yaml"], "spillway: No such option: --yaml (see `spillway engine show --help`)"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", line + "\n")


def test_a_group_without_a_command_prints_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["engine"]) == 2
    assert capsys.readouterr().err.startswith("Usage: spillway engine")


@pytest.mark.parametrize(
    ("error", "lines"),
    [
        (SpillwayError("stacks/x.yaml: no such stack"), ["stacks/x.yaml: no such stack"]),
        (SpillwayError("first", "second"), ["first", "second"]),
        (FileNotFoundError(2, "No such file or directory", "notes.txt"), ["notes.txt: No such file or directory"]),
        (
            ValueError("a fault\nof ours"),
            ["unexpected ValueError: a fault of ours (SPILLWAY_TRACEBACK=1 shows where)"],
        ),
    ],
)
def test_an_error_is_plain_lines_and_exit_code_1(
    extra: dict[str, object], error: Exception, lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> None:
        raise error

    extra["command"] = command
    assert cli.main(["probe"]) == 1
    out, err = capsys.readouterr()
    assert (out, err.splitlines()) == ("", [f"spillway: {line}" for line in lines])


def test_a_traceback_is_shown_on_request(
    extra: dict[str, object], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> None:
        raise SpillwayError("on purpose")

    extra["command"] = command
    monkeypatch.setenv(cli.TRACEBACK, "1")
    assert cli.main(["probe"]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(("raised", "code"), [(typer.Exit(5), 5), (KeyboardInterrupt(), 130), (typer.Abort(), 130)])
def test_exit_codes_of_commands_and_interrupts_are_kept(
    extra: dict[str, object], raised: BaseException, code: int
) -> None:
    def command() -> None:
        raise raised

    extra["command"] = command
    assert cli.main(["probe"]) == code


def test_a_reader_that_leaves_early_is_no_error_to_speak_of() -> None:
    answer = subprocess.run(
        f"'{sys.executable}' -m spillway.cli --help | true", shell=True, cwd=REPOSITORY, capture_output=True, text=True
    )
    assert answer.stderr == ""


def test_engine_show_tells_where_the_engine_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = Engine(tmp_path, tmp_path / "pulumi", tmp_path / "pulumi-language-python", "3.259.0", "build")
    monkeypatch.setattr(engine_cli, "find_engine", lambda: found)
    assert cli.main(["engine", "show"]) == 0
    assert capsys.readouterr().out == f"Pulumi 3.259.0, built from Go modules: {tmp_path / 'pulumi'}\n"
    assert cli.main(["engine", "show", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "version": "3.259.0",
        "pulumi": str(tmp_path / "pulumi"),
        "languageHost": str(tmp_path / "pulumi-language-python"),
        "source": "build",
    }


def test_engine_show_without_an_engine_says_how_to_get_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(engine, "cache_root", lambda: tmp_path / "none")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cli.main(["engine", "show"]) == 1
    assert capsys.readouterr().err == "spillway: there is no Pulumi engine yet: run `spillway engine install`\n"
