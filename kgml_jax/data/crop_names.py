"""Crops by name: canonical names, what other vocabularies call them, and what they are."""

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np

from kgml_jax.data.names import meant
from kgml_jax.errors import DataError
from kgml_jax.process.crop_table import ROWS

NAMES = tuple(ROWS)
"""Of the rows of the crop table, in their order."""

UNKNOWN = -1
"""No crop of the table."""

Habit = Literal["spring", "winter", "perennial", "cover"]
"""When a crop is sown and how it ends; a cover crop ends without a harvest."""


@dataclass(frozen=True)
class Kind:
    """What is known of a crop by its name alone."""

    habit: Habit
    days: int
    """Usual days from sowing to harvest, where one of the two is not in the table."""
    nearest: str = ""
    """Crop that stands for it where the crop table has no row of its own."""


CROPS: dict[str, Kind] = {
    "corn": Kind("spring", 160),
    "silage corn": Kind("spring", 130),
    "soybean": Kind("spring", 140),
    "winter wheat": Kind("winter", 265),
    "spring wheat": Kind("spring", 120),
    "winter barley": Kind("winter", 290),
    "spring barley": Kind("spring", 125),
    "rapeseed": Kind("winter", 320),
    "sunflower": Kind("spring", 155),
    "sugar beet": Kind("spring", 190),
    "potato": Kind("spring", 165),
    "alfalfa": Kind("perennial", 365),
    "temperate grass": Kind("perennial", 365),
    "cover crop": Kind("cover", 145),
    "triticale": Kind("winter", 265, nearest="winter wheat"),
    "rye": Kind("winter", 265, nearest="winter wheat"),
    "oats": Kind("spring", 125, nearest="spring barley"),
    "clover": Kind("perennial", 365, nearest="temperate grass"),
    **dict.fromkeys(("faba bean", "pea", "lentil", "chickpea", "dry bean"), Kind("spring", 130)),
    **dict.fromkeys(("peanut", "cowpea", "cotton", "sorghum", "millet"), Kind("spring", 140)),
    **dict.fromkeys(("flax", "buckwheat", "quinoa", "safflower", "tomato"), Kind("spring", 120)),
    **dict.fromkeys(("onion", "carrot", "cabbage", "tobacco", "hemp"), Kind("spring", 130)),
    **dict.fromkeys(("miscanthus", "switchgrass", "sugarcane"), Kind("perennial", 365)),
}
"""Canonical names. Usual days: medians of the records of crop towers, rounded; where there
are none, those of a crop like it."""

UNDECIDED = {
    "wheat": ("winter wheat", "spring wheat"),
    "barley": ("winter barley", "spring barley"),
}
"""Names that the month of sowing decides: sown in autumn and winter, or in spring."""

