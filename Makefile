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
BESIDE := -n 2 --dist loadfile # tests side by side, file by file: for each of the two a cluster of its own

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(READY): requirements.lock pyproject.toml
	@tools/venv $(VENV)
	@touch $@

.PHONY: demo
demo: $(READY) ## Run a release on a real cluster, show it, and clean up (KEEP=1 keeps it)
	@$(BIN)/python -m tests.demo

.PHONY: test
test: verify docs test-fast coverage test-chart test-cluster test-node ## Everything that can be tested, with its own set-up

.PHONY: test-fast
test-fast: $(READY) ## Unit, property and scenario tests: no cluster, about a minute
	$(PYTEST) $(BESIDE) -m "not cluster and not node and not chart and not e2e and not browser"

.PHONY: binaries
binaries: $(READY) ## Build the local cluster's programs, once (about 10 minutes on two cores)
	@$(BIN)/python -m tests.cluster build

.PHONY: helm
helm: $(READY) ## Build helm, once (about 3 minutes on two cores)
	@$(BIN)/python -m tests.install helm

.PHONY: test-chart
test-chart: helm ## The chart, the manifests and the image's recipe: schemas, rules, rights; no cluster
	$(PYTEST) -m chart

.PHONY: test-cluster
test-cluster: binaries ## Tests on a real API server with simulated nodes
	$(PYTEST) $(BESIDE) -m cluster

.PHONY: test-node
test-node: binaries ## Tests with a real node: real containers
	$(PYTEST) -m node

AXE := .browser/node_modules/axe-core/axe.min.js
.PHONY: test-browser
test-browser: $(READY) $(AXE) ## The web pages in a real Chromium: live, by keyboard, accessible
	@command -v chromium chromium-browser google-chrome >/dev/null || { echo "test-browser needs a Chromium: install the package chromium (Debian: apt-get install --no-install-recommends chromium)"; exit 1; }
	$(PYTEST) -m browser
$(AXE):
	@command -v npm >/dev/null || { echo "test-browser needs npm, to fetch axe-core: install Node.js with npm"; exit 1; }
	npm install --prefix .browser --no-save --no-audit --no-fund --ignore-scripts axe-core@4.14.1

.PHONY: test-e2e
test-e2e: binaries helm ## Build the image, install the chart on a real node, upgrade it in mid-run (about 10 minutes)
	$(PYTEST) -m e2e

.PHONY: test-faults test-faults-memory test-faults-mutants
test-faults: test-faults-memory binaries ## Every fault at every place, in memory and on a real API server (hours)
	$(BIN)/python -m tests.faults.real
test-faults-memory: $(READY) ## The same in memory alone, into .faults/report.json (about an hour)
	PYTHONPATH=operator:. PYTHONHASHSEED=0 $(BIN)/python -m tests.faults.memory
test-faults-mutants: $(READY) ## Put bugs into copies of the operator: the harness has to find them (half an hour)
	PYTHONPATH=operator:. $(BIN)/python -m tests.faults.mutants

.PHONY: coverage
coverage: $(READY) ## Every branch of the core and of the kinds is tested
	$(PYTEST) tests/unit --cov=task_pipeline.core --cov=task_pipeline.kinds --cov-branch --cov-fail-under=100 -q

.PHONY: bench bench-full
bench: binaries ## Measure every workload beside scripts, small (minutes; BENCH_FLAGS="--json FILE")
	$(BIN)/python -m tests.bench $(BENCH_FLAGS)
bench-full: binaries ## The same in full size with five rounds (hours)
	$(BIN)/python -m tests.bench --full $(BENCH_FLAGS)

.PHONY: scale
scale: binaries ## Measure how memory, CPU and time grow with the cluster (quarter of an hour; SCALE_FLAGS="--full")
	$(BIN)/python -m tests.scale $(SCALE_FLAGS)

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

.PHONY: manifests released
manifests: helm ## Render manifests/ from the chart
	@$(BIN)/python -m tests.install manifests
released: $(READY) ## Mark the CRDs as released: they may only be extended from then on
	@$(BIN)/python -m tests.install released

.PHONY: verify
verify: lint types imports $(READY) ## Style, types, layers, and that generated files are up to date
	$(BIN)/task-pipeline-generate --check

DOCS_READY := $(VENV)/.docs-ready
$(DOCS_READY): requirements-docs.lock $(READY)
	@$(BIN)/uv pip install --python $(BIN)/python --quiet --require-hashes -r requirements-docs.lock
	@touch $@

.PHONY: docs
docs: $(DOCS_READY) ## Build the documentation as a site into .site/; a warning is an error
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

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
lock: $(READY) ## Choose the newest allowed versions and write the lock files
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-emit-index-url --no-annotate --quiet --upgrade -o requirements.lock
	$(BIN)/uv pip compile pyproject.toml --extra otel --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-emit-index-url --no-annotate --quiet --constraint requirements.lock -o requirements-image.lock
	$(BIN)/uv pip compile --group pyproject.toml:docs --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-emit-index-url --no-annotate --quiet --upgrade --constraint requirements.lock -o requirements-docs.lock
