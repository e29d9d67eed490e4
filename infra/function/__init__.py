"""The fallback from spot to on-demand on clouds without metric math: one small function, once a minute.

`loop.py` knows no cloud, `azure.py` and `gcp.py` know no rule; the rule is `infra/fallback.py`. `package.py` makes the
archive that runs in Azure Functions or Cloud Run functions. Nothing here imports Pulumi.
"""
