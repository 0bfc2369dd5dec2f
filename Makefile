# Two commands on a fresh machine that has python3 (3.11 or later) and make: `make demo` and `make test`.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# One more than there are cores, for some tests wait; few, for each may start a cluster of seven.
JOBS ?= $(shell $(PYTHON) -c 'import os; print(min(4, 1 + len(os.sched_getaffinity(0))))')

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-seed test test-chaos test-hpc check bench docs gallery lock clean

help: ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.venv/.run: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "entropic needs Python 3.11 or later")'
	$(PYTHON) -m venv .venv
	$(PIP) install --require-hashes -r requirements.lock
	$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

.venv/.dev: .venv/.run requirements-dev.lock
	$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

setup: .venv/.dev ## everything that developers need, in .venv

demo: .venv/.run ## the demonstration, on a small field
	$(BIN)/entropic demo

demo-seed: .venv/.run ## the demonstration at the original's full size: 1e9 sites, 1000 cycles
	$(BIN)/entropic demo --size seed

test: .venv/.dev ## the test suite
	$(BIN)/python -m pytest --numprocesses $(JOBS) --dist worksteal

test-chaos: .venv/.dev ## hundreds of faults injected into real runs; makes docs/reliability.md (some three hours)
	$(BIN)/python -m pytest tests/chaos --full --reliability docs/reliability.md

test-hpc: .venv/.dev ## the tests on real batch systems; as root it installs Debian's Slurm and others
	tests/hpc/run $(BIN)/python

check: .venv/.dev ## formatting, lint, types, import contract
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: .venv/.dev ## the documentation, as a site in site/
	$(BIN)/mkdocs build --strict

gallery: .venv/.dev ## the gallery's pictures, notebooks and figures, from its scripts
	$(BIN)/python docs/make_gallery.py

bench: .venv/.dev ## how fast kernels and engine are, beside their peers (a quarter of an hour; best on a quiet machine)
	$(BIN)/python -m benchmarks

lock: ## renew the lock files (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --extra build --extra dashboard --extra report pyproject.toml -o requirements.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
	  --all-extras -c requirements.lock pyproject.toml -o requirements-dev.lock

clean: ## remove what the commands above made
	rm -rf .venv build dist site src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
