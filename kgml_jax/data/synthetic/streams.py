"""Random streams by name: what a site draws does not depend on which other sites there are."""

import zlib

import numpy as np


def generator(seed: int, owner: str, purpose: str) -> np.random.Generator:
    """Returns the random stream of one purpose of one owner (a site or a state)."""
    children = tuple(zlib.crc32(text.encode()) for text in (owner, purpose))
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=children))


def within(random: np.random.Generator, low: float, high: float, mean: float, sd: float) -> float:
    """Draws from a normal distribution truncated to `low` to `high`."""
    while not low <= (value := random.normal(mean, sd)) <= high:
        pass
    return float(value)
