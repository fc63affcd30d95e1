# `make` runs the default study; `make help` lists the rest. Needs Python, git and make.
PYTHON ?= python3
CORES ?= all
STUDY ?= demo
DOCKER ?= docker
$(if $(STUDY),,$(error STUDY names no study))

BIN := .venv/bin
SITE := build/site
READY := .venv/.ready
REPORT = results/$(STUDY)/report.html
TAKES = $(if $(filter demo,$(STUDY)),$(shell sed -n '/takes:begin/{n;p;}' README.md),`$(BIN)/negmerge plan $(STUDY)` estimates how long)
# The Pythons that pyproject.toml allows, and what ends with one line if PYTHON is none of them.
PYTHONS := $(shell sed -n 's/^requires-python = "\(.*\)"$$/\1/p' pyproject.toml)
define CHECK_PYTHON
import re, sys
found = sys.version_info[:3]
low, high = [tuple(map(int, bound.split("."))) for bound in re.findall("[0-9.]+", "$(PYTHONS)")]
if not low <= found < high:
    sys.exit("Python $(PYTHONS) is needed, $(PYTHON) is %d.%d.%d: make PYTHON=python3.12" % found)
endef
export CHECK_PYTHON
# By these, editors complete and check settings; what settings may hold changes with the library.
SCHEMAS := $(patsubst %,config/schemas/%.json,study datasets models prompts)
LIBRARY := $(wildcard $(addprefix workflow/scripts/negmerge/,*.py */*.py */*/*.py))
# For tests that run a demo, which may take as long as it takes.
NO_LIMIT := -o faulthandler_timeout=0
# The command that goes on where a run was stopped: this one, with the variables it was given.
GIVEN = $(foreach name,STUDY CORES,$(if $(filter-out file,$(origin $(name))),$(name)=$($(name))))
AGAIN = $(strip make $(MAKECMDGOALS) $(GIVEN))

.PHONY: study demo-lm test test-smoke test-demo test-studies test-faults test-slurm test-clients test-conda lint format docs image bench check-gpu lock audit clean help

study: $(READY) $(SCHEMAS)  ## run a study to its report; what is done already is kept
	@echo 'study $(STUDY): $(TAKES)'
	@NEGMERGE_AGAIN="$(AGAIN)" $(BIN)/snakemake --cores $(CORES) --logger negmerge -- $(REPORT)
	@echo "report: $(REPORT)"
	@cat results/$(STUDY)/summary.txt 2>/dev/null || true

demo-lm: $(READY)  ## run the study of a small language model that forgets
	@$(MAKE) --no-print-directory study STUDY=demo-lm

test: $(READY)  ## run the tests
	@echo "the tests: several minutes on two cores"
	$(BIN)/pytest -n 2 --dist loadfile --max-worker-restart 0

test-smoke: $(READY)  ## run all of the paper study in small, on random weights
	$(BIN)/pytest -n 0 tests/smoke

test-demo: study  ## run a study and recompute its numbers
	RESULTS=results/$(STUDY) $(BIN)/pytest -n 0 -s $(NO_LIMIT) tests/recomputation/finished_study.py

test-studies: $(READY)  ## follow the pages to studies of one's own, and use conda
	$(BIN)/pytest -n 2 --dist loadfile tests/studies tests/conda

test-faults: $(READY)  ## test runs that are killed, edited or short of disk
	$(BIN)/pytest -n 0 tests/faults

test-slurm: $(READY)  ## test on a Slurm that is installed with apt (root or sudo)
	@tests/cluster/install
	$$(test "$$(id -u)" = 0 || echo sudo -n -E) $(BIN)/pytest -n 0 -p no:cacheprovider $(if $(DEMO),$(NO_LIMIT)) tests/cluster

test-clients: $(READY)  ## test that programs of others load what is written
	tests/clients/run

test-conda: $(READY)  ## run the study of .test in conda environments (needs conda)
	$(BIN)/snakemake --cores $(CORES) --sdm conda --show-failed-logs --directory .test

lint: $(READY)  ## check the style of the sources and lint the workflow
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules workflow/Snakefile
	$(BIN)/snakemake --lint
	$(BIN)/snakemake --lint --snakefile workflow/Snakefile

format: $(READY)  ## rewrite the sources in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules workflow/Snakefile

docs: $(READY)  ## build the pages as a site, build/site/index.html
	$(BIN)/sphinx-build --fresh-env --fail-on-warning --keep-going --quiet --conf-dir docs --doctree-dir $(SITE).doctrees . $(SITE)

image:  ## build the container image `negmerge`
	$(DOCKER) build --tag negmerge .

bench: $(READY)  ## measure the demo, several runs; benchmarks/ has more
	$(BIN)/python benchmarks/demo.py

check-gpu: $(READY)  ## check this machine's GPU and print a page for an issue
	@echo "about half an hour, and 170 MB to fetch; the page is also results/check-gpu.md"
	@$(BIN)/python benchmarks/check_gpu.py

lock:  ## make constraints.txt, and the pins of tests/clients, anew
	@set -e; folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	$(PYTHON) -m venv "$$folder/venv"; \
	"$$folder/venv/bin/python" -m pip install --quiet --editable '.[workflow,language,dev,docs]'; \
	head -n 2 constraints.txt > "$$folder/new"; \
	"$$folder/venv/bin/python" -m pip freeze --exclude-editable > "$$folder/found"; \
	sed 's/+cpu$$//' "$$folder/found" >> "$$folder/new"; \
	cp "$$folder/new" constraints.txt
	@PYTHON=$(PYTHON) tests/clients/environments/lock

audit:  ## ask PyPI for known faults of the locked packages
	@set -e; folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	$(PYTHON) -m venv "$$folder/venv"; \
	"$$folder/venv/bin/python" -m pip install --quiet pip-audit; \
	"$$folder/venv/bin/pip-audit" --strict --no-deps --disable-pip --requirement constraints.txt

clean:  ## remove the results of STUDY, all data and Snakemake's records
	rm -rf results/$(STUDY) data .snakemake

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s  %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo 'Alone, `make` means `make study`. Variables, as in `make STUDY=paper CORES=8`:'
	@echo "  STUDY   a file of config/studies, without .yaml  ($(STUDY))"
	@echo "  CORES   how many cores jobs may use              ($(CORES))"
	@echo "  PYTHON  what .venv is made with                  ($(PYTHON))"
	@echo "  DOCKER  what builds the image, as podman does    ($(DOCKER))"

$(SCHEMAS): config/schemas/%.json: $(READY) $(LIBRARY)
	@mkdir -p $(@D)
	@$(BIN)/negmerge schema $* > $@

.DELETE_ON_ERROR:

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c "$$CHECK_PYTHON"
	@echo "installing into .venv: a few minutes, most of it PyTorch; once"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[workflow,language,dev,docs]'
	@touch $@
