"""Geometry of the soil: five layers to 1.2 m, and the surface residue above them.

Biogeochemical quantities have six layers (`BIOGEOCHEMICAL`): the residue first, then the soil.
A pool of organic matter holds its carbon and its nitrogen in rows `CARBON` and `NITROGEN` of its
first axis, so that what moves as matter moves with both.
"""

import numpy as np

THICKNESS = np.array([0.05, 0.10, 0.15, 0.30, 0.60])  # m
TOP = np.array([0.0, 0.05, 0.15, 0.30, 0.60])  # m
MILLIMETRES = 1000.0 * THICKNESS  # thickness in mm: water at a content of 1
CENTRE = TOP + 0.5 * THICKNESS  # m
SOIL = 5
BIOGEOCHEMICAL = 6
TOPSOIL = 3  # layers in 0-30 cm
PLOUGHED = 2  # layers mixed by tillage, 0-15 cm
CARBON, NITROGEN = 0, 1  # rows of a pool of organic matter, g C m-2 and g N m-2
