# Three commands do everything: `make demo`, `make check` and `make test`. Each makes .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# pytest workers; each keeps torch to one thread (tests/conftest.py), so two fit two cores
WORKERS ?= $(shell nproc)
# seconds of processor time that a test without the marker slow may take (tests/time_limit.py)
TIME_LIMIT ?= 10
PYTEST := $(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal -o time_limit=$(TIME_LIMIT)
# Compiled modules are kept, also where the environment says otherwise: without them collecting the tests takes twice as
# long, and so does the start of every program.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo check test lint types stress cluster bench gallery methods rates docs clean

# A quarter of the width and small batches, so that both runs and their analyses fit a minute on two cores.
BUDGET := --dataset digits --epochs 25 --batch-size 32 --set network.width=0.25 --set training.learning_rate=0.003

demo: $(VENV)/installed
	mkdir -p demo
	$(BIN)/ffprobe run --preset vanilla-ff $(BUDGET) --out demo/vanilla-ff.h5 --overwrite
	$(BIN)/ffprobe run --preset trifecta $(BUDGET) --out demo/trifecta.h5 --overwrite
	$(BIN)/ffprobe analyze layers demo/vanilla-ff.h5 demo/trifecta.h5 --plot demo/layers.png
	$(BIN)/ffprobe analyze probes:repeats=3,mlp_repeats=2 demo/vanilla-ff.h5 demo/trifecta.h5 --csv demo/probes-table.csv --plot demo/probes.png
	@echo "Run files, tables and figures are in demo/; demo/layers.png is laid out as the paper's Figure 1."

# The loop while you work, meant for ninety seconds on two cores. The folders whose tests do not train, start programs or run pages.
QUICK := analysis components config inference meta network prediction replay runtime sweep
QUICK += $(addprefix plugins/,goodness losses negatives networks normalizers rules schedulers test_formulas.py)
check: lint
	$(PYTEST) -m "not slow and not stress" $(wildcard $(addprefix tests/,$(QUICK)))

# Everything that takes minutes; `make stress` has what takes longer.
test: lint
	$(PYTEST) -m "not stress"

lint: $(VENV)/installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(MAKE) --no-print-directory types
	$(BIN)/lint-imports --no-cache

# plugins/ is checked under the name that it has when installed
types: $(VENV)/installed-test
	mkdir -p $(VENV)/mypy && ln -sfn ../../plugins $(VENV)/mypy/ffprobe_plugins
	$(BIN)/mypy

stress: $(VENV)/installed-test
	$(BIN)/python -m pytest -m stress -q

# sweeps on a SLURM and a Ray cluster of this one machine; SLURM needs root and Debian's slurmctld slurmd slurm-client munge
cluster: $(VENV)/installed-test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test,slurm,ray]'
	$(BIN)/python -m pytest -m stress -q tests/cluster

# alternatives in turn, in one process tree; JSON in benchmarks/results, from which docs/performance.md is made; where
# Debian's libtcmalloc-minimal4 is installed, what memory costs is measured with it, too
TCMALLOC ?= $(firstword $(wildcard /usr/lib/*/libtcmalloc_minimal.so.4))
bench: $(VENV)/installed-test
	$(BIN)/ffprobe sweep benchmarks/fashion.toml --out runs/bench --jobs $(WORKERS)
	$(BIN)/python -m benchmarks.step
	$(BIN)/python -m benchmarks.step --precision fp32
	$(if $(TCMALLOC),LD_PRELOAD=$(TCMALLOC) $(BIN)/python -m benchmarks.step)
	$(BIN)/python -m benchmarks.compile
	$(BIN)/python -m benchmarks.around
	$(BIN)/python -m benchmarks.evaluation runs/bench/*.h5
	$(BIN)/ffprobe bench cost --preset trifecta --preset pred --preset local-speedrun -b 128 --csv docs/results/step-cost.csv
	$(BIN)/python -m benchmarks.memory
	$(if $(TCMALLOC),LD_PRELOAD=$(TCMALLOC) $(BIN)/python -m benchmarks.memory)
	$(BIN)/python -m benchmarks.scale
	$(if $(TCMALLOC),LD_PRELOAD=$(TCMALLOC) $(BIN)/python -m benchmarks.scale)
	$(BIN)/python -m benchmarks.on_disk --data $(CIFAR10)
	$(BIN)/python -m benchmarks.startup
	$(BIN)/python -m benchmarks.page

# one CUDA card, under ten minutes
bench-gpu: $(VENV)/installed-test
	$(BIN)/python -m benchmarks.gpu --data $(CIFAR10)
	$(BIN)/python -m benchmarks.page

# trains what docs/gallery/plan.toml asks for (about an hour on two cores; it may be stopped and called again), then draws
CIFAR10 ?= ../shared/data/cifar10-jpeg.tar.xz
gallery: $(VENV)/installed
	$(BIN)/python docs/gallery/gallery.py gallery-runs --cifar10 $(CIFAR10)

# every method of the field at one budget (overnight on two cores; it may be stopped and called again), then the page
methods: $(VENV)/installed
	CIFAR10_JPEG=$(CIFAR10) $(BIN)/ffprobe sweep studies/methods.toml --out runs/methods --jobs $(WORKERS)
	CIFAR10_JPEG=$(CIFAR10) $(BIN)/python studies/floors.py
	CIFAR10_JPEG=$(CIFAR10) $(BIN)/ffprobe sweep studies/methods-long.toml --out runs/methods-long --jobs $(WORKERS)
	CIFAR10_JPEG=$(CIFAR10) $(BIN)/python studies/methods.py runs/methods --long studies/methods-long.toml
	$(BIN)/python studies/methods_figure.py

# the learning rates of studies/methods.toml, by an equal small search (hours; resumes); before make methods
rates: $(VENV)/installed
	CIFAR10_JPEG=$(CIFAR10) $(BIN)/python studies/rates.py plan
	CIFAR10_JPEG=$(CIFAR10) $(BIN)/ffprobe sweep studies/rates.toml --out runs/rates --jobs $(WORKERS)
	CIFAR10_JPEG=$(CIFAR10) $(BIN)/python studies/rates.py choose runs/rates

# the documentation site in site/; fails on a broken link; mkdocs.yml has the pages
docs: $(VENV)/installed-docs
	$(BIN)/python docs/generate.py --check
	$(BIN)/mkdocs build --strict --quiet

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

$(VENV)/installed-test: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $@ $(VENV)/installed

$(VENV)/installed-docs: pyproject.toml | $(VENV)/installed-test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	touch $@

clean:
	rm -rf demo build dist *.egg-info
