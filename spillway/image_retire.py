"""Deletes images that nobody names any more, with what they are stored in. Only `build --prune` calls this."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from spillway.errors import SpillwayError

if TYPE_CHECKING:
    from images.bake import Bake
    from images.manifest import Baked


def delete(bake: Bake, image: Baked) -> None:
    """Deletes one version everywhere; what is gone already is no fault. bake: of the same cloud and account, for the
    gallery. Raises SpillwayError, and the manifest then keeps its entry."""
    {"aws": _aws, "azure": _azure, "gcp": _gcp, "tencent": _tencent}[bake.cloud](bake, image)


def _failed(image: Baked, what: str, error: Exception) -> SpillwayError:
    return SpillwayError(f"cannot delete {what} of {image.family} {image.version}: {' '.join(str(error).split())}")


def _aws(bake: Bake, image: Baked) -> None:
    """Deregisters the image in every region, then deletes its snapshots, which cost until then."""
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    for region, id in image.ids.items():
        ec2: Any = boto3.client("ec2", region_name=region)
        try:
            found = ec2.describe_images(ImageIds=[id], Owners=["self"])["Images"]
        except ClientError as error:
            if error.response["Error"]["Code"] in ("InvalidAMIID.NotFound", "InvalidAMIID.Unavailable"):
                continue
            raise _failed(image, f"{id} in {region}", error) from None
        try:
            for one in found:
                mappings = one.get("BlockDeviceMappings", [])
                snapshots = [ebs["SnapshotId"] for ebs in (m.get("Ebs", {}) for m in mappings) if "SnapshotId" in ebs]
                ec2.deregister_image(ImageId=id)
                for snapshot in snapshots:
                    ec2.delete_snapshot(SnapshotId=snapshot)
        except (BotoCoreError, ClientError) as error:
            raise _failed(image, f"{id} in {region}", error) from None


def _azure(bake: Bake, image: Baked) -> None:
    """Deletes the gallery's version with all its replicas."""
    try:
        from azure.core.exceptions import AzureError, ResourceNotFoundError
        from azure.identity import DefaultAzureCredential
        from azure.mgmt.compute import ComputeManagementClient
    except ModuleNotFoundError:
        raise SpillwayError(
            "azure: deleting image versions needs the extra azure (pip install 'spillway[azure]')"
        ) from None
    try:
        client: Any = ComputeManagementClient(DefaultAzureCredential(), bake.account)
        client.gallery_image_versions.begin_delete(
            bake.resource_group, bake.gallery, image.family, image.version
        ).result()
    except ResourceNotFoundError:
        return
    except AzureError as error:
        raise _failed(image, "the version", error) from None


def _gcp(bake: Bake, image: Baked) -> None:
    """Deletes the image, which is one for all regions."""
    try:
        from google.api_core.exceptions import GoogleAPIError, NotFound
        from google.auth.exceptions import GoogleAuthError
        from google.cloud import compute_v1
    except ModuleNotFoundError:
        raise SpillwayError("gcp: deleting images needs the extra gcp (pip install 'spillway[gcp]')") from None
    for name in image.ids.values():
        try:
            client: Any = compute_v1.ImagesClient()
            client.delete(project=image.account, image=name).result()
        except NotFound:
            continue
        except (GoogleAPIError, GoogleAuthError) as error:
            raise _failed(image, name, error) from None


def _tencent(bake: Bake, image: Baked) -> None:
    names = ", ".join(f"{region} {id}" for region, id in image.ids.items())
    raise SpillwayError(f"tencent: delete {names} in the console; then build again without --prune")
