"""Crops: the traits that distinguish them, and the row of each in `crop_table`."""

import dataclasses

import jax.numpy as jnp

from kgml_jax.process.crop_table import ROWS
from kgml_jax.records import Field, record, var


@record
class Crop:
    """Traits of one crop, each of shape `()`."""

    base_temperature: Field = var(units="degC", doc="Temperature below which no thermal time (T_b)")
    emergence_time: Field = var(units="degC d", doc="Thermal time, planting to emergence (TSEM)")
    vegetative_time: Field = var(units="degC d", doc="Thermal time, emergence to anthesis (TS1)")
    reproductive_time: Field = var(units="degC d", doc="Thermal time, anthesis to maturity (TS2)")
    photoperiod_sensitivity: Field = var(
        units="1", doc="Share of development to anthesis that the shortest days take away"
    )
    vernalisation_days: Field = var(
        units="d", doc="Days of full vernalisation for undelayed development; 0 needs none"
    )
    thermal_adaptation: Field = var(
        units="degC", doc="Colder by so much it grows as a crop of warm climates does"
    )
    growth_temperature: Field = var(
        units="degC", doc="Mean temperature of the season, to which leaves are acclimated"
    )
    c4: Field = var(units="1", doc="1 for the C4 pathway, 0 for C3")
    vcmax: Field = var(units="umol m-2 s-1", doc="Carboxylation capacity, canopy top, 25 degC")
    stomatal_slope: Field = var(units="kPa0.5", doc="Medlyn slope g1")
    clumping: Field = var(units="1", doc="Clumping index of the canopy")
    specific_leaf_area: Field = var(units="m2 gC-1", doc="Leaf area per leaf carbon (SLA)")
    root_fraction: Field = var(units="1", doc="Allocation to roots at emergence (f_r0)")
    root_decline_stage: Field = var(units="1", doc="Stage at which it has halved (f_rh)")
    leaf_fraction: Field = var(units="1", doc="Leaf share of vegetative shoot growth (f_l0)")
    leaf_decline_stage: Field = var(units="1", doc="Stage at which it has halved (f_lh)")
    grain_onset_stage: Field = var(units="1", doc="Stage at half of full grain filling (g_o)")
    grain_onset_width: Field = var(units="1", doc="Width of that transition (g_w)")
    leaf_nitrogen: Field = var(units="1", doc="Nitrogen per carbon of well-fed leaves")
    stem_nitrogen: Field = var(units="1", doc="Nitrogen per carbon of well-fed stems")
    root_nitrogen: Field = var(units="1", doc="Nitrogen per carbon of well-fed roots")
    grain_nitrogen: Field = var(units="1", doc="Nitrogen per carbon of well-fed grain")
    nitrogen_fixation: Field = var(
        units="1", doc="1 for a legume, 0 for others; share of a mixture"
    )
    vegetative_yield: Field = var(units="1", doc="Tissue carbon per carbon used, vegetative (Y)")
    grain_yield: Field = var(units="1", doc="Tissue carbon per carbon used, grain (Y)")
    seed_carbon: Field = var(units="g C m-2", doc="Carbon sown with the seed")
    rooting_depth: Field = var(units="m", doc="Largest rooting depth (z_max)")
    root_extension: Field = var(units="m d-1", doc="Downward growth of the root front")
    senescence_rate: Field = var(units="d-1", doc="Leaf senescence after its onset (k_sen)")
    senescence_stage: Field = var(units="1", doc="Stage at its onset (d_s)")
    frost_temperature: Field = var(units="degC", doc="Lowest of the day at half of frost damage")
    photosynthetic_frost: Field = var(
        units="degC", doc="Lowest of the day at which nine tenths of photosynthesis have halved"
    )
    litter_lignin: Field = var(units="1", doc="Lignin per dry matter of the residue")
    shoot_harvested: Field = var(
        units="1", doc="Share of the shoot that leaves the field with the harvest"
    )
    harvest_efficiency: Field = var(
        units="1", doc="Share of the grain, or of what is mown, that leaves the field (hie)"
    )
    perennial: Field = var(units="1", doc="1 for a stand that harvests leave alive, 0 for others")
    stubble_leaf_area: Field = var(units="1", doc="Leaf area index below mower and muzzle")
    reserve_mobilisation: Field = var(
        units="d-1", doc="Root carbon and nitrogen given to regrowth of a leafless stand, 25 degC"
    )
    grain_carbon: Field = var(units="1", doc="Carbon per dry matter of grain")
    market_moisture: Field = var(units="1", doc="Water per mass of grain as it is sold")


TABLE: tuple[dict[str, float], ...] = tuple(ROWS.values())
"""Rows of the crop table, in the order of `Forcing.crop`."""

NAMES: tuple[str, ...] = tuple(ROWS)
"""Of the rows, in their order."""


def lookup(index: Field) -> Crop:
    """Returns the traits of the crop in row `index` (int); an unknown crop (-1) reads row 0.

    Whoever reads row 0 for an unknown crop must see to it that nothing grows (`occupied` is 0).
    """
    names = [field.name for field in dataclasses.fields(Crop)]
    # One matrix: a day then costs one gather of a row instead of one for every trait.
    matrix = jnp.asarray([[traits[name] for name in names] for traits in TABLE])
    row = matrix[jnp.clip(index, 0, len(TABLE) - 1).astype(int)]
    return Crop(**dict(zip(names, row, strict=True)))


def market_yield(crop: Crop, grain_carbon: Field) -> Field:
    """Yield of grain with `grain_carbon` (g C m-2), Mg ha-1 at market moisture."""
    return 0.01 * grain_carbon / (crop.grain_carbon * (1.0 - crop.market_moisture))
