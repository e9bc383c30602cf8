"""What the comparison of solvers says of a way, of ways that are known."""

import inversion as benchmark
import numpy as np


def way(simulations, cost, error):
    named = {"simulations": simulations, "cost": cost, "held-out error": error}
    return {name: np.array(values, float) for name, values in named.items()}


def test_what_was_spent_after_the_level_was_reached_does_not_count():
    slow = way([10, 50, 100, 4000], [9, 5, 2, 2], [8, 3, 4, 4])
    quick = way([5, 20], [3, 1], [7, 4])
    poor = way([5, 20], [9, 8], [9, 8])
    lines = benchmark.against({"cma": slow, "lm": quick, "adam": poor}, "cma")
    # 100 simulations to a cost of 2, and 50 to an error of 4 or less.
    assert [line.partition(" ends with")[2] for line in lines] == [
        " after 100 simulations; cma needed 1.0 times as many",
        " after 20 simulations; cma needed 5.0 times as many",
        "",
        " after 50 simulations; cma needed 1.0 times as many",
        " after 20 simulations; cma needed 2.5 times as many",
        "",
    ]
    assert lines[2] == "adam does not come within 0.1 % of the cost that cma ends with"


def test_what_is_no_number_is_not_reached():
    broken = way([10, 20], [2, np.nan], [2, np.nan])
    assert all("does not come within" in line for line in benchmark.against({"cma": broken}, "cma"))
