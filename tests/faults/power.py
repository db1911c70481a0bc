"""Makes the possible contents of a file system after a power cut from the files of a killed run."""

import os
from pathlib import Path


def power_cuts(trial, survives):
    """Changes the run folder of a killed run to the state after a power cut.

    A file certainly has the contents of its last sync, and a folder the names of its last sync. Of all later changes either
    `nothing` survives, or the `names` survive without the contents. In the second case a file that was renamed without
    being synced is empty.
    """
    synced, dirty, pending = {}, set(), []
    for point in trial.points()[:-1]:  # the last one did not happen
        if point.call in ("create", "open"):
            dirty.add(point.path)
            if point.call == "create":
                synced[point.path] = 0
                pending.append(point)
        elif point.call in ("write", "truncate"):
            dirty.add(point.path)
        elif point.call == "sync" and point.more == "folder":
            pending = [p for p in pending if parent_of(p) != point.path]
        elif point.call == "sync":
            synced[point.path] = int(point.more)
            dirty.discard(point.path)
        elif point.call == "rename":
            synced[point.more] = synced.pop(point.path, 0)
            dirty = {point.more if path == point.path else path for path in dirty if path != point.more}
            pending.append(point)
        elif point.call in ("link", "unlink", "mkdir"):
            if point.call == "link":
                synced[point.more] = synced.get(point.path, 0)
            pending.append(point)
    for path in dirty:
        if os.path.isfile(path) and os.path.getsize(path) > synced.get(path, 0):
            os.truncate(path, synced.get(path, 0))
    if survives == "names":
        return
    for point in reversed(pending):
        undo(point, trial.kept)


def parent_of(point):
    return str(Path(point.more if point.call in ("rename", "link") else point.path).parent)


def undo(point, kept):
    old = kept / str(point.number)
    if point.call == "create":
        Path(point.path).unlink(missing_ok=True)
    elif point.call == "link":
        Path(point.more).unlink(missing_ok=True)
    elif point.call == "rename":
        if os.path.exists(point.more):
            os.rename(point.more, point.path)
        if old.exists():
            os.link(old, point.more)
    elif point.call == "unlink":
        if old.exists() and not os.path.exists(point.path):
            os.link(old, point.path)
    elif point.call == "mkdir":
        try:
            os.rmdir(point.path)
        except OSError:
            pass
