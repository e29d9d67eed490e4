"""One Azure region: network, storage, identity, node, pools, balancer and events.

Each module is one component with typed arguments. Importing this package imports no SDK; its modules do.
"""
