# make demo    the main job: strains of magnesium → Kohn–Sham solves → surrogate → report.html
# make test    linters' and types' check is `make check`; this runs the tests (some need ABINIT, else they are skipped)
# Both do all their own set-up in .venv; only python ≥ 3.11, make and pip's registry are needed.

PYTHON ?= python3
BIN := .venv/bin
# One BLAS thread a process: the parallelism is over strains and over test files.
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1
export MKL_NUM_THREADS := 1

.PHONY: demo test check clean

demo: .venv/installed
	$(BIN)/cellfields run examples/01_magnesium_quick/magnesium.toml

test: .venv/installed-dev
	$(BIN)/python -m pytest -n 2 --dist loadfile

check: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("cellfields needs python 3.11 or newer; set PYTHON=…" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

.venv/installed-dev: .venv/bin/python pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch .venv/installed $@

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache
