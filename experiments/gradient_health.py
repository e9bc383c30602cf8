"""Examines the gradients of the process model over years; see `gradient_health.py --help`."""

from studies.process_model.gradient_health import HealthConfig, main

from kgml_jax.cli.command import run

if __name__ == "__main__":
    run(main, HealthConfig)
