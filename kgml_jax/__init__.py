"""Knowledge-guided models of agroecosystem carbon, calibrated at every site at once."""

from kgml_jax.backend import refuse_wrong_jaxlib

refuse_wrong_jaxlib()
