"""DNS in a rehearsal: health checks, answers and clients on the clock that regions play on."""

from rehearsal.dns.clients import Clients, Connected, Keeping
from rehearsal.dns.play import DnsPlay

__all__ = ["Clients", "Connected", "DnsPlay", "Keeping"]
