"""Distances on the globe."""

import numpy as np

EARTH_RADIUS = 6371.0
"""km."""


def great_circle(latitude: float, longitude: float, points: np.ndarray) -> np.ndarray:
    """Returns the distance along the great circle to each of some points, km, (point,).

    Args:
      latitude: degrees north.
      longitude: degrees east.
      points: latitude and longitude of each, degrees, (point, 2).
    """
    own, others = np.deg2rad(np.array([latitude, longitude])), np.deg2rad(points)
    half = np.sin(0.5 * (others - own)) ** 2
    inner = half[:, 0] + np.cos(own[0]) * np.cos(others[:, 0]) * half[:, 1]
    return 2 * EARTH_RADIUS * np.arcsin(np.sqrt(np.minimum(inner, 1.0)))
