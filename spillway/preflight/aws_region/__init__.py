"""A region on AWS: what is asked of its account, and what the answers mean."""
