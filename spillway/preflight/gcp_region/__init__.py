"""A region on Google Cloud: what is asked of its project, and what the answers mean."""
