# Every target makes .venv if it is missing and installs by constraints.txt.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO := demo

.PHONY: help install browser demo test test-all check docs faults bench clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(STAMP) ## make .venv and install occlufer into it

# torch first, and alone: with 2.13.0 installed nothing asks for another build of it.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch numpy
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(STAMP) ## build the synthetic set, load it, train the baseline on it, write a report
	@mkdir -p $(DEMO)
	@echo '== 1 of 4: occlufer build (the built-in synthetic set)'
	cd $(DEMO) && ../$(BIN)/occlufer build
	@echo '== 2 of 4: load_dataset("occlu_fer") by plain datasets'
	cd $(DEMO) && HF_HUB_OFFLINE=1 ../$(BIN)/python -c 'from datasets import load_dataset; print(load_dataset("occlu_fer"))'
	@echo '== 3 of 4: occlufer baseline-train'
	cd $(DEMO) && ../$(BIN)/occlufer baseline-train --preset demo --data occlu_fer --out baseline
	@echo '== 4 of 4: occlufer report'
	cd $(DEMO) && ../$(BIN)/occlufer report --run baseline --out report.html
	@echo
	@echo 'Made: $(DEMO)/occlu_fer      the dataset: Parquet, card, lock'
	@echo '      $(DEMO)/baseline       checkpoint, metrics.json, curves.png, confusion.png'
	@echo '      $(DEMO)/report.html    open this one next, in a browser'
	@echo 'Then: $(BIN)/occlufer init YOUR_FOLDERS... writes a config for your own pictures.'

test: $(STAMP) ## the tests that need no server and no browser
	$(BIN)/python -m pytest -q -m 'not slow'

test-all: $(STAMP) browser ## all tests, with a labelling server of its own (1 GB, once) and a browser
	$(BIN)/python -m pytest -q

# Without it the tests that need it are skipped, and say so.
browser:
	@command -v chromium > /dev/null || { test "$$(id -u)" = 0 && command -v apt-get > /dev/null \
		&& apt-get -qq update && DEBIAN_FRONTEND=noninteractive \
		apt-get -qq install --yes --no-install-recommends chromium > /dev/null; } \
		|| echo 'Chromium is missing and could not be installed: the labelling page goes untested' >&2

check: $(STAMP) ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# One thread each: some of the builds run at the same time as others.
faults: $(STAMP) ## kills, full disks, damage and more, by the hundred; a small part of it is in `make test`
	OCCLUFER_FAULTS=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q tests/test_faults_*.py tests/test_disk_full.py tests/test_kill.py

docs: $(STAMP) ## docs/commands.md, the README's table and its picture, made anew
	$(BIN)/python docs/commands.py
	$(BIN)/python benchmarks/_table.py
	$(BIN)/python examples/picture.py

bench: $(STAMP) ## every benchmark, beside its named peers; FULL=--full for the long sizes
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,bench]'
	$(BIN)/python benchmarks/_suite.py $(FULL)

clean: ## delete what make demo and the builds of this folder made
	rm -rf $(DEMO) build *.egg-info
