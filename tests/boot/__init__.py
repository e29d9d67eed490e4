"""Rungs 3 and 4 of the image's tests: the node's file tree, really booted. docs/image-boot.md says how."""
