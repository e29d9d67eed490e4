"""The stack file of a cloud's pipeline roles as a frozen, checked model.

    config = load_ci(Path("stacks/Pulumi.ci-aws.yaml"))

Every fault of the file is collected and raised at once in one ConfigError, as for a region (infra/config.py).
Imports no cloud SDK and no pulumi.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from infra import naming, stackfile
from infra.azure import names as azure_names
from infra.ci.sections import CLOUDS, AwsCi, AzureCi, CiBase, CiConfig
from infra.ci.subjects import issuers
from infra.faults import HIDDEN, ConfigError, Fault, did_you_mean, listed
from infra.gcp import names as gcp_names
from infra.stackfile import CI_KEY, REGION_KEY
from infra.validation import CheckList, validate

__all__ = ["CI_KEY", "CiConfig", "ConfigError", "load_ci", "parse_ci"]

ABOUT: Final = "the settings of a cloud's pipeline roles"
# https://docs.cloud.google.com/iam/docs/workload-identity-federation#mapping (google.subject)
GCP_SUBJECT_MAX: Final = 127

check: CheckList[CiBase] = CheckList()


def load_ci(path: Path, stack: str | None = None) -> CiConfig:
    """The pipeline roles of one file, checked by itself and against the region stacks' files beside it.

    `stack` defaults to the name in the file name. Raises ConfigError with one line per fault.
    """
    name = stack or stackfile.stack_of(path)
    return stackfile.load(path, CI_KEY, ABOUT, lambda data, file: parse_ci(data, name, file, path.parent))


def parse_ci(data: object, stack: str, file: str, stacks: Path | None = None) -> CiConfig:
    """The object under `spillway:ci` as a model; raises ConfigError with one line per fault, all at once.

    stacks: the folder with the region stacks' files; without it they are not looked up.
    """
    config, faults = _validate(data, stack)
    if config is not None:
        faults += _name_faults(config, stack)
        faults += check.faults(config)
        if stacks is not None and {"account", "stacks"} <= config.__dict__.keys():
            faults += _stack_faults(config, stacks)
    if faults or config is None:
        raise ConfigError(dict.fromkeys(fault.below(CI_KEY).line(file) for fault in faults))
    return config


def _validate(data: object, stack: str) -> tuple[CiConfig | None, list[Fault]]:
    named = CLOUDS.get(stack.removeprefix("ci-"))
    if not isinstance(data, dict):
        keys = listed((f.alias or name for name, f in (named or CiBase).model_fields.items()), "and")
        return None, [Fault((), f"has to be a map with {keys}", data)]
    cloud = data.get("cloud")
    if isinstance(cloud, str) and cloud in CLOUDS:
        return validate(CLOUDS[cloud], data)
    hidden = [Fault(path, why, HIDDEN) for path, why in stackfile.encrypted_values(data, ())]
    if "cloud" not in data:
        return None, [*hidden, Fault(("cloud",), f"missing; {listed(CLOUDS)}")]
    return None, [*hidden, Fault(("cloud",), f"has to be {listed(CLOUDS)}{did_you_mean(cloud, CLOUDS)}", cloud)]


def _name_faults(config: CiBase, stack: str) -> Iterator[Fault]:
    wanted = f"ci-{config.CLOUD}"
    if stack != wanted:
        yield Fault((), f"the stack is named {stack}; one that holds the roles of {config.CLOUD} is named {wanted}")


def _stack_faults(config: CiBase, stacks: Path) -> Iterator[Fault]:
    """Stacks without a file, and those of another account: a role of one account cannot preview another's."""
    regions = [
        stackfile.stack_of(path)
        for path in sorted(stacks.glob("Pulumi.*.yaml"))
        if stackfile.may_be_region(stackfile.stack_of(path))
    ]
    for number, name in enumerate(config.stacks):
        at = ("stacks", number)
        if name not in regions:
            hint = did_you_mean(name, regions)
            yield Fault(at, f"no such stack: there is no stacks/Pulumi.{name}.yaml{hint}", name)
            continue
        try:
            region = stackfile.read(stacks / f"Pulumi.{name}.yaml").get(REGION_KEY)
        except ConfigError:  # told when that stack is used
            continue
        account = region.get("account") if isinstance(region, dict) else None
        if isinstance(account, str) and account != config.account:
            yield Fault(at, f"its account is {account}, that of the roles {config.account}: they have to be one", name)


