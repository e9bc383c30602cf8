"""Can the parameters be found again? Run as `python experiments/twin.py --help`."""

from studies.twin.program import TwinConfig, main

from kgml_jax.cli.command import run

if __name__ == "__main__":
    run(main, TwinConfig)
