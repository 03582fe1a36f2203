# Two commands do everything: `make demo` and `make test`. Both make .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# pytest workers; each keeps torch to one thread (tests/conftest.py), so two fit two cores
WORKERS ?= $(shell nproc)

.PHONY: demo test lint docs stress clean

demo: $(VENV)/installed
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m ffprobe.demo

test: lint
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "not stress" -q

lint: $(VENV)/installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

stress: $(VENV)/installed-test
	$(BIN)/python -m pytest -m stress -q

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

$(VENV)/installed-test: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $@ $(VENV)/installed

clean:
	rm -rf demo build dist *.egg-info
