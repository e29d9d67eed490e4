"""Prices as dated data, in `data/prices/<date>/`. Imports no cloud SDK."""
