"""What is done on a field, in one vocabulary, and how other words and codes say it."""

import re
from dataclasses import dataclass

KINDS = {
    "planting": "a crop is sown or planted: its season begins",
    "harvest": "grain, or all of the shoot, leaves the field: the season ends",
    "termination": "a crop, as a rule a cover crop, is killed and left: the season ends",
    "tillage": "soil and residue of the plough layer are mixed",
    "fertilisation": "mineral nitrogen is given, by form",
    "organic fertilisation": "manure, slurry or compost with its carbon and nitrogen",
    "irrigation": "water is given",
    "cut": "a stand is mown and grows again; of a cover crop, its termination",
    "graze": "animals eat of the stand",
    "residue removal": "straw is taken from the field after a harvest",
}
"""Events that models know, and what they mean."""

UNUSED = (
    *("liming", "spraying", "fire", "emergence", "observation", "rolling", "residue crushing"),
    *("mulching", "drainage", "weather damage", "other"),
)
"""Events that are read, and on which nothing in the models depends: counted and told."""

_SAID = {
    "planting": "plant sowing sow seeding seed direct_sowing drilling transplanting pdate",
    "harvest": "harv harvesting combine silage hadat hdate",
    "termination": "terminate cover_destruction destruction kill cover_crop_termination",
    "tillage": "till ploughing plowing cultivation harrowing disking tdate tidate",
    "fertilisation": "fertilization fertiliser fertilizer fert fertilisation_mineral "
    "fertilization_mineral mineral_fertilisation mineral_fertilization nutrients fedate",
    "organic fertilisation": "organic_fertilization fertilisation_organic fertilization_organic "
    "manure manuring slurry compost organic_matter organic_material omdat",
    "irrigation": "irrig irrigate watering fertigation idate",
    "cut": "cutting mowing mow clipping",
    "graze": "grazing",
    "residue removal": "residue_removal straw_removal baling pressing straw_baling",
    "liming": "lime",
    "spraying": "spray herbicide pesticide fungicide insecticide chemical chemicals cdate",
    "fire": "burning burn",
    "emergence": "emergence_observed edate leafon leafoff",
    "observation": "observed phenology",
    "residue crushing": "residue_crushing shredding",
    "weather damage": "hail storm",
}


def _key(text: str) -> str:
    return " ".join(re.sub(r"[_\-]+", " ", text.casefold()).split())


SAID = {name: name for name in (*KINDS, *UNUSED)} | {
    _key(word): name for name, words in _SAID.items() for word in words.split()
}
"""Every word for an event that is known, and the event."""


def event(text: str) -> str | None:
    """Returns the event of a word of any vocabulary; None if it is not known."""
    return SAID.get(_key(text))


@dataclass(frozen=True)
class Form:
    """A form of mineral nitrogen: words and codes that name it, and how much of it is ammonium."""

    ammonium: float
    words: str


FORMS = {
    "urea ammonium nitrate": Form(
        0.75, r"\buan\b|\bahl\b|28-0-0|32-0-0|solutions? ?n\b|urea ammonium|fe010"
    ),
    "ammonium sulfate nitrate": Form(
        0.73, r"sulfonitrat|ammonsulfatsalpeter|sul\w*hur ammonium nitrate|sulfate nitrate|fe003"
    ),
    "ammonium nitrate": Form(
        0.5, r"ammonium ?nitrate?|ammonitrate?|\bkas\b|\bcan\b|\blas\b|34-0-0|fe001|fe011"
    ),
    "ammonium phosphate": Form(
        1.0, r"ammon\w* ?\w*phos|\bmap\b|\bdap\b|18-46|11-52|10-34|fe006|fe007|fe012"
    ),
    "ammonia": Form(1.0, r"\bnh3\b|ammonia\b|82-0-0|fe004|fe009"),
    "urea": Form(1.0, r"\buree?a?\b|harnstoff|46-0-0|fe005|fe019|fe051"),
    "ammonium sulfate": Form(1.0, r"ammonium sul|sulfate (d.)?ammoni|fe002"),
    "ammonium": Form(1.0, r"\bammonium\b|\bnh4"),
    "nitrate": Form(0.0, r"nitrate?\b|\bno3|salpeter|fe008|fe017"),
    "mixed": Form(0.5, r"\bmixed\b|\bnpk?\b|ternair|ternary|binary|compound"),
    "unknown": Form(0.75, r""),
}
"""Forms, the first whose words are found counts. Mixed ones are half ammonium; of the nitrogen that
the world spreads more than half is urea, and most of the rest half nitrate (IFA): 0.75."""


