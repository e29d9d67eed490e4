"""The project itself: which one, who pays, what its caller may do, which APIs are enabled, and names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from infra.gcp import names
from spillway.preflight.gcp_region.context import GcpContext
from spillway.preflight.model import Row

RIGHTS: Final[Mapping[str, str]] = {
    "compute.networks.create": "roles/compute.admin",
    "compute.firewalls.create": "roles/compute.admin",
    "compute.instanceTemplates.create": "roles/compute.admin",
    "compute.instanceGroupManagers.create": "roles/compute.admin",
    "compute.forwardingRules.create": "roles/compute.admin",
    "storage.buckets.create": "roles/storage.admin",
    "storage.buckets.setIamPolicy": "roles/storage.admin",
    "secretmanager.secrets.create": "roles/secretmanager.admin",
    "secretmanager.secrets.setIamPolicy": "roles/secretmanager.admin",
    "iam.serviceAccounts.create": "roles/iam.serviceAccountAdmin",
    "iam.serviceAccounts.actAs": "roles/iam.serviceAccountUser",
    "iam.roles.create": "roles/iam.roleAdmin",
    "resourcemanager.projects.setIamPolicy": "roles/resourcemanager.projectIamAdmin",
    "cloudfunctions.functions.create": "roles/cloudfunctions.admin",
    "run.services.setIamPolicy": "roles/run.admin",
    "cloudscheduler.jobs.create": "roles/cloudscheduler.admin",
    "monitoring.alertPolicies.create": "roles/monitoring.editor",
}
"""What `up` needs of its caller, and a role that has it (https://docs.cloud.google.com/iam/docs/roles-permissions)."""
SERVICES: Final = (
    "artifactregistry.googleapis.com", "billingbudgets.googleapis.com", "cloudbilling.googleapis.com",
    "cloudbuild.googleapis.com", "cloudfunctions.googleapis.com", "cloudresourcemanager.googleapis.com",
    "cloudscheduler.googleapis.com", "compute.googleapis.com", "iam.googleapis.com", "logging.googleapis.com",
    "monitoring.googleapis.com", "run.googleapis.com", "secretmanager.googleapis.com", "storage.googleapis.com",
)  # fmt: skip
"""APIs of what a region is made of; functions are built by Cloud Build into Artifact Registry and run on Cloud Run
(https://docs.cloud.google.com/functions/docs/deploy)."""


def identity(context: GcpContext) -> Iterator[Row]:
    """The stack file's project: seen by these credentials, and not on its way out."""
    found, wanted = context.account.project(), context.config.account
    told = ", ".join(filter(None, (found.id, found.number and f"number {found.number}"))) + f": {found.state}"
    if found.state == "ACTIVE":
        yield Row("identity", "project", "ok", told, wanted)
    else:
        action = f"gcloud projects undelete {wanted}, or correct `account` in the stack file"
        yield Row("identity", "project", "failure", told, f"{wanted}, ACTIVE", action)


def billing(context: GcpContext) -> Iterator[Row]:
    """Somebody pays for the project, and the stack's budget can be made where they do."""
    found, title = context.account.billing(), "billing account"
    if not found.account:
        action = "nothing can be built in it: link one, https://console.cloud.google.com/billing/projects"
        yield Row("billing", title, "failure", "none", "one that is open", action)
    elif found.budgets is False:
        action = "roles/billing.costsManager on the billing account makes budgets: without it `up` fails at the budget"
        yield Row("billing", title, "warning", f"{found.account}, without billing.budgets.create", "budgets", action)
    else:
        yield Row("billing", title, "ok", found.account, "one that is open")


def rights(context: GcpContext) -> Iterator[Row]:
    """Whether these credentials may do what `up` does. `up` may run with others, so it is a warning."""
    granted = context.account.granted(tuple(RIGHTS))
    missing = [permission for permission in RIGHTS if permission not in granted]
    title = "rights for `up`"
    if not missing:
        yield Row("rights", title, "ok", f"{len(RIGHTS)} of {len(RIGHTS)}", "of whoever runs `up`")
        return
    roles = ", ".join(dict.fromkeys(RIGHTS[permission] for permission in missing))
    told = f"missing: {', '.join(missing)}"
    if len(missing) == len(RIGHTS):
        told = "none of them"
    yield Row("rights", title, "warning", told, "of whoever runs `up`", f"they are in {roles}")


def services(context: GcpContext) -> Iterator[Row]:
    """APIs are enabled: each call to another one is refused with SERVICE_DISABLED."""
    enabled = context.account.enabled(SERVICES)
    missing = [name for name in SERVICES if name not in enabled]
    if not missing:
        yield Row("services", "APIs", "ok", f"{len(SERVICES)} enabled", "enabled")
        return
    command = f"gcloud services enable --project {context.config.account} {' '.join(missing)}"
    told = ", ".join(name.removesuffix(".googleapis.com") for name in missing)
    action = "`up` is refused with SERVICE_DISABLED; once enabled, they take a few minutes"
    yield Row("services", "APIs", "failure", f"not enabled: {told}", "enabled", action, commands=(command,))


def buckets(context: GcpContext) -> Iterator[Row]:
    """The names of both buckets, the models' and the function's. Names are global: somebody else may have them."""
    config = context.config
    yield _bucket(context, "bucket", "model bucket", context.bucket)
    own = names.function_bucket_name(config.account, config.region)
    yield _bucket(context, "bucket.function", "bucket of the function", own)


def _bucket(context: GcpContext, id: str, title: str, name: str) -> Row:
    found, wanted = context.account.bucket(name), "free, or this stack's"
    if found.owner == "nobody":
        return Row(id, title, "ok", f"{name}: free", wanted)
    if found.owner == "somebody else":
        action = "another project holds the name, which follows from project and region: use another project"
        return Row(id, title, "failure", f"{name}: taken by another project", wanted, action)
    if found.location and found.location != context.config.region:
        action = "delete it there: the name holds the region that it belongs to"
        return Row(id, title, "failure", f"{name}: in {found.location}", context.config.region, action)
    if found.stack != context.stack:
        whose = f"of stack {found.stack}" if found.stack else "without this stack's label"
        action = f"label it spillway-stack={context.stack} and run `spillway recover {context.stack}`, or delete it"
        return Row(id, title, "failure", f"{name}: yours already, {whose}", wanted, action)
    return Row(id, title, "ok", f"{name}: this stack's", wanted)


def secret_names(context: GcpContext) -> Iterator[Row]:
    """The secrets' names are one namespace for the whole project: another region's stack may have them."""
    wanted = (context.config.secrets.certificate, context.config.secrets.api_keys)
    taken = False
    for name in dict.fromkeys(wanted):
        held = context.account.holder(name)
        if held is not None and held.stack != context.stack:
            taken = True
            whose = f"of stack {held.stack}" if held.stack else "without this stack's label"
            action = "`up` is refused as a duplicate: name another one under `secrets`, with the region in it"
            yield Row(f"name.{name}", f"secret {name}", "failure", f"there already, {whose}", "free", action)
    if not taken:
        yield Row("names", "names of secrets", "ok", "free, or this stack's", "no one else's")
