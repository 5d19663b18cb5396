# `make report` turns SOURCE into HTML, `make test` runs the tests; both work in a fresh clone with plain python3.
PYTHON ?= python3
SOURCE ?= data/samples/recorded-autumn
OUT ?= report
CHROMIUM ?= chromium
BENCH ?= build/benchmarks

VENV := .venv
BIN := $(VENV)/bin
# Each stamp says which lock the environment holds; it goes stale when the lock or the project's metadata changes.
LAB := $(VENV)/.installed-lab
DEV := $(VENV)/.installed-dev

# Pages are held to the rules of axe-core, which comes from npm; its lock names no registry, so that any one will do.
AXE := requirements/axe/node_modules/.installed

SPARK := $(VENV)/.installed-spark
# The tools that ours is measured against need so much that they have an environment of their own.
PEERS := $(BENCH)/peers

# Environments in which other releases than the locked ones are tried: $(call TRIED,name,resolution of uv).
TRIES := build/environments
define TRIED
	$(PYTHON) -m venv $(TRIES)/$(1)
	$(TRIES)/$(1)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade uv
	$(TRIES)/$(1)/bin/uv pip install --quiet --python $(TRIES)/$(1)/bin/python --upgrade --resolution $(2) \
		--requirement pyproject.toml --extra lab --extra polars --extra postgres --extra warehouse \
		--group build --group check --group test
	$(TRIES)/$(1)/bin/uv pip install --quiet --python $(TRIES)/$(1)/bin/python --no-deps --no-build-isolation --editable .
endef

# docs/report.png is made anew whenever it is asked for.
.PHONY: docs/report.png
.PHONY: help report test test-slow test-newest test-oldest check docs pages format lab axe spark bench lock clean
.DELETE_ON_ERROR:

help:
	@echo 'make report  notebooks executed on SOURCE (default $(SOURCE)), written to OUT (default $(OUT))'
	@echo 'make lab     JupyterLab on copies of the notebooks, with SOURCE set'
	@echo 'make test    the tests but the slow ones, warnings as errors'
	@echo 'make test-slow   the slow ones: other programs, whole reports, every engine, long random series'
	@echo 'make test-newest, make test-oldest   the tests on the newest releases that pyproject.toml allows, and on the oldest'
	@echo 'make check   ruff, formatting, mypy --strict, the contracts of the imports, what docs say of the code'
	@echo 'make docs    the manual, in docs/_build/html/index.html, every block of code run; and the lists that the code writes'
	@echo 'make format  what make check asks for, as far as a tool can do it'
	@echo 'make axe     axe-core, so that make test holds pages to its rules; needs npm and Chromium'
	@echo 'make pages   the pages of the manual in Chromium, as make docs built them'
	@echo 'make spark   PySpark, so that make test runs on it too (half a gigabyte; needs Java)'
	@echo 'make bench   the measurements of benchmarks/, with inputs and peers kept in BENCH (default $(BENCH); 15 GB)'
	@echo 'make lock    the hashed locks anew, from pyproject.toml (needs uv)'
	@echo 'make clean   removes what make made'

report: $(LAB)
	$(BIN)/telemetry-kit report $(SOURCE) --out $(OUT)

# Copies that git ignores, with the source set once: running and saving them leaves the clone clean. As root, as in
# containers, JupyterLab starts only where it is told that this is meant.
lab: $(LAB)
	$(BIN)/python -m telemetry_kit.reports.lab $(SOURCE) lab
	$(BIN)/jupyter lab $(shell [ "$$(id -u)" = 0 ] && echo --allow-root) lab

# The picture in the manual, of the report as it is now; needs Chromium.
docs/report.png: $(LAB)
	rm -rf build/report-png && $(BIN)/telemetry-kit report $(SOURCE) --out build/report-png
	$(CHROMIUM) --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size=1280,1100 \
		--user-data-dir=build/chromium --screenshot=docs/report.png file://$(CURDIR)/build/report-png/index.html

test: $(DEV)
	$(BIN)/python -m pytest -n auto --dist worksteal -m 'not slow'

# What takes many seconds a test: other programs, whole reports, engines that write SQL in Python, long random series.
test-slow: $(DEV)
	$(BIN)/python -m pytest -n auto --dist worksteal -m slow

# The newest releases that pyproject.toml allows, and the oldest: without hashes, because they are what is being tried.
test-newest:
	$(call TRIED,newest,highest)
	env -u CI $(TRIES)/newest/bin/python -m pytest -n auto --dist worksteal -m 'not spark and not browser' $(TESTS)

# Old releases warn of what newer ones of others deprecate.
test-oldest:
	$(call TRIED,oldest,lowest-direct)
	env -u CI $(TRIES)/oldest/bin/python -m pytest -n auto --dist worksteal -m 'not spark and not browser' \
		-W ignore::DeprecationWarning -W ignore::PendingDeprecationWarning -W ignore::FutureWarning \
		$(or $(TESTS),tests/engine tests/eventlog tests/ingest tests/reports tests/schemas)

check: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python docs/generate.py --check

docs: $(DEV)
	$(BIN)/python docs/generate.py
	$(BIN)/python -m sphinx -q -W --keep-going -b html docs docs/_build/html

format: $(DEV)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

axe: $(AXE)

$(AXE): requirements/axe/package-lock.json
	npm ci --prefix requirements/axe --no-audit --no-fund
	@touch $@

pages: $(DEV) $(AXE)
	$(BIN)/python -m pytest tests/test_manual_pages.py

spark: $(SPARK)

bench: $(DEV) $(PEERS)/.installed
	$(BIN)/python -m benchmarks --folder $(BENCH) --peers $(PEERS)/bin/python

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)

# The package itself goes in without its dependencies, which the lock has brought, and without a build environment of
# its own, whose contents no hash would hold.
$(VENV)/.installed-%: requirements/%.lock pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(SPARK): requirements/spark.lock $(DEV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --require-hashes --requirement $<
	@touch $@

$(PEERS)/.installed: requirements/peers.lock
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $<
	@touch $@

# The versions of all locks are those of development, so that they fit into one environment.
COMPILE = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header
LOCKED = --constraint requirements/dev.lock
lock:
	$(COMPILE) pyproject.toml --group build --group spark-build --group test --group check --group docs \
		--extra lab --extra polars --extra postgres --extra warehouse --output-file requirements/dev.lock
	$(COMPILE) $(LOCKED) pyproject.toml --group build --extra lab --output-file requirements/lab.lock
	$(COMPILE) $(LOCKED) pyproject.toml --extra spark --output-file requirements/spark.lock
	$(COMPILE) $(LOCKED) --group peers --output-file requirements/peers.lock

clean:
	rm -rf requirements/axe/node_modules $(VENV) report report.servers.csv lab build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
