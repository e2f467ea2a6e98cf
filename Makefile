.DEFAULT_GOAL := help
PYTHON ?= python3.11
BIN := .venv/bin
INSTALLED := .venv/.installed
# as the service sets them: threads that spin while they wait take the cores from those that work
export OMP_NUM_THREADS := 1
export OMP_WAIT_POLICY := PASSIVE
UNIT := tests/unit tests/contracts tests/architecture

.PHONY: help .venv demo test test-quick test-unit test-cluster test-service test-failure test-integration test-tuning \
        check style bench chaos fuzz sbom audit down clean

help:  ## this list
	@grep -hE '^[a-z.]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## */\t/' | expand -t 10

.venv: $(INSTALLED)  ## the virtual environment, with every version as in constraints.txt

$(INSTALLED): constraints.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "needs Python 3.11: install it, or make PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing into .venv (minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,postgres,feast]'
	@touch $@

demo: $(INSTALLED)  ## start everything, train on German credit, show the result, leave all running
	@$(BIN)/mts up --detach
	@$(BIN)/mts train examples/german_credit.yaml --follow
	@$(BIN)/mts status

# Clusters are started and ended again and again: each group has a process of its own, which keeps nothing of the last one.
# A group that fails does not keep the next ones from running.
test: $(INSTALLED)  ## all tests
	@$(MAKE) --no-print-directory --keep-going $(addprefix test-,unit cluster service failure integration tuning)

test-unit: $(INSTALLED)
	$(BIN)/pytest -q -n 2 $(UNIT) -m "not cluster"

test-quick: $(INSTALLED)
	$(BIN)/pytest -q -n 2 $(UNIT) -m "not slow and not cluster"

test-cluster: $(INSTALLED)
	$(BIN)/pytest $(UNIT) -m cluster

test-service test-failure: test-%: $(INSTALLED)
	$(BIN)/pytest tests/$*

# each file has a cluster or a registry of its own, and waits for it most of the time
test-integration: $(INSTALLED)
	$(BIN)/pytest -n 2 --dist loadfile tests/integration --ignore tests/integration/tuning

test-tuning: $(INSTALLED)
	$(BIN)/pytest -n 2 --dist loadfile tests/integration/tuning

check: $(INSTALLED)  ## style, types, import rules and the quick tests
	@$(MAKE) --no-print-directory --jobs 2 style test-quick

style: $(INSTALLED)
	$(BIN)/ruff check --quiet
	$(BIN)/ruff format --check --quiet
	$(BIN)/lint-imports
	$(BIN)/mypy

bench: $(INSTALLED)  ## the benchmarks, with their table
	$(BIN)/python -m benchmarks

chaos: $(INSTALLED)  ## a hundred faults under a stream of jobs, with every promise checked after each
	PYTHONPATH=.:tests/support $(BIN)/python -m chaos --faults 100 --seed 1
	PYTHONPATH=.:tests/support $(BIN)/python -m chaos --faults 30 --seed 2 --postgres

fuzz: $(INSTALLED)  ## ten thousand requests drawn from the OpenAPI document
	PYTHONPATH=.:tests/support $(BIN)/python -W ignore -m fuzzed_api --cases 10000

sbom: $(INSTALLED)  ## a bill of materials, CycloneDX, in sbom.json
	$(BIN)/python -m ray_app.local.sbom > sbom.json

audit: $(INSTALLED)  ## compare what is installed with the known advisories
	$(BIN)/python -m ray_app.local.audit

down: $(INSTALLED)  ## stop everything that was started
	@$(BIN)/mts down

clean:  ## stop everything and remove what can be made again; jobs and models stay in .mts
	@test ! -x $(BIN)/mts || $(BIN)/mts down
	rm -rf .venv build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
