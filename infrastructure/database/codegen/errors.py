"""What goes wrong while models are generated."""

from __future__ import annotations

from domain.errors import KitError


class GenerationError(KitError):
    """Models that cannot be generated as asked; nothing was written."""


class Drift(GenerationError):
    """Models that are there, and cannot be brought in line with the database by themselves."""
