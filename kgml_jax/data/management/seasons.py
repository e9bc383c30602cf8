"""From plantings and harvests to the crops that stand, one at a time.

The rules are stated in docs/management.md; each that changes or leaves out something is told.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from kgml_jax.data import crop_names
from kgml_jax.data.crop_names import Named
from kgml_jax.data.management import vocabulary
from kgml_jax.data.management.course import Course, Standing, called
from kgml_jax.data.management.events import Event
from kgml_jax.data.management.operations import Operation, operations, share_mixed
from kgml_jax.data.schema import Note, Season
from kgml_jax.errors import listed

YOUNG = 30
"""Days after sowing before which no tillage ends a cover crop or a perennial one."""

TURNED = 0.4
"""Share of the plough layer whose mixing ends a cover crop or a perennial one."""

RESOWN = 60
"""Days after a sowing within which the same crop is sown again where it failed."""

AFTER_HARVEST = 60
"""Days after a harvest within which straw is taken, or more of the same crop is harvested."""

_DAY = np.timedelta64(1, "D")


def seasons(
    events: Sequence[Event], site: str, span: tuple[np.datetime64, np.datetime64], latitude: float
) -> tuple[list[Season], list[Note]]:
    """Returns the seasons that touch the record of a site, in order, and what is said of them.

    Args:
      events: of the site, in any order.
      site: its name.
      span: first and last day of its record.
      latitude: degrees north; decides which months are autumn.

    Raises:
      DataError: a crop has an unknown name, or is not simulated.
    """
    course = Course(site, *span, latitude)
    found = operations(events, span, latitude)
    _tell_windows(course, found)
    for place, done in enumerate(found):
        _STEPS[done.kind](course, done, found[place + 1 :])
    _finish(course)
    _take_straw(events, course)
    touching = [one for one in course.seasons if one.first <= span[1] and one.last >= span[0]]
    return touching, course.notes + _counted(course)


def _tell_windows(course: Course, found: Sequence[Operation]) -> None:
    wide = [
        f"{one.kind} of {called(one.crop)} {one.first} to {one.last}"
        for one in found
        if one.kind in ("planting", "harvest") and one.last > one.first and course.holds(one.day)
    ]
    if wide:
        message = f"over several days, count on their middle day: {listed(wide, 30)}"
        course.notes.append(Note(course.site, "management", "converted", len(wide), message))


def _plant(course: Course, done: Operation, later: Sequence[Operation]) -> None:
    if done.event.crop and not done.crop.name:
        return  # a word for fallow
    standing = course.standing
    if standing is not None and not _make_room(course, standing, done, later):
        return
    if not done.crop.name:
        following = next((one for one in later if one.kind in ("harvest", "planting")), done)
        if following.kind == "harvest" and following.crop.name:
            done = replace(done, crop=replace(following.crop, remark="named at its harvest"))
    course.open(done)


def _make_room(
    course: Course, standing: Standing, done: Operation, later: Sequence[Operation]
) -> bool:
    """Ends what stands where a crop is sown; returns whether the field is then free for it."""
    name, old = called(done.crop), f"{called(standing.crop)} of {standing.first}"
    last = standing.again or standing.first
    again = standing.crop.is_perennial or done.day - last <= RESOWN * _DAY
    if crop_names.same(standing.crop, done.crop) and again:
        message = f"{name} sown again on {done.day} while {old} stands: one season"
        course.tell(f"{message}, from its first sowing", done.day)
        standing.crop = standing.crop if standing.crop.name else done.crop
        standing.again = done.day
        return False
    if standing.crop.is_cover or standing.crop.is_perennial:
        course.close(done.day - _DAY, remark="ended by the next sowing")
    elif done.crop.is_cover or _is_reaped_later(standing.crop, later):
        message = f"{name} sown on {done.day} while {old} stands is left out: two crops at a time "
        course.tell(f"{message}are not simulated, the first sown counts", done.day)
        if done.crop.name:
            course.under.append(done.crop)
        return False
    else:
        _close_unreaped(course, before=done.day)
    return True


def _is_reaped_later(crop: Named, later: Sequence[Operation]) -> bool:
    """Whether a harvest that names the crop comes before it is sown again."""
    for done in later:
        if (
            done.crop.name
            and crop_names.same(crop, done.crop)
            and done.kind in ("planting", "harvest")
        ):
            return done.kind == "harvest"
    return False


def _close_unreaped(course: Course, before: np.datetime64 | None) -> None:
    """Ends a season without a harvest: after its usual days, or the day before the next sowing."""
    standing = course.standing
    assert standing is not None
    usual = standing.first + standing.crop.kind.days * _DAY
    day = usual if before is None else min(usual, before - _DAY)
    name = called(standing.crop)
    how = "after its usual days" if day == usual else "on the day before the next sowing"
    message = f"no harvest of {name} sown on {standing.first}: ended on {day}, {how}"
    course.tell(message, min(day, course.last_day))
    course.close(day, remark="no harvest in the table")


def _reap(course: Course, done: Operation, later: Sequence[Operation]) -> None:
    under = next(
        (one for one in course.under if done.crop.name and crop_names.same(one, done.crop)), None
    )
    standing = course.standing
    if under is not None and (standing is None or not crop_names.same(standing.crop, done.crop)):
        course.under.remove(under)
        return
    if standing is None:
        _reap_unsown(course, done)
        return
    if standing.crop.is_perennial:
        course.mow(done.day, _mown(done))
        return
    if not crop_names.same(standing.crop, done.crop):
        message = f"harvest of {done.crop.name} on {done.day}, where {standing.crop.name} of "
        message += f"{standing.first} stands, "
        if _is_reaped_later(standing.crop, later):
            course.tell(f"{message}is left out", done.day)
            return
        course.tell(f"{message}ends that", done.day)
    crop = standing.crop
    if done.crop.name == "silage corn" and crop.name == "corn":
        standing.crop = replace(crop, name="silage corn", remark="by its harvest")
    course.close(done.day, _removal(done, standing.crop))


def _reap_unsown(course: Course, done: Operation) -> None:
    """A harvest where nothing stands: of a crop sown before the record, or more of the last one."""
    if course.seasons and done.day - course.seasons[-1].last <= AFTER_HARVEST * _DAY:
        message = (
            f"a further harvest on {done.day}, after that of {course.seasons[-1].last}: not used"
        )
        course.tell(message, done.day, "left out")
        return
    if done.crop.is_perennial:
        _mow(course, done, ())
        return
    name = called(done.crop)
    begins = done.day - done.crop.kind.days * _DAY
    if not course.seasons and begins <= course.first_day:
        course.standing = Standing(done.crop, course.first_day, sown=False)
        message = f"{name} harvested on {done.day} was sown before the record: it stands from its "
        course.tell(f"{message}first day", done.day, "estimated")
        course.close(done.day, _removal(done, done.crop), remark="sown before the record")
        return
    message = f"harvest of {name} on {done.day} without a sowing: its season is left out and the "
    course.tell(f"{message}field counts as bare; give the day of its sowing", done.day)


def _removal(done: Operation, crop: Named) -> float:
    given, whole = done.event.amounts, crop_names.shoot_harvested(crop.name)
    if "share" in given:
        share = min(1.0, given["share"])
    elif "above removed" in given:
        # Of a grain crop about half of the shoot is grain, which leaves the field in any case.
        grain = 0.0 if whole else 0.5
        share = float(np.clip((given["above removed"] - grain) / (1.0 - grain), 0.0, 1.0))
    else:
        share = max(vocabulary.removal(done.event.words), whole)
    # What its row takes of the shoot of silage is not taken twice.
    return max(0.0, 1.0 - (1.0 - share) / (1.0 - whole))


def _end(course: Course, done: Operation, later: Sequence[Operation]) -> None:
    del later
    if course.standing is None:
        course.leave("termination", done.day)
        return
    course.close(done.day, remark="terminated")


def _mow(course: Course, done: Operation, later: Sequence[Operation]) -> None:
    del later
    standing = course.standing
    if standing is not None and standing.crop.is_cover:
        course.close(done.day, remark="terminated by a cut")
        return
    if standing is None and done.crop.is_perennial:
        _stand_unsown(course, done)
    course.mow(done.day, _mown(done))


def _mown(done: Operation) -> float:
    return min(1.0, done.event.amounts.get("share", 1.0))


def _stand_unsown(course: Course, done: Operation) -> None:
    """Lets a perennial crop stand that is cut and was not sown: before the record, or undersown."""
    usual = done.crop.kind.days * _DAY
    before = course.seasons[-1].last if course.seasons else None
    if before is not None and done.day - before <= usual:
        course.standing = Standing(replace(done.crop, remark="undersown"), before + _DAY)
        how = f"stands from {before + _DAY}, after the harvest of what it was sown under"
    elif before is None and done.day - usual <= course.first_day:
        course.standing = Standing(done.crop, course.first_day, sown=False)
        how = "was sown before the record: it stands from the first day"
    else:
        how = "is left out: its sowing is not in the table"
    course.tell(f"{done.crop.name} cut on {done.day} {how}", done.day)


def _till(course: Course, done: Operation, later: Sequence[Operation]) -> None:
    """A tillage that turns the soil ends a cover crop, and a perennial one."""
    del later
    standing = course.standing
    if standing is None or not (standing.crop.is_cover or standing.crop.is_perennial):
        return
    if done.day - standing.first > YOUNG * _DAY and share_mixed(done.event) >= TURNED:
        course.close(done.day, remark="ended by tillage")


_STEPS = {"planting": _plant, "harvest": _reap, "termination": _end, "cut": _mow, "tillage": _till}


def _finish(course: Course) -> None:
    """Leaves what stands at the end of the table standing for its usual days."""
    standing = course.standing
    if standing is None or standing.first > course.last_day:
        return
    if (
        standing.crop.is_perennial
        or standing.first + standing.crop.kind.days * _DAY > course.last_day
    ):
        name = called(standing.crop)
        course.tell(
            f"{name} of {standing.first} stands at the end of the record",
            course.last_day,
            "estimated",
        )
        course.close(max(course.last_day, standing.first), remark="stands at the end", reaped=False)
    else:
        _close_unreaped(course, before=None)


def _take_straw(events: Sequence[Event], course: Course) -> None:
    """Adds what is taken of the residue within weeks after a harvest."""
    for event in (one for one in events if one.kind == "residue removal"):
        found = [
            place
            for place, one in enumerate(course.seasons)
            if one.reaped and 0 <= (event.day - one.last).astype(int) <= AFTER_HARVEST
        ]
        if not found:
            course.leave("residue removal", event.day)
            continue
        place, share = found[-1], event.amounts.get("share", vocabulary.STRAW)
        season = course.seasons[place]
        course.seasons[place] = replace(season, removal=max(season.removal, min(1.0, share)))


def _counted(course: Course) -> list[Note]:
    reasons = {
        "cut": "no perennial crop stands there",
        "termination": "no crop stands there",
        "residue removal": f"no harvest in the {AFTER_HARVEST} days before",
    }
    told = [f"{kind} {count} ({reasons[kind]})" for kind, count in course.unused.items() if count]
    if not told:
        return []
    message = f"events that nothing depends on: {listed(told)}"
    return [Note(course.site, "management", "left out", sum(course.unused.values()), message)]
