"""Own hardware: what it costs a year, in cash, in the books and with what the money itself costs.

    TCO a year = (C - S / (1 + r)^n) x CRF + power + space + network + support + staff + spares + licences + tax
    CRF = r / (1 - (1 + r)^-n)                                      (capital recovery factor)
    power = nameplate kW x load factor x PUE x hours x USD/kWh

C: purchase price, S: resale after n years, r: discount rate. Capital is spread by the annuity in the levelised view and
in a straight line in the books. Systems are bought when the traffic needs them and replaced after their life.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from cost import hardware
from cost.arithmetic import Arithmetic, Inputs, Number
from cost.capacity import Sizing
from cost.ledger import Charge, Ledger
from cost.options import HOURS, MONTHS, Facts, tokens_of, tranches
from cost.result import Basis, Group
from cost.scenario_options import OnPremOption
from cost.sized import size

if TYPE_CHECKING:
    from cost.scenario import Scenario

_ON_PRICE: Final[tuple[tuple[str, Group, str], ...]] = (
    ("resale of systems", "resale", "residualShare"),
    ("network", "network", "networkShare"),
    ("sales tax", "tax", "salesTaxShare"),
)
"""What is a share of the purchase price, once."""
_A_YEAR: Final[tuple[tuple[str, Group, str], ...]] = (
    ("support", "support", "supportShare"),
    ("spare parts", "spares", "sparesShare"),
    ("property tax", "tax", "propertyTaxShare"),
    ("insurance", "insurance", "insuranceShare"),
)
"""What is a share of it each year."""


class OnPremModel:
    """Systems in a rack."""

    def __init__(self, scenario: Scenario, spec: OnPremOption) -> None:
        self.spec = spec
        self.key = f"options.{spec.name}"
        self.system = hardware.system(spec.system, f"{self.key}.system")
        self.facts = Facts(
            spec.name, "onprem", spec.title or f"own {self.system.name}", "own", "", self.system.id, "own"
        )
        gpu = self.system.gpu
        self.sizing: Sizing | None = size(
            scenario, spec.throughput, gpu, gpu.memory_mib, self.system.gpus, self.facts
        )  # fmt: skip
        own = [one for one in scenario.assumptions if one.key.startswith(f"{self.key}.")]
        self._told = {one.key.removeprefix(f"{self.key}."): one for one in own}
        # What the file neither asks for nor calls uncertain has no line of zeros.
        self.asked = {key for key, one in self._told.items() if one.range or Decimal(one.value)}

    def nodes(self, n: Arithmetic, inputs: Inputs, tokens_day: Number) -> Number | None:
        """Systems; those of the file where it says how many, whatever the traffic."""
        assert self.sizing is not None
        if self.spec.nodes is not None:
            return n.of(self.spec.nodes) + tokens_day * 0
        return self.sizing.nodes(n, inputs, tokens_day)

    def limit(self, n: Arithmetic, inputs: Inputs) -> Number | None:
        """Tokens of a day that the systems that there is room for can serve."""
        assert self.sizing is not None
        return self.sizing.capacity(n, inputs, n.of(self.spec.nodes or self.spec.max_nodes))

    def steps(self, inputs: Inputs) -> list[Decimal]:
        """Where another system is needed."""
        assert self.sizing is not None
        return [] if self.spec.nodes is not None else self.sizing.steps(inputs, self.spec.max_nodes, False)

    def run(self, inputs: Inputs, ledger: Ledger) -> None:
        """Charges every month."""
        n, months = ledger.n, range(ledger.months)
        life = n.ceil(inputs[f"{self.key}.lifeYears"] * MONTHS)
        needed = [self.nodes(n, inputs, tokens_of(n, inputs, month)) for month in months]
        bought, held = tranches(n, needed, life)
        for month in months:
            self._capital(inputs, ledger, month, bought[month], life)
            self._running(inputs, ledger, month, held[month])

    def _capital(self, inputs: Inputs, ledger: Ledger, month: int, bought: Number, life: Number) -> None:
        price = inputs[f"{self.key}.capexPerNode"]
        ledger.ahead(self._charge("systems", "capital", "capexPerNode", "system"), month, bought, price, life)
        for what, group, key in _ON_PRICE:
            if key in self.asked:
                usd = price * inputs[f"{self.key}.{key}"]
                resold = group == "resale"
                charge = self._charge(what, group, key, "system")
                ledger.ahead(charge, month, bought, -usd if resold else usd, life, at_end=resold)

    def _running(self, inputs: Inputs, ledger: Ledger, month: int, held: Number) -> None:
        n = ledger.n

        def own(key: str) -> Number:
            return inputs[f"{self.key}.{key}"]

        kw = held * n.of(self.system.nameplate_kw)
        power = self._charge("power and cooling", "power", "usdPerKwh", "kWh")
        ledger.running(power, month, kw * own("loadFactor") * own("pue") * HOURS, own("usdPerKwh"))
        for what, group, key in _A_YEAR:
            if key in self.asked:
                charge = self._charge(what, group, key, "system-month")
                ledger.running(charge, month, held, own("capexPerNode") * own(key) / MONTHS)
        key = "colocationUsdPerKwMonth"
        if key in self.asked:
            ledger.running(self._charge("rack space", "space", key, "kW-month"), month, kw, own(key))
        key = "licencesUsdPerGpuYear"
        if key in self.asked:
            charge = self._charge("software licences", "licences", key, "GPU-month")
            ledger.running(charge, month, held * self.system.gpus, own(key) / MONTHS)
        basis: Basis = "step" if "staffFtePerNode" in self.asked else "fixed"
        staff = self._charge("staff", "staff", "staffUsdPerYear", "FTE-month", basis)
        fte = own("staffFte") + held * own("staffFtePerNode")
        ledger.running(staff, month, fte, own("staffUsdPerYear") / MONTHS)

    def _charge(self, what: str, group: Group, key: str, unit: str, basis: Basis = "step") -> Charge:
        told = self._told[key]
        return Charge(what, group, basis, unit, told.source, told.observed)
