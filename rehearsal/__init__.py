"""Plays recorded and made-up GPU shortages against what the stacks contain, and compares policies that hold GPUs."""
