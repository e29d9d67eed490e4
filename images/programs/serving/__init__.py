"""The engine's start: its command, its environment, and what can be known before it is tried."""
