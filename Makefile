# `make demo` shows mechdsl at work, `make test` checks it. Either first sets up .venv/ (Python 3.11 or later, a C
# compiler and PyPI are all it takes) and does nothing twice: what was done is remembered by files that stand for it.
#
# PYTHON=... takes another interpreter, CC=... another compiler, IPOPT=carried declines the system's Ipopt.

PYTHON ?= python3
BIN    := .venv/bin
MODEL  := models/ai_2025/six_regimes.mech

export PIP_DISABLE_PIP_VERSION_CHECK = 1

help:
	@echo 'make demo       set up, then solve two regimes of a published market'
	@echo 'make test       set up, then ruff, mypy and pytest'
	@echo 'make lint       ruff and mypy alone;  make format  lets ruff lay out the code'
	@echo 'make benchmark  the measurements in benchmarks/'
	@echo 'make docs       build/docs/html/: the documentation, every page of it; warnings are errors'
	@echo 'make fuzz       texts made to hurt, by the million (INPUTS=...), and what came of them'
	@echo 'make wheel      dist/: mechdsl, and the cyipopt that holds its solver'
	@echo 'make clean      remove caches and what was built;  make distclean  .venv/ too'

demo: .venv/.mechdsl
	$(BIN)/mechdsl solve $(MODEL) --regime M1
	$(BIN)/mechdsl solve $(MODEL) --regime M2

test: lint
	$(BIN)/python -m pytest -n auto

lint: .venv/.mechdsl
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: .venv/.mechdsl
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# A million inputs take hours; a run that is stopped goes on where it was. `make fuzz INPUTS=10000` is a taste of it.
INPUTS ?= 1000000

fuzz: .venv/.mechdsl .venv/.fuzz
	nice -n 19 $(BIN)/python -m tests.fuzz --inputs $(INPUTS)

docs: .venv/.mechdsl .venv/.docs
	$(BIN)/python docs/site/make.py

# Each file of benchmarks/ is a script that prints its own table.
benchmark: .venv/.mechdsl .venv/.benchmark
	@for script in benchmarks/[a-z]*.py; do echo "== $$script" && $(BIN)/python "$$script" || exit 1; done

# build/ is removed before, for a file that has since left the tree must not live on in the wheel; and egg-info after,
# for Python would take it, beside the installed one, for a second mechdsl.
wheel: .venv/.cyipopt
	rm -rf build dist
	$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .
	rm -rf build mechdsl.egg-info
	cp .venv/wheels/*.whl dist
	@ls dist/*

clean:
	rm -rf build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find mechdsl plugins tests benchmarks .ci -name __pycache__ -prune -exec rm -rf {} +

distclean: clean
	rm -rf .venv

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo 'mechdsl needs Python 3.11 or later; name one: make demo PYTHON=/path/to/python3' >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' || \
	  { echo 'this Python lacks venv (Debian: install python3-venv); or name another: make demo PYTHON=/path/to/python3' >&2; exit 1; }
	$(PYTHON) -m venv .venv

.venv/.cyipopt: .ci/cyipopt_wheel.py | $(BIN)/python
	$(BIN)/python .ci/cyipopt_wheel.py .venv/wheels
	$(BIN)/python -m pip install --quiet --force-reinstall --no-deps .venv/wheels/*.whl
	@touch $@

.venv/.mechdsl: pyproject.toml .venv/.cyipopt
	$(BIN)/python -m pip install --quiet --prefer-binary --editable '.[dev]'
	rm -rf build mechdsl.egg-info mechdsl/engines/*.so
	$(BIN)/python -c 'from mechdsl.engines.batch_machine import machine_code; machine_code()'
	@touch $@

.venv/.fuzz: pyproject.toml .venv/.mechdsl
	$(BIN)/python -m pip install --quiet --prefer-binary --editable '.[fuzz]'
	rm -rf build/lib build/bdist* mechdsl.egg-info
	@touch $@

.venv/.docs: pyproject.toml .venv/.mechdsl
	$(BIN)/python -m pip install --quiet --prefer-binary --editable '.[docs]'
	rm -rf build/lib build/bdist* mechdsl.egg-info
	@touch $@

.venv/.benchmark: pyproject.toml .venv/.mechdsl
	$(BIN)/python -m pip install --quiet --prefer-binary --editable '.[benchmark]'
	rm -rf build mechdsl.egg-info
	@touch $@

.PHONY: help demo test lint format docs fuzz benchmark wheel clean distclean
