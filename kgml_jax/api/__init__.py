"""The public functions, thin: from files to calibrated sites, parameters and predictions.

A session from nothing; the examples of the functions go on with its names. On a machine without an
accelerator `kgml_jax.use_cpu_cores()` before it spreads the sites over the cores.

>>> import kgml_jax
>>> sites = kgml_jax.synthetic_sites(sites=3, years=4)
>>> data = kgml_jax.divide(sites)
>>> model = kgml_jax.make_model("recurrent", data, hidden=4, basis_layers=1, rh_layers=1)
>>> base = kgml_jax.pretrain(model, data, steps=2, validate_every=1)
>>> fitted = kgml_jax.calibrate(base, data, "bias", steps=2, validate_every=1)
>>> fluxes = kgml_jax.predict(fitted, sites)
>>> scores = kgml_jax.score({"pretrained": kgml_jax.predict(base, sites), "bias": fluxes}, data)
"""

from kgml_jax.api.models import calibrate, estimate, load, make_model, predict, pretrain, save
from kgml_jax.api.sites import (
    divide,
    observations,
    read_sites,
    score,
    simulate,
    synthetic_sites,
)

__all__ = [
    "calibrate",
    "divide",
    "estimate",
    "load",
    "make_model",
    "observations",
    "predict",
    "pretrain",
    "read_sites",
    "save",
    "score",
    "simulate",
    "synthetic_sites",
]