_SAME = {
    "corn": "maize maz mz grain_maize grain_corn field_corn zea_mays sweet_corn swc",
    "silage corn": "silage_maize maize_silage corn_silage forage_maize forage_corn green_maize",
    "soybean": "soybeans soya soy sbn sb glycine_max soya_bean",
    "wheat": "soft_wheat common_wheat bread_wheat whb wh durum durum_wheat whd triticum_aestivum "
    "hard_wheat triticum",
    "winter wheat": "winter_soft_wheat winter_durum_wheat hard_red_winter_wheat wwht "
    "winter_common_wheat",
    "spring wheat": "spring_soft_wheat spring_durum_wheat hard_red_spring_wheat swht summer_wheat",
    "barley": "bar ba hordeum_vulgare",
    "winter barley": "wbar",
    "spring barley": "summer_barley malting_barley",
    "rapeseed": "winter_rapeseed oilseed_rape winter_oilseed_rape rape canola cnl rap osr colza "
    "winter_rape brassica_napus",
    "sunflower": "sunflowers sun su helianthus_annuus",
    "sugar beet": "sugarbeet sugar_beets beet sbt bs beta_vulgaris beet_sugar",
    "potato": "potatoes potatoe pot pt solanum_tuberosum",
    "alfalfa": "lucerne alf al medicago_sativa luzerne",
    "temperate grass": "grass grassland ley pasture meadow perennial_ryegrass ryegrass "
    "italian_ryegrass grv gr fescue timothy hay grass_clover clover_grass temporary_grassland "
    "permanent_grassland",
    "cover crop": "cover catch_crop intercrop_cover green_manure mustard white_mustard "
    "yellow_mustard oil_radish oilseed_radish fodder_radish radish phacelia vetch hairy_vetch "
    "serradella turniprape turnip_rape white_sweet_clover lupin winter_cover_crop",
    "triticale": "trt winter_triticale",
    "rye": "winter_rye cereal_rye",
    "oats": "oat spring_oats avena_sativa misc_grain_hay",
    "clover": "red_clover white_clover rcl clv",
    "faba bean": "fababean field_bean broad_bean fbn",
    "pea": "peas field_pea",
    "lentil": "lentils len",
    "chickpea": "chickpeas chp",
    "dry bean": "beans bnd common_bean",
    "peanut": "groundnut pnt",
    "cowpea": "cowpeas cwp",
    "cotton": "cot",
    "sorghum": "sgg grain_sorghum milo",
    "millet": "pml pearl_millet",
    "flax": "linseed",
    "buckwheat": "bwh",
    "sugarcane": "suc sugar_cane",
    "switchgrass": "swg",
    "tomato": "tomatoes tom",
    "onion": "onions onn",
}
REFUSED = {
    "rice": "flooded paddies are not simulated",
    **dict.fromkeys(
        (
            *("vineyard", "grapevine", "orchard", "apple", "pear", "cherry", "peach", "apricot"),
            *("citrus", "olive", "almond", "walnut", "pistachio", "oil palm", "coffee", "cocoa"),
            *("tea", "banana", "poplar", "willow", "forest", "rubber"),
        ),
        "woody perennials are not simulated",
    ),
}
"""Crops that no row of the table will describe, and why."""
_SAME_REFUSED = {
    "rice": "ric paddy paddy_rice oryza_sativa",
    "vineyard": "vines grapes grape vin wine_grape tgr",
    "apple": "apples apl",
    "olive": "olives",
    "almond": "almonds",
    "citrus": "cit oranges orange",
    "oil palm": "olp",
    "coffee": "cfe",
}
FALLOW = frozenset(
    ("", "none", "fallow", "fal", "bare", "bare soil", "nan", "interculture sans vegetation")
)
"""Words for no crop, as they are `plain`."""


def plain(name: str) -> str:
    """Returns a name in lower case with one space between words: `Winter_Wheat` is winter wheat."""
    return " ".join(re.sub(r"[_\-]+", " ", name.casefold()).split())


def _spoken() -> dict[str, str]:
    known = {name: name for name in (*CROPS, *UNDECIDED, *REFUSED)}
    for table in (_SAME, _SAME_REFUSED):
        for name, others in table.items():
            known |= {plain(other): name for other in others.split()}
    return known


SPOKEN = _spoken()
"""Every name that is known, as it is `plain`, and the canonical one."""


@dataclass(frozen=True)
class Named:
    """A crop of a table with its canonical name, empty where none was given, and how it is known.

    `remark` is empty where the name is the canonical one in another spelling.
    """

    name: str
    remark: str = ""

    @property
    def kind(self) -> Kind:
        """What is known of it; of a crop without a name, that it is sown in spring."""
        return CROPS.get(self.name, Kind("spring", 200))

    @property
    def is_cover(self) -> bool:
        """Whether it is grown to cover the ground, not for a harvest."""
        return self.kind.habit == "cover"

    @property
    def is_perennial(self) -> bool:
        """Whether a harvest leaves it standing."""
        return self.kind.habit == "perennial"


NO_CROP = Named("")


