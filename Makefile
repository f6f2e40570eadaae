# Everything a developer types. `make help` lists it; `make demo` and `make test` need nothing prepared.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
CLUSTER_DIR ?= .cluster
CLUSTER_NODES ?= auto
KUBECONFIG ?= $(CLUSTER_DIR)/kubeconfig
PYTEST := $(BIN)/python -m pytest

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): requirements.lock pyproject.toml
	@tools/venv $(VENV)
	@touch $@

.PHONY: demo
demo: $(READY) ## Run a release on a real cluster, show it, and clean up (KEEP=1 keeps it)
	@$(BIN)/python -m tests.demo

.PHONY: test
test: verify test-fast coverage test-cluster test-node ## Everything that can be tested, with its own set-up

.PHONY: test-fast
test-fast: $(READY) ## Unit, property and scenario tests: no cluster, about a minute
	$(PYTEST) -m "not cluster and not node"

.PHONY: binaries
binaries: $(READY) ## Build the local cluster's programs, once (about 10 minutes on two cores)
	@$(BIN)/python -m tests.cluster build

.PHONY: test-cluster
test-cluster: binaries ## Tests on a real API server with simulated nodes
	$(PYTEST) -m cluster

.PHONY: test-node
test-node: binaries ## Tests with a real node: real containers
	$(PYTEST) -m node

.PHONY: coverage
coverage: $(READY) ## Every branch of the core and of the kinds is tested
	$(PYTEST) tests/unit --cov=task_pipeline.core --cov=task_pipeline.kinds --cov-branch --cov-fail-under=100 -q

.PHONY: bench
bench: binaries ## Measure latency and throughput on a cluster of its own (minutes)
	$(BIN)/python -m tests.bench

.PHONY: fuzz
fuzz: $(READY) ## Send 100,000 made-up requests to the REST server, in memory (half an hour)
	$(BIN)/python -m tests.server.fuzz --requests 100000

.PHONY: run
run: $(READY) ## Install CRDs and the default client, then run the operator against KUBECONFIG
	@$(BIN)/python -m task_pipeline.entrypoints.apply --kubeconfig $(KUBECONFIG) crds manifests/development.yaml
	@KUBECONFIG=$(KUBECONFIG) exec $(BIN)/task-pipeline-operator

.PHONY: run-server
run-server: $(READY) ## Run the REST server against KUBECONFIG, beside an operator that runs there
	@KUBECONFIG=$(KUBECONFIG) exec $(BIN)/task-pipeline-server

.PHONY: cluster-up cluster-down cluster-status
cluster-up: $(READY) ## Start a local Kubernetes (CLUSTER_NODES=auto|real|simulated)
	@$(BIN)/python -m tests.cluster up --dir $(CLUSTER_DIR) --nodes $(CLUSTER_NODES)
cluster-down: $(READY) ## Stop it and remove what it left
	@$(BIN)/python -m tests.cluster down --dir $(CLUSTER_DIR)
cluster-status: $(READY) ## Show whether it runs
	@$(BIN)/python -m tests.cluster status --dir $(CLUSTER_DIR)

.PHONY: generate
generate: $(READY) ## Write the files that are made from the code (CRDs, docs)
	$(BIN)/task-pipeline-generate

.PHONY: verify
verify: lint types imports $(READY) ## Style, types, layers, and that generated files are up to date
	$(BIN)/task-pipeline-generate --check

.PHONY: lint types imports fmt lock
lint: $(READY) ## Check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
types: $(READY) ## Check types
	$(BIN)/mypy operator/task_pipeline operator/task_pipeline_worker examples tests
imports: $(READY) ## Check that the layers hold
	@$(BIN)/lint-imports --no-cache > $(VENV)/imports.log || { cat $(VENV)/imports.log; exit 1; }
fmt: $(READY) ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
lock: $(READY) ## Choose the newest allowed versions and write requirements.lock
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-emit-index-url --no-annotate --quiet --upgrade -o requirements.lock
