"""Writes a run's predictions as files of CalLMIP Phase 1."""

from studies.callmip.program import CallmipConfig, main

from kgml_jax.cli.command import run

if __name__ == "__main__":
    run(main, CallmipConfig)
