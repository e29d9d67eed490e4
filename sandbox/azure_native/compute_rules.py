"""What a scale set's model must be by itself. https://learn.microsoft.com/rest/api/compute/virtual-machine-scale-sets/create-or-update

Sources, by the name used below:
spot: https://learn.microsoft.com/azure/virtual-machine-scale-sets/use-spot
mix: https://learn.microsoft.com/azure/virtual-machine-scale-sets/spot-priority-mix
repairs: https://learn.microsoft.com/azure/virtual-machine-scale-sets/virtual-machine-scale-sets-automatic-instance-repairs
health: https://learn.microsoft.com/azure/virtual-machine-scale-sets/virtual-machine-scale-sets-health-extension
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from sandbox.azure_native import machines
from sandbox.azure_native.compute_disks import PROFILE, data_disk_faults, deep, os_disk_faults
from sandbox.azure_native.places import zone_faults
from sandbox.azure_native.regional import duration_faults, nothing
from sandbox.kinds import Args, Fault
from sandbox.rules import between, matches, one_of, shown
from sandbox.values import UNKNOWN, has_unknown

INSTANCES_MAX: Final = 1000
INSTANCES_MAX_ONE_GROUP: Final = 100
"""https://learn.microsoft.com/azure/virtual-machine-scale-sets/virtual-machine-scale-sets-placement-groups"""
USER_DATA_MAX: Final = 65_536
"""Bytes before base64: https://learn.microsoft.com/azure/virtual-machines/user-data"""
CUSTOM_DATA_MAX: Final = 65_535
"""Bytes before base64: https://learn.microsoft.com/azure/virtual-machines/custom-data"""
# https://learn.microsoft.com/azure/virtual-machines/linux/faq#what-are-the-username-requirements-when-creating-a-vm-
_USER_NAMES_TAKEN: Final = frozenset((
    "1", "123", "a", "actuser", "adm", "admin", "admin1", "admin2", "administrator", "aspnet", "backup", "console",
    "david", "guest", "john", "owner", "root", "server", "sql", "support", "support_388945a0", "sys", "test", "test1",
    "test2", "test3", "user", "user1", "user2", "user3", "user4", "user5", "video",
))  # fmt: skip
HEALTH_PUBLISHER: Final = "Microsoft.ManagedServices"
HEALTH_TYPES: Final = ("ApplicationHealthLinux", "ApplicationHealthWindows")


def scale_set_faults(args: Args) -> Iterator[Fault]:
    """Everything that can be said of the inputs alone."""
    yield from _sku_faults(args)
    yield from _placement_faults(args)
    yield from _spot_faults(args)
    yield from _image_faults(args)
    yield from os_disk_faults(args)
    yield from data_disk_faults(args)
    yield from _os_profile_faults(args)
    yield from _network_faults(args)
    yield from _extension_faults(args)
    yield from _health_faults(args)
    yield from duration_faults(
        args, f"{PROFILE}.scheduledEventsProfile.terminateNotificationProfile.notBeforeTimeout", "PT5M", "PT15M"
    )
    yield from one_of(
        args, f"{PROFILE}.securityProfile.securityType", ("TrustedLaunch", "ConfidentialVM")
    )  # there is no "Standard": the field is left out
    uefi, kind = (deep(args.values, PROFILE, "securityProfile", key) for key in ("uefiSettings", "securityType"))
    if uefi is not None and kind is None:
        yield Fault(f"{PROFILE}.securityProfile.uefiSettings", "needs securityType to be set as well")
    data = deep(args.values, PROFILE, "userData")
    yield from _base64_faults(f"{PROFILE}.userData", data, USER_DATA_MAX)
    identity = args["identity"]
    if isinstance(identity, Mapping):
        kind, ids = identity.get("type"), identity.get("userAssignedIdentities")
        if UNKNOWN not in (kind, ids) and ("UserAssigned" in str(kind)) != bool(ids):
            yield Fault(
                "identity.userAssignedIdentities", f"expected with type UserAssigned, and only with it; got {kind}"
            )


