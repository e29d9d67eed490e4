"""The sandbox's directory and the `pulumi` command lines that run in it, with careless and hostile input."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sandbox import cli, clouds, drift
from sandbox.kinds import Resource
from sandbox.project import Project, prepare, pulumi_command, stack_of
from sandbox.store import CLOUDS, Store
from spillway.errors import SpillwayError

GROUP = "aws:autoscaling/group:Group"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    root = tmp_path / "checkout"
    (root / "stacks").mkdir(parents=True)
    (root / "Pulumi.yaml").write_text("name: p\nruntime: {name: python}\n")
    (root / "stacks" / "Pulumi.one.yaml").write_text("config: {}\n")
    return Project(tmp_path / "sandbox", root)


def test_a_new_directory_is_tagged_and_hidden_from_git(project: Project) -> None:
    project.sync()
    assert clouds.is_sandbox(project.directory)
    assert (project.directory / ".gitignore").read_text().splitlines()[-1] == "*"


def test_a_directory_with_other_things_is_neither_used_nor_deleted(project: Project) -> None:
    project.directory.mkdir()
    (project.directory / "home").mkdir()
    (project.directory / "home" / "thesis.tex").write_text("years of work")
    with pytest.raises(SpillwayError, match="holds other things; name a new or an empty directory"):
        project.sync()
    assert [entry.name for entry in project.directory.iterdir()] == ["home"]
    assert not clouds.is_sandbox(project.directory)


def test_a_file_is_no_sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(clouds.VARIABLE, str(tmp_path / "file"))
    with pytest.raises(SpillwayError, match="has to be a directory, and is not"):
        clouds.sandbox_dir()


def test_weather_made_before_the_first_command_is_kept(project: Project) -> None:
    project.directory.mkdir()
    (project.directory / "weather.yaml").write_text("quotas: []\n")
    project.sync()
    assert (project.directory / "weather.yaml").exists()


def test_reset_deletes_what_the_sandbox_made_and_nothing_else(project: Project) -> None:
    project.sync()
    (project.directory / "mine.txt").write_text("")
    assert clouds.dismantle(project.directory) == ["mine.txt"]
    assert [entry.name for entry in project.directory.iterdir()] == ["mine.txt"]
    (project.directory / "mine.txt").unlink()
    project.sync()
    assert clouds.dismantle(project.directory) == []
    assert not project.directory.exists()


def test_reset_asks_only_at_a_terminal(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.sync()
    monkeypatch.setenv(clouds.VARIABLE, str(project.directory))
    monkeypatch.setattr("sys.stdin", SimpleNamespace(isatty=lambda: False))
    with pytest.raises(SpillwayError, match="add --yes"):
        cli.reset(yes=False)
    assert project.directory.exists()


def test_a_backend_path_with_signs_that_mean_something_in_addresses_is_quoted(project: Project) -> None:
    engine: Any = SimpleNamespace(environment=lambda base: {"PATH": "/bin", **base})
    odd = Project(project.directory.parent / "a%20b?c#d", project.root)
    assert odd.environment(engine, {})["PULUMI_BACKEND_URL"].endswith("/a%2520b%3Fc%23d/backend")


@pytest.mark.parametrize(
    ("line", "stack"),
    [
        ("up --stack one", "one"),
        ("up -s one", "one"),
        ("-s one up", "one"),
        ("up --stack=one", "one"),
        ("up -s=one", "one"),
        ("up -sone", "one"),
        ("up --stack organization/p/one", "one"),
        ("stack select one", "one"),
        ("--color never stack select one", "one"),
        ("up --stack=", None),
        ("up --stack", None),
        ("stack ls", None),
        ("config get a -- -s", None),
    ],
)
def test_the_stack_is_found_in_every_form_that_pulumi_takes(line: str, stack: str | None) -> None:
    assert stack_of(line.split()) == stack


@pytest.mark.parametrize(
    ("line", "as_run"),
    [
        ("up -f --yes", "up -f --yes"),  # here -f is --skip-preview
        ("stack import -f --file s.json", "stack import -f --file HERE/s.json"),
        ("import -f i.json -o out.py", "import -f HERE/i.json -o HERE/out.py"),
        ("stack ls -o org", "stack ls -o org"),
        ("preview --save-plan=p.json", "preview --save-plan=HERE/p.json"),
        ("up --policy-pack a,/b", "up --policy-pack HERE/a,/b"),
        ("stack import --file -", "stack import --file -"),
        ("stack graph -s one g.dot", "stack graph -s one HERE/g.dot"),
    ],
)
def test_paths_keep_their_meaning(project: Project, line: str, as_run: str) -> None:
    wanted = as_run.replace("HERE", str(Path.cwd())).split()
    assert pulumi_command(line.split(), project) == ["pulumi", "-C", str(project.path), *wanted]


@pytest.mark.parametrize("line", ["config set a b -s one", "config -s one rm a", "--color never config set-all -s one"])
def test_a_change_of_a_copied_stack_file_is_refused_rather_than_lost(project: Project, line: str) -> None:
    project.sync()
    with pytest.raises(SpillwayError, match=r"would be lost; edit stacks/Pulumi\.one\.yaml"):
        prepare(line.split(), project, {})


def test_a_stack_file_of_two_documents_is_refused_before_the_engine_drops_the_second(project: Project) -> None:
    path = project.root / "stacks" / "Pulumi.one.yaml"
    path.write_text(path.read_text().rstrip() + "\n---\nconfig: {}\n")
    project.sync()
    for line in ("preview -s one", "stack init -s one"):
        with pytest.raises(SpillwayError, match=r"stacks/Pulumi\.one\.yaml: line \d+: a second YAML document"):
            prepare(line.split(), project, {})


def test_a_stack_without_a_stack_file_is_refused(project: Project) -> None:
    project.sync()
    with pytest.raises(SpillwayError, match=r"stacks/Pulumi\.two\.yaml: no such stack file; there are one"):
        prepare(["up", "-s", "two"], project, {})
    prepare(["stack", "rm", "two"], project, {})
    prepare(["stack", "init", "-s", "two"], project, {})


def test_a_cloud_file_that_is_none_is_told_by_name(tmp_path: Path) -> None:
    (tmp_path / CLOUDS).write_text("not a database " * 100)
    with pytest.raises(SpillwayError, match=r"clouds\.sqlite3: file is not a database; `spillway sandbox reset`"):
        drift.delete(tmp_path, "x")


def test_asking_for_what_is_not_there_makes_no_cloud(tmp_path: Path) -> None:
    with pytest.raises(SpillwayError, match="hold no resource with this id"):
        drift.change(tmp_path / "none", "x", {"maxSize": 1})
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"maxsize": 9}, "g: maxsize: unknown property; did you mean maxSize?"),
        ({"maxSize": "nine"}, 'g: maxSize: expected a whole number, got "nine"'),
        ({"tags[*]": 1}, r"g: the resource has no property tags\[\*\]"),
        ({"tags[7].key": "x"}, r"g: the resource has no property tags\[7\]\.key"),
        ({"]": 1}, "g: the resource has no property ]"),
        ({"arn": "arn:x"}, "g: arn: unknown property"),
    ],
)
def test_drift_that_no_api_would_take_is_refused_whole(tmp_path: Path, values: dict[str, Any], says: str) -> None:
    inputs = {"maxSize": 1, "minSize": 0, "tags": []}
    with Store(tmp_path).transaction(write=True) as tx:
        tx.put("aws", Resource(GROUP, "g", "us-east-1", "1", dict(inputs), {**inputs, "arn": "arn:g"}))
    with pytest.raises(SpillwayError, match=says):
        drift.change(tmp_path, "g", {"minSize": 1, **values})
    with Store(tmp_path).transaction(write=False) as tx:
        assert [r.inputs for r in tx.all("aws")] == [inputs]
    assert drift.change(tmp_path, "g", {"maxSize": 9}) == [f"{GROUP} g: maxSize: 1 -> 9"]
