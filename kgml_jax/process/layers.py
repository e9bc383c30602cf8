"""Geometry of the soil: five layers to 1.2 m, and the surface residue above them.

Biogeochemical quantities have six layers (`BIOGEOCHEMICAL`): the residue first, then the soil.
A pool of organic matter holds its carbon and its nitrogen in rows `CARBON` and `NITROGEN` of its
first axis, so that what moves as matter moves with both.
"""

import numpy as np

THICKNESS = np.array([0.05, 0.10, 0.15, 0.30, 0.60])  # m; of the soil layers
TOP = np.array([0.0, 0.05, 0.15, 0.30, 0.60])  # m; depth of their tops
MILLIMETRES = 1000.0 * THICKNESS  # mm; water of the layers at a content of 1
CENTRE = TOP + 0.5 * THICKNESS  # m; depth of their centres
SOIL = 5  # 1; number of soil layers
BIOGEOCHEMICAL = 6  # 1; number of layers with organic matter
TOPSOIL = 3  # 1; number of layers in 0-30 cm
PLOUGHED = 2  # 1; number of layers mixed by tillage, 0-15 cm
CARBON, NITROGEN = 0, 1  # rows of a pool of organic matter, g C m-2 and g N m-2
