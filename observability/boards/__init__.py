"""The dashboards, one each."""
