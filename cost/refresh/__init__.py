"""New snapshots of prices, from the clouds' own lists. The only place in `cost` that knows a cloud's SDK, and only
while it refreshes."""
