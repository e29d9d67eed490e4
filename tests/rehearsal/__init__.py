"""Rehearsals: traces, the simulator of capacity, policies, the bound and the benchmark."""
