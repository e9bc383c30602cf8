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
from kgml_jax.process.radiation import Atmosphere, Sun, saturation_pressure
from kgml_jax.process.smooth import smin, spos
from kgml_jax.process.temperature import FREEZING, GAS_CONSTANT
from kgml_jax.records import Field, record, var

OXYGEN = 210.0  # mmol mol-1
PHOTONS = 0.5 * 4.57  # umol PAR per J of global radiation
CARBON = 12.0e-6  # g C per umol
NITROGEN_PROFILE = 0.3  # decline of capacity per leaf area
BEAM_ABSORPTANCE = 0.85
# The root of the leaf value: beam light on shaded leaves is then never negative.
CANOPY_ABSORPTANCE = BEAM_ABSORPTANCE**0.5
DIFFUSE_EXTINCTION = 0.719
GAUSS_NODES = np.array([0.1127, 0.5, 0.8873])
GAUSS_WEIGHTS = np.array([0.2778, 0.4444, 0.2778])


@record
class Canopy:
    """What the canopy would do today if water did not limit it."""

    potential_photosynthesis: Field = var(units="g C m-2 d-1", doc="Gross photosynthesis")
    conductance: Field = var(units="m s-1", doc="Daytime mean canopy conductance to vapour")
    vapour_pressure_deficit: Field = var(units="kPa", doc="Daytime mean deficit")
    day_length: Field = var(units="1", doc="Sunrise to sunset, seconds")


def arrhenius(kelvin: Field, activation: Field | float) -> Field:
    """Arrhenius response with `activation` energy (J mol-1), 1 at 25 degC."""
    return jnp.exp(activation / GAS_CONSTANT * (1.0 / 298.15 - 1.0 / kelvin))


def heat_deactivation(kelvin: Field, entropy: float) -> Field:
    """High-temperature deactivation, 1 at 25 degC (after Kattge and Knorr 2007)."""
    energy = 200000.0
    reference = 1.0 + np.exp((298.15 * entropy - energy) / (298.15 * GAS_CONSTANT))
    return reference / (1.0 + jnp.exp((kelvin * entropy - energy) / (kelvin * GAS_CONSTANT)))


def compensation_point(kelvin: Field) -> Field:
    """Carbon dioxide compensation point without respiration, umol mol-1 (Bernacchi 2001)."""
    return 42.75 * arrhenius(kelvin, 37830.0)


def michaelis_constant(kelvin: Field) -> Field:
    """Effective Michaelis constant of Rubisco in air, umol mol-1 (Bernacchi 2001)."""
    carboxylation = 404.9 * arrhenius(kelvin, 79430.0)
    oxygenation = 278.4 * arrhenius(kelvin, 36380.0)
    return carboxylation * (1.0 + OXYGEN / oxygenation)


def rubisco_limited(intercellular: Field, compensation: Field, michaelis: Field, v: Field) -> Field:
    """Rubisco-limited C3 assimilation at capacity `v`, umol m-2 s-1 (Ac)."""
    return v * (intercellular - compensation) / (intercellular + michaelis)


def light_limited(intercellular: Field, compensation: Field, j: Field) -> Field:
    """Light-limited C3 assimilation at electron transport `j`, umol m-2 s-1 (Aj)."""
    return 0.25 * j * (intercellular - compensation) / (intercellular + 2.0 * compensation)


def c3_assimilation(v25: Field, light: Field, intercellular: Field, temperature: Field) -> Field:
    """C3 assimilation before leaf respiration, umol m-2 s-1.

    Args:
      v25: carboxylation capacity at 25 degC, umol m-2 s-1.
      light: absorbed photons, umol m-2 s-1.
      intercellular: carbon dioxide inside the leaf, umol mol-1.
      temperature: leaf temperature, degC.
    """
    kelvin = temperature + FREEZING
    compensation = compensation_point(kelvin)
    # In hot dry air the closed form may fall below the compensation point: uptake then ends at 0.
    inside = compensation + spos(intercellular - compensation)
    v = v25 * arrhenius(kelvin, 65330.0) * heat_deactivation(kelvin, 650.0)
    j_max = 1.9 * v25 * arrhenius(kelvin, 43900.0) * heat_deactivation(kelvin, 645.0)
    j = smin(0.385 * light, j_max, 0.90)
    return smin(
        rubisco_limited(inside, compensation, michaelis_constant(kelvin), v),
        light_limited(inside, compensation, j),
        0.97,
    )


def c4_assimilation(v25: Field, light: Field, intercellular: Field, temperature: Field) -> Field:
    """C4 assimilation before leaf respiration, umol m-2 s-1 (Collatz et al. 1992).

    Arguments as those of `c3_assimilation`.
    """
    doubling = v25 * 2.0 ** ((temperature - 25.0) / 10.0)
    cold = 1.0 + jnp.exp(0.3 * (13.0 - temperature))
    hot = 1.0 + jnp.exp(0.3 * (temperature - 40.0))
    bounded = smin(doubling / (cold * hot), 0.06 * light, 0.83)
    return smin(bounded, 0.018 * doubling * intercellular, 0.93)


