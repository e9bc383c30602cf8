"""Knowledge-guided models of agroecosystem carbon, calibrated at every site at once.

The names below are what most users need; `kgml_jax.api` describes each with an example. They are
imported when first used, so that importing the package costs little more than importing JAX.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from kgml_jax.backend import refuse_wrong_jaxlib
from kgml_jax.backend import use_cpu_cores as use_cpu_cores

if TYPE_CHECKING:
    from kgml_jax.api import calibrate as calibrate
    from kgml_jax.api import divide as divide
    from kgml_jax.api import estimate as estimate
    from kgml_jax.api import load as load
    from kgml_jax.api import make_model as make_model
    from kgml_jax.api import observations as observations
    from kgml_jax.api import predict as predict
    from kgml_jax.api import pretrain as pretrain
    from kgml_jax.api import read_sites as read_sites
    from kgml_jax.api import save as save
    from kgml_jax.api import score as score
    from kgml_jax.api import simulate as simulate
    from kgml_jax.api import synthetic_sites as synthetic_sites
    from kgml_jax.errors import DataError as DataError

refuse_wrong_jaxlib()

_FUNCTIONS = (
    *("read_sites", "synthetic_sites", "observations", "divide", "make_model", "pretrain"),
    *("calibrate", "estimate", "predict", "simulate", "score", "save", "load"),
)
_HOMES = {"DataError": "kgml_jax.errors", **dict.fromkeys(_FUNCTIONS, "kgml_jax.api")}

PUBLIC = (*_HOMES, "use_cpu_cores")
"""What users need by name; all else is imported from its module."""


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *PUBLIC})
