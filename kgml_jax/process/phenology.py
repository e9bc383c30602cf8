"""Development of the crop: emergence, stage and the root front, by warmth, light and winter cold.

A perennial stand has the mean stage of its tillers, of which some die each day and begin anew: it
ages in warm seasons, is young again after winter, and never ripens as a whole.

Where no crop stands, progress falls back to 0, and with it stage and roots: a crop begins anew
even where its planting is spread over days.
"""

import jax

from kgml_jax.process.crops import Crop
from kgml_jax.process.parameters import Params
from kgml_jax.process.smooth import sat01, smin, spos, sstep
from kgml_jax.records import Field, record, var

THERMAL_PLATEAU = 22.0  # degC d d-1; upper plateau of WOFOST DTSMTB
SHORTEST_DAY = 8.0  # h; sensitive crops do not develop in shorter days (WOFOST wheat DLC)
LONGEST_DAY = 14.6  # h; longer days bring no faster development (WOFOST wheat DLO 14.0-16.8)
VERNALISING = (-4.0, 3.0, 10.0, 17.0)  # degC; none, all, all and none of it (WOFOST VERNRTB)
VERNALISATION_BASE = 0.2  # 1; of the requirement, below it no development (WOFOST VERNBASE/VERNSAT)
RENEWAL = 1.0 / 60.0  # d-1; tillers of a perennial stand that die and are replaced by new ones
VERNALISED = 0.3  # 1; stage from which cold is no longer needed (WOFOST VERNDVS)


@record
class Phenology:
    """How far the crop has come."""

    development_stage: Field = var(units="1", doc="0 emergence, 1 anthesis, 2 maturity (dvs)")
    emergence_progress: Field = var(units="1", doc="Thermal time since planting over requirement")
    root_depth: Field = var(units="m", doc="Depth of the root front")
    vernalisation: Field = var(units="d", doc="Days of full vernalisation since emergence")


def thermal_time(temperature: Field, base: Field) -> Field:
    """Thermal time of a day at mean `temperature`, degC d: 0 below `base`, with a plateau."""
    return smin(spos(temperature - base), THERMAL_PLATEAU)


def photoperiod_factor(crop: Crop, day_length: Field) -> Field:
    """Rate of development to anthesis at `day_length` (h) over that in long days (WOFOST)."""
    light = sat01((day_length - SHORTEST_DAY) / (LONGEST_DAY - SHORTEST_DAY))
    return 1.0 - crop.photoperiod_sensitivity * (1.0 - light)


def vernalisation_rate(temperature: Field) -> Field:
    """Days of full vernalisation that a day at mean `temperature` (degC) counts, 0 to 1."""
    frozen, cold, cool, warm = VERNALISING
    rising = sat01((temperature - frozen) / (cold - frozen))
    return rising * sat01((warm - temperature) / (warm - cool))


def vernalisation_factor(crop: Crop, vernalisation: Field, stage: Field) -> Field:
    """Rate of development over that after enough cold: 1 for crops that need none (WOFOST)."""
    need = crop.vernalisation_days
    past_base = vernalisation - VERNALISATION_BASE * need
    ready = sat01(past_base / ((1.0 - VERNALISATION_BASE) * need + 1e-6))
    waiting = need / (need + 1e-6) * (1.0 - sstep(stage - VERNALISED, 0.02))
    return 1.0 - waiting * (1.0 - ready)


def _sprouted(progress: Field) -> Field:
    return sstep(progress - 1.0, 0.03)


def emerged(phenology: Phenology, occupied: Field) -> Field:
    """1 for an emerged crop, 0 before emergence or without a crop."""
    return _sprouted(phenology.emergence_progress) * occupied


def abandonment(occupied: Field) -> Field:
    """1 on a field without a crop, 0 on an `occupied` one.

    The power keeps it small while a crop is sown or harvested over several days.
    """
    return (1.0 - occupied) ** 3


def step(
    params: Params,
    crop: Crop,
    phenology: Phenology,
    temperature: Field,
    day_length: Field,
    occupied: Field,
) -> Phenology:
    """Advances development by one day at mean air `temperature` (degC) and `day_length` (h)."""
    stage = phenology.development_stage * (1.0 - RENEWAL * crop.perennial)
    gain = thermal_time(temperature, crop.base_temperature)
    gained = phenology.emergence_progress + occupied * gain / crop.emergence_time
    # Emergence of the day before: a crop that emerges today starts to develop tomorrow.
    active = emerged(phenology, occupied)
    past_anthesis = sstep(stage - 1.0, 0.02)
    vegetative = crop.vegetative_time * params.vegetative_duration_multiplier
    ready = vernalisation_factor(crop, phenology.vernalisation, stage)
    rate = (1.0 - past_anthesis) * photoperiod_factor(crop, day_length) * ready / vegetative
    rate = rate + past_anthesis / (crop.reproductive_time * params.reproductive_duration_multiplier)
    unripe = jax.nn.sigmoid(-(stage - 2.0) / 0.01)
    limit = crop.rooting_depth * params.rooting_depth_multiplier
    room = jax.nn.sigmoid(-(phenology.root_depth - limit) / 0.02)
    progress = gained * (1.0 - abandonment(occupied))
    kept = _sprouted(progress)
    return Phenology(
        development_stage=kept * (stage + active * gain * rate * unripe),
        emergence_progress=progress,
        root_depth=kept * (phenology.root_depth + active * crop.root_extension * room),
        vernalisation=kept * (phenology.vernalisation + active * vernalisation_rate(temperature)),
    )
