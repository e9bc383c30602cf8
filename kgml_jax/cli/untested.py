"""What commands say where sites were not tested."""

from kgml_jax.cli.console import warn
from kgml_jax.display import counted
from kgml_jax.errors import listed
from kgml_jax.workflows.evaluation import Assessment


def tell_untested(found: Assessment) -> None:
    """Says plainly which sites have no score because none of their observed days was kept."""
    names, all_sites = found.untested, len(found.data)
    if len(names) == all_sites:
        warn(
            f"nothing was tested: of none of {counted(all_sites, 'site')} an observed day was kept "
            "for testing. All scores are NaN; nothing here says how good the predictions are"
        )
    elif names:
        warn(
            f"not tested, for no observed day was kept for testing: {listed(names, 12)} "
            f"({len(names)} of {counted(all_sites, 'site')}). Their scores are NaN and enter no "
            "median"
        )
