"""The parameters of one site: prior value, unit, bounds and meaning of each.

Multipliers act on the crop table or on the site's soil attributes, so that one value of a site
serves every crop it grows. Those of the level "crop" are traits of what grows: a crop can have its
own, which hold on the days that it stands (`trait_of_crop`).
"""

from kgml_jax.records import Field, Quantity, param, quantities, record


@record
class Params:
    """Calibratable parameters of one site, each of shape `()`."""

    vcmax_multiplier: Field = param(
        1.0,
        units="1",
        bounds=(0.5, 1.8),
        transform="log",
        level="crop",
        doc="Scales carboxylation capacity at 25 degC of the crop (vcm; prior tuned).",
    )
    stomatal_slope_multiplier: Field = param(
        1.0,
        units="1",
        bounds=(0.6, 1.6),
        transform="log",
        level="crop",
        doc="Scales the Medlyn slope g1 of the crop (g1m; prior tuned).",
    )
    specific_leaf_area_multiplier: Field = param(
        1.0,
        units="1",
        bounds=(0.7, 1.4),
        transform="log",
        level="crop",
        doc="Scales leaf area per leaf carbon of the crop (sla_m; range of WOFOST).",
    )
    vegetative_duration_multiplier: Field = param(
        1.0,
        units="1",
        bounds=(0.8, 1.25),
        transform="log",
        level="crop",
        doc="Scales thermal time from emergence to anthesis (ts1_m; span of CERES P1).",
    )
    reproductive_duration_multiplier: Field = param(
        1.0,
        units="1",
        bounds=(0.8, 1.25),
        transform="log",
        level="crop",
        doc="Scales thermal time from anthesis to maturity (ts2_m; span of CERES P5).",
    )
    growth_rate: Field = param(
        0.55,
        units="d-1",
        bounds=(0.2, 0.9),
        level="crop",
        doc="Conversion of non-structural carbon to tissue at 25 degC (k_grow; prior tuned).",
    )
    maintenance_respiration_rate: Field = param(
        0.0135,
        units="g C gN-1 h-1",
        bounds=(0.006, 0.018),
        transform="log",
        level="crop",
        doc="Maintenance respiration per tissue nitrogen at 25 degC (rm; EcoSIM 0.010).",
    )
    water_stress_sensitivity: Field = param(
        0.7,
        units="1",
        bounds=(0.3, 1.0),
        level="crop",
        doc="Exponent of the supply/demand ratio on photosynthesis (w_sens; EcoSIM structure).",
    )
    critical_available_water: Field = param(
        0.45,
        units="1",
        bounds=(0.25, 0.65),
        level="crop",
        doc="Available-water fraction below which uptake falls (p_crit; FAO-56 Table 22).",
    )
    rooting_depth_multiplier: Field = param(
        1.0,
        units="1",
        bounds=(0.7, 1.3),
        transform="log",
        level="crop",
        doc="Scales the largest rooting depth of the crop (zmax_m; FAO-56 Table 22, ranges).",
    )
    root_allocation_multiplier: Field = param(
        1.0,
        units="1",
        bounds=(0.7, 1.3),
        transform="log",
        level="crop",
        doc="Scales early allocation to roots of the crop (root_m; range of WOFOST).",
    )
    grain_onset_shift: Field = param(
        0.0,
        units="1",
        bounds=(-0.12, 0.12),
        level="crop",
        doc="Shifts the development stage at which grain filling starts (grain_on; WOFOST).",
    )
    nitrogen_mobilisation_rate: Field = param(
        0.02,
        units="d-1",
        bounds=(0.01, 0.10),
        transform="log",
        level="crop",
        doc="Nitrogen that filling grain draws from leaves, stem and roots (k_mob; prior tuned).",
    )
    nitrogen_uptake_rate: Field = param(
        0.20,
        units="d-1",
        bounds=(0.02, 0.4),
        transform="log",
        level="crop",
        doc="Uptake of ammonium from well-rooted moist soil at 25 degC (k_up; prior tuned).",
    )
    nitrogen_fixation_fraction: Field = param(
        0.75,
        units="1",
        bounds=(0.4, 0.95),
        level="crop",
        doc="Share of its nitrogen demand that a legume can fix (fix_max; prior tuned).",
    )
    senescence_multiplier: Field = param(
        1.0,
        units="1",
        bounds=(0.5, 2.0),
        transform="log",
        level="crop",
        doc="Scales leaf senescence of the crop (ksen_m; WOFOST SPAN).",
    )
    saturated_conductivity_multiplier: Field = param(
        1.0,
        units="1",
        bounds=(0.1, 10.0),
        transform="log",
        doc="Scales saturated conductivity of the site (ksat_m; Saxton and Rawls 2006).",
    )
    field_capacity_multiplier: Field = param(
        1.0,
        units="1",
        bounds=(0.85, 1.15),
        transform="log",
        doc="Scales field capacity of the site (fc_m; spread of Midwest soils).",
    )
    wilting_point_multiplier: Field = param(
        1.0,
        units="1",
        bounds=(0.8, 1.2),
        transform="log",
        doc="Scales wilting point of the site (wp_m; spread of Midwest soils).",
    )
    curve_number: Field = param(
        80.0,
        units="1",
        bounds=(60.0, 92.0),
        doc="SCS runoff curve number at medium wetness (cn2; row crops, USDA NEH-4).",
    )
    tile_drainage_rate: Field = param(
        0.15,
        units="d-1",
        bounds=(0.02, 0.6),
        transform="log",
        doc="Outflow of excess water from the lowest layer, mostly to tiles (k_tile; prior tuned).",
    )
    soil_evaporation_exponent: Field = param(
        3.0,
        units="1",
        bounds=(1.0, 6.0),
        transform="log",
        doc="Decline of soil evaporation with drying, stage 2 (es_exp; prior tuned).",
    )
    degree_day_factor: Field = param(
        3.0,
        units="mm degC-1 d-1",
        bounds=(1.5, 6.0),
        transform="log",
        doc="Snow melt per degree above freezing (ddf; usual range of degree-day models).",
    )
    albedo: Field = param(
        0.20,
        units="1",
        bounds=(0.14, 0.28),
        doc="Shortwave albedo without snow (DayCent vegetation 0.18).",
    )
    soil_heat_conductivity_multiplier: Field = param(
        1.0,
        units="1",
        bounds=(0.5, 2.0),
        transform="log",
        doc="Scales the thermal conductivity of the soil (lam_m; prior tuned).",
    )
    metabolic_decay_rate: Field = param(
        0.07,
        units="d-1",
        bounds=(0.03, 0.4),
        transform="log",
        doc="Hydrolysis of metabolic litter at 25 degC (k_met; CENTURY 0.02-0.05 d-1).",
    )
    structural_decay_rate: Field = param(
        0.020,
        units="d-1",
        bounds=(0.005, 0.06),
        transform="log",
        doc="Hydrolysis of structural litter at 25 degC (k_str; CENTURY 2-4.9 per year).",
    )
    particulate_decay_rate: Field = param(
        0.003,
        units="d-1",
        bounds=(0.0005, 0.008),
        transform="log",
        doc="Hydrolysis of particulate organic matter at 25 degC (k_pom; CENTURY, RothC).",
    )
    mineral_associated_decay_rate: Field = param(
        2.6e-4,
        units="d-1",
        bounds=(2e-5, 6e-4),
        transform="log",
        doc="Hydrolysis of mineral-associated matter at 25 degC (k_maom; RothC HUM or slower).",
    )
    carbon_use_efficiency: Field = param(
        0.42,
        units="1",
        bounds=(0.30, 0.65),
        doc="Microbial growth per carbon taken up (cue; EcoSIM 0.60, MIMICS 0.25-0.75).",
    )
    microbial_mortality_rate: Field = param(
        0.010,
        units="d-1",
        bounds=(0.003, 0.03),
        transform="log",
        doc="Microbial mortality at 25 degC (k_md; order of EcoSIM).",
    )
    microbial_maintenance_rate: Field = param(
        0.006,
        units="d-1",
        bounds=(0.002, 0.02),
        transform="log",
        doc="Microbial maintenance respiration at 25 degC (k_mm; order of EcoSIM).",
    )
    necromass_stabilised_fraction: Field = param(
        0.35,
        units="1",
        bounds=(0.2, 0.7),
        doc="Dead microbial carbon that becomes mineral-associated (f_maom; MIMICS).",
    )
    sorption_rate: Field = param(
        0.25,
        units="d-1",
        bounds=(0.05, 0.8),
        transform="log",
        doc="Sorption of dissolved carbon to clay (k_sorp; prior tuned).",
    )
    microbial_half_saturation: Field = param(
        0.01,
        units="1",
        bounds=(0.003, 0.03),
        transform="log",
        doc="Microbial carbon per layer carbon at half of full activity (K_B; EcoSIM 1e-3).",
    )
    lignin_humification_fraction: Field = param(
        0.30,
        units="1",
        bounds=(0.1, 0.6),
        doc="Decomposed structural litter that becomes particulate (h_lig; DayCent RSPLIG 0.30).",
    )
    tillage_effect: Field = param(
        2.0,
        units="1",
        bounds=(0.5, 4.0),
        transform="log",
        doc="Added relative decomposition just after tillage (till_eff; DayCent 1.6-2.7).",
    )
    nitrification_rate: Field = param(
        0.15,
        units="d-1",
        bounds=(0.05, 0.4),
        transform="log",
        doc="Nitrification of ammonium at the optimum (k_nit; DayCent).",
    )
    denitrification_multiplier: Field = param(
        1.0,
        units="1",
        bounds=(0.1, 5.0),
        transform="log",
        doc="Scales potential denitrification (den_m; DayCent, Del Grosso et al. 2000).",
    )
    nitrification_n2o_fraction: Field = param(
        0.004,
        units="1",
        bounds=(0.0005, 0.02),
        transform="log",
        doc="Nitrified nitrogen lost as nitrous oxide (f_n2o; DayCent 0.02, prior tuned).",
    )
    initial_carbon_multiplier: Field = param(
        1.0,
        units="1",
        bounds=(0.7, 1.4),
        transform="log",
        doc="Scales the site's soil organic carbon at the start (soc_m; error of soil maps).",
    )
    initial_particulate_fraction: Field = param(
        0.13,
        units="1",
        bounds=(0.05, 0.3),
        doc="Particulate share of organic carbon at the start (pom_frac; DayCent slow pool).",
    )
    initial_water_fraction: Field = param(
        0.95,
        units="1",
        bounds=(0.5, 1.1),
        doc="Soil water at the start, relative to field capacity (w0; wet winters).",
    )


