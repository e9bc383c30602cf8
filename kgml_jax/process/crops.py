"""The crop table: what distinguishes corn from soybean; a crop is one more row.

Values are priors: thermal times and allocation from WOFOST and CERES, growth yields and tissue
nitrogen from ecosys inputs, rooting depth from FAO-56 Table 22, the rest tuned to magnitudes.
"""

import dataclasses

import jax.numpy as jnp

from kgml_jax.records import Field, record, var


@record
class Crop:
    """Traits of one crop, each of shape `()`."""

    base_temperature: Field = var(units="degC", doc="Temperature below which no thermal time (T_b)")
    emergence_time: Field = var(units="degC d", doc="Thermal time, planting to emergence (TSEM)")
    vegetative_time: Field = var(units="degC d", doc="Thermal time, emergence to anthesis (TS1)")
    reproductive_time: Field = var(units="degC d", doc="Thermal time, anthesis to maturity (TS2)")
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
    leaf_nitrogen: Field = var(units="1", doc="Nitrogen per carbon of leaves (g N per g C)")
    stem_nitrogen: Field = var(units="1", doc="Nitrogen per carbon of stems (g N per g C)")
    root_nitrogen: Field = var(units="1", doc="Nitrogen per carbon of roots (g N per g C)")
    grain_nitrogen: Field = var(units="1", doc="Nitrogen per carbon of grain (g N per g C)")
    vegetative_yield: Field = var(units="1", doc="Tissue carbon per carbon used, vegetative (Y)")
    grain_yield: Field = var(units="1", doc="Tissue carbon per carbon used, grain (Y)")
    seed_carbon: Field = var(units="g C m-2", doc="Carbon sown with the seed")
    rooting_depth: Field = var(units="m", doc="Largest rooting depth (z_max)")
    root_extension: Field = var(units="m d-1", doc="Downward growth of the root front")
    senescence_rate: Field = var(units="d-1", doc="Leaf senescence after its onset (k_sen)")
    senescence_stage: Field = var(units="1", doc="Stage at its onset (d_s)")
    harvest_efficiency: Field = var(units="1", doc="Share of the grain that leaves the field (hie)")
    litter_lignin_to_nitrogen: Field = var(units="1", doc="Lignin per nitrogen of the litter")


CORN: dict[str, float] = dict(
    base_temperature=8.0,
    emergence_time=70.0,
    vegetative_time=820.0,
    reproductive_time=880.0,
    c4=1.0,
    vcmax=34.0,
    stomatal_slope=1.6,
    clumping=0.85,
    specific_leaf_area=0.058,
    root_fraction=0.38,
    root_decline_stage=0.75,
    leaf_fraction=0.66,
    leaf_decline_stage=0.80,
    grain_onset_stage=1.04,
    grain_onset_width=0.04,
    leaf_nitrogen=0.072,
    stem_nitrogen=0.014,
    root_nitrogen=0.022,
    grain_nitrogen=0.032,
    vegetative_yield=0.72,
    grain_yield=0.73,
    seed_carbon=1.2,
    rooting_depth=1.5,
    root_extension=0.025,
    senescence_rate=0.020,
    senescence_stage=1.50,
    harvest_efficiency=0.97,
    litter_lignin_to_nitrogen=20.0,
)
SOYBEAN: dict[str, float] = dict(
    base_temperature=7.0,
    emergence_time=80.0,
    vegetative_time=900.0,
    reproductive_time=720.0,
    c4=0.0,
    vcmax=80.0,
    stomatal_slope=4.6,
    clumping=0.90,
    specific_leaf_area=0.050,
    root_fraction=0.36,
    root_decline_stage=0.75,
    leaf_fraction=0.66,
    leaf_decline_stage=0.95,
    grain_onset_stage=1.00,
    grain_onset_width=0.07,
    leaf_nitrogen=0.105,
    stem_nitrogen=0.020,
    root_nitrogen=0.030,
    grain_nitrogen=0.135,
    vegetative_yield=0.72,
    grain_yield=0.65,
    seed_carbon=3.5,
    rooting_depth=1.2,
    root_extension=0.020,
    senescence_rate=0.045,
    senescence_stage=1.60,
    harvest_efficiency=0.95,
    litter_lignin_to_nitrogen=12.0,
)
TABLE: tuple[dict[str, float], ...] = (CORN, SOYBEAN)
"""Rows of the crop table, in the order of `Forcing.crop`."""


def lookup(index: Field) -> Crop:
    """Returns the traits of the crop in row `index` (int); an unknown crop (-1) reads row 0.

    Whoever reads row 0 for an unknown crop must see to it that nothing grows (`occupied` is 0).
    """
    names = [field.name for field in dataclasses.fields(Crop)]
    # One matrix: a day then costs one gather of a row instead of one for every trait.
    matrix = jnp.asarray([[traits[name] for name in names] for traits in TABLE])
    row = matrix[jnp.clip(index, 0, len(TABLE) - 1).astype(int)]
    return Crop(**dict(zip(names, row, strict=True)))
