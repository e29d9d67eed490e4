"""Data sources: who is logged in, machine images, and networks."""

from __future__ import annotations

import re
from typing import Any

from sandbox.kinds import Args, Cloud, CloudError
from sandbox.tencentcloud import tokens
from sandbox.tencentcloud.api import app_id
from sandbox.tencentcloud.images import images
from sandbox.tencentcloud.registry import TENCENTCLOUD

_TYPES = ("PUBLIC_IMAGE", "PRIVATE_IMAGE", "SHARED_IMAGE", "MARKET_IMAGE")


@TENCENTCLOUD.invoke("tencentcloud:User/getInfo:getInfo")
def get_info(args: Args, cloud: Cloud) -> dict[str, Any]:
    """cam/data_source_tc_user_info.go: the root account itself."""
    return {
        "id": f"user-{cloud.account}-{app_id(cloud.account)}",
        "appId": app_id(cloud.account),
        "uin": cloud.account,
        "ownerUin": cloud.account,
        "name": "",
    }


@TENCENTCLOUD.invoke("tencentcloud:Images/getInstance:getInstance")
def get_images(args: Args, cloud: Cloud) -> dict[str, Any]:
    """cvm/data_source_tc_images.go: by id, by a pattern of the name, or by the system; an empty list when none fits."""
    if "imageNameRegex" in args and "osName" in args:
        raise CloudError("InvalidParameter", "image_name_regex conflicts with os_name")
    wanted = args.get("imageTypes") or list(_TYPES)
    for one in wanted:
        if one not in _TYPES:
            raise CloudError("InvalidParameterValue", f"image_type {one}: expected one of {', '.join(_TYPES)}")
    try:
        pattern = re.compile(args.get("imageNameRegex") or "")
    except re.error as error:
        raise CloudError("InvalidParameterValue", f"image_name_regex: {error}") from None
    found = [
        image
        for image in images()
        if image.type in wanted
        and args.get("imageId") in (None, image.id)
        and pattern.search(image.name)
        and str(args.get("osName") or "").lower() in image.os.lower()
    ]
    return {"id": "images", "images": [image.outputs() for image in found], **args.values}


@TENCENTCLOUD.invoke("tencentcloud:Vpc/getInstances:getInstances")
def get_networks(args: Args, cloud: Cloud) -> dict[str, Any]:
    """vpc/data_source_tc_vpc_instances.go: by a part of the name, by id or by range; an empty list when none fits."""
    found = [
        {
            "vpcId": vpc.id,
            "name": vpc["name"],
            "cidrBlock": vpc["cidrBlock"],
            "isMulticast": bool(vpc["isMulticast"]),
            "isDefault": False,
            "createTime": vpc["createTime"] or "",
            "dnsServers": vpc["dnsServers"] or [],
            "commonAssistantCidrs": vpc["assistantCidrs"] or [],
            "containerAssistantCidrs": [],
            "subnetIds": sorted(one.id for one in cloud.all(tokens.SUBNET) if one["vpcId"] == vpc.id),
            "tags": vpc["tags"] or {},
        }
        for vpc in cloud.all(tokens.VPC, region=cloud.region)
        if str(args.get("name") or "") in str(vpc["name"])
        and args.get("vpcId") in (None, vpc.id)
        and args.get("cidrBlock") in (None, vpc["cidrBlock"])
    ]
    return {"id": "vpcs", **args.values, "instanceLists": found}