def _sku_faults(args: Args) -> Iterator[Fault]:
    sku = args["sku"]
    if sku is None or (isinstance(sku, Mapping) and sku.get("name") is None):
        yield Fault("sku.name", "is required: a VM size such as Standard_ND96asr_v4")
    for path, name in args.at("sku.name"):
        if name != "Mix" and not machines.is_size_name(name):
            yield Fault(path, f"expected a VM size such as Standard_ND96asr_v4, got {shown(name)}")
    yield from one_of(args, "sku.tier", ("Standard", "Basic"))
    one_group = args.get("singlePlacementGroup") is True
    for path, capacity in args.at("sku.capacity"):
        most = INSTANCES_MAX_ONE_GROUP if one_group else INSTANCES_MAX
        if not isinstance(capacity, int | float) or capacity != int(capacity) or not 0 <= capacity <= most:
            yield Fault(path, f"expected a whole number of 0 to {most:,}, got {shown(capacity)}")
    mix, name = args["skuProfile"], deep(args.values, "sku", "name")
    if UNKNOWN not in (mix, name) and (mix is not None) != (name == "Mix"):
        # https://learn.microsoft.com/azure/virtual-machine-scale-sets/instance-mix-overview
        yield Fault("skuProfile", "goes with sku.name Mix, and only with it")


def _placement_faults(args: Args) -> Iterator[Fault]:
    yield from one_of(args, "orchestrationMode", ("Uniform", "Flexible"))
    yield from zone_faults(args)
    yield from between(args, "platformFaultDomainCount", 1, 5)
    mode = args.get("orchestrationMode", "Uniform")
    if not args.is_unknown("orchestrationMode"):
        if mode == "Uniform" and deep(args.values, "upgradePolicy", "mode") is None:
            yield Fault(
                "upgradePolicy.mode", "is required for orchestration mode Uniform: Manual, Automatic or Rolling"
            )
        if mode == "Flexible" and args["platformFaultDomainCount"] is None:
            yield Fault("platformFaultDomainCount", "is required for orchestration mode Flexible")
    listed = args["zones"]
    if nothing(listed) and args.get("zoneBalance") is True:
        yield Fault("zoneBalance", "is only for scale sets in zones")
    count = args.get("platformFaultDomainCount")
    if isinstance(listed, list) and len(listed) > 1 and count not in (None, 1, 5):
        # https://learn.microsoft.com/azure/virtual-machine-scale-sets/virtual-machine-scale-sets-use-availability-zones
        yield Fault("platformFaultDomainCount", f"expected 1 (max spreading) or 5 in several zones, got {count}")


def _spot_faults(args: Args) -> Iterator[Fault]:
    yield from one_of(args, f"{PROFILE}.priority", ("Regular", "Low", "Spot"))
    yield from one_of(args, f"{PROFILE}.evictionPolicy", ("Deallocate", "Delete"))
    priority = deep(args.values, PROFILE, "priority")
    if priority is UNKNOWN:
        return
    spot = priority in ("Spot", "Low")
    for key in ("evictionPolicy", "billingProfile"):
        if not spot and deep(args.values, PROFILE, key) is not None:
            yield Fault(f"{PROFILE}.{key}", "is only for priority Spot")
    for path, price in args.at(f"{PROFILE}.billingProfile.maxPrice"):
        if not isinstance(price, int | float) or (price <= 0 and price != -1):
            yield Fault(path, f"expected a price in US dollars an hour above 0, or -1 for no limit; got {shown(price)}")
    if args["spotRestorePolicy"] is not None and not spot:
        yield Fault("spotRestorePolicy", "is only for priority Spot")
    yield from duration_faults(args, "spotRestorePolicy.restoreTimeout", "PT15M", "PT2H")  # spot, try & restore
    if args["priorityMixPolicy"] is not None:
        if args.get("orchestrationMode", "Uniform") != "Flexible" and not args.is_unknown("orchestrationMode"):
            yield Fault("priorityMixPolicy", "is only for orchestration mode Flexible")  # mix
        if args.get("singlePlacementGroup") is True:
            yield Fault("priorityMixPolicy", "does not go with singlePlacementGroup")  # mix
        if not spot:
            yield Fault("priorityMixPolicy", "needs priority Spot")
    yield from between(args, "priorityMixPolicy.baseRegularPriorityCount", 0, INSTANCES_MAX)
    yield from between(args, "priorityMixPolicy.regularPriorityPercentageAboveBase", 0, 100, "percent")


_IMAGE_ID: Final = re.compile(
    r"/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.Compute/"
    r"(images/[^/]+|galleries/[^/]+/images/[^/]+(/versions/(\d+\.\d+\.\d+|latest))?)",
    re.IGNORECASE,
)


def _image_faults(args: Args) -> Iterator[Fault]:
    at = f"{PROFILE}.storageProfile.imageReference"
    image = deep(args.values, PROFILE, "storageProfile", "imageReference")
    if image is None and deep(args.values, PROFILE) is not UNKNOWN:
        yield Fault(at, "is required")
    if not isinstance(image, Mapping):
        return
    market = [key for key in ("publisher", "offer", "sku", "version") if image.get(key) is not None]
    ids = [key for key in ("id", "sharedGalleryImageId", "communityGalleryImageId") if image.get(key) is not None]
    if len(ids) + bool(market) != 1:
        yield Fault(at, "expected either an id or publisher, offer, sku and version")
    elif market and len(market) != 4:
        yield Fault(at, "expected publisher, offer, sku and version together")
    for path, value in args.at(f"{at}.id"):
        if not isinstance(value, str) or not _IMAGE_ID.fullmatch(value):
            yield Fault(path, f"expected the id of an image, or of an image version of a gallery; got {shown(value)}")


