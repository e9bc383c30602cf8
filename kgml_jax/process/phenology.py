"""Development of the crop: emergence, stage and the root front, driven by thermal time."""

import jax

from kgml_jax.process.crops import Crop
from kgml_jax.process.parameters import Params
from kgml_jax.process.smooth import smin, spos, sstep
from kgml_jax.records import Field, record, var

THERMAL_PLATEAU = 22.0  # degC d d-1, upper plateau of WOFOST DTSMTB


@record
class Phenology:
    """How far the crop has come."""

    development_stage: Field = var(units="1", doc="0 emergence, 1 anthesis, 2 maturity (dvs)")
    emergence_progress: Field = var(units="1", doc="Thermal time since planting over requirement")
    root_depth: Field = var(units="m", doc="Depth of the root front")


def thermal_time(temperature: Field, base: Field) -> Field:
    """Thermal time of a day at mean `temperature`, degC d: 0 below `base`, with a plateau."""
    return smin(spos(temperature - base), THERMAL_PLATEAU)


def emerged(phenology: Phenology, occupied: Field) -> Field:
    """1 for an emerged crop, 0 before emergence or without a crop."""
    return sstep(phenology.emergence_progress - 1.0, 0.03) * occupied


def step(
    params: Params, crop: Crop, phenology: Phenology, temperature: Field, occupied: Field
) -> Phenology:
    """Advances development by one day at mean air `temperature` (degC)."""
    gain = thermal_time(temperature, crop.base_temperature)
    progress = phenology.emergence_progress + occupied * gain / crop.emergence_time
    # Emergence of the day before: a crop that emerges today starts to develop tomorrow.
    active = emerged(phenology, occupied)
    stage = phenology.development_stage
    past_anthesis = sstep(stage - 1.0, 0.02)
    rate = (1.0 - past_anthesis) / (crop.vegetative_time * params.vegetative_duration_multiplier)
    rate = rate + past_anthesis / (crop.reproductive_time * params.reproductive_duration_multiplier)
    unripe = jax.nn.sigmoid(-(stage - 2.0) / 0.01)
    limit = crop.rooting_depth * params.rooting_depth_multiplier
    room = jax.nn.sigmoid(-(phenology.root_depth - limit) / 0.02)
    return Phenology(
        development_stage=stage + active * gain * rate * unripe,
        emergence_progress=progress,
        root_depth=phenology.root_depth + active * crop.root_extension * room,
    )
