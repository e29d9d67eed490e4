"""Route 53's health checkers, event by event on a clock.

https://docs.aws.amazon.com/Route53/latest/DeveloperGuide/dns-failover-determining-health-of-endpoints.html: checkers in
several regions that do not coordinate; each has an opinion, which `failureThreshold` consecutive results change in
either direction; an endpoint is healthy while more than 18 % of them say so; a new check counts as healthy until there
is enough data. What is not documented takes no time here: from the checkers to the name servers.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sandbox.dns.clock import Clock
from sandbox.dns.geography import ELSEWHERE_MS, round_trip_ms
from sandbox.dns.health import Endpoints
from sandbox.dns.probe import Limits, Log, Result, Streak, probe
from sandbox.kinds import Resource

HEALTH_CHECK = "aws:route53/healthCheck:HealthCheck"

# https://docs.aws.amazon.com/Route53/latest/APIReference/API_HealthCheckConfig.html, Regions
REGIONS = (
    "us-east-1", "us-west-1", "us-west-2", "eu-west-1",
    "ap-southeast-1", "ap-southeast-2", "ap-northeast-1", "sa-east-1",
)  # fmt: skip
PER_REGION = 2
"""GetCheckerIpRanges names two ranges for each of the eight regions: 16 checkers for a check in all of them
(https://docs.aws.amazon.com/Route53/latest/APIReference/API_GetCheckerIpRanges.html)."""
HEALTHY_ABOVE = 0.18
# "HTTP and HTTPS: connection within four seconds, status within two seconds after connecting. TCP: ten seconds."
HTTP_LIMITS = Limits(4.0, 2.0)
TCP_LIMITS = Limits(10.0, 0.0)
_BODY_SEARCHED = 5120
_ALARM_HEALTH = {"OK": True, "ALARM": False}

Lookup = Callable[[str], str | None]


class Checks:
    """Every health check of the stand-in account, running.

    status: id -> healthy, as DNS sees it. version: changes whenever a status does.
    """

    def __init__(
        self,
        resources: Iterable[Resource],
        clock: Clock,
        endpoints: Endpoints,
        seed: int = 0,
        *,
        log: Log | None = None,
        lookup: Lookup | None = None,
        alarms: Mapping[str, str] | None = None,
        controls: Mapping[str, bool] | None = None,
    ) -> None:
        """Starts the checkers at the clock's present time.

        lookup: the address of an `fqdn` for checks without `ipAddress`, which Route 53 resolves for each request.
        alarms: CloudWatch alarm name -> OK | ALARM | INSUFFICIENT_DATA (the last when left out).
        controls: routing control ARN -> on; a new one is off
        (https://docs.aws.amazon.com/r53recovery/latest/dg/getting-started-cli-routing-config.html).
        """
        self.clock, self.endpoints, self.log = clock, endpoints, log or Log()
        self.lookup = lookup
        self.alarms, self.controls = dict(alarms or {}), dict(controls or {})
        self.version = 0
        self.status: dict[str, bool] = {}
        self.names: dict[str, str] = {}
        self.endpoint_checks: dict[str, EndpointCheck] = {}
        self._inputs: dict[str, dict[str, Any]] = {}
        self._parents: dict[str, list[str]] = {}
        self._known: dict[str, bool] = {}
        for resource in resources:
            o = resource.outputs
            self._inputs[resource.id] = o
            self.names[resource.id] = str((o.get("tags") or {}).get("Name") or o.get("referenceName") or resource.id)
            for child in o.get("childHealthchecks") or ():
                self._parents.setdefault(child, []).append(resource.id)
        for number, (id, o) in enumerate(self._inputs.items()):
            if _kind(o) in ("HTTP", "HTTPS", "HTTP_STR_MATCH", "HTTPS_STR_MATCH", "TCP"):
                self.endpoint_checks[id] = EndpointCheck(self, id, o, random.Random(f"{seed}/{number}"))
        for id in self._inputs:
            self.status[id] = self._judge(id, ())
        for check in self.endpoint_checks.values():
            check.start()

    def healthy(self, id: str) -> bool:
        """Whether DNS takes a check as healthy; one that does not exist any more counts as healthy."""
        return self.status.get(id, True)

    def set_alarm(self, name: str, state: str) -> None:
        """A CloudWatch alarm changes its state."""
        self.alarms[name] = state
        for id, o in self._inputs.items():
            if o.get("cloudwatchAlarmName") == name:
                self.judge(id)

    def set_control(self, arn: str, on: bool) -> None:
        """Somebody turns a routing control."""
        self.controls[arn] = on
        for id, o in self._inputs.items():
            if o.get("routingControlArn") == arn:
                self.judge(id)

    def judge(self, id: str) -> None:
        """Work a check's status out again, and that of the checks that count it."""
        healthy = self._judge(id, ())
        if healthy == self.status.get(id):
            return
        self.status[id] = healthy
        self.version += 1
        self.log.add(self.clock.now, "check", self.names[id], self._told(id, healthy))
        for parent in self._parents.get(id, ()):
            self.judge(parent)

    def _told(self, id: str, healthy: bool) -> str:
        word = "healthy" if healthy else "unhealthy"
        if check := self.endpoint_checks.get(id):
            return f"{word}: {check.passing} of {len(check.checkers)} checkers say healthy"
        children = self._inputs[id].get("childHealthchecks")
        if children:
            passing = sum(self.healthy(child) for child in children)
            return f"{word}: {passing} of {len(children)} child checks are healthy"
        return word

    def _judge(self, id: str, seen: tuple[str, ...]) -> bool:
        """A disabled check always counts as healthy; inversion comes last
        (https://docs.aws.amazon.com/Route53/latest/APIReference/API_HealthCheckConfig.html, Disabled, Inverted)."""
        o = self._inputs[id]
        healthy = True if o.get("disabled") else self._measured(id, o, seen)
        return healthy != bool(o.get("invertHealthcheck"))

    def _measured(self, id: str, o: Mapping[str, Any], seen: tuple[str, ...]) -> bool:
        if check := self.endpoint_checks.get(id):
            return check.healthy
        kind = _kind(o)
        if kind == "CALCULATED":
            # 0 is always healthy, more than there are children always unhealthy (HealthThreshold in the reference)
            children = [c for c in o.get("childHealthchecks") or () if c in self._inputs and c not in (*seen, id)]
            passing = sum(self._judge(child, (*seen, id)) for child in children)
            return passing >= int(o.get("childHealthThreshold") or 0)
        if kind == "CLOUDWATCH_METRIC":
            state = self.alarms.get(str(o.get("cloudwatchAlarmName")), "INSUFFICIENT_DATA")
            if state in _ALARM_HEALTH:
                self._known[id] = _ALARM_HEALTH[state]
                return self._known[id]
            lacking = o.get("insufficientDataHealthStatus") or "LastKnownStatus"
            # a new check without a last known status is healthy
            return self._known.get(id, True) if lacking == "LastKnownStatus" else bool(lacking == "Healthy")
        return self.controls.get(str(o.get("routingControlArn")), False)


def _kind(o: Mapping[str, Any]) -> str:
    return str(o.get("type") or "").upper()


class EndpointCheck:
    """The checkers of one endpoint."""

    def __init__(self, checks: Checks, id: str, o: Mapping[str, Any], chance: random.Random) -> None:
        kind = _kind(o)
        self._checks, self.id, self._chance = checks, id, chance
        self.address, self._fqdn = o.get("ipAddress") or None, str(o.get("fqdn") or "")
        self._http, self._tls = kind != "TCP", kind.startswith("HTTPS")
        self._limits = HTTP_LIMITS if self._http else TCP_LIMITS
        self._string = str(o.get("searchString") or "") if kind.endswith("_STR_MATCH") else None
        self._path = str(o.get("resourcePath") or "/")
        self._disabled = bool(o.get("disabled"))
        # Defaults of aws_route53_health_check and of the API: 3 failures, 30 seconds.
        self.threshold = int(o.get("failureThreshold") or 3)
        self.interval = float(o.get("requestInterval") or 30)
        places = [r for r in o.get("regions") or REGIONS for _ in range(PER_REGION)]
        self.checkers = [(place, Streak(self.threshold, self.threshold, True)) for place in places]
        self.passing = len(self.checkers)
        self.failing = 0
        """How many checkers' latest probe failed."""
        self.saw = "no probe yet"
        self._latest = [True] * len(self.checkers)

    @property
    def healthy(self) -> bool:
        return self.passing > HEALTHY_ABOVE * len(self.checkers)

    @property
    def settling(self) -> float:
        """Seconds after which every checker has made up its mind anew, however slow its probes."""
        return (self.threshold + 1) * (self.interval + self._limits.connect + self._limits.response)

    def start(self) -> None:
        """Every checker starts at its own moment within the interval: they do not coordinate."""
        if self._disabled:  # "stops Route 53 from performing health checks"
            return
        for number in range(len(self.checkers)):
            self._checks.clock.after(self._chance.random() * self.interval, self._prober(number))

    def _prober(self, number: int) -> Callable[[], None]:
        clock, interval = self._checks.clock, self.interval
        place, streak = self.checkers[number]

        def start() -> None:
            result = self._probe(place)

            def done() -> None:
                self._took(number, streak, result)
                # RequestInterval: from the response, or from giving up on it, to the checker's next request
                # (https://docs.aws.amazon.com/Route53/latest/APIReference/API_HealthCheckConfig.html)
                clock.after(interval, start)

            clock.after(result.seconds, done)

        return start

    def _probe(self, place: str) -> Result:
        address = self.address or (self._checks.lookup(self._fqdn) if self._checks.lookup else None)
        if address is None:
            return Result(False, 0.0, f"{self._fqdn or 'the check'} has no address")
        region = self._checks.endpoints.region(address)
        trip = (round_trip_ms(place, region) if region else ELSEWHERE_MS) / 1000
        result = probe(self._checks.endpoints.behaviour(address), self._limits, trip, tls=self._tls, http=self._http)
        if result.ok and self._string is not None and self._string not in _body(self._path)[:_BODY_SEARCHED]:
            return Result(False, result.seconds, f"no {self._string!r} in the body")
        return result

    def _took(self, number: int, streak: Streak, result: Result) -> None:
        log, now, name = self._checks.log, self._checks.clock.now, self._checks.names[self.id]
        if result.ok != self._latest[number]:
            self._latest[number] = result.ok
            self.failing += -1 if result.ok else 1
            if self.failing == 1 and not result.ok:
                log.add(now, "probes", name, f"first probe fails: {result.saw}")
            elif self.failing == len(self.checkers):
                log.add(now, "probes", name, f"probes of all {self.failing} checkers fail: {result.saw}")
            elif self.failing == len(self.checkers) - 1 and result.ok:
                log.add(now, "probes", name, f"first probe passes again: {result.saw}")
            elif self.failing == 0:
                log.add(now, "probes", name, f"probes of all {len(self.checkers)} checkers pass again")
        self.saw = result.saw
        if streak.add(result.ok):
            self.passing += 1 if streak.opinion else -1
            self._checks.judge(self.id)


def _body(path: str) -> str:
    """What a node's own paths answer: `/readyz` says ready, vLLM's `/health` has an empty body
    (https://github.com/vllm-project/vllm, vllm/entrypoints/serve/instrumentator/health.py)."""
    return "ready" if path.partition("?")[0] == "/readyz" else ""
