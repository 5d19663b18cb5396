# `make report` turns SOURCE into HTML, `make test` runs the tests; both work in a fresh clone with plain python3.
PYTHON ?= python3
SOURCE ?= data/samples/recorded-autumn
OUT ?= report

VENV := .venv
BIN := $(VENV)/bin
# Each stamp says which lock the environment holds; it goes stale when the lock or the project's metadata changes.
LAB := $(VENV)/.installed-lab
DEV := $(VENV)/.installed-dev

.PHONY: help report test check format lab bench lock clean
.DELETE_ON_ERROR:

help:
	@echo 'make report  notebooks executed on SOURCE (default $(SOURCE)), written to OUT (default $(OUT))'
	@echo 'make lab     JupyterLab on the notebooks'
	@echo 'make test    every test, warnings as errors'
	@echo 'make check   ruff, formatting, mypy --strict'
	@echo 'make format  what make check asks for, as far as a tool can do it'
	@echo 'make bench   the measurements of benchmarks/'
	@echo 'make lock    the hashed locks anew, from pyproject.toml (needs uv)'
	@echo 'make clean   removes what make made'

report: $(LAB)
	$(BIN)/telemetry-kit report $(SOURCE) --out $(OUT)

lab: $(LAB)
	$(BIN)/jupyter lab notebooks

test: $(DEV)
	$(BIN)/python -m pytest -n auto --dist loadfile

check: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(DEV)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(DEV)
	$(BIN)/python -m benchmarks

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)

# The package itself goes in without its dependencies, which the lock has brought, and without a build environment of
# its own, whose contents no hash would hold.
$(VENV)/.installed-%: requirements/%.lock pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

# The lab's versions are those of development, so that both fit into one environment.
COMPILE = uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes --no-header --group build
lock:
	$(COMPILE) --extra lab --extra polars --extra postgres --group test --group check --output-file requirements/dev.lock
	$(COMPILE) --extra lab --constraint requirements/dev.lock --output-file requirements/lab.lock

clean:
	rm -rf $(VENV) report build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
