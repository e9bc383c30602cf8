"""Calibrates every model at real towers and scores the last two years of each."""

from studies.towers.program import TowersConfig, main

from kgml_jax.cli.command import run

if __name__ == "__main__":
    run(main, TowersConfig)
