"""What was done on the fields of the real check, and their soils: facts, each with its source.

A fact without a source is an assumption, and the history's remark, which is printed, says so.
"""

from kgml_jax.process import crops
from studies.measured_fields.management import CORN, SOYBEAN, WHEAT, Dressing, FieldHistory, Season

POUNDS_PER_ACRE = 0.112085
"""g m-2."""

BUSHELS_PER_ACRE = {CORN: 0.062768, SOYBEAN: 0.067251, WHEAT: 0.067251}
"""Mg ha-1, of 56 (corn) and 60 pounds a bushel."""


def _pounds(day: str, amount: float, nitrate: float = 0.25) -> Dressing:
    # A quarter of the nitrogen of urea ammonium nitrate, which "28-0-0" is, is nitrate.
    grams = amount * POUNDS_PER_ACRE
    return Dressing(day, (1 - nitrate) * grams, nitrate * grams)


# Dates, fertiliser and soil: site input of EcoSIM, examples/inputs/dryland_maize, that of Grant et
# al. (2007), whose weather is our forcing; means of its layers. The university's own record of the
# corn years has these dates to a day. Field capacity and wilting point: 0.39 and 0.23 of the site's
# papers (Suyker and Verma 2012, as quoted in QiangyuLi/US-Ne1-Mead-Data-Preparation), which hold as
# much as the texture implies; EcoSIM has 0.33 and 0.22, a fifth less than the site table. Yields:
# Verma et al. (2005, table 1), quoted there, to 2003; 2005 is the yield monitor's.
# `mead_US-Ne3_management_yield_2001_2021.csv` is not used: it has maize in every year, and from
# 2014 to 2020 the dates of US-Ne1 in BADM. Of the soybean of 2004 and 2006 no yield was found.
MEAD = FieldHistory(
    site="US-Ne3",
    attributes={
        "sand": 0.063,
        "clay": 0.342,
        "bulk_density": 1.17,
        "soil_organic_carbon": 17.3,
        "ph": 5.5,
        "field_capacity": 0.39,
        "wilting_point": 0.23,
        "saturated_conductivity": 6.5,
    },
    seasons=(
        Season(CORN, "corn", "2001-05-14", "2001-10-29", 8.72, left_out="flux quality 0.38"),
        Season(SOYBEAN, "soybean", "2002-05-20", "2002-10-10", 3.32),
        Season(CORN, "corn", "2003-05-13", "2003-10-15", 7.72),
        Season(SOYBEAN, "soybean", "2004-06-02", "2004-10-11"),
        Season(CORN, "corn", "2005-04-26", "2005-10-17", 8.96),
        Season(SOYBEAN, "soybean", "2006-05-11", "2006-10-09"),
    ),
    dressings=(
        Dressing("2001-05-16", 8.54, 4.27),
        Dressing("2003-05-16", 5.98, 2.99),
        Dressing("2005-04-07", 7.84, 3.92),
    ),
    remark="dates, fertiliser, soil: EcoSIM site input (Grant et al. 2007), field capacity and "
    "wilting point: Suyker and Verma 2012; yields: Verma et al. 2005, 2005 by yield monitor; "
    "no-till (the disking before the 2001 crop is left out), rainfed",
)

# Crops and dates: BADM canopy heights (first and last day without a canopy); soil: BADM site
# description, "silty clay and silty clay loam", minimum tillage, rainfed.
CURTICE = FieldHistory(
    site="US-CRT",
    attributes={"sand": 0.08, "clay": 0.42, "soil_organic_carbon": 20.0},
    seasons=(
        Season(SOYBEAN, "soybean", "2011-06-05", "2011-10-15"),
        Season(SOYBEAN, "soybean", "2012-05-20", "2012-09-30"),
        Season(WHEAT, "winter wheat", "2012-10-03", "2013-07-10"),
    ),
    dressings=(Dressing("2012-10-03", 2.0, 0.0), Dressing("2013-04-01", 6.75, 2.25)),
    tillage=(("2011-06-03", 0.3), ("2012-05-18", 0.3)),
    remark="crops and dates to about 5 days: BADM canopy heights; assumed: texture within BADM's "
    "words, organic carbon, fertiliser of wheat (2 + 9 g N m-2), tillage of 0.3 before soybean",
)


