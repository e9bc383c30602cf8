"""Writes the tables of `docs/science.md` from the code; see `describe.py --help`."""

from studies.process_model.describe import DescribeConfig, main

from kgml_jax.cli.command import run

if __name__ == "__main__":
    run(main, DescribeConfig)
