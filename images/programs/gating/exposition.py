"""Prometheus' text format (https://prometheus.io/docs/instrumenting/exposition_formats/)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

Sample = tuple[Mapping[str, str], float | None]


class Exposition:
    """Collects families, gives the text."""

    CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(self) -> None:
        self._lines: list[str] = []

    def add(self, name: str, kind: Literal["gauge", "counter"], help: str, samples: Iterable[Sample]) -> None:
        """One family. A sample of None is left out: not known is not zero."""
        self._lines += [f"# HELP {name} {help}", f"# TYPE {name} {kind}"]
        for labels, value in samples:
            if value is not None:
                inner = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
                self._lines.append(f"{name}{{{inner}}} {value!r}" if inner else f"{name} {value!r}")

    def one(self, name: str, kind: Literal["gauge", "counter"], help: str, value: float | None) -> None:
        self.add(name, kind, help, [({}, value)])

    def text(self) -> str:
        return "\n".join(self._lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
