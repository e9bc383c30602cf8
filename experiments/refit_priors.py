"""Refits priors of the process model on crop towers together, and judges that at left-out ones."""

from studies.towers.refit import RefitConfig, main

from kgml_jax.cli.command import run

if __name__ == "__main__":
    run(main, RefitConfig)
