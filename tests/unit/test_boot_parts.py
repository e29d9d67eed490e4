"""What the booted rungs say of themselves: what they need, what they measured."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from tests.boot import guest, needs, timeline
from tests.boot.lab import NAME, certificates, config

FIGURES: dict[str, Any] = {
    "nspawn": {
        "bootToReadySeconds": 6.7,
        "beforeSystemdSeconds": 0.0,
        "steps": [{"step": "systemd", "begin": 0.0, "end": 0.8}, {"step": "weights", "begin": 2.0, "end": 4.0}],
    },
    "qemu": {
        "bootToReadySeconds": 120.0,
        "beforeSystemdSeconds": 20.0,
        "steps": [{"step": "first token <&>", "begin": 90.0, "end": 99.9}],
    },
}


def test_every_rung_names_its_packages_and_the_programs_that_it_calls() -> None:
    assert {"static", "programs", "observability", "nspawn", "qemu", "vllm"} <= set(needs.rungs())
    for rung in needs.rungs():
        assert all(re.fullmatch(r"[a-z0-9][a-z0-9.+-]+", name) for name in needs.packages(rung))
    for rung in ("nspawn", "qemu"):
        assert {"mmdebstrap", "util-linux", "iproute2"} <= set(needs.packages(rung))
    assert "nginx-light" in set(needs.packages("static")) & set(needs.packages("programs")) & set(
        needs.packages("vllm")
    )
    with pytest.raises(KeyError):
        needs.packages("of another world")


def test_a_rung_that_is_turned_off_or_lacks_a_program_says_so_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = tmp_path / "packages.txt"
    listed.write_text(
        "# rung: static, files\ncoreutils  # sh: a shell\nlibs  # libc.so.6\n"
        "# rung: qemu, a machine\ncoreutils  # sh\nother-world  # sh qemu-of-another-world libof-another.so.1: why\n"
    )
    monkeypatch.setattr(needs, "PACKAGES", listed)
    said = needs.lacks("qemu")
    assert "\n" not in said
    if said.startswith("wants Linux"):
        return
    names = "qemu-of-another-world, libof-another.so.1"
    assert said == f"{names} not installed (apt-get install other-world)"
    assert needs.main([]) == 1
    assert capsys.readouterr().out.splitlines() == ["static: has all that it needs", f"qemu: {said}"]
    assert needs.main(["static"]) == 0
    capsys.readouterr()
    assert needs.main(["--packages"]) == needs.main(["--missing", "static", "qemu"]) == 0
    assert capsys.readouterr().out.split() == ["coreutils", "libs", "other-world", "other-world"]
    with pytest.raises(SystemExit):
        needs.main(["of another world"])
    monkeypatch.setenv(needs.OFF["qemu"], "no")
    assert needs.lacks("qemu") == "SPILLWAY_BOOT=no"


def test_the_picture_is_well_formed_and_nothing_leaves_it() -> None:
    root = ET.fromstring(timeline.picture(FIGURES))
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    space = "{http://www.w3.org/2000/svg}"
    bars = [one for one in root.iter(f"{space}rect") if "rx" in one.attrib]
    assert len(bars) == 4  # the machine's kernel is a step as well
    for bar in bars:
        assert 0 <= float(bar.attrib["x"]) <= float(bar.attrib["x"]) + float(bar.attrib["width"]) <= width
        assert 0 <= float(bar.attrib["y"]) <= height - 18
    texts = [one.text or "" for one in root.iter(f"{space}text")]
    assert "first token <&>" in texts
    assert any("ready after 120.0 s" in text for text in texts)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("[ 1.0] node python[1]: Traceback (most recent call last):", True),
        ("[ 1.0] systemd[1]: basic.target: Job paths.target/start deleted to break ordering cycle", True),
        ("[ 1.0] node nginx_access: a-secret-word", True),
        ('[ 1.0] node python[1]: {"program": "gate", "event": "ready"}', False),
    ],
)
def test_what_a_journal_must_not_have(line: str, found: bool) -> None:
    assert bool(guest.faults(line, ["a-secret-word"])) is found


@pytest.mark.parametrize("cloud", ["aws", "azure", "gcp"])
def test_the_node_of_a_boot_is_one_that_a_region_could_render(cloud: Any) -> None:
    made = config(cloud, "https://v.vault.azure.net" if cloud == "azure" else "")
    assert (made.cloud, made.serving.name) == (cloud, NAME)
    assert (made.hooks is None) is (cloud != "aws")


def test_the_nodes_certificate_is_one_that_a_node_takes() -> None:
    from datetime import UTC, datetime

    from images.programs.vaults import certificate

    _, leaf = certificates(NAME)
    pair = certificate.parse(leaf)
    assert certificate.fault(pair, NAME, datetime.now(UTC)) == ""
