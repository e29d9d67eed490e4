"""The image's software bill of materials: CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/), the same bytes for the
same versions.

Made from images/versions.yaml and the locked requirements, so it is there before the bake and its checksum is part of
the source's. Packages of the distribution are not in it: they are what the source image and its archive had on the day,
and the bake lists them beside it, in packages.tsv.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import yaml

from images import versions
from images.node import Cloud

HERE: Final = Path(__file__).resolve().parent
REQUIREMENTS: Final = HERE / "requirements"
LICENCES: Final = HERE / "packer/licences.yaml"
NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "https://cyclonedx.org/spillway/serving-image")
"""Of serial numbers: the same content has the same one."""
ENVIRONMENTS: Final = {"vllm": "/opt/vllm", "node": "/opt/spillway/venv"}
"""Locked requirements by name, and where they are installed."""

# https://packaging.python.org/en/latest/specifications/name-normalization/
_NORMAL: Final = re.compile(r"[-_.]+")
_PINNED: Final = re.compile(r"(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^]]*\])?==(?P<version>[^\s;\\]+)")
_HASH: Final = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Component:
    """One piece of software. purl: https://github.com/package-url/purl-spec . hashes: sha256 of its distributions.

    version: empty where a signed repository's newest is taken, which only the node knows (components.txt there).
    where: on the node. tag: its version is put on the image as a tag, by its title.
    """

    name: str
    version: str
    purl: str
    licence: str | None = None
    hashes: tuple[str, ...] = ()
    source: str | None = None
    where: str | None = None
    tag: bool = False
    title: str = ""


def locked(text: str, where: str, licences: dict[str, str] | None = None) -> list[Component]:
    """Components of a requirements file with hashes. Raises ValueError for a line without a version or a hash."""
    found: list[Component] = []
    for requirement in _requirements(text):
        match = _PINNED.match(requirement)
        if match is None:
            raise ValueError(f"requirement {requirement.split(' ')[0]!r}: expected name==version")
        name, version = _NORMAL.sub("-", match["name"]).lower(), match["version"]
        hashes = tuple(sorted(_HASH.findall(requirement)))
        if not hashes:
            raise ValueError(f"requirement {name}=={version}: has no hash")
        found.append(Component(name, version, pypi(name, version), (licences or {}).get(name), hashes, where=where))
    return found


def pypi(name: str, version: str) -> str:
    """The package URL of a distribution on PyPI (https://github.com/package-url/purl-spec, type pypi)."""
    return f"pkg:pypi/{_NORMAL.sub('-', name).lower()}@{quote(version, safe='.-_~')}"


def _requirements(text: str) -> Iterator[str]:
    joined = re.sub(r"\\\n", " ", text)
    for line in joined.splitlines():
        line = re.sub(r"(^|\s)#.*$", "", line).strip()
        if line and not line.startswith("-"):
            yield line


def licences() -> dict[str, str]:
    """SPDX expressions of the packages whose licence was looked up."""
    found: dict[str, str] = yaml.safe_load(LICENCES.read_text())
    return found


def components(cloud: Cloud) -> list[Component]:
    """Everything that a bake installs by version: versions.yaml, then the locked environments. Sorted by package URL.

    Raises ValueError when a file is missing or not as it has to be.
    """
    known = licences()
    found = {one.purl: one for one in _pinned(cloud, known)}
    for name, where in ENVIRONMENTS.items():
        path = REQUIREMENTS / f"{name}.txt"
        if not path.is_file():
            raise ValueError(
                f"images/requirements/{name}.txt is not there: lock it with `python -m images.versions lock`"
            )
        for one in locked(path.read_text(), where, known):
            earlier = found.get(one.purl)
            both = f"{earlier.where}, {where}" if earlier and earlier.where else where
            found[one.purl] = Component(
                one.name, one.version, one.purl, one.licence, one.hashes,
                earlier.source if earlier else None, both,
            )  # fmt: skip
    return [found[purl] for purl in sorted(found)]


def _pinned(cloud: Cloud, known: dict[str, str]) -> Iterator[Component]:
    for name, entry in versions.components(cloud).items():
        version = "" if entry["version"] == versions.NEWEST else entry["version"]
        hashes = (entry["sha256"],) if "sha256" in entry else ()
        yield Component(
            entry.get("package", name),
            version,
            _purl(name, version, entry),
            known.get(name),
            hashes,
            entry["source"],
            tag=bool(version),
            title=name,
        )


def _purl(name: str, version: str, entry: Mapping[str, Any]) -> str:
    at = f"@{quote(version, safe='.-_~')}" if version else ""
    if "package" in entry:  # of Debian's kind, in the repository whose key is checked
        system = versions.load()["os"]
        owner = re.match(r"(.+?)'s? repository key", str(entry["verify"]))
        vendor = re.sub(r"[^a-z0-9]+", "-", owner[1].lower()) if owner else system["name"]
        return f"pkg:deb/{vendor}/{entry['package']}{at}?distro={system['name']}-{system['version']}"
    if f"https://pypi.org/project/{name}/" in entry["source"]:
        return pypi(name, version)
    checksum = f"?checksum=sha256:{entry['sha256']}" if "sha256" in entry else ""
    return f"pkg:generic/{name}{at}{checksum}"


def summary(cloud: Cloud) -> dict[str, str]:
    """Name and version of the components that an image's tags tell, sorted."""
    return {one.title: one.version for one in sorted(_pinned(cloud, licences()), key=lambda one: one.title) if one.tag}


def document(family: str, cloud: Cloud, found: Sequence[Component]) -> dict[str, Any]:
    """The document as CycloneDX has it. No time of making and no random serial number: the manifest has the time."""
    root = f"{family}-{cloud}"
    body = [_component(one) for one in found]
    serial = uuid.uuid5(NAMESPACE, json.dumps([root, body], sort_keys=True))
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {"component": {"type": "operating-system", "bom-ref": root, "name": root}},
        "components": body,
        "dependencies": [
            {"ref": root, "dependsOn": [one.purl for one in found]},
            *({"ref": one.purl} for one in found),
        ],
    }


