"""A field with a rotation of wheat, corn and soybean, from 2000 to 2002."""

import numpy as np
from studies.measured_fields.management import (
    CORN,
    SOYBEAN,
    WHEAT,
    Dressing,
    FieldHistory,
    Season,
)

ROTATION = FieldHistory(
    site="plot",
    attributes={"latitude": 40.0, "elevation": 200.0, "sand": 0.1, "clay": 0.3},
    seasons=(
        Season(WHEAT, "wheat", "1999-10-01", "2000-07-10"),
        Season(CORN, "corn", "2001-05-01", "2001-09-30", removal=0.4),
        Season(SOYBEAN, "soybean", "2002-05-20", "2002-10-05"),
    ),
    remark="invented",
    dressings=(Dressing("2001-04-20", 8.0, 4.0), Dressing("2001-04-20", 1.0, 0.5)),
    tillage=(("2001-04-20", 0.3), ("1998-04-20", 0.9)),
    irrigation=(("2001-07-01", 25.0),),
)
DATES = np.arange(np.datetime64("2000-01-01"), np.datetime64("2003-01-01"))


def on(day):
    return int((np.datetime64(day) - DATES[0]).astype(int))
