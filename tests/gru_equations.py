"""The published equations of the gated recurrent unit, in NumPy."""

import numpy as np


def gru(weights, inputs, initial):
    """States (time, hidden) of one layer, gate by gate."""
    w_ir, w_iz, w_in = np.split(np.asarray(weights["w_ih"]), 3, axis=1)
    w_hr, w_hz, w_hn = np.split(np.asarray(weights["w_hh"]), 3, axis=1)
    b_ir, b_iz, b_in = np.split(np.asarray(weights["b_ih"]), 3)
    b_hr, b_hz, b_hn = np.split(np.asarray(weights["b_hh"]), 3)
    sigmoid = lambda x: 1 / (1 + np.exp(-x))
    h, states = np.asarray(initial), []
    for x in np.asarray(inputs):
        r = sigmoid(x @ w_ir + b_ir + h @ w_hr + b_hr)
        z = sigmoid(x @ w_iz + b_iz + h @ w_hz + b_hz)
        n = np.tanh(x @ w_in + b_in + r * (h @ w_hn + b_hn))
        h = (1 - z) * n + z * h
        states.append(h)
    return np.stack(states)
