"""The files of a snapshot, as CSV and YAML: a fault is one line with the file, the line and what is allowed."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from spillway.errors import SpillwayError


def contents(path: Path) -> bytes:
    """Of a file. Raises SpillwayError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise SpillwayError(f"{path}: cannot be read: {error.strerror}") from None


def table(path: Path, raw: bytes, columns: tuple[str, ...]) -> list[tuple[str, dict[str, str]]]:
    """(file and line, values by column) of every line but the first, which has to be `columns`."""
    try:
        reader = csv.reader(io.StringIO(raw.decode("utf-8")))
        lines = [(reader.line_num, line) for line in reader if line]
    except (UnicodeDecodeError, csv.Error) as error:
        raise SpillwayError(f"{path}: is no CSV in UTF-8: {error}") from None
    if not lines or tuple(lines[0][1]) != columns:
        raise SpillwayError(f"{path}: line 1: has to be {','.join(columns)}")
    for number, line in lines[1:]:
        if len(line) != len(columns):
            raise SpillwayError(f"{path}: line {number}: {len(line)} values, there are {len(columns)} columns")
    return [(f"{path}: line {number}", dict(zip(columns, line, strict=True))) for number, line in lines[1:]]


def read_manifest(path: Path) -> dict[str, Any]:
    """`files` with their hashes and `sources`. Raises SpillwayError."""
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        told = yaml.load(contents(path), Loader=loader)
    except yaml.YAMLError as error:
        raise SpillwayError(f"{path}: is no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(told, dict) or not {"files", "sources"} <= told.keys():
        raise SpillwayError(f"{path}: has to have `files` and `sources`")
    for name, source in told["sources"].items():
        if not isinstance(source, dict) or not {"title", "url", "licence"} <= source.keys() <= {
            "title", "url", "licence", "note",
        }:  # fmt: skip
            raise SpillwayError(f"{path}: sources.{name}: needs title, url and licence; may have a note")
    for name, file in told["files"].items():
        if not isinstance(file, dict) or not isinstance(file.get("sha256"), str):
            raise SpillwayError(f"{path}: files.{name}: needs sha256")
    return told
