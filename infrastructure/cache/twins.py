"""The same error once more: one object that is raised in many threads would mix up their traces."""

from __future__ import annotations

import copy

from domain.errors import CacheError


def twin(error: Exception) -> Exception:
    """An error of the same type, with the same attributes and cause, but no trace yet.

    One that cannot be copied in any way becomes the cause of a ``CacheError``.
    """
    made = _copied(error) or _remade(error)
    if made is None:
        made = CacheError(f"the loader of another thread failed with {type(error).__name__}")
        made.__cause__ = error
        return made
    made.args = error.args
    made.__cause__ = error.__cause__
    made.__context__ = error.__context__
    made.__suppress_context__ = error.__suppress_context__
    if hasattr(error, "__notes__"):
        made.__notes__ = [*error.__notes__]
    return made


def _copied(error: Exception) -> Exception | None:
    try:
        made = copy.copy(error)
    except Exception:  # noqa: BLE001 -- its constructor takes something else than its args
        return None
    return made if type(made) is type(error) and made is not error else None


def _remade(error: Exception) -> Exception | None:
    try:
        made = type(error).__new__(type(error), *error.args)
    except Exception:  # noqa: BLE001 -- as above
        return None
    made.__dict__.update(error.__dict__)
    return made