def _irradiance(sun: Sun, elevation_sine: Field, shortwave: Field) -> Field:
    # W m-2 at the given sine of sun elevation, Goudriaan's diurnal shape; its integral over the
    # day (s) has a closed form in the hour angle of sunset.
    a, b, w = sun.offset, sun.amplitude, sun.sunset
    first = 2.0 * (a * w + b * jnp.sin(w))
    second = 2.0 * (a**2 * w + 2.0 * a * b * jnp.sin(w))
    second = second + b**2 * (w + 0.5 * jnp.sin(2.0 * w))
    integral = jnp.maximum(first + 0.4 * second, 1e-3) * 86400.0 / (2.0 * jnp.pi)
    return 1e6 * shortwave * elevation_sine * (1.0 + 0.4 * elevation_sine) / integral


def diffuse_fraction(clearness: Field) -> Field:
    """Diffuse share of global radiation at `clearness` (global over extraterrestrial)."""
    return 0.23 + 0.77 * jax.nn.sigmoid((0.46 - clearness) / 0.085)


def _sun_and_shade(
    leaf_area: Field, beam: Field, diffuse: Field, elevation_sine: Field, clumping: Field
) -> tuple[Field, Field]:
    # Absorbed photons of (sunlit, shaded) leaves per ground area, and the same split of capacity
    # per unit capacity at the top; leading axis 2. De Pury and Farquhar (1997), eqs. 20, 22, 26.
    black = 0.5 * clumping / elevation_sine
    scattering = CANOPY_ABSORPTANCE * black
    sky = DIFFUSE_EXTINCTION * clumping
    full = lambda k: -jnp.expm1(-k * leaf_area)
    total = CANOPY_ABSORPTANCE * (beam * full(scattering) + diffuse * full(sky))
    sunlit = BEAM_ABSORPTANCE * beam * full(black)
    sunlit += CANOPY_ABSORPTANCE * diffuse * full(sky + black) * sky / (sky + black)
    scattered = CANOPY_ABSORPTANCE * full(scattering + black) * scattering / (scattering + black)
    sunlit += beam * (scattered - BEAM_ABSORPTANCE * 0.5 * full(2.0 * black))
    capacity = full(NITROGEN_PROFILE) / NITROGEN_PROFILE
    capacity_sunlit = full(NITROGEN_PROFILE + black) / (NITROGEN_PROFILE + black)
    light = jnp.stack([sunlit, jnp.maximum(total - sunlit, 0.0)])
    return light, jnp.stack([capacity_sunlit, capacity - capacity_sunlit])


def step(
    params: Params, crop: Crop, forcing: Forcing, atmosphere: Atmosphere, leaf_area: Field
) -> Canopy:
    """Returns photosynthesis and conductance of a canopy of `leaf_area` without water stress."""
    sun = atmosphere.sun
    angle = sun.sunset * np.concatenate([-GAUSS_NODES, GAUSS_NODES])
    weight = 0.5 * np.concatenate([GAUSS_WEIGHTS, GAUSS_WEIGHTS])
    elevation_sine = jnp.maximum(sun.offset + sun.amplitude * jnp.cos(angle), 0.01)
    half_range = 0.5 * (forcing.air_temperature_max - forcing.air_temperature_min)
    hour = 12.0 * (1.0 + angle / jnp.pi)
    temperature = forcing.air_temperature_mean + half_range * jnp.cos(
        2.0 * jnp.pi * (hour - 14.5) / 24.0
    )
    deficit = 0.05 + spos(saturation_pressure(temperature) - atmosphere.vapour_pressure, 20.0)
    photons = PHOTONS * _irradiance(sun, elevation_sine, forcing.shortwave_radiation)
    clearness = forcing.shortwave_radiation / atmosphere.extraterrestrial_radiation
    diffuse = diffuse_fraction(clearness) * photons
    light, capacity = _sun_and_shade(
        leaf_area, photons - diffuse, diffuse, elevation_sine, crop.clumping
    )
    slope = params.stomatal_slope_multiplier * crop.stomatal_slope
    root = jnp.sqrt(deficit)
    inside = forcing.co2 * slope / (slope + root)
    v25 = params.vcmax_multiplier * crop.vcmax * capacity
    assimilation = jnp.where(
        crop.c4 > 0.5,
        c4_assimilation(v25, light, inside, temperature),
        c3_assimilation(v25, light, inside, temperature),
    ).sum(axis=0)
    conductance = 1.6 * (1.0 + slope / root) * assimilation / forcing.co2 + 0.01 * leaf_area
    frost = 1.0 - 0.9 * jax.nn.sigmoid((-2.0 - forcing.air_temperature_min) / 0.8)
    day_length = 86400.0 * sun.sunset / jnp.pi
    return Canopy(
        potential_photosynthesis=CARBON * day_length * frost * jnp.sum(weight * assimilation),
        conductance=jnp.sum(weight * conductance) / 41.0,
        vapour_pressure_deficit=jnp.sum(weight * deficit),
        day_length=day_length,
    )
