"""Two-leaf canopy photosynthesis and conductance, integrated over the day.

Farquhar, von Caemmerer and Berry (1980) with Bernacchi et al. (2001) kinetics for C3; Collatz et
al. (1992) for C4; sunlit and shaded leaves after de Pury and Farquhar (1997); intercellular carbon
dioxide in the closed form of Medlyn et al. (2011). Rates of a canopy are per ground area: all
limiters are homogeneous, so capacity and light are summed over leaves first.
"""

import jax
import jax.numpy as jnp
import numpy as np

from kgml_jax.process.crops import Crop
from kgml_jax.process.drivers import Forcing
from kgml_jax.process.parameters import Params
from kgml_jax.process.radiation import DAY, WEIGHTS, Atmosphere
from kgml_jax.process.smooth import smin, spos
from kgml_jax.process.temperature import FREEZING, GAS_CONSTANT
from kgml_jax.records import Field, constant, record, var

OXYGEN = 210.0  # mmol mol-1; of the air
PHOTONS = 0.45 * 4.57  # umol J-1; PAR in global radiation (McCree 1972; Meek et al. 1984)
CARBON = 12.0e-6  # g umol-1; of carbon
MOLAR_DENSITY = 41.0  # mol m-3; of the air
NITROGEN_PROFILE = 0.3  # 1; decline of capacity per leaf area
BEAM_ABSORPTANCE = 0.85  # 1; of leaves for direct light (EcoSIM)
SCATTERING = BEAM_ABSORPTANCE**0.5  # 1; extinction over that of black leaves (Goudriaan 1977)
BEAM_CANOPY = 0.971  # 1; absorptance of deep canopies for direct light; de Pury and Farquhar (1997)
SKY_CANOPY = 0.964  # 1; for diffuse light, as above
DIFFUSE_EXTINCTION = 0.719  # 1; de Pury and Farquhar (1997)
USUAL_CO2 = 372.0  # umol mol-1; in which leaves have the capacity and area of their crop
# In soybean carboxylation was 5 % less at 552 umol mol-1, while electron transport stayed (a small
# and significant decrease in Bernacchi et al. 2005).
DOWN_REGULATION = np.log(0.95) / np.log(552.0 / USUAL_CO2)  # 1; of C3 carboxylation per log CO2


@record
class Canopy:
    """What the canopy would do today if water did not limit it."""

    potential_photosynthesis: Field = var(units="g C m-2 d-1", doc="Gross photosynthesis")
    conductance: Field = var(
        units="m s-1", doc="Of the canopy to vapour, at the instants of `Daylight`, (6,)"
    )


@record
class Kinetics:
    """How a leaf uses light and carbon dioxide, in the one form that C3 and C4 share.

    Light drives a transport of rate `smin(capacity * v25, quantum_yield * light)`, which fixes
    `transfer` carbon each; `carboxylation * v25` is the other limit.
    """

    capacity: Field = var(units="1", doc="Transport at full light, per unit of v25")
    quantum_yield: Field = var(units="1", doc="Transport per absorbed photon")
    transfer: Field = var(units="1", doc="Carbon fixed per transport")
    carboxylation: Field = var(units="1", doc="Carbon fixed by the enzyme, per unit of v25")
    light_curvature: Field = var(units="1", doc="Co-limitation of capacity and light")
    carbon_curvature: Field = var(units="1", doc="Co-limitation of light and enzyme")


def arrhenius(kelvin: Field, activation: float) -> Field:
    """Arrhenius response with `activation` energy (J mol-1), 1 at 25 degC."""
    return jnp.exp(activation / GAS_CONSTANT * (1.0 / 298.15 - 1.0 / kelvin))


@record
class Acclimation:
    """What leaves are at the temperature they grew in (Kattge and Knorr 2007: regressions)."""

    carboxylation_entropy: Field = var(units="1", doc="Of carboxylation, J mol-1 K-1")
    transport_entropy: Field = var(units="1", doc="Of electron transport, J mol-1 K-1")
    transport_ratio: Field = var(units="1", doc="Electron transport over carboxylation, 25 degC")


def acclimation(growth_temperature: Field) -> Acclimation:
    """Returns how leaves that grew at a mean air temperature (degC) respond to warmth."""
    return Acclimation(
        carboxylation_entropy=668.39 - 1.07 * growth_temperature,
        transport_entropy=659.70 - 0.75 * growth_temperature,
        transport_ratio=2.59 - 0.035 * growth_temperature,
    )


