"""DNS in a rehearsal: health checks, answers and clients on the clock that regions play on."""

from rehearsal.dns.clients import Clients, Keeping
from rehearsal.dns.play import DnsPlay

__all__ = ["Clients", "DnsPlay", "Keeping"]