def _lamont_seasons() -> tuple[Season, ...]:
    # BADM, groups DM_PLANTING and DM_AGRICULTURE; of June 2003, June 2004 and July 2007 only the
    # month is known.
    wheat, corn, soy = BUSHELS_PER_ACRE[WHEAT], BUSHELS_PER_ACRE[CORN], BUSHELS_PER_ACRE[SOYBEAN]
    return (
        Season(WHEAT, "winter wheat", "2002-09-28", "2003-06-15", 42.4 * wheat),
        Season(WHEAT, "winter wheat", "2003-09-28", "2004-06-15", 34.0 * wheat),
        Season(CORN, "corn", "2005-03-31", "2005-10-01", 26.12 * corn),
        Season(WHEAT, "winter wheat", "2005-10-26", "2006-06-21", 25.75 * wheat),
        Season(SOYBEAN, "soybean", "2006-06-29", "2006-11-10", 5.0 * soy),
        Season(WHEAT, "winter wheat", "2006-11-14", "2007-07-05", 20.0 * wheat),
        Season(CORN, "corn", "2008-04-28", "2008-09-25", 32.2 * corn),
        Season(WHEAT, "winter wheat", "2008-09-28", "2009-06-18", 25.1 * wheat),
        Season(WHEAT, "winter wheat", "2009-09-29", "2010-06-22", 32.3 * wheat),
        Season(crops.NAMES.index("rapeseed"), "canola", "2010-09-28", "2011-06-15"),
        Season(WHEAT, "winter wheat", "2011-10-25", "2012-05-21", 44.0 * wheat),
        Season(WHEAT, "winter wheat", "2012-10-10", "2013-06-21", left_out="under way at the end"),
    )


# BADM, group DM_FERT_M, converted; DM_TILL, where a share stands for the implement: 0.5 a disk,
# 0.4 a chisel, 0.2 a cultivator or harrow.
LAMONT = FieldHistory(
    site="US-ARM",
    attributes={"sand": 0.28, "clay": 0.431, "soil_organic_carbon": 10.0},
    seasons=_lamont_seasons(),
    dressings=(
        _pounds("2003-01-15", 32.2, 0.0),
        _pounds("2003-02-15", 28.0),
        _pounds("2003-03-21", 40.0),
        _pounds("2003-09-28", 39.0),
        _pounds("2005-03-31", 20.0),
        _pounds("2005-04-05", 100.0),
        _pounds("2005-10-26", 30.0),
        _pounds("2006-03-06", 30.0),
        _pounds("2006-11-14", 18.0),
        _pounds("2007-03-06", 59.7),
        _pounds("2008-05-23", 66.0),
        _pounds("2008-09-28", 27.0),
        _pounds("2009-03-17", 30.0),
        _pounds("2009-04-09", 30.0),
        _pounds("2009-09-28", 82.0, 0.0),
        _pounds("2009-09-29", 15.3, 0.0),
        _pounds("2010-01-26", 30.0),
        _pounds("2010-04-08", 15.0),
        _pounds("2010-09-14", 50.0, 0.0),
        _pounds("2011-10-21", 9.35, 0.0),
        _pounds("2012-03-03", 44.8),
    ),
    tillage=(
        ("2003-07-25", 0.5),
        ("2003-09-18", 0.5),
        ("2003-09-25", 0.2),
        ("2009-07-10", 0.5),
        ("2009-08-25", 0.5),
        ("2009-09-29", 0.2),
        ("2010-08-04", 0.5),
        ("2010-09-03", 0.5),
        ("2011-06-29", 0.5),
        ("2011-09-03", 0.4),
        ("2011-10-17", 0.2),
    ),
    remark="crops, dates, yields, fertiliser, tillage, texture: BADM (day of harvest in 2003, 2004 "
    "and 2007 assumed); assumed: organic carbon (BADM's number fits no unit); the cowpeas of "
    "summer 2012 are fallow here",
)

# Order of the crops: ICOS station page of DE-Kli; that wheat was in 2006 and maize in 2007 follows
# from the site lists of crop-model studies. Dates and fertiliser: usual in Saxony's uplands.
_KLINGENBERG = {
    "rapeseed": (-1, "08-25", "08-01", (("03-15", 9.0), ("04-10", 9.0)), 0.0),
    "winter wheat": (-1, "10-05", "08-10", (("03-20", 6.0), ("05-01", 6.0)), 0.0),
    "silage corn": (0, "05-01", "09-25", (("05-01", 15.0),), 0.95),
    "spring barley": (0, "04-01", "08-15", (("04-01", 8.0),), 0.0),
    "winter barley": (-1, "09-20", "07-15", (("03-15", 8.0), ("04-20", 6.0)), 0.0),
}


def _klingenberg() -> FieldHistory:
    order, seasons, dressings, tillage = list(_KLINGENBERG), [], [], []
    for year in range(2004, 2016):
        name = order[(year - 2005) % len(order)]
        before, planted, harvested, given, removal = _KLINGENBERG[name]
        row = crops.NAMES.index(name)
        left_out = "under way at the end" if year == 2015 else ""
        days = (f"{year + before}-{planted}", f"{year}-{harvested}")
        seasons.append(Season(row, name, *days, removal=removal, left_out=left_out))
        dressings += [Dressing(f"{year}-{day}", 0.6 * n, 0.4 * n) for day, n in given]
        tillage.append((f"{year + before}-{planted}", 0.7))
    return FieldHistory(
        site="DE-Kli",
        attributes={"sand": 0.20, "clay": 0.23, "soil_organic_carbon": 20.0},
        seasons=tuple(seasons),
        dressings=tuple(dressings),
        tillage=tuple(tillage),
        remark="order of crops: ICOS station page; assumed: its phase (wheat 2006, maize 2007), "
        "the same usual dates in all years, fertiliser, ploughing at sowing, soil; 95 % of "
        "the shoot of silage corn taken",
    )


