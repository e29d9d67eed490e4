"""Who pipelines are: trust in their tokens, and roles for previews and deploys; the same names for every cloud."""
