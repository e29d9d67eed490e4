"""The global stack: names, health checks and records that move clients between regions, clouds and sites."""
