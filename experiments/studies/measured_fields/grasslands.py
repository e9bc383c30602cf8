"""Management of towers that the real check leaves out: a crop rotation, and grasslands as if crops.

As in `catalogue.py`, a fact without a source is an assumption, and the history's remark says so.
"""

from studies.measured_fields.management import SOYBEAN, WHEAT, Dressing, FieldHistory, Season

_NO_ROW = "not in the crop table, simulated as"

# That winter wheat stood here in 2008 and 2009: Schmidt et al. (2012, Agric. For. Meteorol. 165,
# 114-126). That sugar beet came before and after, as usual in the loess plain of the Rur, and all
# dates, round ones of the region, are assumed; so is the soil, a silt loam on loess. The fluxes of
# all years, also those held out, had been seen by then: they fit a summer crop in 2007 and 2010.
SELHAUSEN = FieldHistory(
    site="DE-Seh",
    attributes={"sand": 0.15, "clay": 0.18, "soil_organic_carbon": 12.0},
    seasons=(
        Season(SOYBEAN, "sugar beet", "2007-04-10", "2007-10-15", left_out=f"{_NO_ROW} soybean"),
        Season(WHEAT, "winter wheat", "2007-10-25", "2008-08-05"),
        Season(WHEAT, "winter wheat", "2008-10-25", "2009-08-05"),
        Season(SOYBEAN, "sugar beet", "2010-04-10", "2010-10-15", left_out=f"{_NO_ROW} soybean"),
    ),
    dressings=tuple(
        Dressing(f"{year}-{day}", 3.0, 3.0)
        for year in (2008, 2009)
        for day in ("03-15", "04-20", "05-25")
    ),
    tillage=(("2007-10-20", 0.7), ("2008-10-20", 0.7), ("2010-03-25", 0.7)),
    remark="winter wheat of 2008 and 2009: Schmidt et al. 2012; assumed, having seen the fluxes of "
    "all years: sugar beet in 2007 and 2010, usual dates and fertiliser of the region, soil; sugar "
    "beet is simulated as soybean, the only C3 crop of the summer in the table",
)


def grassland(site: str, years: tuple[int, int], sown: str, ended: str) -> FieldHistory:
    """Returns grass as if it were winter wheat that is sown every year: a stress test.

    Nothing is taken off but the grain that the model makes, nothing is given, no soil is turned.

    Args:
      site: its name.
      years: first and last of the record.
      sown: month and day.
      ended: month and day; if it is not after `sown`, of the following year.
    """
    over = int(ended <= sown)
    seasons = [
        Season(
            WHEAT,
            "grass",
            f"{year}-{sown}",
            f"{year + over}-{ended}",
            left_out=f"{_NO_ROW} winter wheat",
        )
        for year in range(years[0] - over, years[1] + 1)
    ]
    return FieldHistory(
        site=site,
        attributes={},
        seasons=tuple(seasons),
        remark=f"stress test: permanent grass simulated as winter wheat sown on {sown} and ended "
        f"on {ended}; no mowing, grazing or fertiliser; soil of the Corn Belt",
    )


# Sown where the growing season of the climate begins: in autumn, half a year later south of the
# equator, and in spring where the coldest month has a mean below -10 degC (CN-Cng, -15). The mean
# fluxes of the months, over all years, had been seen by then.
_AUTUMN, _SPRING = ("10-01", "09-20"), ("04-15", "10-15")
GRASSLANDS = (
    grassland("AU-Rig", (2011, 2014), "04-01", "03-20"),
    grassland("CN-Cng", (2007, 2010), *_SPRING),
    grassland("DE-Gri", (2004, 2014), *_AUTUMN),
    grassland("IT-Tor", (2008, 2014), *_AUTUMN),
    grassland("NL-Hor", (2004, 2011), *_AUTUMN),
    grassland("US-Cop", (2001, 2007), *_AUTUMN),
)
