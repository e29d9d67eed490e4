"""What the pipeline roles of every cloud end in: the same outputs under the same names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from infra.ci.sections import CiBase
from infra.ci.subjects import Role, bound


@dataclass(frozen=True, slots=True)
class Roles:
    """What was made. providers: issuer's kind -> what a pipeline names when it changes its token. identities: who it
    becomes. patterns: whether a role can be bound to any branch. variables: what a pipeline is told, by the name of its
    variable; nothing of it is secret."""

    providers: Mapping[str, pulumi.Input[str]]
    identities: Mapping[Role, pulumi.Input[str]]
    patterns: bool
    variables: Mapping[str, pulumi.Input[str]]


def export(config: CiBase, roles: Roles) -> None:
    """Exports `provider`, `preview`, `deploy`, `drift` and `variables`. Drift is looked for with the preview role."""
    pulumi.export("provider", dict(roles.providers))
    preview = {
        "identity": roles.identities["preview"],
        "subjects": list(bound(config, "preview", patterns=roles.patterns)),
    }
    pulumi.export("preview", preview)
    pulumi.export("drift", preview)
    pulumi.export(
        "deploy",
        {
            "identity": roles.identities["deploy"],
            "subjects": list(bound(config, "deploy", patterns=roles.patterns)),
        },
    )
    pulumi.export("variables", dict(roles.variables))
