"""Reading stack files: YAML as the engine understands it, and the keys around the region's object."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra import stackfile
from infra.config import ConfigError, load_stack_file
from tests.unit.stack_data import STACKS


def read(tmp_path: Path, text: str | bytes) -> dict[str, object]:
    path = tmp_path / "Pulumi.aws-us-east-1.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return stackfile.read(path)


def refused(tmp_path: Path, text: str | bytes) -> list[str]:
    with pytest.raises(ConfigError) as error:
        read(tmp_path, text)
    lines = list(error.value.lines)
    assert all(line.startswith("stacks/Pulumi.aws-us-east-1.yaml: ") and "\n" not in line for line in lines)
    return [line.removeprefix("stacks/Pulumi.aws-us-east-1.yaml: ") for line in lines]


def value(tmp_path: Path, text: str) -> object:
    region = read(tmp_path, f"config:\n  spillway:region:\n    x: {text}\n")["spillway:region"]
    assert isinstance(region, dict)
    return region["x"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("yes", "yes"),
        ("off", "off"),
        ("true", True),
        ("False", False),
        ("012345678901", 12_345_678_901),
        ("1e3", 1000.0),
        ('"012345678901"', "012345678901"),
        ("0.05", 0.05),
        ("10.16.0.0/16", "10.16.0.0/16"),
        ("null", None),
        ("2026-13-45", "2026-13-45"),
    ],
)
def test_plain_values_are_what_the_engine_makes_of_them(tmp_path: Path, text: str, expected: object) -> None:
    found = value(tmp_path, text)
    assert found == expected
    assert type(found) is type(expected)


def test_what_pulumi_itself_writes_into_a_stack_file_is_accepted(tmp_path: Path) -> None:
    text = (
        "secretsprovider: passphrase\nencryptionsalt: v1:abc\nencryptedkey: abc\n"
        'config:\n  pulumi:disable-default-providers: ["*"]\n  pulumi:tags: {a: b}\n  spillway:region: {cloud: aws}\n'
    )
    assert read(tmp_path, text)["spillway:region"] == {"cloud": "aws"}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("config: [", "line 2, column 1: not YAML: "),
        ("config:\n\tx: 1\n", "line 2, column 1: not YAML: a tab stands where YAML wants spaces"),
        ("a: {b: 1, b: 2}\n", "line 1: b: the key stands twice in the same map"),
        ("a: &x 1\nb: *x\n", "line 1: YAML anchors and aliases are not allowed (x)"),
        ("a: !!python/object:os.system x\n", "line 1, column 4: not YAML: could not determine a constructor"),
        ("a: !!float x\n", "not YAML: a value does not fit its tag"),
        ("a: 1\n---\nb: 2\n", "line 2: a second YAML document begins here (---): a stack file is one document"),
        ("- 1\n", "the file has to be a map with the key config:"),
        ("", "the file is empty; "),
        (b"\xff\xfe\x00", "byte 0: not UTF-8 text"),
        ("a: \x07\n", "not YAML: "),
        ("[" * 3000, ""),
        ("config: 3\n", "config = 3: has to be a map with one object under spillway:region"),
        ("config: null\n", "config = null: has to be a map"),
        ("? [a]\n: 1\n", ""),
        ("1: 2\nconfig: {}\n", "1: unknown top-level key"),
    ],
)
def test_a_fault_of_yaml_is_one_line_that_says_where(tmp_path: Path, text: str | bytes, line: str) -> None:
    assert refused(tmp_path, text)[0].startswith(line)


def test_all_repeated_keys_are_told(tmp_path: Path) -> None:
    assert len(refused(tmp_path, "a: 1\na: 2\nb: {c: 1, c: 1}\n")) == 2


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        stackfile.read(tmp_path / "Pulumi.aws-us-east-1.yaml")
    assert error.value.lines == ("stacks/Pulumi.aws-us-east-1.yaml: cannot be read: No such file or directory",)


def test_a_file_of_many_megabytes_is_not_read_as_yaml(tmp_path: Path) -> None:
    assert refused(tmp_path, b"a: 1\n" * 300_000) == ["1500000 bytes: a stack file has at most 1000000"]


def test_a_stack_is_of_one_kind(tmp_path: Path) -> None:
    lines = refused(tmp_path, "config:\n  spillway:region: {}\n  spillway:global: {}\n")
    assert lines == ["config: has spillway:region and spillway:global: a stack is one of them"]


def test_an_encrypted_value_of_any_key_is_refused_without_showing_it(tmp_path: Path) -> None:
    lines = refused(tmp_path, "config:\n  spillway:ci:\n    list:\n      - secure: v1:cipher\n")
    assert "config.spillway:ci.list[0].secure = <not shown>: encrypted values are not allowed" in lines[0]
    assert "cipher" not in lines[0]


def test_faults_around_the_region_and_in_it_are_told_together(tmp_path: Path) -> None:
    text = (STACKS / "Pulumi.aws-us-east-1.yaml").read_text()
    path = tmp_path / "Pulumi.aws-us-east-1.yaml"
    path.write_text(text.replace("floor: 0", "floor: 3") + "  aws:region: us-east-1\nconfg: {}\n")
    with pytest.raises(ConfigError) as error:
        load_stack_file(path)
    keys = [line.split(": ")[1].split(" = ")[0] for line in error.value.lines]
    assert keys == ["confg", "config.aws:region", "spillway:region.pools.floor"]
