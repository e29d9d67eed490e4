"""The Pulumi program, and the pure rules beside it: config, catalog, memory fit, fallback, naming."""
