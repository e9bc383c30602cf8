"""The synthetic Midwest: corn-soybean sites in Illinois, Iowa and Indiana, drawn from a seed."""

from kgml_jax.data.synthetic.world import SyntheticConfig as SyntheticConfig
from kgml_jax.data.synthetic.world import generate as generate
from kgml_jax.data.synthetic.world import per_site as per_site
