# The two main commands: make demo, make test. Each sets up .venv if it is missing or stale.
# make test-long runs the tests that take many minutes; make coverage reports which lines the tests
# run, and takes half as long again; make gpu measures on an NVIDIA GPU; make docs builds a site in
# build/docs. make compare-x4 DATA=FOLDER, compare-derain and compare-sizes train networks from
# scratch, BUDGET seconds each; see experiments/README.md.

PYTHON ?= python3
BIN := .venv/bin

BUDGET ?= 3600

.PHONY: demo test test-long coverage bench gpu docs compare-x4 compare-derain compare-sizes
demo: .venv/installed
	$(BIN)/basicsr train -opt options/demo_vmambair_x4.yml

test: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --threads 2
	$(BIN)/pytest -n 2

test-long: .venv/installed
	$(BIN)/pytest -m long -s

coverage: .venv/installed
	$(BIN)/pytest -n 2 --cov=vmambair_arch --cov-report=term

bench: .venv/installed
	$(BIN)/vmambair bench

gpu: .venv/installed
	$(BIN)/python experiments/gpu/run.py

compare-x4 compare-derain compare-sizes: .venv/installed
	$(BIN)/python experiments/comparisons/compare.py $(@:compare-%=%) "$(DATA)" --seconds $(BUDGET)

docs: .venv/installed
	$(BIN)/pip install --quiet --no-build-isolation --editable '.[docs]'
	$(BIN)/python docs/figures/network.py
	$(BIN)/mkdocs build --strict

# BasicSR's build imports torch: with --no-build-isolation it uses this one and downloads no other.
# From Python 3.13 on that build fails, and vmambair install-basicsr works around it.
.venv/installed: setup.py pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install torch torchvision
	$(BIN)/pip install cython numpy setuptools wheel
	$(BIN)/pip install --no-build-isolation --editable '.[test]'
	$(BIN)/vmambair install-basicsr
	touch $@
