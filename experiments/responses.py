"""Asks whether the process model responds as fields do; see `responses.py --help`."""

from studies.process_model.responses import ResponsesConfig, main

from kgml_jax.cli.command import run

if __name__ == "__main__":
    run(main, ResponsesConfig)
