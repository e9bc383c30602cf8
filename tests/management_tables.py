"""Small tables of events, and what they make of a record without weather."""

import numpy as np
import pandas as pd
import xarray as xr

from kgml_jax.data.management import forcing, reader

HEADER = "site,date,event,crop,amount,unit,method\n"


class Field:
    """What a table makes of the days of one site."""

    def __init__(self, path, first, last, site, latitude):
        days = pd.date_range(first, last, freq="D")
        empty = xr.Dataset(coords={"time": days}, attrs={"site": site, "source": "weather.csv"})
        diary, _ = reader.for_sites(reader.load(path), [site])
        self.dataset, self.notes, self.seasons = forcing.attach(empty, diary, latitude)

    def days(self, name):
        """Days on which a field of the forcing is not 0, ISO, and its values."""
        values = self.dataset[name].to_numpy()
        when = self.dataset["time"].to_numpy()[values != 0].astype("datetime64[D]")
        return dict(zip(map(str, when), values[values != 0].tolist(), strict=True))

    def spans(self):
        """Name, first and last day of every season."""
        return [(one.name, str(one.first), str(one.last)) for one in self.seasons]

    def said(self, *words, kind=None):
        """Whether some note holds all the words."""
        return any(
            all(word in note.message for word in words) and kind in (None, note.kind)
            for note in self.notes
        )

    def on(self, name, day):
        """Value of a field on a day."""
        return float(self.dataset[name].sel(time=np.datetime64(day)).item())


def field(
    tmp_path, rows, first="2001-01-01", last="2003-12-31", site="A", latitude=45.0, header=HEADER
):
    """Writes a table and lays it on a record of site `A`; rows without a site are of it."""
    path = tmp_path / "management.csv"
    lines = rows if header is not HEADER else [f"A,{row}" for row in rows]
    path.write_text(header + "\n".join(lines) + "\n")
    return Field(path, first, last, site, latitude)
