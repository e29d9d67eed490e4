"""Data sources: who and where the program is, machine images, zones, and what exists already."""

from __future__ import annotations

import fnmatch
import re
from typing import Any, Final

from sandbox.gcp import images, links, places, tokens
from sandbox.gcp.api import Use, not_found, project_number, resolve
from sandbox.gcp.registry import GCP
from sandbox.kinds import Args, Cloud, CloudError, Resource

BILLING_ACCOUNT: Final = "012345-6789AB-CDEF01"
"""The stand-in project's: made up."""


def _project(args: Args, cloud: Cloud) -> str:
    return str(args.get("project") or cloud.account)


def _shown(resource: Resource, *keys: str) -> dict[str, Any]:
    """The outputs that a data source has too."""
    return {"id": resource.id, **{key: resource[key] for key in keys if resource[key] is not None}}


_NETWORK: Final = (
    "name", "description", "gatewayIpv4", "internalIpv6Range", "networkId", "networkProfile", "numericId", "project",
    "selfLink",
)  # fmt: skip
_SUBNETWORK: Final = (
    "name", "description", "gatewayAddress", "ipCidrRange", "ipv6AccessType", "network", "privateIpGoogleAccess",
    "project", "region", "secondaryIpRanges", "selfLink", "stackType", "subnetworkId",
)  # fmt: skip
_GROUP: Final = (
    "name", "baseInstanceName", "description", "distributionPolicyTargetShape", "distributionPolicyZones",
    "fingerprint", "instanceGroup", "project", "selfLink", "targetSize", "waitForInstances", "waitForInstancesStatus",
)  # fmt: skip
_ACCOUNT: Final = ("accountId", "disabled", "displayName", "email", "member", "name", "project", "uniqueId")


@GCP.invoke("gcp:organizations/getProject:getProject")
def get_project(args: Args, cloud: Cloud) -> dict[str, Any]:
    """The provider's project, or the one named."""
    project = str(args.get("projectId") or cloud.account)
    if project != cloud.account:
        raise CloudError(
            "forbidden", f"The caller does not have permission on project '{project}', or it may not exist."
        )
    return {
        "id": f"projects/{project}",
        "projectId": project,
        "name": project,
        "number": project_number(project),
        "orgId": "",
        "folderId": "",
        "billingAccount": BILLING_ACCOUNT,
        "labels": {},
        "effectiveLabels": {},
        "pulumiLabels": {},
        "tags": {},
        "autoCreateNetwork": True,
        "deletionPolicy": "PREVENT",
    }


@GCP.invoke("gcp:organizations/getClientConfig:getClientConfig")
def get_client_config(args: Args, cloud: Cloud) -> dict[str, Any]:
    """Nobody is logged in to the stand-in: the token is none."""
    return {
        "id": f"projects/{cloud.account}/regions/{cloud.region}/zones/",
        "project": cloud.account,
        "region": cloud.region,
        "zone": "",
        "accessToken": "",
        "defaultLabels": {},
    }


@GCP.invoke("gcp:compute/getZones:getZones")
def get_zones(args: Args, cloud: Cloud) -> dict[str, Any]:
    """The zones of a region; all of them are up."""
    region = str(args.get("region") or cloud.region)
    if not places.is_region(region):
        raise not_found(f"projects/{_project(args, cloud)}/regions/{region}")
    names = [] if args.get("status") == "DOWN" else sorted(places.zones(region))
    project = _project(args, cloud)
    return {"id": f"projects/{project}/regions/{region}", "names": names, "region": region, "project": project}


@GCP.invoke("gcp:compute/getRegions:getRegions")
def get_regions(args: Args, cloud: Cloud) -> dict[str, Any]:
    """All regions."""
    project = _project(args, cloud)
    return {"id": f"projects/{project}", "names": list(places.regions()), "project": project}


@GCP.invoke("gcp:compute/getImage:getImage")
def get_image(args: Args, cloud: Cloud) -> dict[str, Any]:
    """By name, the newest of a family, or by a filter; exactly one of them
    (https://github.com/hashicorp/terraform-provider-google-beta/blob/main/google-beta/services/compute/
    data_source_google_compute_image.go)."""
    given = [key for key in ("name", "family", "filter") if key in args]
    if len(given) != 1:
        raise CloudError("invalid", "exactly one of name, family and filter must be set")
    project = _project(args, cloud)
    known = [image for image in images.images(cloud.account) if image.project == project]
    if given == ["name"]:
        found = [image for image in known if image.name == args["name"]]
    elif given == ["family"]:
        found = [image for image in known if image.family == args["family"]][-1:]
    else:
        found = [image for image in known if _fits(image, str(args["filter"]))]
        if len(found) > 1 and not args.get("mostRecent"):
            raise CloudError("invalid", f"your filter has returned {len(found)} images; refine it or set mostRecent")
        found = found[-1:]
    if not found:
        what = f"projects/{project}/global/images/{'family/' if given == ['family'] else ''}{args[given[0]]}"
        raise not_found(what)
    return {**found[0].outputs(), "filter": args.get("filter") or "", "mostRecent": bool(args.get("mostRecent", False))}


