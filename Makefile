# The commands of Larder. `make help` lists them; each can be run again at any time.
STACK ?= dev
PYTHON := .larder/venv/bin/python
export CONTEXT REGISTRY STACK ONLY FULL RUNS SEED INPUT PART TOUCHED BEFORE AFTER EXAMPLES TEXTS
# Where a machine forbids compiled Python, each of a hundred started processes would compile all it imports anew.
unexport PYTHONDONTWRITEBYTECODE
.DEFAULT_GOAL := help
.PHONY: help up down url clean clean-cache venv clouds test lint e2e bench fuzz rails plan render

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  STACK=dev picks the stack; CONTEXT=… REGISTRY=… put stack dev on a cluster that exists; ONLY=… narrows test, e2e and bench"

up: ## the platform on an embedded cluster, ending with an answer from it
	@python3 -m dev up

down: ## remove the stack; the weights stay on their volume
	@python3 -m dev down

url: ## base URL of the running stack
	@python3 -m dev url

clean: ## remove the cluster, its weights and everything else of this checkout
	@python3 -m dev clean

clean-cache: ## remove the built toolchain from the cache folder
	@python3 -m dev clean-cache

venv:
	@python3 -m dev venv

clouds: venv
	@python3 -m dev clouds

lint: clouds ## ruff and mypy
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m mypy __main__.py components manifests policies preview bench dev testbed sidecar/larder_sidecar tests

test: clouds ## every test that needs neither a cluster nor an engine (EXAMPLES=all: more inputs for each property)
	@$(PYTHON) -m pytest -p tests.workers --workers 8 $(if $(ONLY),tests/$(ONLY),--ignore=tests/e2e --ignore=tests/engines --ignore=tests/rails)

e2e: ## the stacks on the embedded cluster with the real engines (PART=core, 2 or 3; ONLY=a suite)
	@python3 -m testbed e2e

bench: venv ## what the sidecar and previews cost, measured; writes docs/benchmarks.{md,json}
	@$(PYTHON) -m bench

fuzz: venv ## parsers of outside input, fed with inputs made of seeds (RUNS=20000 each, SEED=0, ONLY=targets, INPUT=file of a crash)
	@$(PYTHON) -m tests.fuzz

rails: clouds ## what differs from commit BEFORE: plans, names and more (ONLY=a rail); for changes that must change nothing
	@$(PYTHON) -m tests.rails

plan: clouds ## preview STACK without CLI, cluster or credentials; policies included (WHY=1: each strategy, and why not; JSON=file for tools)
	@$(PYTHON) -m preview plan --stack $(STACK) $(if $(OVERLAY),--overlay $(OVERLAY)) $(if $(WHY),--why) $(if $(BEFORE),--before $(BEFORE)) $(if $(JSON),--json $(JSON))

render: clouds ## the manifests of STACK as files, for Argo CD and Flux
	@$(PYTHON) -m preview render --stack $(STACK) $(if $(OVERLAY),--overlay $(OVERLAY)) --out rendered/$(STACK)
