"""Which types take tags or labels, by reflection of the SDKs: `python -m policy.reflect` writes the table anew.

Of the types that the stand-in clouds cover, which are those that a stack may make. A policy run reads the table alone:
the SDKs take seconds to import.
"""

from __future__ import annotations

import json
from typing import Final

from policy.rules.tags import TABLE
from sandbox import schema
from sandbox.clouds import DISTRIBUTIONS, registry

WITHOUT: Final = ("cloudflare",)
"""Tags of records are for paid plans (https://developers.cloudflare.com/dns/manage-dns-records/reference/record-attributes/)."""


def table() -> dict[str, list[str]]:
    """The property that tags are in -> types, sorted."""
    found: dict[str, list[str]] = {}
    for package, distribution in DISTRIBUTIONS.items():
        if package in WITHOUT:
            continue
        kinds = registry(package)
        own = "labels" if package == "gcp" else "tags"  # what GCP calls tags is for firewalls, or of an organisation
        for type_, row in schema.load(package, distribution, kinds.kinds, kinds.invokes)["resources"].items():
            key = next((key for key in ("userLabels", own) if key in row["inputs"]), None)
            if key is not None:
                found.setdefault(key, []).append(type_)
    return {key: sorted(found[key]) for key in sorted(found)}


if __name__ == "__main__":
    TABLE.write_text(json.dumps(table(), indent=1) + "\n", encoding="utf-8")
