# Each target sets itself up: it makes .venv and installs what it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

# Tests start many a Python, and each would compile the kit again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test check bench soak clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.base ## run examples/quickstart.py
	$(BIN)/python examples/quickstart.py

test: $(VENV)/.test ## run the tests
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4

check: $(VENV)/.check ## lint, format, types, import directions, drift, length of files
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports --no-logo
	@echo "revisions fit the models, and are SQLAlchemy only"
	@! grep -n sqlmodel alembic/versions/*.py
	@scratch=$$(mktemp -d) && export DATABASE_URL=sqlite:///$$scratch/drift.db && \
		$(BIN)/alembic upgrade head && $(BIN)/alembic check; status=$$?; rm -rf $$scratch; exit $$status
	@echo "files of at most 400 lines"
	@find domain infrastructure -name '*.py' -exec awk \
		'FNR == 401 { print FILENAME ": more than 400 lines"; long = 1 } END { exit long }' {} +

bench: $(VENV)/.bench ## compare with what else one would use
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.cache
	$(BIN)/python -m benchmarks.external_services
	$(BIN)/python -m benchmarks.messaging

soak: $(VENV)/.test ## run the tests at full size
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --soak

clean: ## remove .venv, caches and built packages
	rm -rf $(VENV) build dist .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo \
		"Python 3.11 or newer is needed, and $(PYTHON) is not: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

# One after the other, also under make -j: two pips at once would spoil the environment.
$(VENV)/.base: pyproject.toml | $(BIN)/python
	$(PIP) -e .
	@touch $@

$(VENV)/.test: pyproject.toml $(VENV)/.base
	$(PIP) -e '.[test]'
	@touch $@

$(VENV)/.bench: pyproject.toml $(VENV)/.test
	$(PIP) -e '.[test,bench]'
	@touch $@

$(VENV)/.check: pyproject.toml $(VENV)/.test
	$(PIP) -e '.[test,dev]'
	@touch $@
