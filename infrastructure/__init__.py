"""The infrastructure of an application: databases now, other technology beside them."""

import importlib.util

try:
    from domain.errors import KitError as _KitError  # noqa: F401 -- only to see whose it is
except ImportError as error:
    if not (error.name or "").startswith("domain"):
        raise
    found = importlib.util.find_spec("domain")
    where = found.origin if found else "nowhere"
    raise ImportError(
        f"infrastructure-kit needs its own package `domain`, but finds {where}; "
        "give a package of yours with this name another one"
    ) from error
