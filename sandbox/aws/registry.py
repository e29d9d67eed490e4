"""The registry that every module of AWS types adds to."""

from sandbox.kinds import Registry

AWS = Registry("aws")
