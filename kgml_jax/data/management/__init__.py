"""Management as people keep it: tables of events, and what of them drives the models.

`reader` recognises whose table it is and turns every row into an `events.Event`; `seasons` turns
plantings and harvests into crops that stand; `forcing` lays all of it on the days of a record.
"""
