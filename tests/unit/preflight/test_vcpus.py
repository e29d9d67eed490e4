"""Which quota a machine type counts against."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra import catalog
from spillway.preflight.aws_region.facts import Quota
from spillway.preflight.aws_region.vcpus import families, quota_of

# The names of https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/using-spot-limits.html and of
# https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html
SPOT = [
    Quota("ec2", "s-dl", "All DL Spot Instance Requests", 0),
    Quota("ec2", "s-f", "All F Spot Instance Requests", 0),
    Quota("ec2", "s-g", "All G and VT Spot Instance Requests", 0),
    Quota("ec2", "s-inf", "All Inf Spot Instance Requests", 0),
    Quota("ec2", "s-p4", "All P4, P3 and P2 Spot Instance Requests", 0),
    Quota("ec2", "s-p5", "All P5 Spot Instance Requests", 0),
    Quota("ec2", "s-standard", "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests", 5),
    Quota("ec2", "s-x", "All X Spot Instance Requests", 0),
]
ON_DEMAND = [
    Quota("ec2", "o-p", "Running On-Demand P instances", 0),
    Quota("ec2", "o-g", "Running On-Demand G and VT instances", 0),
    Quota("ec2", "o-standard", "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances", 5),
    Quota("ec2", "o-dedicated", "Running Dedicated p5 Hosts", 0),
    Quota("ec2", "o-other", "EC2-VPC Elastic IPs", 5),
]


@pytest.mark.parametrize(
    ("machine_type", "spot", "on_demand"),
    [
        ("p4d.24xlarge", "s-p4", "o-p"),
        ("p3.2xlarge", "s-p4", "o-p"),
        ("p5en.48xlarge", "s-p5", "o-p"),
        ("g6e.48xlarge", "s-g", "o-g"),
        ("gr6.4xlarge", "s-g", "o-g"),
        ("vt1.3xlarge", "s-g", "o-g"),
        ("m7i.large", "s-standard", "o-standard"),
        ("im4gn.large", "s-standard", "o-standard"),
        ("inf2.xlarge", "s-inf", None),
    ],
)
def test_names_say_which_quota_a_type_counts_against(
    machine_type: str, spot: str | None, on_demand: str | None
) -> None:
    for market, quotas, wanted in (("spot", SPOT, spot), ("on-demand", ON_DEMAND, on_demand)):
        match = quota_of(machine_type, market, [*SPOT, *ON_DEMAND])  # type: ignore[arg-type]
        assert (match.quota.code if match else None) == wanted
        assert match is None or match.certain
        assert match is None or match.quota in quotas


def test_a_generation_without_a_name_takes_the_closest_but_is_not_certain() -> None:
    match = quota_of("p6-b300.48xlarge", "spot", SPOT)
    assert match is not None
    assert (match.quota.code, match.certain) == ("s-p5", False)


def test_the_generations_own_name_goes_before_the_families() -> None:
    both = [Quota("ec2", "p", "All P Spot Instance Requests", 0), *SPOT]
    match = quota_of("p5.48xlarge", "spot", both)
    assert match is not None
    assert match.quota.code == "s-p5"
    match = quota_of("p6-b200.48xlarge", "spot", both)
    assert match is not None
    assert (match.quota.code, match.certain) == ("p", True)


def test_a_code_that_aws_published_is_taken_where_the_name_reads_otherwise() -> None:
    renamed = [Quota("ec2", "L-7212CCBC", "All accelerated (older) Spot Instance Requests", 96)]
    match = quota_of("p4d.24xlarge", "spot", renamed)
    assert match is not None
    assert match.certain


def test_high_memory_machines_are_no_family_of_the_letter_u() -> None:
    assert quota_of("u-6tb1.metal", "on-demand", ON_DEMAND) is None


@pytest.mark.parametrize(
    "name", ["EC2-VPC Elastic IPs", "Running Dedicated p5 Hosts", "", "All Spot Instance Requests"]
)
def test_other_quotas_list_no_families(name: str) -> None:
    assert families(name, "spot") == families(name, "on-demand") == ()


@given(st.lists(st.from_regex(r"[A-Z]{1,3}[0-9]?", fullmatch=True), min_size=1, max_size=6, unique=True))
def test_any_list_of_families_is_read_back(words: list[str]) -> None:
    text = words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
    assert families(f"All {text} Spot Instance Requests", "spot") == tuple(word.lower() for word in words)


def test_every_type_of_the_catalog_is_matched_for_both_markets() -> None:
    for machine in catalog.machines():
        assert quota_of(machine.name, "spot", SPOT) is not None
        assert quota_of(machine.name, "on-demand", ON_DEMAND) is not None