def _base64_faults(path: str, text: object, most: int) -> Iterator[Fault]:
    if not isinstance(text, str):
        return
    try:
        found = len(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        yield Fault(path, "expected base64")
        return
    if found > most:
        yield Fault(path, f"expected at most {most:,} bytes before base64, got {found:,}")


def _os_profile_faults(args: Args) -> Iterator[Fault]:
    at = f"{PROFILE}.osProfile"
    profile = deep(args.values, PROFILE, "osProfile")
    if not isinstance(profile, Mapping):
        return
    for key in ("computerNamePrefix", "adminUsername"):
        if profile.get(key) is None:
            yield Fault(f"{at}.{key}", "is required for a generalized image")
    # https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftcompute
    yield from matches(
        args, f"{at}.computerNamePrefix", r"[A-Za-z0-9][A-Za-z0-9-]{0,57}", "up to 58 letters, digits and hyphens"
    )
    for path, name in args.at(f"{at}.adminUsername"):
        if str(name).lower() in _USER_NAMES_TAKEN or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}", str(name)):
            yield Fault(path, f"is not a user name that Azure takes: {shown(name)}")
    yield from _base64_faults(f"{at}.customData", profile.get("customData"), CUSTOM_DATA_MAX)
    linux = profile.get("linuxConfiguration")
    keys = deep(linux, "ssh", "publicKeys")
    no_password = deep(linux, "disablePasswordAuthentication")
    if no_password is True and profile.get("adminPassword") is not None:
        yield Fault(f"{at}.adminPassword", "does not go with disablePasswordAuthentication")
    elif no_password is True and nothing(keys):
        yield Fault(f"{at}.linuxConfiguration.ssh.publicKeys", "is required: at least one key, as there is no password")
    elif no_password in (None, False) and profile.get("adminPassword") is None and not has_unknown(linux):
        yield Fault(f"{at}.adminPassword", "is required, or disablePasswordAuthentication and a public key")
    user = profile.get("adminUsername")
    for path, key in args.at(f"{at}.linuxConfiguration.ssh.publicKeys[*]"):
        if not isinstance(key, Mapping):
            continue
        if (
            isinstance(user, str)
            and isinstance(key.get("path"), str)
            and key["path"] != f"/home/{user}/.ssh/authorized_keys"
        ):
            yield Fault(f"{path}.path", f"has to be /home/{user}/.ssh/authorized_keys")
        if isinstance(key.get("keyData"), str) and not re.match(
            r"(ssh-rsa|ssh-ed25519) [A-Za-z0-9+/=]{60,}", key["keyData"]
        ):
            # https://learn.microsoft.com/azure/virtual-machines/linux/mac-create-ssh-keys
            yield Fault(f"{path}.keyData", "expected an RSA or Ed25519 public key in OpenSSH form")


def _network_faults(args: Args) -> Iterator[Fault]:
    at = f"{PROFILE}.networkProfile.networkInterfaceConfigurations"
    listed = deep(args.values, PROFILE, "networkProfile", "networkInterfaceConfigurations")
    if nothing(listed):
        yield Fault(at, "is required: at least one network interface")
    if not isinstance(listed, list):
        return
    size = machines.size(deep(args.values, "sku", "name"))
    if size is not None and len(listed) > size.nics:
        yield Fault(at, f"expected at most {size.nics} for {size.name}, got {len(listed)}")
    cards = [(f"{at}[{i}]", card) for i, card in enumerate(listed) if isinstance(card, Mapping)]
    primaries = [card.get("primary") for _, card in cards]
    alone = len(primaries) == 1 and primaries[0] is not False
    known = UNKNOWN not in primaries and len(cards) == len(listed)
    if known and not alone and sum(p is True for p in primaries) != 1:
        yield Fault(at, "expected exactly one primary network interface")
    for path, card in cards:
        configurations = card.get("ipConfigurations")
        if configurations == []:
            yield Fault(f"{path}.ipConfigurations", "is required: at least one")
        for i, one in enumerate(configurations if isinstance(configurations, list) else ()):
            if isinstance(one, Mapping) and deep(one, "subnet", "id") is None:
                yield Fault(f"{path}.ipConfigurations[{i}].subnet.id", "is required")
    mode = args.get("orchestrationMode", "Uniform")
    if mode == "Flexible" and deep(args.values, PROFILE, "networkProfile", "networkApiVersion") is None:
        yield Fault(f"{PROFILE}.networkProfile.networkApiVersion", "is required for orchestration mode Flexible")


