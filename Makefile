# Each target sets up the virtual environment that it needs, from the package index
# alone. `make PYTHON=python3.13 test` picks another interpreter, `make TESTS=tests/unit
# test` a part of the tests.

VENV := .venv
WORKERS := 4
TESTS := tests
# Percent of the code that the tests without a database run; see CONTRIBUTING.md.
COVERED := 54

is_new_enough = -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))'
PYTHON := $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python $(is_new_enough) 2>/dev/null && { echo $$python; break; }; done)

BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
RECIPE := setup.cfg pyproject.toml

# Tests and scripts call `flask` and `ruff` by name.
export PATH := $(CURDIR)/$(BIN):$(PATH)

# What the tests run scripts for MongoDB with; they skip those where there is no npm.
MONGOSH := $(shell sed -n 's/^VERSION = "\(.*\)"/\1/p' tests/support/mongo/mongosh_cli.py)
NPM := $(shell command -v npm 2>/dev/null)

.PHONY: help demo test coverage test-large test-chaos mongosh lint typing bench docs clean
.NOTPARALLEL:
.DELETE_ON_ERROR:

help:
	@echo "make demo    the sample app on both databases, from nothing to head and back"
	@echo "make test    all tests but the large ones and chaos, on real servers"
	@echo "make coverage  the tests without a database, and how much of the code they run"
	@echo "make test-large  each operation on 100,000 documents, some five minutes more"
	@echo "make test-chaos  kills at each crash point and at random, some two hours"
	@echo "make mongosh the npm package mongosh, under $(VENV); part of make test"
	@echo "make lint    ruff and mypy"
	@echo "make bench   the measurements"
	@echo "make docs    the documentation, in docs/_build/html"
	@echo "make clean   remove what these made"

demo: $(VENV)/.has-embedded
	@$(BIN)/python -m sample_app.demo

test: $(VENV)/.has-beanie,embedded,test $(if $(NPM),mongosh)
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --durations=25 -m "not large and not chaos" $(TESTS)

coverage: $(VENV)/.has-beanie,embedded,test
	@$(BIN)/python -m pytest -n $(WORKERS) -m "not large and not chaos" \
		--cov --cov-report=term:skip-covered --cov-fail-under=$(COVERED) tests/unit

test-large: $(VENV)/.has-beanie,embedded,test $(if $(NPM),mongosh)
	@$(BIN)/python -m pytest -n $(WORKERS) -m large $(TESTS)

test-chaos: $(VENV)/.has-beanie,embedded,test
	@$(BIN)/python -m pytest -n $(WORKERS) -m chaos $(TESTS)

mongosh: $(VENV)/mongosh/$(MONGOSH)

$(VENV)/mongosh/$(MONGOSH): $(BIN)/python
	@echo "==> $(VENV)/mongosh: installing mongosh $(MONGOSH)"
	@mkdir -p $(VENV)/mongosh
	@npm install --silent --no-audit --no-fund --no-save --prefix $(VENV)/mongosh \
		mongosh@$(MONGOSH) && touch "$@" || \
		echo "==> npm could not install it: the tests that need it are skipped"

lint: typing
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

typing: $(VENV)/.has-beanie,embedded,test,style,typing
	@$(BIN)/mypy

bench: $(VENV)/.has-bench
	@$(BIN)/python -m bench

docs: $(VENV)/.has-docs
	@$(BIN)/sphinx-build -W --keep-going -E -q -b html docs docs/_build/html
	@echo "==> docs/_build/html/index.html"

clean:
	rm -rf $(VENV) build docs/_build *.egg-info .coverage htmlcov
	rm -rf .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(if $(PYTHON),:,false) && $(PYTHON) $(is_new_enough) 2>/dev/null || { \
		echo "Python 3.11 or newer, with venv, is needed. Name one: make PYTHON=…"; \
		exit 1; } >&2
	@echo "==> $(VENV): $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.has-%: $(BIN)/python $(RECIPE)
	@echo "==> $(VENV): installing Flask-DualMigrate[$*]"
	@$(INSTALL) --editable ".[$*]"
	@touch "$@"
