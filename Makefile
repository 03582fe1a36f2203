# Two commands do everything: `make demo` and `make test`. Both make .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# pytest workers; each keeps torch to one thread (tests/conftest.py), so two fit two cores
WORKERS ?= $(shell nproc)

.PHONY: demo test lint stress bench gallery clean

# A quarter of the width and small batches, so that both runs and their analyses fit a minute on two cores.
BUDGET := --dataset digits --epochs 25 --batch-size 32 --set network.width=0.25 --set training.learning_rate=0.003

demo: $(VENV)/installed
	mkdir -p demo
	$(BIN)/ffprobe run --preset vanilla-ff $(BUDGET) --out demo/vanilla-ff.h5 --overwrite
	$(BIN)/ffprobe run --preset trifecta $(BUDGET) --out demo/trifecta.h5 --overwrite
	$(BIN)/ffprobe analyze layers demo/vanilla-ff.h5 demo/trifecta.h5 --plot demo/layers.png
	$(BIN)/ffprobe analyze probes:repeats=3,mlp_repeats=2 demo/vanilla-ff.h5 demo/trifecta.h5 --csv demo/probes-table.csv --plot demo/probes.png
	@echo "Run files, tables and figures are in demo/; demo/layers.png is laid out as the paper's Figure 1."

test: lint
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m "not stress" -q

lint: $(VENV)/installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

stress: $(VENV)/installed-test
	$(BIN)/python -m pytest -m stress -q

# alternatives in turn, in one process tree; JSON in benchmarks/results
bench: $(VENV)/installed-test
	$(BIN)/python -m benchmarks.step
	$(BIN)/python -m benchmarks.memory

# trains what docs/gallery/plan.toml asks for (about an hour on two cores; it may be stopped and called again), then draws
CIFAR10 ?= ../shared/data/cifar10-jpeg.tar.xz
gallery: $(VENV)/installed
	$(BIN)/python docs/gallery/gallery.py gallery-runs --cifar10 $(CIFAR10)

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
