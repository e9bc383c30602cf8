"""Pretrains KGML-ag for N2O on simulated plots and leaves chambers out one by one."""

from studies.nitrous_oxide.program import NitrousOxideConfig, main

from kgml_jax.cli.command import run

if __name__ == "__main__":
    run(main, NitrousOxideConfig)
