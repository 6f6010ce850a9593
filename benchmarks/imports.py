"""How long importing the kit takes, beside the libraries that it stands on, and a peer.

python -m benchmarks.imports

Each import has a process of its own, in turns; bytecode is there, as after an installation.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time

MODULES = ("sqlmodel", "infrastructure.database", "advanced_alchemy.repository")
ROUNDS = 21


def seconds(module: str, environment: dict[str, str]) -> float:
    """How long a process takes that imports one module."""
    start = time.perf_counter()
    # Without a timeout, for which it would look every 50 ms whether the process has ended.
    command = [sys.executable, "-c", f"import {module}"]
    subprocess.run(command, env=environment, check=True)  # noqa: S603 -- our own words
    return time.perf_counter() - start


def main() -> None:
    """Print the medians."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    took: dict[str, list[float]] = {module: [] for module in MODULES}
    for module in MODULES:
        seconds(module, environment)  # writes bytecode
    for _ in range(ROUNDS):
        for module, times in took.items():
            times.append(seconds(module, environment))
    base = statistics.median(took["sqlmodel"])
    for module, times in took.items():
        median = statistics.median(times)
        print(f"import {module}: {1000 * median:.0f} ms, {median / base:.2f} of sqlmodel")


if __name__ == "__main__":
    main()
