"""Names and codes of the states and counties of the United States, as crop statistics use them."""

from collections.abc import Mapping

import numpy as np

from kgml_jax.data.distance import great_circle
from kgml_jax.errors import DataError

_STATES = """
01 AL Alabama, 02 AK Alaska, 04 AZ Arizona, 05 AR Arkansas, 06 CA California, 08 CO Colorado,
09 CT Connecticut, 10 DE Delaware, 12 FL Florida, 13 GA Georgia, 15 HI Hawaii, 16 ID Idaho,
17 IL Illinois, 18 IN Indiana, 19 IA Iowa, 20 KS Kansas, 21 KY Kentucky, 22 LA Louisiana,
23 ME Maine, 24 MD Maryland, 25 MA Massachusetts, 26 MI Michigan, 27 MN Minnesota,
28 MS Mississippi, 29 MO Missouri, 30 MT Montana, 31 NE Nebraska, 32 NV Nevada,
33 NH New Hampshire, 34 NJ New Jersey, 35 NM New Mexico, 36 NY New York, 37 NC North Carolina,
38 ND North Dakota, 39 OH Ohio, 40 OK Oklahoma, 41 OR Oregon, 42 PA Pennsylvania,
44 RI Rhode Island, 45 SC South Carolina, 46 SD South Dakota, 47 TN Tennessee, 48 TX Texas,
49 UT Utah, 50 VT Vermont, 51 VA Virginia, 53 WA Washington, 54 WV West Virginia,
55 WI Wisconsin, 56 WY Wyoming
"""
# FIPS 5-2: code of two digits, postal abbreviation, name.
_ROWS = [row.split(maxsplit=2) for row in _STATES.replace("\n", " ").split(", ")]

POSTAL: dict[str, str] = {code: postal for code, postal, _ in _ROWS}
"""Postal abbreviation by FIPS code of two digits."""

CODES: dict[str, str] = {postal: code for code, postal, _ in _ROWS} | {
    name.strip().upper(): code for code, _, name in _ROWS
}
"""FIPS code by postal abbreviation and by name in capitals."""

COUNTIES: dict[tuple[str, str], int] = {("IL", "CHAMPAIGN"): 19}
"""Code within its state of a county that a file may give by name alone."""


def nearest_county(
    latitude: float, longitude: float, centroids: Mapping[str, tuple[float, float]]
) -> str:
    """Returns the county whose centre is nearest along the great circle.

    Args:
      latitude: degrees north.
      longitude: degrees east.
      centroids: latitude and longitude by FIPS code of five digits, such as `INTPTLAT` and
        `INTPTLONG` of the Census Bureau's gazetteer.

    Raises:
      DataError: there are no centroids, or the nearest is more than 200 km away.
    """
    if not centroids:
        raise DataError("no county centres are given", variable="county")
    codes = list(centroids)
    points = np.array([centroids[code] for code in codes], dtype=np.float64)
    distance = great_circle(latitude, longitude, points)
    best = int(np.argmin(distance))
    if distance[best] > 200.0:
        found = f"{codes[best]}, {distance[best]:.0f} km away"
        raise DataError("no county near", variable="county", found=found, expected="within 200 km")
    return codes[best]
