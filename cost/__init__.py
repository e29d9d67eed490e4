"""What serving a model costs: prices as dated data, throughput, options, comparisons, plans, reports. No cloud SDK is
imported outside `cost/refresh/`."""
