"""What a stack file's neighbours in its folder forbid: shared addresses, names that are there once in an account."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from infra.checks import neighbours, not_compared
from infra.config import ConfigError, load_all, load_stack_file
from tests.unit.stack_data import SHIPPED

CENTRAL, EAST = "gcp-us-central1", "gcp-us-east4"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two regions of one project, the second a copy of the first with another region and network, as people make it."""
    text = (SHIPPED / f"Pulumi.{CENTRAL}.yaml").read_text()
    (tmp_path / f"Pulumi.{CENTRAL}.yaml").write_text(text)
    zones = "zones: [us-central1-a, us-central1-b, us-central1-c, us-central1-f]"
    east = text.replace(zones, "zones: [us-east4-b, us-east4-c]").replace("region: us-central1", "region: us-east4")
    east = east.replace("10.32.0.0/16", "10.33.0.0/16").replace("a2-highgpu-8g, a2-ultragpu-8g,", "a2-ultragpu-8g,")
    (tmp_path / f"Pulumi.{EAST}.yaml").write_text(east)
    return tmp_path


def change(folder: Path, stack: str, old: str, new: str) -> None:
    path = folder / f"Pulumi.{stack}.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def refused(folder: Path, stack: str) -> list[str]:
    with pytest.raises(ConfigError) as error:
        load_stack_file(folder / f"Pulumi.{stack}.yaml")
    return list(error.value.lines)


def test_two_stacks_of_a_project_need_secrets_of_their_own(folder: Path) -> None:
    for stack, other in ((CENTRAL, EAST), (EAST, CENTRAL)):
        certificate, keys = refused(folder, stack)
        begin = (
            f"stacks/Pulumi.{stack}.yaml: spillway:region.secrets.certificate = <not shown>: is secrets.certificate of "
        )
        assert certificate.startswith(f"{begin}stacks/Pulumi.{other}.yaml, too: ")
        assert certificate.endswith(f"such as spillway-certificate-{stack.removeprefix('gcp-')}")
        assert keys.endswith(f"such as spillway-api-keys-{stack.removeprefix('gcp-')}")


def test_names_of_their_own_and_other_projects_are_fine(folder: Path) -> None:
    change(folder, EAST, "spillway-certificate-us-central1", "spillway-certificate-us-east4")
    change(folder, EAST, "spillway-api-keys-us-central1", "spillway-api-keys-us-east4")
    assert set(load_all(folder)) == {CENTRAL, EAST}
    change(folder, EAST, "us-east4\n      apiKeys", "us-central1\n      apiKeys")
    assert len(refused(folder, EAST)) == 1
    change(folder, EAST, "account: spillway-test", "account: another-project")
    assert set(load_all(folder)) == {CENTRAL, EAST}


def test_a_certificate_may_not_have_the_name_of_a_neighbours_keys(folder: Path) -> None:
    change(folder, EAST, "apiKeys: spillway-api-keys-us-central1", "apiKeys: spillway-api-keys-us-east4")
    change(folder, EAST, "certificate: spillway-certificate-us-central1", "certificate: spillway-api-keys-us-central1")
    (line,) = refused(folder, EAST)
    assert "secrets.certificate = <not shown>: is secrets.apiKeys of stacks/Pulumi.gcp-us-central1.yaml, too" in line


def test_secrets_that_a_region_or_a_vault_keeps_may_have_the_same_names(tmp_path: Path) -> None:
    for stack in ("aws-us-east-1", "aws-us-west-2"):
        text = (SHIPPED / f"Pulumi.{stack}.yaml").read_text()
        (tmp_path / f"Pulumi.{stack}.yaml").write_text(text.replace(f"spillway/{stack}/", "spillway/"))
    text = (SHIPPED / "Pulumi.azure-eastus.yaml").read_text()
    (tmp_path / "Pulumi.azure-eastus.yaml").write_text(text)
    west = text.replace("region: eastus", "region: southcentralus").replace("10.40.0.0/16", "10.41.0.0/16")
    (tmp_path / "Pulumi.azure-southcentralus.yaml").write_text(west.replace("us-east-1", "us-east-2"))
    assert len(load_all(tmp_path)) == 4


def test_a_neighbour_that_is_faulty_elsewhere_is_compared_all_the_same(folder: Path) -> None:
    change(folder, EAST, "config:\n", "config:\n  spillwayy: {}\n")
    assert len(refused(folder, CENTRAL)) == 2
    assert not_compared(folder / f"Pulumi.{CENTRAL}.yaml") == ()


def test_a_neighbour_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    shutil.copy(SHIPPED / f"Pulumi.{CENTRAL}.yaml", tmp_path)
    shutil.copy(SHIPPED / "Pulumi.global.yaml", tmp_path)
    path = tmp_path / f"Pulumi.{CENTRAL}.yaml"
    assert not_compared(path) == ()
    (tmp_path / "Pulumi.aws-us-west-2.yaml").write_text("config: [")
    (tmp_path / "Pulumi.azure-eastus.yaml").write_text("config: {spillway:region: {network: {cidr: 10.40.0.0}}}\n")
    assert load_stack_file(path).region == "us-central1"
    assert neighbours(path).unread == ("aws-us-west-2", "azure-eastus")
    assert not_compared(path)[0] == (
        "network.cidr: not compared with stacks/Pulumi.aws-us-west-2.yaml, whose network cannot be read: "
        "`spillway preflight aws-us-west-2` says why"
    )
