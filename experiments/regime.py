"""Prints where the process model lands at its priors, beside the regime it should reproduce."""

from studies.process_model.regime import RegimeConfig, main

from kgml_jax.cli.command import run

if __name__ == "__main__":
    run(main, RegimeConfig)
