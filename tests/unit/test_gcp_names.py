"""Names and labels of a GCP region: within Google Cloud's limits in every region, and telling what they belong to."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from infra import catalog
from infra.gcp import names
from infra.gcp.sections import GcpRegionName
from infra.naming import POOLS, Pool
from sandbox.gcp.storage import bucket_name_fault

REGIONS = st.sampled_from(catalog.regions("gcp"))
PROJECTS = st.from_regex(r"[a-z][a-z0-9-]{4,28}[a-z0-9]", fullmatch=True).filter(
    lambda project: not re.search(r"goog|g[o0]{2}g[l1]e", project)
)
COMPUTE = re.compile(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?")


@given(REGIONS, st.sampled_from(POOLS), st.dictionaries(st.text(max_size=5), st.integers(), max_size=3))
def test_names_fit_in_every_region(region: str, pool: Pool, content: dict[str, int]) -> None:
    stack = f"gcp-{region}"
    for name in (names.template_name(stack, pool, content), names.pool_name(stack, pool), names.name(stack, "router")):
        assert COMPUTE.fullmatch(name)
        assert name.startswith(f"spillway-{stack}-")
    for label in ("node", "fallback"):
        assert re.fullmatch(r"[a-z]([-a-z0-9]{4,28}[a-z0-9])", names.account_id(region, label))


def test_accounts_of_all_regions_have_ids_of_their_own() -> None:
    ids = [names.account_id(region, label) for region in catalog.regions("gcp") for label in ("node", "fallback")]
    assert len(set(ids)) == len(ids)
    assert names.account_id("us-central1", "node") == "spillway-us-central1-node"


@given(PROJECTS, REGIONS)
def test_bucket_names_are_what_cloud_storage_takes(project: str, region: str) -> None:
    assert bucket_name_fault(names.bucket_name(project, region)) == ""


def test_two_projects_with_long_names_have_buckets_of_their_own() -> None:
    found = {names.bucket_name(f"a-very-long-name-of-a-project{i}", "northamerica-northeast1") for i in range(2)}
    assert len(found) == 2


def test_a_template_is_named_by_what_is_in_it() -> None:
    one = names.template_name("gcp-us-central1", "spot", {"a": 1, "b": 2})
    assert one == names.template_name("gcp-us-central1", "spot", {"b": 2, "a": 1})
    assert one != names.template_name("gcp-us-central1", "spot", {"a": 1, "b": 3})


@pytest.mark.parametrize(
    ("family", "version", "name"),
    [("spillway-vllm", "2026.11.1", "spillway-vllm-2026-11-1"), ("spillway-vllm", "7", "spillway-vllm-7")],
)
def test_images_are_named_without_dots(family: str, version: str, name: str) -> None:
    assert names.image_name(family, version) == name


def test_labels_tell_stack_component_and_pool() -> None:
    assert names.labels("gcp-us-central1", "node", {"team": "platform"}, pool="spot") == {
        "team": "platform",
        "spillway-stack": "gcp-us-central1",
        "spillway-component": "node",
        "spillway-managed-by": "pulumi",
        "spillway-pool": "spot",
    }


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"Team": "x"}, "label 'Team'"),
        ({"cost centre": "x"}, "label 'cost centre'"),
        ({"team": "Platform"}, "label 'team' = 'Platform'"),
        ({"team": "a.b"}, "label 'team' = 'a.b'"),
        ({"spillway-stack": "other"}, "set by Google and by the stack"),
        ({"goog-x": "y"}, "set by Google and by the stack"),
        ({f"k{i}": "v" for i in range(62)}, "the limit is 64"),
    ],
)
def test_labels_that_google_cloud_refuses_are_refused_here(extra: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        names.labels("gcp-us-central1", "node", extra)


@pytest.mark.parametrize("secret", ["spillway/certificate", "", "a b", "x" * 256])
def test_secrets_are_refused_by_a_name_that_secret_manager_does_not_take(secret: str) -> None:
    with pytest.raises(ValueError, match="secret"):
        names.secret_id(secret)


@pytest.mark.parametrize(
    ("project", "region"), [("Project", "us-central1"), ("my-project", "us-east-1"), ("x", "a-b1")]
)
def test_buckets_of_no_project_or_region_are_refused(project: str, region: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        names.bucket_name(project, region)


@given(st.from_regex(TypeAdapter(GcpRegionName).json_schema()["pattern"], fullmatch=True))
def test_every_region_that_a_file_may_name_has_room_for_its_pools_names(region: str) -> None:
    for pool in POOLS:
        assert len(names.pool_name(f"gcp-{region}", pool)) <= names.BASE_INSTANCE_NAME_MAX