DEFAULT_SUBSET: tuple[str, ...] = (
    "vcmax_multiplier",
    "stomatal_slope_multiplier",
    "specific_leaf_area_multiplier",
    "vegetative_duration_multiplier",
    "reproductive_duration_multiplier",
    "maintenance_respiration_rate",
    "water_stress_sensitivity",
    "grain_onset_shift",
    "curve_number",
    "tile_drainage_rate",
    "soil_evaporation_exponent",
    "metabolic_decay_rate",
    "particulate_decay_rate",
    "mineral_associated_decay_rate",
    "carbon_use_efficiency",
    "microbial_mortality_rate",
    "necromass_stabilised_fraction",
    "tillage_effect",
)
"""Parameters that fluxes of a tower can tell something about: the default of a site calibration."""


CROP_TRAITS: tuple[str, ...] = tuple(
    name for name, declared in quantities(Params).items() if declared.level == "crop"
)
"""Parameters that belong to a crop; all others are the site's."""

OF = ":"


def trait_of_crop(trait: str, crop: str) -> str:
    """Returns the name of a trait of one crop, such as `vcmax_multiplier:corn`."""
    return f"{trait}{OF}{crop}"


ENERGY_BALANCE_RATIO = "energy_balance_ratio"

OF_TOWERS = {
    ENERGY_BALANCE_RATIO: Quantity(
        "1",
        "Measured turbulent fluxes over available energy, and measured over true evapotranspiration"
        " (0.84 +- 0.20 over 173 towers, Stoy et al. 2013)",
        (0.4, 1.1),
        0.84,
    )
}
"""Parameters of what a tower measures: no field has them, and the process model does not."""


def parted(name: str) -> tuple[str, str]:
    """Returns the field of `Params` that a name speaks of, and the crop; "" if it is of no crop."""
    trait, _, crop = name.partition(OF)
    return trait, crop


def parameter(name: str) -> Quantity:
    """Returns what a parameter, or a trait of one crop, means.

    Raises:
      KeyError: there is no such parameter.
    """
    return OF_TOWERS[name] if name in OF_TOWERS else quantities(Params)[parted(name)[0]]