def heat_deactivation(kelvin: Field, entropy: Field) -> Field:
    """High-temperature deactivation, 1 at 25 degC (Kattge and Knorr 2007)."""
    energy = 200000.0
    reference = 1.0 + jnp.exp((298.15 * entropy - energy) / (298.15 * GAS_CONSTANT))
    return reference / (1.0 + jnp.exp((kelvin * entropy - energy) / (kelvin * GAS_CONSTANT)))


def rubisco_limited(intercellular: Field, compensation: Field, michaelis: Field) -> Field:
    """Rubisco-limited C3 assimilation per unit of capacity (Ac)."""
    return (intercellular - compensation) / (intercellular + michaelis)


def light_limited(intercellular: Field, compensation: Field) -> Field:
    """Light-limited C3 assimilation per electron transported (Aj)."""
    return 0.25 * (intercellular - compensation) / (intercellular + 2.0 * compensation)


def compensation_point(kelvin: Field) -> Field:
    """Carbon dioxide compensation point without respiration, umol mol-1 (Bernacchi 2001)."""
    return 42.75 * arrhenius(kelvin, 37830.0)


def michaelis_constant(kelvin: Field) -> Field:
    """Effective Michaelis constant of Rubisco in air, umol mol-1 (Bernacchi 2001)."""
    carboxylation = 404.9 * arrhenius(kelvin, 79430.0)
    oxygenation = 278.4 * arrhenius(kelvin, 36380.0)
    return carboxylation * (1.0 + OXYGEN / oxygenation)


def c3(temperature: Field, intercellular: Field, ambient: Field, grown: Acclimation) -> Kinetics:
    """Kinetics of a C3 leaf.

    Args:
      temperature: of the leaf, degC.
      intercellular: carbon dioxide inside the leaf, umol mol-1.
      ambient: carbon dioxide in which the leaf has grown, umol mol-1.
      grown: at which temperature.
    """
    kelvin = temperature + FREEZING
    compensation = compensation_point(kelvin)
    v = arrhenius(kelvin, 65330.0) * heat_deactivation(kelvin, grown.carboxylation_entropy)
    j = arrhenius(kelvin, 43900.0) * heat_deactivation(kelvin, grown.transport_entropy)
    # In hot dry air the closed form may fall below the compensation point: uptake then ends at 0.
    inside = compensation + spos(intercellular - compensation)
    return Kinetics(
        capacity=grown.transport_ratio * j,
        quantum_yield=0.385,
        transfer=light_limited(inside, compensation),
        carboxylation=(ambient / USUAL_CO2) ** DOWN_REGULATION
        * v
        * rubisco_limited(inside, compensation, michaelis_constant(kelvin)),
        light_curvature=0.90,
        carbon_curvature=0.97,
    )


def c4(temperature: Field, intercellular: Field) -> Kinetics:
    """Kinetics of a C4 leaf (Collatz et al. 1992); arguments as the first two of `c3`."""
    doubling = jnp.exp(np.log(2.0) / 10.0 * (temperature - 25.0))
    cold = 1.0 + jnp.exp(0.3 * (13.0 - temperature))
    hot = 1.0 + jnp.exp(0.3 * (temperature - 40.0))
    return Kinetics(
        capacity=doubling / (cold * hot),
        quantum_yield=0.06,
        transfer=1.0,
        carboxylation=0.018 * doubling * intercellular,
        light_curvature=0.83,
        carbon_curvature=0.93,
    )


def assimilation(kinetics: Kinetics, v25: Field, light: Field) -> Field:
    """Assimilation before leaf respiration, umol m-2 s-1.

    Args:
      kinetics: of the leaf.
      v25: carboxylation capacity at 25 degC, umol m-2 s-1.
      light: absorbed photons, umol m-2 s-1.
    """
    transport = smin(
        kinetics.capacity * v25, kinetics.quantum_yield * light, kinetics.light_curvature
    )
    return smin(
        kinetics.transfer * transport, kinetics.carboxylation * v25, kinetics.carbon_curvature
    )


def diffuse_fraction(clearness: Field) -> Field:
    """Diffuse share of global radiation at `clearness` (global over extraterrestrial)."""
    return 0.23 + 0.77 * jax.nn.sigmoid((0.46 - clearness) / 0.085)


