"""Which store a URI is of. The SDKs are imported with the first request, and only the store's own."""

from __future__ import annotations

from urllib.parse import urlsplit

from images.node import NodeConfig
from images.programs.staging.web import Source


def open_source(node: NodeConfig) -> Source:
    """The folder of the node's weights; nothing is asked yet."""
    parts = urlsplit(node.model.uri)
    bucket, folder = parts.netloc, parts.path.removeprefix("/")
    if parts.scheme == "s3":
        from images.programs.staging import s3

        return s3.open_source(node, bucket, folder)
    if parts.scheme == "az":
        from images.programs.staging import blob

        return blob.open_source(node, bucket, folder)
    if parts.scheme == "gs":
        from images.programs.staging import gcs

        return gcs.open_source(node, bucket, folder)
    from images.programs.staging import cos

    return cos.open_source(node, bucket, folder)
