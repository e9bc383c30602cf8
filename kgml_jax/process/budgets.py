"""What the budgets of an ecosystem are made of: the one list of their terms.

`reporting.imbalance` closes them day by day from the states; a file of simulated days closes them
from the stocks in it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from kgml_jax.records import Field


@dataclass(frozen=True)
class Budget:
    """Stocks whose sum changes by what comes in less what goes out.

    All are names of `Fluxes` or of `Forcing`, in g m-2 or mm, and a day of these.
    """

    stocks: tuple[str, ...]
    income: tuple[str, ...]
    outgo: tuple[str, ...]

    @property
    def terms(self) -> tuple[str, ...]:
        """All names."""
        return (*self.stocks, *self.income, *self.outgo)

    def net_income(self, values: Mapping[str, Field]) -> Field:
        """Returns income less outgo of values by name, of one shape, a day."""
        net = sum(values[name] for name in self.income)
        for name in self.outgo:
            net = net - values[name]
        return net


BUDGETS = {
    "carbon": Budget(
        ("ecosystem_carbon",),
        ("seed_carbon", "manure_carbon"),
        ("net_ecosystem_exchange", "harvested_carbon"),
    ),
    "nitrogen": Budget(
        ("ecosystem_nitrogen",),
        (
            "seed_nitrogen",
            "nitrogen_fertiliser",
            "manure_nitrogen",
            "nitrogen_deposition",
            "nitrogen_fixation",
        ),
        (
            "harvested_nitrogen",
            "nitrous_oxide",
            "dinitrogen",
            "ammonia_volatilisation",
            "nitrate_leaching",
        ),
    ),
    "water": Budget(
        ("soil_water", "snow"),
        ("precipitation", "irrigation"),
        ("evapotranspiration", "runoff", "drainage"),
    ),
}
"""By element; that of heat has no stock among the fluxes."""
