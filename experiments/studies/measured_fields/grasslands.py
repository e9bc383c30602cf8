"""Management of towers that the real check leaves out: a crop rotation, and grasslands.

As in `catalogue.py`, a fact without a source is an assumption, and the history's remark says so.
"""

from kgml_jax.process import crops
from studies.measured_fields.management import WHEAT, Dressing, FieldHistory, Season

BEET, GRASS = (crops.NAMES.index(name) for name in ("sugar beet", "temperate grass"))

# That winter wheat stood here in 2008 and 2009: Schmidt et al. (2012, Agric. For. Meteorol. 165,
# 114-126). That sugar beet came before and after, as usual in the loess plain of the Rur, and all
# dates, round ones of the region, are assumed; so is the soil, a silt loam on loess. The fluxes of
# all years, also those held out, had been seen by then: they fit a summer crop in 2007 and 2010.
SELHAUSEN = FieldHistory(
    site="DE-Seh",
    attributes={"sand": 0.15, "clay": 0.18, "soil_organic_carbon": 12.0},
    seasons=(
        Season(BEET, "sugar beet", "2007-04-10", "2007-10-15"),
        Season(WHEAT, "winter wheat", "2007-10-25", "2008-08-05"),
        Season(WHEAT, "winter wheat", "2008-10-25", "2009-08-05"),
        Season(BEET, "sugar beet", "2010-04-10", "2010-10-15"),
    ),
    dressings=tuple(
        Dressing(f"{year}-{day}", 3.0, 3.0)
        for year in (2008, 2009)
        for day in ("03-15", "04-20", "05-25")
    )
    + tuple(Dressing(f"{year}-04-10", 6.0, 6.0) for year in (2007, 2010)),
    tillage=(("2007-10-20", 0.7), ("2008-10-20", 0.7), ("2010-03-25", 0.7)),
    remark="winter wheat of 2008 and 2009: Schmidt et al. 2012; assumed, having seen the fluxes of "
    "all years: sugar beet in 2007 and 2010, usual dates and fertiliser of the region, soil",
)


def grassland(
    site: str, years: tuple[int, int], cuts: tuple[str, ...] = (), remark: str = "no cut known"
) -> FieldHistory:
    """Returns permanent grass that stands from the first day of the record to the last.

    Args:
      site: its name.
      years: first and last of the record.
      cuts: months and days on which it is mown, in every year.
      remark: what is known of its management.
    """
    first, last = years
    return FieldHistory(
        site=site,
        attributes={},
        seasons=(Season(GRASS, "grass", f"{first}-01-01", f"{last}-12-31", left_out="no crop"),),
        cuts=tuple((f"{year}-{day}", 1.0) for year in range(first, last + 1) for day in cuts),
        remark=f"permanent grass; {remark}; no grazing or fertiliser; soil of the Corn Belt",
    )


GRASSLANDS = (
    grassland("AU-Rig", (2011, 2014)),
    grassland("CN-Cng", (2007, 2010)),
    grassland(
        "DE-Gri",
        (2004, 2014),
        ("06-10", "08-20"),
        "a meadow mown two or three times a year, the dates of two cuts assumed",
    ),
    grassland("IT-Tor", (2008, 2014)),
    grassland("NL-Hor", (2004, 2011)),
    grassland("US-Cop", (2001, 2007)),
)
