"""The crop table: what distinguishes corn, soybean and winter wheat; a crop is one more row.

Values are priors. Sources by trait:

* thermal times, allocation, rooting of wheat: WOFOST crop files of maize, soybean and wheat (wheat:
  TSUMEM 120, TSUM1 543-1031 and TSUM2 852-1194 by variety, less here as warm days count less near
  the plateau; FRTB 0.5 to 0; SLATB 21.2 m2 kg-1 at 0.44 carbon; RRI 1.2 cm d-1, RDMCR 1.25 m), for
  corn and soybean also CERES; corn fits FLTB, 0.28 of the shoot at 0.9, and FOTB, 0 to 1 between
  0.9 and 1.37;
* photoperiod: WOFOST wheat (IDSL 2) has all of the response, maize and soybean none; sown in
  autumn, winter wheat is taken as vernalised by the time its days are long enough;
* thermal adaptation: ecosys shifts the temperature response of growth by 2.667 (2.5 - zone) K, 4 in
  the cool temperate zone of wheat; corn and soybean are of warmer ones, as the response is;
* growth temperature: mean of the months in which most leaf area stands (May and June, 50 degrees
  north; July and August, Corn Belt), for the regressions of Kattge and Knorr (2007), 11 to 35 degC;
* growth yields and tissue nitrogen: ecosys inputs (EcoSIM maiz31, soyb31); corn stems between
  stalk 0.010 and sheath 0.025 (1 % of dry matter at silking); wheat leaves WOFOST NMAXLV;
* grain nitrogen: corn 1.4, soybean 6.5 (40 % protein), wheat 2.0 % of dry matter;
* rooting depth of corn and soybean: FAO-56 Table 22; lignin of shoots: CENTURY FLIGNI;
* market moisture: bushels of the United States grain trade (15.5, 13 and 13.5 % water);
* frost: leaves of corn and soybean die at -2 degC, hardened winter wheat at about -18;
* carboxylation capacity, stomatal slope, senescence: prior tuned to magnitudes of photosynthesis.
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
    photoperiod_sensitivity: Field = var(
        units="1", doc="Share of development to anthesis that the shortest days take away"
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
    nitrogen_fixation: Field = var(units="1", doc="1 for a legume, 0 for other crops")
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
    harvest_efficiency: Field = var(units="1", doc="Share of the grain that leaves the field (hie)")
    grain_carbon: Field = var(units="1", doc="Carbon per dry matter of grain")
    market_moisture: Field = var(units="1", doc="Water per mass of grain as it is sold")


CORN: dict[str, float] = dict(
    base_temperature=8.0,
    emergence_time=70.0,
    vegetative_time=820.0,
    reproductive_time=880.0,
    photoperiod_sensitivity=0.0,
    thermal_adaptation=0.0,
    growth_temperature=24.0,
    c4=1.0,
    vcmax=46.0,
    stomatal_slope=1.6,
    clumping=0.85,
    specific_leaf_area=0.047,
    root_fraction=0.38,
    root_decline_stage=0.75,
    leaf_fraction=0.66,
    leaf_decline_stage=0.88,
    grain_onset_stage=1.13,
    grain_onset_width=0.07,
    leaf_nitrogen=0.072,
    stem_nitrogen=0.022,
    root_nitrogen=0.022,
    grain_nitrogen=0.032,
    nitrogen_fixation=0.0,
    vegetative_yield=0.72,
    grain_yield=0.73,
    seed_carbon=1.2,
    rooting_depth=1.5,
    root_extension=0.025,
    senescence_rate=0.020,
    senescence_stage=1.65,
    frost_temperature=-2.0,
    photosynthetic_frost=-2.0,
    litter_lignin=0.12,
    harvest_efficiency=0.97,
    grain_carbon=0.45,
    market_moisture=0.155,
)
SOYBEAN: dict[str, float] = dict(
    base_temperature=7.0,
    emergence_time=80.0,
    vegetative_time=950.0,
    reproductive_time=720.0,
    photoperiod_sensitivity=0.0,
    thermal_adaptation=0.0,
    growth_temperature=24.0,
    c4=0.0,
    vcmax=90.0,
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
    grain_nitrogen=0.122,
    nitrogen_fixation=1.0,
    vegetative_yield=0.72,
    grain_yield=0.65,
    seed_carbon=3.5,
    rooting_depth=1.2,
    root_extension=0.020,
    senescence_rate=0.035,
    senescence_stage=1.70,
    frost_temperature=-2.0,
    photosynthetic_frost=-2.0,
    litter_lignin=0.12,
    harvest_efficiency=0.95,
    grain_carbon=0.53,
    market_moisture=0.13,
)
WINTER_WHEAT: dict[str, float] = dict(
    base_temperature=0.0,
    emergence_time=120.0,
    vegetative_time=800.0,
    reproductive_time=800.0,
    photoperiod_sensitivity=1.0,
    thermal_adaptation=4.0,
    growth_temperature=14.0,
    c4=0.0,
    vcmax=80.0,
    stomatal_slope=5.0,
    clumping=0.90,
    specific_leaf_area=0.048,
    root_fraction=0.48,
    root_decline_stage=0.35,
    leaf_fraction=0.68,
    leaf_decline_stage=0.70,
    grain_onset_stage=1.00,
    grain_onset_width=0.03,
    leaf_nitrogen=0.085,
    stem_nitrogen=0.016,
    root_nitrogen=0.022,
    grain_nitrogen=0.045,
    nitrogen_fixation=0.0,
    vegetative_yield=0.72,
    grain_yield=0.73,
    seed_carbon=5.0,
    rooting_depth=1.25,
    root_extension=0.012,
    senescence_rate=0.045,
    senescence_stage=1.55,
    frost_temperature=-18.0,
    photosynthetic_frost=-6.0,
    litter_lignin=0.15,
    harvest_efficiency=0.95,
    grain_carbon=0.45,
    market_moisture=0.135,
)
TABLE: tuple[dict[str, float], ...] = (CORN, SOYBEAN, WINTER_WHEAT)
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


def market_yield(crop: Crop, grain_carbon: Field) -> Field:
    """Yield of grain with `grain_carbon` (g C m-2), Mg ha-1 at market moisture."""
    return 0.01 * grain_carbon / (crop.grain_carbon * (1.0 - crop.market_moisture))