@check("github", "gitlab")
def _somebody(config: CiBase) -> Iterator[Fault]:
    if config.github is None and config.gitlab is None:
        yield Fault(("github",), "missing; github or gitlab has to say whose pipelines get the roles")


@check("github")
def _numbers(config: CiBase) -> Iterator[Fault]:
    hub = config.github
    if hub is not None and (hub.owner_id is None) != (hub.repository_id is None):
        absent = "ownerId" if hub.owner_id is None else "repositoryId"
        yield Fault(("github", absent), "missing; an immutable subject claim has ownerId and repositoryId")
    if hub is not None and len(set(hub.environments)) < len(hub.environments):
        yield Fault(("github", "environments"), "has an environment twice", hub.environments)


@check("github", cloud="azure")
def _credentials(config: CiBase) -> Iterator[Fault]:
    """Credentials are named after environments, without dots and regardless of case."""
    named = [] if config.github is None else [one.replace(".", "-").lower() for one in config.github.environments]
    if config.github is not None and len(set(named)) < len(named) == len(set(config.github.environments)):
        why = "two of them make one name of a credential, which has hyphens for dots and no case"
        yield Fault(("github", "environments"), why, config.github.environments)


@check("cloud", "stacks")
def _stacks(config: CiBase) -> Iterator[Fault]:
    seen: set[str] = set()
    for number, name in enumerate(config.stacks):
        if not name.startswith(f"{config.cloud}-"):
            yield Fault(("stacks", number), f"is no stack of {config.cloud}: each cloud has roles of its own", name)
        elif not _is_region(config.cloud, name.removeprefix(f"{config.cloud}-")):
            yield Fault(("stacks", number), f"is no stack of a region, such as {_EXAMPLES[config.cloud]}", name)
        elif name in seen:
            yield Fault(("stacks", number), "stands twice in the list", name)
        seen.add(name)


_EXAMPLES: Final = {"aws": "aws-us-east-1", "azure": "azure-eastus", "gcp": "gcp-us-central1"}


def _is_region(cloud: str, text: str) -> bool:
    if cloud == "aws":
        return naming.is_aws_region(text)
    return gcp_names.is_region(text) if cloud == "gcp" else text.isalnum()


@check("github", "gitlab", cloud="gcp")
def _lengths(config: CiBase) -> Iterator[Fault]:
    for issuer in issuers(config):
        for subject in (*issuer.preview, *issuer.deploy):
            if not subject.any_branch and len(subject.text) > GCP_SUBJECT_MAX:
                why = f"the subject claim {subject.text} has {len(subject.text)} characters, Google takes"
                yield Fault((issuer.kind,), f"{why} {GCP_SUBJECT_MAX}")


@check("existing_providers", "github", "gitlab", cloud="aws")
def _existing(config: CiBase) -> Iterator[Fault]:
    assert isinstance(config, AwsCi)
    for number, kind in enumerate(config.existing_providers):
        if getattr(config, kind) is None:
            yield Fault(("existingProviders", number), f"there is no section {kind}", kind)


@check("account", "cloud", "grants", "region", "stacks", "state", "zones", cloud="aws")
def _sizes(config: CiBase) -> Iterator[Fault]:
    from infra.ci import aws_rights

    assert isinstance(config, AwsCi)
    if any(not naming.is_aws_region(region) for region in config.regions):  # told of the stack's name
        return
    for name, size in aws_rights.too_long(config).items():
        key = "zones" if name == "dns" else "stacks"
        why = f"the policy {name} would have {size} characters, IAM takes {aws_rights.POLICY_MAX}: name fewer"
        yield Fault((key,), why)


@check("tags", cloud="aws")
def _aws_tags(config: CiBase) -> Iterator[Fault]:
    assert isinstance(config, AwsCi)
    for key, value in config.tags.items():
        try:
            naming.tags(f"ci-{config.CLOUD}", "ci", {key: value})
        except ValueError as error:
            yield Fault(("tags", key), str(error).partition(": ")[2], value)


@check("tags", cloud="azure")
def _azure_tags(config: CiBase) -> Iterator[Fault]:
    assert isinstance(config, AzureCi)
    for key, value in config.tags.items():
        try:
            azure_names.tags(f"ci-{config.CLOUD}", "ci", {key: value})
        except ValueError as error:
            yield Fault(("tags", key), str(error).partition(": ")[2], value)