def form(text: str) -> str:
    """Returns the form of nitrogen that words or codes name, `unknown` if none does."""
    words = " ".join(text.casefold().replace("_", " ").split())
    return next(name for name, one in FORMS.items() if re.search(one.words, words))


IMPLEMENTS = (
    (r"no.?till|direct.?(sow|drill)|roll|roulage|packer|track.?fil|grade|shredder|sprayer", 0.0),
    (r"moldboard|mouldboard|plough|plow|ti003|ti041|ti042|labour", 0.7),
    (r"dis[ck]|ti00[789]|ti010", 0.5),
    (r"chisel|mulch|bury|ti00[456]", 0.4),
    (r"stubble|rotavat|rotary tiller|ti022", 0.3),
    (r"cultivat|harrow|strip|ridge|bed|ti01[1-8]|ti039", 0.2),
    (r"subsoil|ripper|decompact|weed|hoe|injector|ti00[12]|ti02[04]|ti03[78]", 0.1),
    (r"\bconventional\b", 0.5),
    (r"\bconservation\b", 0.3),
)
"""Words for implements and the share of the plough layer that one pass mixes: assumptions, in the
order of the residue that they bury."""

USUAL_TILLAGE = 0.4
"""Share that is mixed where neither implement nor depth is known."""

PLOUGHING_DEPTH = 0.25
"""m; a tillage without an implement mixes the share of its depth in this."""


def mixing(text: str) -> float | None:
    """Returns the share of the plough layer that an implement mixes; None if it names none."""
    words = text.casefold().replace("_", " ")
    return next((share for pattern, share in IMPLEMENTS if re.search(pattern, words)), None)


@dataclass(frozen=True)
class Organic:
    """A kind of organic fertiliser, by its typical analysis, and words that name it."""

    ammonium: float
    """Share of its nitrogen that is ammonium when it is spread."""
    carbon: float
    """g C g-1 N, of all its nitrogen."""
    words: str


ORGANICS = {
    "digestate": Organic(0.7, 4.0, r"digestate|biogas|g.rrest"),
    "compost": Organic(0.05, 18.0, r"compost"),
    "poultry manure": Organic(0.35, 8.0, r"poultry|chicken|hen\b|broiler|litter|fiente"),
    "slurry": Organic(0.5, 10.0, r"slurry|liquid|lisier|g.lle|\bfe_?liq"),
    "solid manure": Organic(0.15, 16.0, r"solid|farmyard|\bfym\b|fumier|stallmist|dung"),
    "unknown": Organic(0.15, 16.0, r""),
}
"""Kinds, the first whose words are found counts. Rounded from the typical analyses of the Nutrient
Management Guide RB209 (AHDB 2023, section 2) with 0.42 g C g-1 of dry organic matter."""


def organic(text: str) -> str:
    """Returns the kind of organic fertiliser that words name, `unknown` if none does."""
    words = text.casefold()
    return next(name for name, one in ORGANICS.items() if re.search(one.words, words))


GRAZED = 0.5
"""Share of the shoot above the stubble that animals eat where the table does not say it, of a
paddock; they then leave it."""

PADDOCK = 14
"""Days for which animals stay in a paddock at most; on a longer window they stay all the time."""

GRAZED_A_DAY = 0.03
"""Share that they eat on each day of a longer window: two livestock units a hectare of 12 kg dry
matter each, of a sward of 0.8 t ha-1 above its stubble."""


def eaten(share: float | None, days: int) -> float:
    """Returns the share of the shoot above the stubble eaten each day of a window of `days`.

    Args:
      share: of the whole window; None where it is not known.
      days: from the first to the last.
    """
    if share is None and days > PADDOCK:
        return GRAZED_A_DAY
    whole = GRAZED if share is None else min(1.0, share)
    return 1.0 - (1.0 - whole) ** (1.0 / days)


STRAW = 0.7
"""Share of the residue above ground that a straw harvest takes; stubble and chaff are left."""

WHOLE = 0.95
"""Share of it that a harvest of the whole plant takes."""

_REMOVALS = (
    (r"whole.?plant|all.?(above.?ground)?.?biomass|silage|forage|\bhay\b|hacom c\b", WHOLE),
    (r"straw|baled", STRAW),
)


def removal(text: str) -> float:
    """Returns the share of the residue above ground that words for a harvest say is taken."""
    words = text.casefold().replace("_", " ")
    return next((share for pattern, share in _REMOVALS if re.search(pattern, words)), 0.0)
