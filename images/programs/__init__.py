"""What runs on a node beside the engine. Each program is started as `python -m images.programs.<name>`."""
