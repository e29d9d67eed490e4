"""The node: its typed configuration, and the user data rendered from it."""
