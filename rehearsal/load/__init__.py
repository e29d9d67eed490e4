"""Requests against a fleet: arrivals by the hour, queues in nodes, tries again, and what sizes follow."""

from rehearsal.load.arrivals import FLAT, OFFICE, Arrivals, Retry
from rehearsal.load.play import LoadPlay
from rehearsal.load.rates import ServiceRate, from_record, newest, read
from rehearsal.load.signal import Signal

__all__ = ["FLAT", "OFFICE", "Arrivals", "LoadPlay", "Retry", "ServiceRate", "Signal", "from_record", "newest", "read"]
