# `make` runs the default study; `make help` lists the rest. Needs Python >= 3.11, git and make.
PYTHON ?= python3
CORES ?= all
STUDY ?= demo

BIN := .venv/bin
READY := .venv/.ready

.PHONY: study test test-smoke test-demo test-faults test-slurm lint format bench lock audit clean help

study: $(READY)  ## install into .venv and run a study to its report (STUDY=demo CORES=all)
	$(BIN)/snakemake --cores $(CORES) --quiet reason -- results/$(STUDY)/report.html
	@echo "report: results/$(STUDY)/report.html"

test: $(READY)  ## install into .venv and run the tests
	$(BIN)/pytest -n 2 --dist loadgroup

test-smoke: $(READY)  ## run all of the paper study in small, on random weights (minutes)
	$(BIN)/pytest -n 0 tests/smoke

test-demo: study  ## run a study (STUDY=demo) and recompute its numbers from its files by another path
	RESULTS=results/$(STUDY) $(BIN)/pytest -n 0 -s tests/recomputation/finished_study.py

test-faults: $(READY)  ## test runs that are killed, edited or short of disk
	$(BIN)/pytest -n 0 tests/faults

test-slurm: $(READY)  ## test on a Slurm cluster of this machine: installs Slurm with apt; root or sudo
	@tests/cluster/install
	$$(test "$$(id -u)" = 0 || echo sudo -n -E) $(BIN)/pytest -n 0 -p no:cacheprovider tests/cluster

lint: $(READY)  ## check style of Python and Snakemake files and lint the workflow
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint

format: $(READY)  ## rewrite the sources in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules

bench: $(READY)  ## measure the demo for the README (15 minutes); benchmarks/ has more
	$(BIN)/python benchmarks/demo.py

lock:  ## make constraints.txt anew from the ranges in pyproject.toml
	@set -e; folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	$(PYTHON) -m venv "$$folder/venv"; \
	"$$folder/venv/bin/python" -m pip install --quiet --editable '.[workflow,dev]'; \
	head -n 2 constraints.txt > "$$folder/new"; \
	"$$folder/venv/bin/python" -m pip freeze --exclude-editable > "$$folder/found"; \
	sed 's/+cpu$$//' "$$folder/found" >> "$$folder/new"; \
	cp "$$folder/new" constraints.txt

audit:  ## ask PyPI for known faults of the packages in constraints.txt
	@set -e; folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	$(PYTHON) -m venv "$$folder/venv"; \
	"$$folder/venv/bin/python" -m pip install --quiet pip-audit; \
	"$$folder/venv/bin/pip-audit" --strict --no-deps --disable-pip --requirement constraints.txt

clean:  ## remove the results of STUDY, the prepared data and Snakemake's records
	rm -rf results/$(STUDY) data .snakemake

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python >= 3.11 is needed, $(PYTHON) is older: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[workflow,dev]'
	@touch $@