def _extension_faults(args: Args) -> Iterator[Fault]:
    at = f"{PROFILE}.extensionProfile.extensions"
    seen: dict[object, str] = {}
    for path, extension in args.at(f"{at}[*]"):
        if not isinstance(extension, Mapping):
            continue
        for key in ("name", "publisher", "type", "typeHandlerVersion"):
            if extension.get(key) is None:
                yield Fault(f"{path}.{key}", "is required for an extension")
        name = extension.get("name")
        if name is not UNKNOWN and seen.setdefault(name, path) != path:
            yield Fault(f"{path}.name", f"is taken by {seen[name]}")
        if is_health(extension):
            settings = extension.get("settings")
            told = {} if settings is None else settings
            if isinstance(told, Mapping):
                yield from (Fault(f"{path}.settings.{f.path}", f.reason) for f in health_faults(Args(told)))
            if deep(settings, "gracePeriod") is not None and str(extension.get("typeHandlerVersion")).startswith("1."):
                yield Fault(f"{path}.settings.gracePeriod", "is only for rich health states: typeHandlerVersion 2.0")
        version = extension.get("typeHandlerVersion")
        if isinstance(version, str) and not re.fullmatch(r"\d+\.\d+", version):
            yield Fault(f"{path}.typeHandlerVersion", f"expected major.minor such as 2.0, got {shown(version)}")


def is_health(extension: Mapping[str, Any]) -> bool:
    return extension.get("publisher") == HEALTH_PUBLISHER and extension.get("type") in HEALTH_TYPES


def health_faults(args: Args) -> Iterator[Fault]:
    """Settings of the Application Health extension (health)."""
    if has_unknown(dict(args.values)):
        return
    known = ("protocol", "port", "requestPath", "intervalInSeconds", "numberOfProbes", "gracePeriod")
    for key in args.values:
        if key not in known:
            yield Fault(key, f"unknown setting; known are {', '.join(known)}")
    protocol = args["protocol"]
    if protocol is None:
        yield Fault("protocol", "is required: http, https or tcp")
    yield from one_of(args, "protocol", ("http", "https", "tcp"))
    if args["port"] is None and protocol == "tcp":
        yield Fault("port", "is required for tcp")
    yield from between(args, "port", 1, 65535)
    if protocol in ("http", "https") and args["requestPath"] is None:
        yield Fault("requestPath", f"is required for {protocol}")
    if protocol == "tcp" and args["requestPath"] is not None:
        yield Fault("requestPath", "is not for tcp")
    yield from between(args, "intervalInSeconds", 5, 60, "seconds")
    yield from between(args, "numberOfProbes", 1, 24)
    interval, probes, grace = args.get("intervalInSeconds", 5), args.get("numberOfProbes", 1), args.get("gracePeriod")
    whole = isinstance(grace, int) and isinstance(interval, int) and isinstance(probes, int)
    if whole and not interval * probes <= grace <= 14_400:
        yield Fault("gracePeriod", f"expected {interval * probes} to 14,400 seconds, got {grace:,}")


def _health_faults(args: Args) -> Iterator[Fault]:
    """Who tells how an instance is: the extension or a probe of the balancer, never both; repairs and rolling upgrades
    need one of them (repairs)."""
    extensions = deep(args.values, PROFILE, "extensionProfile", "extensions")
    probe = deep(args.values, PROFILE, "networkProfile", "healthProbe", "id")
    told = [e for e in extensions if isinstance(e, Mapping) and is_health(e)] if isinstance(extensions, list) else []
    sure = probe is not UNKNOWN and not has_unknown(extensions)
    if told and probe is not None and probe is not UNKNOWN:
        yield Fault(
            f"{PROFILE}.networkProfile.healthProbe", "does not go with an Application Health extension: one tells"
        )
    yield from duration_faults(args, "automaticRepairsPolicy.gracePeriod", "PT10M", "PT90M")
    yield from one_of(args, "automaticRepairsPolicy.repairAction", ("Replace", "Restart", "Reimage"))
    if sure and not told and probe is None:
        if deep(args.values, "automaticRepairsPolicy", "enabled") is True:
            yield Fault("automaticRepairsPolicy", "needs an Application Health extension or a health probe")
        if deep(args.values, "upgradePolicy", "mode") == "Rolling":
            yield Fault("upgradePolicy.mode", "Rolling needs an Application Health extension or a health probe")
