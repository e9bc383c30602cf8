"""Networks: pure functions of a nested dict of weights that know nothing of physics."""

from kgml_jax.nets.functional import Network as Network
from kgml_jax.nets.kgml_ag import KGMLAg as KGMLAg
from kgml_jax.nets.recurrent import GRU as GRU
from kgml_jax.nets.recurrent import gru as gru
