"""The synthetic Midwest: corn-soybean sites, by default in Illinois, Iowa and Indiana."""

from kgml_jax.data.synthetic.drawing import SyntheticConfig as SyntheticConfig
from kgml_jax.data.synthetic.drawing import draw as draw
from kgml_jax.data.synthetic.world import generate as generate
from kgml_jax.data.synthetic.world import per_site as per_site
