"""The subscription itself: which one, what its caller may do, which resource providers it has, and names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from infra.azure import names
from spillway.preflight.azure_checks import Availability
from spillway.preflight.azure_region.context import AzureContext
from spillway.preflight.azure_region.facts import Thing
from spillway.preflight.model import Row

RIGHTS: Final[Mapping[str, str]] = {
    "Microsoft.Resources/subscriptions/resourceGroups/write": "the stack's resource group",
    "Microsoft.Authorization/roleAssignments/write": "the nodes' and the function's rights",
    "Microsoft.Authorization/roleDefinitions/write": "the function's own role",
    "Microsoft.Compute/virtualMachineScaleSets/write": "the pools",
    "Microsoft.Network/virtualNetworks/write": "the network",
    "Microsoft.Storage/storageAccounts/write": "the model store",
    "Microsoft.KeyVault/vaults/write": "the vault of the secrets",
    "Microsoft.ManagedIdentity/userAssignedIdentities/write": "the nodes' identity",
    "Microsoft.Web/sites/write": "the fallback function",
    "Microsoft.Consumption/budgets/write": "the budget",
}
"""What `up` needs of its caller, and for what. Contributor has all of it but the roles
(https://learn.microsoft.com/azure/role-based-access-control/built-in-roles/privileged)."""
PROVIDERS: Final = (
    "Microsoft.Compute", "Microsoft.Consumption", "Microsoft.Insights", "Microsoft.KeyVault",
    "Microsoft.ManagedIdentity", "Microsoft.Network", "Microsoft.OperationalInsights", "Microsoft.Storage",
    "Microsoft.Web",
)  # fmt: skip
"""Resource providers of what a region is made of."""


def identity(context: AzureContext) -> Iterator[Row]:
    """The stack file's subscription: seen by these credentials, and taking changes."""
    found, wanted = context.account.subscription(), context.config.account
    told = f"{found.id}, {found.name}: {found.state}"
    if found.state in ("Enabled", "Warned"):
        yield Row("identity", "subscription", "ok", told, wanted)
    else:
        action = "it takes no changes: see Cost Management + Billing"
        yield Row("identity", "subscription", "failure", told, f"{wanted}, Enabled", action)


def rights(context: AzureContext) -> Iterator[Row]:
    """Whether these credentials may do what `up` does. `up` may run with others, so it is a warning."""
    missing = [action for action in RIGHTS if not context.account.may(action)]
    title = "rights for `up`"
    if not missing:
        yield Row("rights", title, "ok", f"{len(RIGHTS)} of {len(RIGHTS)}", "of whoever runs `up`")
        return
    told = ", ".join(missing)
    if all(action.startswith("Microsoft.Authorization/") for action in missing):
        action = "besides Contributor, User Access Administrator on the subscription: it makes roles and assigns them"
    else:
        action = "these credentials can ask, not deploy: Contributor and User Access Administrator deploy"
    yield Row("rights", title, "warning", f"missing: {told}", "of whoever runs `up`", action)


def providers(context: AzureContext) -> Iterator[Row]:
    """Resource providers are registered; registering asks for a right at the subscription itself
    (https://learn.microsoft.com/azure/azure-resource-manager/management/resource-providers-and-types)."""
    found = context.account.providers()
    states = {name: found.get(name.lower(), "NotRegistered") for name in PROVIDERS}
    missing = [name for name, state in states.items() if state != "Registered"]
    title = "resource providers"
    if not missing:
        yield Row("providers", title, "ok", f"{len(PROVIDERS)} registered", "Registered")
        return
    told = ", ".join(f"{name}: {states[name]}" for name in missing)
    commands = tuple(f"az provider register --namespace {name}" for name in missing if states[name] != "Registering")
    action = "registered at first use by callers who may; others are refused with MissingSubscriptionRegistration"
    yield Row("providers", title, "warning", told, "Registered", action, commands=commands)


def group(context: AzureContext) -> Iterator[Row]:
    """The resource group that holds everything: free, or this stack's, and in the region."""
    name, title = names.resource_group(context.stack), "resource group"
    found = context.account.group(name)
    wanted = "free, or this stack's"
    if found is None:
        yield Row("group", title, "ok", f"{name}: free", wanted)
    elif found.stack != context.stack:
        action = f"delete it, or tag it spillway-stack={context.stack} and run `spillway recover {context.stack}`"
        yield Row("group", title, "failure", f"{name}: yours already, {_whose(found)}", wanted, action)
    elif found.location and found.location != context.config.region:
        action = "a group's region is fixed: move what is in it, or delete it"
        yield Row("group", title, "failure", f"{name}: in {found.location}", context.config.region, action)
    else:
        yield Row("group", title, "ok", f"{name}: this stack's", wanted)


def _whose(found: Thing) -> str:
    return f"of stack {found.stack}" if found.stack else "without this stack's tag"


def storage(context: AzureContext) -> Iterator[Row]:
    """The names of both storage accounts, the models' and the function's. Names are global: somebody else may have
    taken them."""
    account = context.account
    own = names.function_storage(context.stack, context.config.account)
    for id, title, name in (
        ("bucket", "storage account", context.storage),
        ("bucket.function", "storage account of the function", own),
    ):
        found = account.storage_account(name)
        yield _global_name(context, id, title, name, found, lambda name=name: account.storage_name(name))  # type: ignore[misc]


def app(context: AzureContext) -> Iterator[Row]:
    """The function app's name, which is a host name under azurewebsites.net."""
    name, account = names.function_app(context.stack, context.config.account), context.account
    yield _global_name(context, "app", "function app", name, account.app(name), lambda: account.app_name(name))


def flex(context: AzureContext) -> Iterator[Row]:
    """Flex Consumption, on which the fallback function runs, is not in every region
    (https://learn.microsoft.com/azure/azure-functions/flex-consumption-plan)."""
    found, title = context.account.flex_regions(), "Flex Consumption"
    if context.config.region in found:
        yield Row("flex", title, "ok", f"in {context.config.region}", "for the fallback function")
    else:
        action = "without it there is no fallback here: choose one of `az functionapp list-flexconsumption-locations`"
        yield Row("flex", title, "failure", f"not in {context.config.region}", "for the fallback function", action)


def vault(context: AzureContext) -> Iterator[Row]:
    """The key vault's name, also of one that was deleted and keeps its name
    (https://learn.microsoft.com/azure/key-vault/general/soft-delete-overview)."""
    name, title = context.vault, "key vault"
    found = context.account.vault(name)
    if found is None:
        left = context.account.deleted_vault(name)
        if left is not None:
            told = f"{name}: deleted, keeps its name until {left.until:%Y-%m-%d}"
            commands = (f"az keyvault purge --name {name} --location {left.location}",)
            action = "its secrets go with it; `up` is refused as long as it is there"
            yield Row("vault", title, "failure", told, "free, or this stack's", action, commands=commands)
            return
    yield _global_name(context, "vault", title, name, found, lambda: context.account.vault_name(name))


def _global_name(
    context: AzureContext, id: str, title: str, name: str, own: Thing | None, ask: Callable[[], Availability]
) -> Row:
    """A name that is one in the world: nobody's, or held by this stack."""
    wanted = "free, or this stack's"
    if own is not None:
        if own.stack != context.stack:
            action = f"delete it, or tag it spillway-stack={context.stack} and run `spillway recover {context.stack}`"
            return Row(id, title, "failure", f"{name}: yours already, {_whose(own)}", wanted, action)
        return Row(id, title, "ok", f"{name}: this stack's", wanted)
    found = ask()
    if found.free:
        return Row(id, title, "ok", f"{name}: free", wanted)
    action = "another subscription holds the name, which follows from stack and subscription: ask who made it there"
    return Row(id, title, "failure", f"{name}: {found.reason or 'taken'}", wanted, action)
