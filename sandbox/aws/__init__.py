"""The stand-in AWS: importing this package registers every type it covers."""

from sandbox.aws.registry import AWS

__all__ = ["AWS"]
