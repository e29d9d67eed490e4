"""What is shipped: it is what the manifest says, and its licence is with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from rehearsal import data
from spillway.errors import SpillwayError


def test_every_file_is_in_the_manifest_and_is_what_it_says() -> None:
    named = {known.path for kind in data.manifest().values() for known in kind.values()}
    assert named == set(data.FOLDER.glob("*/*.csv"))
    for name in data.manifest()["traces"]:
        trace = data.trace(name)
        assert data.known(trace.sha256) == data.manifest()["traces"][name]
    for name in data.manifest()["prices"]:
        assert data.price_list(name, machine="a3-highgpu-8g").usd
    for kind in data.manifest().values():
        for known in kind.values():
            assert known.source.startswith("https://")
            assert known.shows
            assert known.shows_not
            assert known.path.name in (data.FOLDER / "NOTICE").read_text()
    assert "Apache License" in (data.FOLDER / "LICENSE").read_text()


def test_the_recorded_trace_is_the_one_that_was_published() -> None:
    trace = data.trace("gcp-h100-2025-10")
    assert (len(trace.zones), len(trace.times), trace.step, trace.end) == (13, 1052, 600.0, 637_200.0)
    assert trace.holes == ((447_600.0, 453_600.0),)  # 2025-10-09T04:30Z to 06:10Z
    always = trace.counts[trace.zones.index("asia-south2-b")]
    assert min(always) == 8
    rare = trace.counts[trace.zones.index("europe-west3-c")]
    assert max(rare) == 2


def test_the_prices_of_a_trace_are_for_its_instances() -> None:
    known = data.manifest()["traces"]["gcp-h100-2025-10"]
    assert known.prices is not None
    listed = data.price_list(known.prices)
    assert (listed.machine, listed.per, listed.observed) == ("a3-highgpu-8g", 8, ("2025-10-23",))
    assert listed.usd["us-central1", "spot"] == pytest.approx(18.98 / 8)


def test_a_name_that_is_not_there_and_a_file_that_was_changed_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SpillwayError, match="traces: no 'h100'; there are gcp-h100-2025-10"):
        data.trace("h100")
    for path in data.FOLDER.glob("*/*.csv"):
        (tmp_path / path.parent.name).mkdir(exist_ok=True)
        (tmp_path / path.parent.name / path.name).write_text("probed_at,a\n")
    (tmp_path / "manifest.yaml").write_text((data.FOLDER / "manifest.yaml").read_text())
    monkeypatch.setattr(data, "FOLDER", tmp_path)
    data.manifest.cache_clear()
    with pytest.raises(SpillwayError, match="is not the file whose sha256 is in"):
        data.trace("gcp-h100-2025-10")
    data.manifest.cache_clear()
