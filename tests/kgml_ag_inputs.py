"""Dictionaries of KGML-ag as its authors publish them, of invented sites."""

import numpy as np
from torch_writer import tensor

from kgml_jax.data.formats.kgml_sav import INPUTS

SOIL = {
    "TBKDS": 1.4,
    "TSAND": 160.0,
    "TSILT": 590.0,
    "TFC": 0.3,
    "TWP": 0.16,
    "TKSat": 31.0,
    "TSOC": 17.0,
    "TPH": 6.2,
    "TCEC": 20.0,
}
X_SCALER = np.array(
    [
        *[(15.05, 7.33), (17.19, 12.21), (9.98, 3.92), (1.433, 0.865), (0.421, 0.298)],
        *[(373.3, 144.3), (2.804, 7.21), (3.0, 2.0), (2.889, 5.758), (2009.5, 5.188)],
        *[(1.385, 0.103), (165.7, 179.8), (591.2, 161.3), (0.2988, 0.042), (0.1654, 0.0489)],
        *[(30.9, 38.2), (17.08, 19.63), (6.238, 0.481), (20.17, 8.91)],
    ]
)
Y_SCALER = np.array([(-1.358, 2.583), (-0.975, 0.857), (-0.524, 2.994)])


def inputs(years=(2003, 2004), sand=160.0):
    """Columns of one site in KGML-ag's names and units, (day, 19)."""
    day = np.tile(np.arange(1, 366), len(years))
    season = np.cos(2 * np.pi * (day - 200) / 365)
    columns = {
        "RADN": 15.0 + 9.0 * season,
        "TMAX_AIR": 12.0 + 16.0 * season,
        "TDIF_AIR": 10.0 + 2.0 * season,
        "HMAX_AIR": 1.2 + 0.8 * season,
        "HDIF_AIR": 0.4 + 0.2 * season,
        "WIND": 345.6 + 86.4 * season,
        "PRECN": np.where(day % 5 == 0, 12.5, 0.0),
        "Crop_Type": np.repeat([1.0 if year % 2 else 5.0 for year in years], 365),
        "GPP": 8.0 * np.maximum(season, 0.0),
        "Year": np.repeat(np.asarray(years, float), 365),
        **{name: np.full(len(day), value) for name, value in (SOIL | {"TSAND": sand}).items()},
    }
    return np.stack([columns[name] for name in INPUTS], axis=1)


def outputs(x):
    """Ra, Rh and NEE in their signs, (day, 3)."""
    gpp, warmth = x[:, 8], x[:, 1]
    ra, rh = -0.4 * gpp, -(1.0 + 0.02 * warmth)
    return np.stack([ra, rh, -(gpp + ra + rh)], axis=1)


def scores(values, scaler):
    return ((values - scaler[:, 0]) / scaler[:, 1]).astype(np.float32)


def benchmark(train, test, **changes):
    """The published dictionary of samples `train` and `test`, each (day, 19)."""
    x = {"train": np.stack(train), "test": np.stack(test)}
    dictionary = {
        **{f"X_{part}": tensor(scores(values, X_SCALER)) for part, values in x.items()},
        **{
            f"Y_{part}": tensor(scores(np.stack([outputs(one) for one in values]), Y_SCALER))
            for part, values in x.items()
        },
        "x_scaler": X_SCALER,
        "y_scaler": Y_SCALER,
        "input_features": list(INPUTS),
        "output_features": ["Ra", "Rh", "NEE"],
    }
    return {name: value for name, value in (dictionary | changes).items() if value is not None}
