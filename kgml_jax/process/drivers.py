"""What drives the process model: daily forcing with management, and site attributes."""

from typing import Literal

from kgml_jax.records import Field, record, var

Source = Literal["simulated", "prescribed"]
"""Where gross photosynthesis comes from: the canopy, or `Forcing.prescribed_gpp`."""


@record
class Forcing:
    """Weather and management of one site; each field has shape `()` (one day) or `(time,)`."""

    shortwave_radiation: Field = var(
        units="MJ m-2 d-1", bounds=(0.0, 45.0), doc="Global radiation at the surface."
    )
    air_temperature_mean: Field = var(
        units="degC", bounds=(-60.0, 55.0), doc="Daily mean air temperature."
    )
    air_temperature_max: Field = var(
        units="degC", bounds=(-60.0, 60.0), doc="Daily maximum air temperature."
    )
    air_temperature_min: Field = var(
        units="degC", bounds=(-65.0, 50.0), doc="Daily minimum air temperature."
    )
    vapour_pressure_deficit: Field = var(
        units="kPa", bounds=(0.0, 9.0), doc="Daily mean vapour pressure deficit of the air."
    )
    precipitation: Field = var(
        units="mm d-1", bounds=(0.0, 800.0), doc="Rain and snow, water equivalent."
    )
    wind_speed: Field = var(
        units="m s-1",
        bounds=(0.0, 40.0),
        doc="Daily mean wind speed, at 2 m over grass or a few metres over the crop.",
    )
    longwave_radiation: Field = var(
        units="MJ m-2 d-1",
        bounds=(0.0, 60.0),
        doc="Thermal radiation of the sky at the surface; 0 where not measured: estimated.",
    )
    co2: Field = var(
        units="umol mol-1", bounds=(250.0, 1200.0), doc="Carbon dioxide mole fraction of the air."
    )
    irrigation: Field = var(units="mm d-1", bounds=(0.0, 200.0), doc="Irrigation water.")
    crop: Field = var(
        units="1",
        doc="Row of the crop table (int), in the order of `crops.NAMES`; -1 where not known.",
    )
    occupied: Field = var(
        units="1", bounds=(0.0, 1.0), doc="1 from planting to harvest; 0 while fallow or unknown."
    )
    planting: Field = var(
        units="1", bounds=(0.0, 1.0), doc="Planting pulse; sums to 1 over one planting."
    )
    harvest: Field = var(
        units="1",
        bounds=(0.0, 1.0),
        doc="Harvest pulse; sums to 1 over one harvest. Of a perennial it is a cut.",
    )
    cut: Field = var(
        units="1",
        bounds=(0.0, 1.0),
        doc="Share of the shoot above the stubble that is mown and taken from the field.",
    )
    grazing: Field = var(
        units="1",
        bounds=(0.0, 1.0),
        doc="Share of the shoot above the stubble that animals on the field eat this day.",
    )
    tillage: Field = var(
        units="1", bounds=(0.0, 1.0), doc="Tillage pulse; 1 mixes the plough layer completely."
    )
    residue_removal: Field = var(
        units="1",
        bounds=(0.0, 1.0),
        doc="Share of the above-ground residue taken from the field at this day's harvest.",
    )
    fertiliser_ammonium: Field = var(
        units="g N m-2 d-1",
        bounds=(0.0, 60.0),
        doc="Ammonium nitrogen applied (urea and anhydrous ammonia count as ammonium).",
    )
    fertiliser_nitrate: Field = var(
        units="g N m-2 d-1", bounds=(0.0, 60.0), doc="Nitrate nitrogen applied."
    )
    manure_carbon: Field = var(
        units="g C m-2 d-1", bounds=(0.0, 2000.0), doc="Carbon of manure spread on the surface."
    )
    manure_nitrogen: Field = var(
        units="g N m-2 d-1",
        bounds=(0.0, 200.0),
        doc="Organic nitrogen of that manure; its ammonium is `fertiliser_ammonium`.",
    )
    prescribed_gpp: Field = var(
        units="g C m-2 d-1",
        doc="Gross primary productivity given from outside; 0 if none, and below 0 counts as 0.",
    )
    day_of_year: Field = var(units="d", bounds=(1.0, 366.0), doc="Day of the year, 1 January = 1.")


@record
class Attributes:
    """What does not change at a site; each field has shape `()`."""

    latitude: Field = var(units="degree_north", bounds=(-90.0, 90.0), doc="Latitude.", default=41.0)
    elevation: Field = var(
        units="m", bounds=(-450.0, 6000.0), doc="Height above sea level.", default=200.0
    )
    mean_annual_temperature: Field = var(
        units="degC", bounds=(-20.0, 35.0), doc="Mean annual air temperature.", default=11.0
    )
    sand: Field = var(
        units="1", bounds=(0.0, 1.0), doc="Sand fraction of the mineral soil.", default=0.166
    )
    clay: Field = var(
        units="1", bounds=(0.0, 1.0), doc="Clay fraction of the mineral soil.", default=0.243
    )
    bulk_density: Field = var(
        units="Mg m-3", bounds=(0.1, 2.2), doc="Bulk density, 0-30 cm.", default=1.385
    )
    soil_organic_carbon: Field = var(
        units="g kg-1", bounds=(0.5, 500.0), doc="Organic carbon, 0-30 cm.", default=17.08
    )
    ph: Field = var(units="1", bounds=(3.0, 10.0), doc="Soil pH in water.", default=6.24)
    cation_exchange_capacity: Field = var(
        units="cmol kg-1", bounds=(0.5, 200.0), doc="Cation exchange capacity.", default=20.17
    )
    field_capacity: Field = var(
        units="m3 m-3", bounds=(0.02, 0.7), doc="Water content at -33 kPa.", default=0.299
    )
    wilting_point: Field = var(
        units="m3 m-3", bounds=(0.005, 0.5), doc="Water content at -1500 kPa.", default=0.165
    )
    saturated_conductivity: Field = var(
        units="mm h-1", bounds=(0.01, 1000.0), doc="Saturated conductivity.", default=30.9
    )
