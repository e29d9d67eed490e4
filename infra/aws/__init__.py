"""One AWS region: network, storage, identity, node, pools, scaling, balancer, events, and the region that joins them.

Each module is one component with typed arguments. Importing this package imports no SDK; its modules do.
"""
