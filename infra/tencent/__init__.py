"""One Tencent Cloud region: network, storage, identity, node, pool and balancer. On-demand only; see docs/tencent.md.

Each module is one component with typed arguments. Importing this package imports no SDK; its modules do.
"""
