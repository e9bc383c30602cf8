"""Climates of twelve Midwestern states: monthly means of 1981-2010.

From a bias-corrected climate model (NEX-DCP30, state means of the USGS National Climate Change
Viewer): tied to observations, but no station's normals; good to about 0.5 degC and 5 to 10 %.
"""

from dataclasses import dataclass

Months = tuple[float, ...]


@dataclass(frozen=True)
class StateClimate:
    """Centre of a state and its monthly means, January first."""

    latitude: float
    """Degrees north."""
    elevation: float
    """m above sea level."""
    maximum: Months
    """Daily maximum temperature, degC."""
    minimum: Months
    """Daily minimum temperature, degC."""
    precipitation: Months
    """mm d-1."""


STATES = {
    "IL": StateClimate(
        latitude=40.0,
        elevation=200.0,
        maximum=(1.8, 5.1, 10.4, 18.0, 24.1, 29.0, 30.8, 29.8, 26.6, 20.0, 11.4, 4.4),
        minimum=(-7.9, -5.1, -0.6, 5.5, 11.2, 16.4, 18.5, 17.2, 13.1, 6.6, 0.8, -4.7),
        precipitation=(1.62, 1.90, 2.62, 3.19, 3.45, 3.33, 3.11, 2.84, 2.69, 2.13, 2.82, 1.87),
    ),
    "IA": StateClimate(
        latitude=42.0,
        elevation=330.0,
        maximum=(-1.7, 2.0, 7.2, 16.2, 22.6, 27.7, 30.1, 28.7, 24.7, 18.2, 8.5, 1.1),
        minimum=(-12.3, -8.8, -3.7, 3.2, 9.7, 15.1, 17.5, 16.1, 11.3, 4.7, -2.4, -8.7),
        precipitation=(0.65, 1.03, 1.86, 2.60, 3.61, 4.02, 3.04, 3.32, 2.75, 1.68, 1.68, 0.87),
    ),
    "IN": StateClimate(
        latitude=40.0,
        elevation=240.0,
        maximum=(2.2, 5.2, 10.4, 17.5, 23.5, 28.3, 30.0, 29.2, 26.2, 19.5, 11.5, 4.8),
        minimum=(-7.4, -5.2, -0.8, 4.9, 10.6, 15.8, 17.7, 16.4, 12.6, 6.0, 1.0, -4.2),
        precipitation=(2.41, 2.15, 2.94, 3.29, 3.58, 3.39, 3.55, 2.84, 2.66, 2.24, 3.18, 2.25),
    ),
    "NE": StateClimate(
        latitude=41.5,
        elevation=790.0,
        maximum=(2.6, 5.7, 9.5, 16.8, 22.3, 28.2, 31.9, 30.6, 25.7, 19.3, 9.8, 3.9),
        minimum=(-11.0, -8.5, -4.4, 1.7, 8.0, 13.5, 16.7, 15.3, 9.9, 3.0, -4.2, -9.3),
        precipitation=(0.34, 0.57, 1.37, 1.83, 3.10, 3.09, 2.33, 2.21, 1.80, 1.05, 0.88, 0.43),
    ),
    "MN": StateClimate(
        latitude=46.3,
        elevation=370.0,
        maximum=(-7.2, -3.1, 2.7, 12.3, 20.3, 24.7, 27.6, 26.5, 21.2, 14.3, 3.6, -4.0),
        minimum=(-18.8, -15.2, -8.7, -0.6, 6.4, 11.8, 14.4, 13.2, 8.3, 2.1, -5.9, -13.9),
        precipitation=(0.61, 0.66, 1.13, 1.72, 2.82, 3.66, 2.85, 2.71, 2.59, 1.53, 1.34, 0.70),
    ),
    "OH": StateClimate(
        latitude=40.4,
        elevation=260.0,
        maximum=(2.2, 4.7, 10.0, 16.9, 22.8, 27.5, 29.1, 28.5, 25.4, 18.6, 11.3, 4.8),
        minimum=(-7.2, -5.8, -1.4, 3.9, 9.6, 14.7, 16.7, 15.7, 12.1, 5.6, 0.9, -4.0),
        precipitation=(2.50, 2.01, 2.83, 2.97, 3.30, 3.20, 3.54, 2.79, 2.72, 1.98, 2.79, 2.14),
    ),
    "MO": StateClimate(
        latitude=38.4,
        elevation=240.0,
        maximum=(5.0, 8.3, 13.2, 20.1, 25.1, 29.7, 32.2, 31.4, 27.5, 21.6, 13.5, 7.1),
        minimum=(-6.5, -3.9, 0.5, 6.6, 12.1, 17.1, 19.4, 18.1, 13.8, 7.2, 1.3, -3.9),
        precipitation=(1.48, 2.01, 2.79, 3.31, 3.84, 3.53, 3.25, 3.02, 3.25, 2.39, 2.89, 1.82),
    ),
    "WI": StateClimate(
        latitude=44.6,
        elevation=320.0,
        maximum=(-4.4, -0.8, 4.2, 13.1, 20.6, 25.1, 27.6, 26.5, 21.9, 15.3, 5.8, -1.5),
        minimum=(-15.2, -12.5, -6.9, 0.4, 6.6, 12.0, 14.5, 13.6, 9.2, 3.1, -3.6, -10.7),
        precipitation=(0.82, 1.05, 1.74, 2.46, 3.00, 3.66, 2.94, 3.10, 3.26, 1.89, 1.90, 1.08),
    ),
    "SD": StateClimate(
        latitude=44.4,
        elevation=670.0,
        maximum=(-1.7, 1.6, 6.0, 14.9, 21.2, 26.4, 31.3, 30.4, 24.8, 17.4, 6.9, 0.3),
        minimum=(-14.2, -11.2, -6.4, 0.4, 7.0, 12.4, 15.7, 14.4, 8.7, 2.1, -5.6, -11.6),
        precipitation=(0.33, 0.49, 1.03, 1.57, 2.59, 3.02, 1.79, 1.54, 1.52, 0.90, 0.67, 0.37),
    ),
    "KS": StateClimate(
        latitude=38.5,
        elevation=610.0,
        maximum=(6.2, 9.4, 13.7, 20.0, 25.1, 30.8, 34.0, 32.6, 28.2, 22.2, 13.1, 7.4),
        minimum=(-7.6, -5.2, -0.9, 5.1, 11.2, 16.6, 19.5, 18.2, 13.4, 6.4, -0.8, -5.8),
        precipitation=(0.48, 0.79, 1.75, 1.90, 3.26, 3.34, 2.88, 2.72, 2.32, 1.64, 1.24, 0.65),
    ),
    "MI": StateClimate(
        latitude=44.3,
        elevation=270.0,
        maximum=(-2.3, 0.0, 4.8, 12.5, 20.0, 25.0, 27.2, 26.2, 21.9, 15.3, 7.1, 0.6),
        minimum=(-11.3, -10.5, -6.2, 0.2, 6.1, 11.5, 13.8, 13.3, 9.5, 3.8, -1.5, -7.3),
        precipitation=(1.52, 1.49, 1.87, 2.37, 2.51, 2.81, 2.55, 2.69, 2.95, 2.08, 2.45, 1.72),
    ),
    "ND": StateClimate(
        latitude=47.5,
        elevation=580.0,
        maximum=(-7.1, -3.5, 2.3, 12.4, 20.1, 24.6, 28.8, 28.2, 21.9, 14.7, 3.4, -3.9),
        minimum=(-18.6, -15.1, -9.3, -1.4, 5.5, 10.8, 13.8, 12.4, 6.7, 0.5, -7.7, -14.6),
        precipitation=(0.41, 0.40, 0.64, 0.98, 1.99, 3.02, 2.00, 1.68, 1.56, 0.85, 0.56, 0.36),
    ),
}
