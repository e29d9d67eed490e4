"""What a region of Azure looks up before anything is registered, against a stand-in Azure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import pulumi
import pulumi.runtime
import pytest

from infra import naming
from infra.azure import names
from infra.azure.lookups import (
    MachineImage,
    StandingPool,
    check_network,
    check_zones,
    find_image,
    find_pool,
    find_tenant,
)
from infra.azure.provider import provider
from infra.faults import NotFound
from sandbox.azure_native import AZURE_NATIVE, tokens
from sandbox.kinds import Args, CloudError
from tests.support.azure import SUBSCRIPTION
from tests.support.azure_components import STACK, TENANT, gallery_id, region
from tests.support.azure_region import GROUP, Region

T = TypeVar("T")
OTHER = "11111111-1111-4111-8111-111111111111"


class Asked(pulumi.runtime.Mocks):
    """Data sources are answered by the stand-in; `denied` answers instead of it."""

    def __init__(self, denied: str | None = None) -> None:
        self.cloud, self.denied = Region(), denied

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        return f"{args.name}-id", dict(args.inputs)

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]] | None]:
        if self.denied is not None:
            return {}, [("", self.denied)]
        try:
            return AZURE_NATIVE.invokes[args.token](Args(args.args), self.cloud), []
        except CloudError as error:
            return {}, [("", str(error))]


def looked_up(work: Callable[[pulumi.ProviderResource], T], asked: Asked | None = None) -> T:
    pulumi.runtime.set_mocks(asked or Asked(), project="spillway", stack=STACK, preview=True)
    found: list[T] = []

    @pulumi.runtime.test  # type: ignore[untyped-decorator]
    def program() -> None:
        found.append(work(provider(region())))

    program()
    return found[0]


def image(changes: dict[str, Any]) -> MachineImage:
    return looked_up(lambda account: find_image(region(changes), account))


def test_an_image_is_found_by_family_and_version_or_by_id() -> None:
    version = gallery_id(region())
    assert image({}).id == version
    assert image({"image": {"id": version}}).id == version


def test_the_newest_is_the_image_itself_so_that_each_machine_takes_the_newest_version() -> None:
    newest = image({"image": {"family": "spillway-vllm", "newest": True}})
    assert newest.id == gallery_id(region()).split("/versions/")[0]


def test_an_image_of_another_subscription_is_taken_as_it_is() -> None:
    id = gallery_id(region()).replace(SUBSCRIPTION, OTHER)
    assert image({"image": {"id": id}}).id == id


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"image.version": "2027.1.1"}, r"image: cannot find spillway-vllm 2027\.1\.1 in gallery spillway of "),
        ({"image": {"family": "other", "newest": True}}, "image: cannot find other in gallery spillway of "),
        (
            {"image.version": "2026.10.2", "region": "uksouth"},
            r"spillway-vllm 2026\.10\.2 .* is not replicated to uksouth; it is in eastus, westeurope, westus2$",
        ),
    ],
)
def test_an_image_that_no_machine_could_be_made_of_is_one_line(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(NotFound, match=told) as error:
        image(changes)
    assert "\n" not in str(error.value)


def test_an_image_that_says_neither_version_nor_newest_is_refused() -> None:
    with pytest.raises(ValueError, match="expected an id, or family and version"):
        image({"image": {"family": "spillway-vllm"}})


def test_a_pool_is_as_its_set_is_now_and_there_is_none_before_the_first_up() -> None:
    asked = Asked()
    asked.cloud.scale_set(sku={"name": "Standard_ND96asr_v4", "capacity": 2})
    assert looked_up(lambda account: find_pool("spot", GROUP, account), asked) == StandingPool(2, ("3",))
    assert looked_up(lambda account: find_pool("on-demand", GROUP, account), asked) is None
    assert looked_up(lambda account: find_pool("spot", "nowhere", account), asked) is None


def test_a_capacity_that_nobody_may_see_is_no_0() -> None:
    denied = Asked("not allowed to perform action 'Microsoft.Compute/virtualMachineScaleSets/read'")
    with pytest.raises(NotFound, match=r"cannot see how many nodes spot has: .*not allowed"):
        looked_up(lambda account: find_pool("spot", GROUP, account), denied)


@pytest.mark.parametrize(
    ("standing", "wanted", "told"),
    [
        ((), ["1", "2"], "stands without zones: zones are fixed when a pool is made. Leave zones out again"),
        (("1", "2"), ["1"], "stands in 1 and 2, to which others may be added: .* Write 1, 2 again"),
        (("1",), ["2"], "stands in 1,"),
    ],
)
def test_zones_that_a_set_cannot_get_are_one_line(standing: tuple[str, ...], wanted: list[str], told: str) -> None:
    config = region({"region": "eastus", "network.zones": wanted})
    with pytest.raises(NotFound, match=told) as error:
        check_zones(config, StandingPool(2, standing), "spot", "Standard_ND96amsr_A100_v4")
    assert str(error.value).startswith(f"spillway:region.network.zones = [{', '.join(wanted)}]: the scale set spot ")
    assert "\n" not in str(error.value)


def test_a_set_takes_the_zones_that_it_has_and_more_and_a_new_one_any() -> None:
    config = region({"region": "eastus", "network.zones": ["1", "2"]})
    for pool in (None, StandingPool(2, ("2", "1")), StandingPool(2, ("1",))):
        check_zones(config, pool, "spot", "Standard_ND96amsr_A100_v4")


def test_a_standing_network_keeps_its_cidr() -> None:
    asked, config = Asked(), region()
    looked_up(lambda account: check_network(config, account), asked)  # before the first up there is none
    group, name = names.resource_group(STACK), naming.name(STACK, "vnet")
    asked.cloud.create(
        tokens.VIRTUAL_NETWORK,
        resourceGroupName=group,
        virtualNetworkName=name,
        location="westus2",
        addressSpace={"addressPrefixes": ["10.40.0.0/16"]},
    )
    looked_up(lambda account: check_network(config, account), asked)
    other = region({"network.cidr": "10.41.0.0/16"})
    with pytest.raises(NotFound, match=rf"cidr = 10\.41\.0\.0/16: the network {name} stands with 10\.40\.0\.0/16"):
        looked_up(lambda account: check_network(other, account), asked)
    with pytest.raises(NotFound, match=f"cannot see the network {name}: .*denied"):
        looked_up(lambda account: check_network(config, account), Asked("denied"))


def test_the_tenant_is_that_of_the_stack_s_own_subscription() -> None:
    assert looked_up(lambda account: find_tenant(SUBSCRIPTION, account)) == TENANT
    with pytest.raises(NotFound, match=f"account = {OTHER}: the provider works on {SUBSCRIPTION}"):
        looked_up(lambda account: find_tenant(OTHER, account))
    with pytest.raises(ValueError, match="expected a UUID"):
        names.subscription("prod")