def _component(one: Component) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "type": "library" if one.purl.startswith("pkg:pypi/") else "application",
        "bom-ref": one.purl,
        "name": one.name,
        **({"version": one.version} if one.version else {}),
        "purl": one.purl,
    }
    if one.licence:
        # An expression and a list of ids exclude each other (schema: licenseChoice).
        entry["licenses"] = [{"expression": one.licence}]
    references: list[dict[str, Any]] = []
    if len(one.hashes) == 1:
        entry["hashes"] = [_hash(one.hashes[0])]
    elif one.hashes:
        # Of several files the lock allows any: they are of the distribution, not of the component as installed.
        references.append(
            {
                "type": "distribution",
                "url": f"https://pypi.org/project/{one.name}/{one.version}/#files",
                "hashes": [_hash(text) for text in one.hashes],
            }
        )
    if one.source:
        references.append({"type": "release-notes" if "releases" in one.source else "website", "url": one.source})
    if references:
        entry["externalReferences"] = references
    if one.where:
        entry["evidence"] = {"occurrences": [{"location": path} for path in one.where.split(", ")]}
    return entry


def _hash(text: str) -> dict[str, str]:
    return {"alg": "SHA-256", "content": text}


def render(family: str, cloud: Cloud) -> str:
    """The document as text: what lies at /usr/share/spillway/sbom.json. Raises ValueError as `components` does."""
    return json.dumps(document(family, cloud, components(cloud)), indent=1) + "\n"


KINDS: Final = frozenset({"application", "library", "operating-system"})
_PURL: Final = re.compile(r"pkg:[a-z]+/[^\s@?]+(@[^\s?]+)?(\?[a-z_]+=\S+)?")
_SERIAL: Final = re.compile(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_KEYS: Final = frozenset(
    {"type", "bom-ref", "name", "version", "purl", "licenses", "hashes", "externalReferences", "evidence"}
)


def faults(found: Mapping[str, Any]) -> list[str]:
    """One line for each thing that the part of CycloneDX 1.6's schema that is used here refuses
    (https://cyclonedx.org/schema/bom-1.6.schema.json)."""
    return list(_faults(found))


def _faults(found: Mapping[str, Any]) -> Iterator[str]:
    if (found.get("bomFormat"), found.get("specVersion")) != ("CycloneDX", "1.6"):
        yield "is no CycloneDX 1.6"
    if not _SERIAL.fullmatch(str(found.get("serialNumber"))):
        yield f"serialNumber {found.get('serialNumber')!r} is no urn:uuid"
    refs = [found["metadata"]["component"]["bom-ref"]]
    for one in found["components"]:
        name = one.get("name") or "a component without a name"
        if unknown := sorted(set(one) - _KEYS):
            yield f"{name}: has {', '.join(unknown)}"
        if one.get("type") not in KINDS:
            yield f"{name}: type {one.get('type')!r}"
        if not _PURL.fullmatch(str(one.get("purl"))):
            yield f"{name}: purl {one.get('purl')!r}"
        references = one.get("externalReferences", ())
        for hash_ in [*one.get("hashes", ()), *(hash_ for ref in references for hash_ in ref.get("hashes", ()))]:
            if hash_.get("alg") != "SHA-256" or not re.fullmatch(r"[0-9a-f]{64}", str(hash_.get("content"))):
                yield f"{name}: hash {hash_!r}"
        for reference in references:
            if not str(reference.get("url", "")).startswith("https://"):
                yield f"{name}: reference {reference.get('url')!r}"
        refs.append(one.get("bom-ref"))
    if twice := sorted({str(ref) for ref in refs if refs.count(ref) > 1}):
        yield f"bom-ref {', '.join(twice)}: is there twice"
    for entry in found["dependencies"]:
        for ref in (entry["ref"], *entry.get("dependsOn", ())):
            if ref not in refs:
                yield f"dependencies: {ref} is no bom-ref"