def sun_and_shade(
    leaf_area: Field, beam: Field, diffuse: Field, elevation_sine: Field, clumping: Field
) -> tuple[tuple[Field, Field], tuple[Field, Field]]:
    """Splits light and capacity between sunlit and shaded leaves.

    De Pury and Farquhar (1997), eqs. 20, 22 and 26.

    Args:
      leaf_area: leaf area index.
      beam: direct photons on a horizontal surface, umol m-2 s-1.
      diffuse: photons of the sky, umol m-2 s-1.
      elevation_sine: sine of the sun's elevation.
      clumping: clumping index of the canopy.

    Returns:
      For sunlit and for shaded leaves: absorbed photons per ground area, and capacity per unit
      capacity at the top.
    """
    black = 0.5 * clumping / elevation_sine
    scattering, sky = SCATTERING * black, DIFFUSE_EXTINCTION * clumping
    # Share intercepted with each coefficient; of the sum of two coefficients it is `both`.
    by_black, by_scattering, by_sky, by_nitrogen = (
        -jnp.expm1(-k * leaf_area) for k in (black, scattering, sky, NITROGEN_PROFILE)
    )
    both = lambda a, b: a + b - a * b
    total = BEAM_CANOPY * beam * by_scattering + SKY_CANOPY * diffuse * by_sky
    sunlit = BEAM_ABSORPTANCE * beam * by_black
    sunlit += SKY_CANOPY * diffuse * both(by_sky, by_black) * sky / (sky + black)
    scattered = BEAM_CANOPY * both(by_scattering, by_black) * scattering
    scattered = scattered / (scattering + black)
    sunlit += beam * (scattered - BEAM_ABSORPTANCE * 0.5 * both(by_black, by_black))
    capacity = by_nitrogen / NITROGEN_PROFILE
    in_sun = both(by_nitrogen, by_black) / (NITROGEN_PROFILE + black)
    return (sunlit, in_sun), (jnp.maximum(total - sunlit, 0.0), capacity - in_sun)


def _opening(params: Params, crop: Crop, atmosphere: Atmosphere) -> Field:
    # g1 over the root of the deficit: what stomata open per carbon, Medlyn et al. (2011).
    slope = params.stomatal_slope_multiplier * crop.stomatal_slope
    return slope / jnp.sqrt(atmosphere.daylight.vapour_pressure_deficit)


def _conductance(forcing: Forcing, opening: Field, assimilated: Field, leaf_area: Field) -> Field:
    stomata = 1.6 * (1.0 + opening) * assimilated / forcing.co2
    return (stomata + 0.01 * leaf_area) / MOLAR_DENSITY


def step(
    params: Params,
    crop: Crop,
    forcing: Forcing,
    atmosphere: Atmosphere,
    leaf_area: Field,
    nitrogen_factor: Field,
) -> Canopy:
    """Returns photosynthesis and conductance of a canopy without water stress.

    Args:
      params: parameters of the site.
      crop: traits of the crop.
      forcing: one day.
      atmosphere: sun and air of that day.
      leaf_area: leaf area index.
      nitrogen_factor: carboxylation capacity over that of leaves with all the nitrogen they want.
    """
    daylight = atmosphere.daylight
    seconds = DAY * daylight.length
    photons = PHOTONS * 1e6 * forcing.shortwave_radiation / seconds * daylight.intensity
    clearness = forcing.shortwave_radiation / atmosphere.extraterrestrial_radiation
    diffuse = diffuse_fraction(clearness) * photons
    leaves = sun_and_shade(
        leaf_area, photons - diffuse, diffuse, daylight.elevation_sine, crop.clumping
    )
    opening = _opening(params, crop, atmosphere)
    inside = forcing.co2 * opening / (1.0 + opening)
    kinetics = jax.tree.map(
        lambda four, three: jnp.where(crop.c4 > 0.5, four, three),
        c4(daylight.temperature, inside),
        c3(daylight.temperature, inside, forcing.co2, acclimation(crop.growth_temperature)),
    )
    v25 = params.vcmax_multiplier * crop.vcmax * nitrogen_factor
    lowest = crop.photosynthetic_frost - forcing.air_temperature_min
    frost = 1.0 - 0.9 * jax.nn.sigmoid(lowest / 0.8)
    assimilated = frost * sum(
        assimilation(kinetics, v25 * capacity, light) for light, capacity in leaves
    )
    return Canopy(
        potential_photosynthesis=CARBON * seconds * jnp.sum(constant(WEIGHTS) * assimilated),
        conductance=_conductance(forcing, opening, assimilated, leaf_area),
    )


def prescribed(
    params: Params, crop: Crop, forcing: Forcing, atmosphere: Atmosphere, leaf_area: Field
) -> Canopy:
    """Returns the canopy whose gross photosynthesis is given with the forcing.

    It is spread over the day as light is; less than nothing counts as nothing. Arguments as those
    of `step`.
    """
    given = jnp.maximum(forcing.prescribed_gpp, 0.0)
    daylight = atmosphere.daylight
    assimilated = given / (CARBON * DAY * daylight.length) * daylight.intensity
    opening = _opening(params, crop, atmosphere)
    return Canopy(
        potential_photosynthesis=given,
        conductance=_conductance(forcing, opening, assimilated, leaf_area),
    )