_TERM: Final = re.compile(r"\(?\s*(labels\.[\w-]+|name|family|status)\s*(=|eq|:)\s*\"?([^\")\s]+)\"?\s*\)?")


def _fits(image: images.MachineImage, text: str) -> bool:
    """`family=x AND labels.a=b name:spillway-*`; terms side by side all have to fit."""
    terms = [term for term in re.split(r"\s+AND\s+|\s+(?=\(|labels\.|name|family|status)", text.strip()) if term]
    for term in terms:
        match = _TERM.fullmatch(term.strip())
        if match is None:
            raise CloudError("invalid", f"Invalid value for field 'filter': '{text}'. Invalid list filter expression.")
        key, operator, wanted = match.groups()
        values = {"name": image.name, "family": image.family, "status": "READY"}
        value = image.labels.get(key.removeprefix("labels."), "") if key.startswith("labels.") else values[key]
        if operator == ":" and not fnmatch.fnmatchcase(value, wanted if "*" in wanted else f"*{wanted}*"):
            return False
        if operator != ":" and value != wanted:
            return False
    return True


@GCP.invoke("gcp:compute/getNetwork:getNetwork")
def get_network(args: Args, cloud: Cloud) -> dict[str, Any]:
    """A network by name, with the links of its subnetworks."""
    project = _project(args, cloud)
    wanted = args.get("selfLink") or args.get("name")
    found = resolve(cloud, Use("", (tokens.NETWORK,)), wanted, project)
    if found is None:
        raise not_found(f"projects/{project}/global/networks/{links.name_of(str(wanted))}")
    subnets = [s["selfLink"] for s in cloud.all(tokens.SUBNETWORK) if s["network"] == found["selfLink"]]
    return {**_shown(found, *_NETWORK), "subnetworksSelfLinks": subnets}


@GCP.invoke("gcp:compute/getSubnetwork:getSubnetwork")
def get_subnetwork(args: Args, cloud: Cloud) -> dict[str, Any]:
    """A subnetwork by name or self link."""
    project = _project(args, cloud)
    wanted = str(args.get("selfLink") or args.get("name"))
    link = links.parse(wanted)
    region = (link.region if link else None) or args.get("region") or cloud.region
    id = f"projects/{project}/regions/{region}/subnetworks/{links.name_of(wanted)}"
    found = next((s for s in cloud.all(tokens.SUBNETWORK) if s.id == id), None)
    if found is None:
        raise not_found(id)
    return {"region": region, **_shown(found, *_SUBNETWORK)}


@GCP.invoke("gcp:compute/getRegionInstanceGroupManager:getRegionInstanceGroupManager")
def get_region_group(args: Args, cloud: Cloud) -> dict[str, Any]:
    """A regional group by name or self link."""
    project = _project(args, cloud)
    wanted = str(args.get("selfLink") or args.get("name"))
    link = links.parse(wanted)
    region = (link.region if link else None) or args.get("region") or cloud.region
    id = f"projects/{project}/regions/{region}/instanceGroupManagers/{links.name_of(wanted)}"
    found = next((g for g in cloud.all(tokens.GROUP) if g.id == id), None)
    if found is None:
        raise not_found(id)
    return {"region": region, **_shown(found, *_GROUP)}


@GCP.invoke("gcp:serviceaccount/getAccount:getAccount")
def get_account(args: Args, cloud: Cloud) -> dict[str, Any]:
    """A service account by its id, its e-mail address or its resource name."""
    wanted = str(args["accountId"]).rsplit("/", 1)[-1]
    project = _project(args, cloud)
    email = wanted if "@" in wanted else f"{wanted}@{project}.iam.gserviceaccount.com"
    found = next((a for a in cloud.all(tokens.SERVICE_ACCOUNT) if a["email"] == email), None)
    if found is None:
        raise CloudError("notFound", f"Service account {email} does not exist.")
    return _shown(found, *_ACCOUNT)


@GCP.invoke("gcp:storage/getProjectServiceAccount:getProjectServiceAccount")
def get_storage_account(args: Args, cloud: Cloud) -> dict[str, Any]:
    """The account that Cloud Storage itself works under."""
    project = _project(args, cloud)
    email = f"service-{project_number(project)}@gs-project-accounts.iam.gserviceaccount.com"
    return {"id": email, "emailAddress": email, "member": f"serviceAccount:{email}", "project": project}
