"""Models from an existing database. Needs the extra ``codegen``."""

from infrastructure.database.codegen.errors import GenerationError
from infrastructure.database.codegen.generating import Report, generate

__all__ = ["GenerationError", "Report", "generate"]