KLINGENBERG = _klingenberg()


def _cioffi() -> FieldHistory:
    years = range(2004, 2012)
    grass, corn = (crops.NAMES.index(name) for name in ("temperate grass", "silage corn"))
    ryegrass = [
        Season(grass, "ryegrass", f"{year - 1}-10-10", f"{year}-04-30", left_out="grass")
        for year in range(2004, 2013)
    ]
    maize = [Season(corn, "silage maize", f"{y}-05-10", f"{y}-08-28", removal=0.95) for y in years]
    watering = ("06-01", "06-10", "06-19", "06-28", "07-07", "07-16", "07-25", "08-03", "08-12")
    return FieldHistory(
        site="IT-BCi",
        attributes={"sand": 0.25, "clay": 0.45, "soil_organic_carbon": 15.0},
        seasons=tuple(sorted(ryegrass + maize, key=lambda season: season.planted)),
        dressings=tuple(Dressing(f"{year}-05-10", 14.0, 6.0) for year in years)
        + tuple(Dressing(f"{year}-02-15", 5.0, 5.0) for year in years),
        tillage=tuple((f"{year}-{day}", 0.7) for year in years for day in ("05-05", "10-05")),
        irrigation=tuple((f"{year}-{day}", 30.0) for year in years for day in watering),
        period=("2004-01-01", "2011-12-31"),
        remark="crops: site table, site list of a light-use study; alfalfa from 2012 left out; "
        "assumed: sown 10 May, cut 28 August in all years, as the tower's seasons of 2004-2008 "
        "suggest (2009 and 2010 start a month later), 9 x 30 mm of irrigation, fertiliser, grass "
        "from October to April, soil",
    )


CIOFFI = _cioffi()

CHAMPAIGN_PERIOD = ("1990-01-01", "2011-12-31")
_CHAMPAIGN = {"latitude": 40.05, "elevation": 220.0}


def _champaign(
    site: str,
    phase: int,
    corn: tuple[str, str, str],
    soybean: tuple[str, str],
    nitrogen: tuple[float, float],
    remark: str,
) -> FieldHistory:
    """Returns a rotation with corn in years of the same parity as `phase`.

    Args:
      site: its name.
      phase: 0 for corn in even years, 1 for corn in odd years.
      corn: days of fertilising, planting and harvest.
      soybean: days of planting and harvest.
      nitrogen: ammonium and nitrate given to corn.
      remark: see `FieldHistory`.
    """
    seasons, dressings, tillage = [], [], []
    for year in range(1990, 2012):
        tillage.append((f"{year}-04-15", 0.3))
        if year % 2 != phase:
            seasons.append(
                Season(SOYBEAN, "soybean", f"{year}-{soybean[0]}", f"{year}-{soybean[1]}")
            )
            continue
        seasons.append(Season(CORN, "corn", f"{year}-{corn[1]}", f"{year}-{corn[2]}"))
        dressings.append(Dressing(f"{year}-{corn[0]}", *nitrogen))
        tillage.append((f"{year}-10-27", 0.7))
    return FieldHistory(
        site=site,
        attributes={**_CHAMPAIGN, "sand": 0.05, "clay": 0.30, "soil_organic_carbon": 22.0},
        seasons=tuple(seasons),
        dressings=tuple(dressings),
        tillage=tuple(tillage),
        period=CHAMPAIGN_PERIOD,
        remark=f"{remark}; soil: silty clay loam of Black et al. 2017, rounded; assumed: chisel "
        "after corn, cultivator in spring",
    )


# Dates: mean of NASS crop progress in Illinois; nitrogen: 160 pounds an acre, the state's mean.
_PRACTICE = (("04-23", "05-03", "10-12"), ("05-16", "10-04"), (15.2, 2.7))
_MEAN_DATES = "mean dates of Illinois (NASS progress) in all years, 17.9 g N m-2 to corn"
COUNTY = (
    _champaign("Champaign-even", 0, *_PRACTICE, f"{_MEAN_DATES}; corn in even years"),
    _champaign("Champaign-odd", 1, *_PRACTICE, f"{_MEAN_DATES}; corn in odd years"),
)

# Schedule of Black et al. (2017), soyface_daycent/schedules/face_ctrl.sch, block TFACE: corn
# fertilised on day 109, planted on 119, harvested on 250; soybean from day 160 to 293.
SOYFACE = _champaign(
    "SoyFACE",
    0,
    ("04-19", "04-29", "09-07"),
    ("06-09", "10-20"),
    (13.3, 2.4),
    "schedule of Black et al. 2017 for 2009-2011 (soybean, corn, soybean), in all years",
)

TOWERS = (CURTICE, LAMONT, KLINGENBERG, CIOFFI)
