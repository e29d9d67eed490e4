"""The bill of materials: what is in it, and that it is CycloneDX."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from images import sbom, versions
from images.manifest import clouds
from images.node import Cloud

LOCK = """\
# by hand
Torch_Vision==0.1+cu130 \\
    --hash=sha256:{a} \\
    --hash=sha256:{b}
ray[default]==2.60.0 ; python_version >= "3.8" --hash=sha256:{a}
""".format(a="a" * 64, b="b" * 64)


@pytest.mark.parametrize("cloud", clouds())
def test_it_is_cyclonedx_1_6(cloud: Cloud) -> None:
    document = json.loads(sbom.render("spillway-vllm", cloud))
    assert sbom.faults(document) == []
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")


@pytest.mark.parametrize("cloud", clouds())
def test_everything_that_is_pinned_or_locked_is_in_it(cloud: Cloud) -> None:
    found = {one.purl for one in sbom.components(cloud)}
    for name in sbom.ENVIRONMENTS:
        for package, version in versions.locked(name).items():
            assert sbom.pypi(package, version) in found
    titles = {one.title for one in sbom._pinned(cloud, {})}
    assert titles == set(versions.components(cloud))


def test_the_same_versions_give_the_same_bytes_and_others_another_serial_number() -> None:
    assert sbom.render("spillway-vllm", "aws") == sbom.render("spillway-vllm", "aws")
    aws, gcp = (json.loads(sbom.render("spillway-vllm", cloud)) for cloud in ("aws", "gcp"))
    assert aws["serialNumber"] != gcp["serialNumber"]


def test_it_says_nothing_of_this_machine_or_this_day() -> None:
    text = sbom.render("spillway-vllm", "aws")
    assert "timestamp" not in text
    assert "/home/" not in text


def test_the_lock_gives_names_as_pypi_has_them_versions_and_hashes() -> None:
    vision, ray = sbom.locked(LOCK, "/opt/vllm", {"ray": "Apache-2.0"})
    assert vision.purl == "pkg:pypi/torch-vision@0.1%2Bcu130"
    assert vision.hashes == ("a" * 64, "b" * 64)
    assert (ray.name, ray.version, ray.licence, ray.hashes) == ("ray", "2.60.0", "Apache-2.0", ("a" * 64,))


def test_hashes_of_several_files_are_of_the_distribution_and_one_is_of_the_component() -> None:
    vision, ray = (sbom._component(one) for one in sbom.locked(LOCK, "/opt/vllm"))
    assert "hashes" not in vision
    assert len(vision["externalReferences"][0]["hashes"]) == 2
    assert ray["hashes"] == [{"alg": "SHA-256", "content": "a" * 64}]
    assert ray["evidence"] == {"occurrences": [{"location": "/opt/vllm"}]}


@pytest.mark.parametrize(
    ("line", "said"),
    [("torch>=2 --hash=sha256:" + "a" * 64, "expected name==version"), ("torch==2.0", "has no hash")],
)
def test_a_line_without_version_or_hash_is_refused(line: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        sbom.locked(line, "/opt/vllm")


def test_a_package_of_both_environments_is_there_once_with_both_places() -> None:
    both = set(versions.locked("vllm").items()) & set(versions.locked("node").items())
    found = {(one.name, one.version): one.where for one in sbom.components("aws")}
    assert both
    for package in both:
        assert found[package] == "/opt/vllm, /opt/spillway/venv"


def test_what_a_repository_has_the_newest_of_has_no_version_before_the_bake() -> None:
    (nginx,) = [one for one in sbom.components("aws") if one.title == "nginx"]
    assert (nginx.version, nginx.tag) == ("", False)
    assert nginx.purl == "pkg:deb/ubuntu/nginx-light?distro=ubuntu-24.04"
    assert "version" not in sbom._component(nginx)


def test_tags_tell_the_versions_that_people_ask_for() -> None:
    summary = sbom.summary("aws")
    assert {"vllm", "torch", "cuda", "nvidia-driver", "fabric-manager", "dcgm", "efa-installer"} <= set(summary)
    assert "efa-installer" not in sbom.summary("gcp")
    assert list(summary) == sorted(summary)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"specVersion": "1.4"}, "is no CycloneDX 1.6"),
        ({"serialNumber": "urn:uuid:x"}, "is no urn:uuid"),
        ({"dependencies": [{"ref": "nobody"}]}, "nobody is no bom-ref"),
        ({"components": [{"name": "a", "type": "thing", "purl": "pkg:pypi/a@1", "bom-ref": "a"}]}, "type 'thing'"),
        ({"components": [{"name": "a", "type": "library", "purl": "pypi/a", "bom-ref": "a"}]}, "purl 'pypi/a'"),
    ],
)
def test_what_is_no_cyclonedx_is_told(change: dict[str, object], said: str) -> None:
    document = json.loads(sbom.render("spillway-vllm", "aws")) | change
    assert any(said in line for line in sbom.faults(document))


@given(
    st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,20}[A-Za-z0-9])?", fullmatch=True),
    st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3}){0,3}(\+[a-z0-9]{1,8})?", fullmatch=True),
)
def test_any_name_and_version_make_a_package_url(name: str, version: str) -> None:
    purl = sbom.pypi(name, version)
    assert re.fullmatch(r"pkg:pypi/[a-z0-9-]+@[A-Za-z0-9.%_~-]+", purl)
    assert sbom._PURL.fullmatch(purl)
