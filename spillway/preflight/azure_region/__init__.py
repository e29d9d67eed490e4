"""A region on Azure: what is asked of its subscription, and what the answers mean."""
