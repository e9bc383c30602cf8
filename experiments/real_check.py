"""Holds the uncalibrated process model against measured fields."""

from studies.real_check.program import RealCheckConfig, main

from kgml_jax.cli.command import run

if __name__ == "__main__":
    run(main, RealCheckConfig)
