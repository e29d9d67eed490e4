"""The archive: the same bytes for the same input, only what the function needs, and it runs from there."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import functions_framework
import pytest

from infra.function import package
from infra.function.package import PackageError, archive, files, main, requirements, write
from infra.function.settings import variable
from tests.unit.function.clouds import GCP

BOTH = pytest.mark.parametrize("cloud", ["azure", "gcp"])


@BOTH
def test_the_same_input_makes_the_same_bytes_wherever_and_whenever(cloud: package.Cloud, tmp_path: Path) -> None:
    code = f"import sys; from infra.function.package import archive; sys.stdout.buffer.write(archive({cloud!r}))"
    environment = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "LC_ALL": "C"}
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=environment, timeout=60)
    assert other.stdout == archive(cloud)
    first = write(cloud, tmp_path / "a")
    assert first.read_bytes() == write(cloud, tmp_path / "b").read_bytes() == archive(cloud)
    assert first.name == write(cloud, tmp_path / "b").name
    assert [path.name for path in (tmp_path / "a").iterdir()] == [first.name]


@BOTH
def test_it_holds_the_rule_the_loop_one_adapter_and_nothing_of_the_rest(cloud: package.Cloud) -> None:
    with zipfile.ZipFile(io.BytesIO(archive(cloud))) as zipped:
        names = set(zipped.namelist())
        assert {entry.date_time for entry in zipped.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {entry.external_attr >> 16 for entry in zipped.infolist()} == {0o100644}
        source = b"\n".join(zipped.read(name) for name in names if name.endswith(".py"))
    shared = {"__init__.py", "load.py", "loop.py", "retries.py", "settings.py", f"{cloud}.py"}
    roots = {"azure": {"function_app.py", "host.json"}, "gcp": {"main.py"}}[cloud]
    code = {"infra/__init__.py", "infra/fallback.py", *(f"infra/function/{name}" for name in shared)}
    assert names == code | roots | {"requirements.txt"}
    assert not re.search(rb"^\s*(import|from) pulumi", source, re.MULTILINE)


@BOTH
def test_everything_it_imports_is_pinned_with_hashes_and_nothing_else_is(cloud: package.Cloud) -> None:
    lines = requirements(cloud).splitlines()[1:]
    names = [line.split("==")[0] for line in lines]
    assert names == sorted(names)
    assert set(package.PACKAGES[cloud]) <= set(names)
    assert all(re.fullmatch(r"[a-z0-9-]+==[^ ]+( --hash=sha256:[0-9a-f]{64})+", line) for line in lines)
    assert not [name for name in names if "pulumi" in name or name in ("boto3", "colorama", "typer")]
    other = {"azure": "google-", "gcp": "azure-"}[cloud]
    assert not [name for name in names if name.startswith(other)]


def test_the_hosts_packages_are_those_of_the_functions_python() -> None:
    """The lock has azure-functions 1 for Python below 3.13 and 2 from there on."""
    assert package.PYTHON == "3.12"
    assert re.search(r"^azure-functions==1\.", requirements("azure"), re.MULTILINE)
    assert re.search(r"^functions-framework==3\.", requirements("gcp"), re.MULTILINE)


def test_extras_and_markers_of_the_lock_are_followed(tmp_path: Path) -> None:
    lock = tmp_path / "uv.lock"
    roots = "".join(f'[[package]]\nname = "{name}"\nversion = "1"\n' for name in package.PACKAGES["gcp"][:-1])
    lock.write_text(
        roots
        + """