def resolve(text: str, sown: np.datetime64 | None, latitude: float, cover: bool = False) -> Named:
    """Returns the crop that a name stands for.

    Args:
      text: as written; several crops are joined by `+`.
      sown: its day of sowing, which decides between winter and spring crops; None if not known.
      latitude: degrees north, whose sign says which months are autumn.
      cover: the table calls it a cover or catch crop, whatever its name.

    Raises:
      DataError: the name is not known, or is of a crop that is not simulated.
    """
    if plain(text) in FALLOW:
        return NO_CROP
    members = [known(part) for part in re.split(r"\s*[+/]\s*", text) if part.strip()]
    if cover:
        return Named("cover crop", "" if members == ["cover crop"] else "grown as a cover crop")
    kinds = list(dict.fromkeys(_grassy(members)))
    name, remark = _in_season(kinds[0], sown, latitude)
    if len(kinds) > 1:
        remark = "; ".join(filter(None, ("a mixture, of which the first named counts", remark)))
    return Named(name, remark)


def known(text: str, file: str | None = None, variable: str = "crop") -> str:
    """Returns the canonical name of one crop, which the season may have to decide (`UNDECIDED`).

    Raises:
      DataError: the name is not known, or is of a crop that is not simulated.
    """
    place = {"file": file, "variable": variable, "found": repr(text)}
    name = SPOKEN.get(plain(text))
    if name is None:
        near = meant(plain(text), SPOKEN)
        hint = f"did you mean {near}? " if near else ""
        expected = f"{hint}a name of docs/management.md, such as {', '.join([*CROPS][:4])}"
        raise DataError("is no crop that is known", expected=expected, **place)
    if name in REFUSED:
        raise DataError(f"{name}: {REFUSED[name]}", **place)
    return name


def _grassy(members: list[str]) -> list[str]:
    # Clover in grass is a ley, by itself it has a name of its own.
    grass = "temperate grass" in members
    return ["temperate grass" if name == "clover" and grass else name for name in members]


def _in_season(name: str, sown: np.datetime64 | None, latitude: float) -> tuple[str, str]:
    if name not in UNDECIDED:
        return name, ""
    winter, spring = UNDECIDED[name]
    if sown is None:
        return winter, "taken as sown in autumn, its sowing is not in the table"
    month = int(str(sown)[5:7])
    # Half a year later in the south: autumn and the first weeks of winter are August to January.
    northern = month if latitude >= 0 else (month + 5) % 12 + 1
    return (winter if northern >= 8 or northern == 1 else spring), "by its month of sowing"


def same(one: Named, other: Named) -> bool:
    """Whether two names of a table may be of one crop: equal, or one of them not given.

    Corn and silage corn are one, because how it is used is known at harvest only; so are winter and
    spring crops, because a harvest does not tell when they were sown.
    """
    return not one.name or not other.name or _species(one.name) == _species(other.name)


def _species(name: str) -> str:
    for species, kinds in UNDECIDED.items():
        if name in kinds:
            return species
    return name.removeprefix("silage ")


def row(name: str) -> tuple[int, str]:
    """Returns the row of the crop table of a canonical name, and words where it is not its own.

    -1, bare ground to the process model, where there is none.
    """
    if not name:
        return UNKNOWN, "no crop is named: bare ground"
    for candidate, remark in ((name, ""), (CROPS[name].nearest, "simulated as {}")):
        if candidate in ROWS:
            return NAMES.index(candidate), remark.format(candidate)
    return UNKNOWN, "no row of the crop table: bare ground"


def shoot_harvested(name: str) -> float:
    """Returns the share of the shoot that a harvest takes by the row of a crop; of grain 0."""
    row_of_it = ROWS.get(name)
    return row_of_it["shoot_harvested"] if row_of_it else 0.0


_IN_TEXT = re.compile(
    r"\b("
    + "|".join(sorted((name for name in SPOKEN if len(name) > 3), key=len, reverse=True))
    + r")\b"
)


def in_words(text: str) -> str:
    """Returns the first name of a crop within free text, the longest at its place; else empty."""
    found = _IN_TEXT.search(plain(text))
    return found[1] if found else ""