[[package]]
name = "requests"
version = "2"
dependencies = [
    { name = "old", marker = "python_full_version < '3.12'" },
    { name = "new", marker = "python_full_version >= '3.12'", extra = ["more"] },
    { name = "windows", marker = "sys_platform == 'win32'" },
]
[[package]]
name = "new"
version = "3"
sdist = { url = "https://example.com/new.tar.gz", hash = "sha256:aa" }
[package.optional-dependencies]
more = [{ name = "deep" }]
less = [{ name = "absent" }]
[[package]]
name = "deep"
version = "4"
resolution-markers = ["python_full_version < '3.12'", "python_full_version == '3.12.*'"]
[[package]]
name = "deep"
version = "5"
resolution-markers = ["python_full_version >= '3.14'", "python_full_version == '3.13.*'"]
"""
    )
    lines = requirements("gcp", lock).splitlines()[1:]
    assert {"deep==4", "new==3 --hash=sha256:aa", "requests==2"} <= set(lines)
    assert not [line for line in lines if line.startswith(("old", "windows", "absent", "deep==5"))]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (None, "uv.lock: missing; the function's requirements are pinned by it"),
        ("package = []", "uv.lock: does not pin requests, which the gcp function needs"),
    ],
)
def test_a_lock_that_does_not_do_is_one_line(tmp_path: Path, text: str | None, line: str) -> None:
    lock = tmp_path / "uv.lock"
    if text is not None:
        lock.write_text(text)
    with pytest.raises(PackageError) as caught:
        archive("gcp", lock=lock)
    assert str(caught.value) == line


def _wheel(path: Path, content: dict[str, str]) -> str:
    with zipfile.ZipFile(path, "w") as zipped:
        for name, text in content.items():
            zipped.writestr(name, text)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_packages_are_carried_along_from_wheels_that_the_lock_knows(tmp_path: Path) -> None:
    folder, lock = tmp_path / "wheels", tmp_path / "uv.lock"
    folder.mkdir()
    text = ""
    for name in package.PACKAGES["azure"]:
        word = name.replace("-", "_")
        content = {
            f"{word}/__init__.py": name,
            f"{word}-1.data/purelib/{word}/x.py": "",
            f"{word}-1.data/scripts/x": "",
        }
        digest = _wheel(folder / f"{word}-1-py3-none-any.whl", content)
        text += f'[[package]]\nname = "{name}"\nversion = "1"\n'
        text += f'wheels = [{{ url = "https://example.com/{word}.whl", hash = "sha256:{digest}" }}]\n'
    lock.write_text(text)
    found = files("azure", folder, lock)
    carried = {path.removeprefix(f"{package.SITE}/") for path in found if path.startswith(package.SITE)}
    assert {"pydantic/__init__.py", "pydantic/x.py"} <= carried
    assert not [path for path in carried if "scripts" in path]
    assert archive("azure", folder, lock) == archive("azure", folder, lock)

    (folder / "pydantic-1-py3-none-any.whl").rename(tmp_path / "away")
    with pytest.raises(PackageError, match=r"no wheel of pydantic$"):
        files("azure", folder, lock)
    _wheel(folder / "pydantic-1-py3-none-any.whl", {"pydantic/__init__.py": "another"})
    with pytest.raises(PackageError, match=r"^pydantic-1-py3-none-any.whl: not a file that uv.lock pins"):
        files("azure", folder, lock)
    with pytest.raises(PackageError, match="only for azure"):
        files("gcp", folder)


def test_the_command_prints_the_archives_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gcp", str(tmp_path)]) == 0
    path = Path(capsys.readouterr().out.strip())
    assert path.read_bytes() == archive("gcp")
    (tmp_path / "wheels").mkdir()
    (tmp_path / "wheels" / "x-1-py3-none-any.whl").write_bytes(b"x")
    assert main(["azure", str(tmp_path), "--wheels", str(tmp_path / "wheels")]) == 1
    assert capsys.readouterr().err == "x-1-py3-none-any.whl: not a file that uv.lock pins for the azure function\n"


RUN_GCP = """
import json, sys
import main
loaded = sorted(name for name in sys.modules if name.split(".")[0] in ("infra", "pulumi", "spillway", "azure"))
class Request:
    headers = {"X-CloudScheduler-ScheduleTime": "2026-11-26T06:00:00Z"}
try:
    main.fallback(Request())
except Exception as error:
    print(json.dumps([loaded, type(error).__name__, str(error)]))
"""


def test_googles_archive_runs_from_where_it_is_unpacked(tmp_path: Path) -> None:
    """With the repository out of reach; a setting is missing, so that it stops before it would call anybody."""
    with zipfile.ZipFile(io.BytesIO(archive("gcp"))) as zipped:
        zipped.extractall(tmp_path)
    environment = {"PATH": os.environ["PATH"], variable("stack"): "gcp-us-central1"}
    command = [sys.executable, "-c", RUN_GCP]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment, timeout=60)
    assert done.stderr == ""
    loaded, kind, text = json.loads(done.stdout)
    assert (kind, text) == ("SettingsError", "SPILLWAY_SPOT_GROUP: missing")
    modules = ["fallback", "function", *(f"function.{name}" for name in ("gcp", "load", "loop", "retries", "settings"))]
    assert loaded == ["infra", *(f"infra.{name}" for name in sorted(modules))]


def test_azures_archive_registers_one_timer(tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(archive("azure"))) as zipped:
        zipped.extractall(tmp_path)
    code = """
import json, sys
import function_app
for found in function_app.app.get_functions():
    trigger = found.get_trigger()
    print(json.dumps([found.get_function_name(), trigger.type, trigger.schedule]))
assert not [name for name in sys.modules if name.startswith(("pulumi", "spillway"))]
"""
    environment = {"PATH": os.environ["PATH"]}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment, timeout=60)
    assert json.loads(done.stdout) == [package.ENTRY["azure"], "timerTrigger", "0 * * * * *"]


def test_googles_framework_serves_the_entry_point(tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(archive("gcp"))) as zipped:
        zipped.extractall(tmp_path)
    served = functions_framework.create_app(package.ENTRY["gcp"], str(tmp_path / "main.py")).test_client()  # type: ignore[no-untyped-call]
    assert served.post("/").status_code == 500  # no settings here


def test_the_entry_point_answers_the_scheduler(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from google.auth.credentials import AnonymousCredentials

    from infra.function import gcp_entry
    from tests.unit.function.clouds import GcpFake
    from tests.unit.function.wire import Answer, connected

    class Request:
        headers = {gcp_entry.SCHEDULED: "2026-11-26T06:00:00Z"}  # noqa: RUF012

    for key, value in GCP.model_dump().items():
        monkeypatch.setenv(variable(key), str(value).lower() if isinstance(value, bool) else str(value))
    nobody = AnonymousCredentials()  # type: ignore[no-untyped-call]
    monkeypatch.setattr("google.auth.default", lambda scopes: (nobody, None))
    fake = GcpFake()
    with connected(fake.wire):
        body, status = gcp_entry.fallback(Request())
        assert (body, status) == ({"onDemandDesired": 0, "reason": "gap-waiting", "errors": []}, 200)
        line = json.loads(capsys.readouterr().out)
        assert line["minute"] == 1_795_672_800 // 60
        fake.wire.faults.append(lambda call: Answer(403, {"error": {"message": "no"}}))
        body, status = gcp_entry.fallback(Request())
        assert status == 500
        assert len(body["errors"]) == 1
