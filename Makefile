# Everything that people and CI run. Needs make and Python 3.11 or newer; the rest is installed into .venv on demand,
# from lock files with hashes.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

# The interpreter that .venv is made with: the first one here that is new enough.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$python" && break; done)
# The generator of the code in dstore/v1 is older and has wheels for Python 3.11 to 3.13.
PROTO_PYTHON ?= $(PYTHON)
# What the container image is built on, and further flags for `docker build` or `podman build`.
BASE_IMAGE ?= python:3.13-slim
IMAGE_BUILD_FLAGS ?=
# docker, podman or local; empty: the first that works, in this order.
RUNTIME ?=
export BASE_IMAGE IMAGE_BUILD_FLAGS RUNTIME

INSTALL := -m pip install --quiet --disable-pip-version-check --require-hashes --requirement
LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--no-emit-find-links --no-annotate --no-header --upgrade

.PHONY: help setup proto reference fmt check test sim sweep chaos docs demo bench cluster-up cluster-down cluster-status test-containers test-install lock

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' Makefile

setup: .venv/.ready .venv-proto/.ready ## Install everything for development into .venv and .venv-proto

proto: .venv-proto/.ready ## Generate dstore/v1 from protos/
	scripts/generate.sh

reference: .venv/.ready ## Write docs/reference from docstrings, protos, the command's grammar and the OpenAPI document
	.venv/bin/python -m scripts.reference

fmt: .venv/.ready ## Format Python and protos, and fix what can be fixed
	.venv/bin/ruff check --fix-only --quiet .
	.venv/bin/ruff format .
	.venv/bin/buf format --write

check: .venv/.ready .venv-proto/.ready ## Lint, types, import contracts, protos, generated code, Dockerfile
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/mypy --explicit-package-bases --package scripts.reference
	printf '%s\n' tests/*/conftest.py | xargs -n 1 .venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/buf lint
	.venv/bin/buf format --diff --exit-code
	scripts/generate.sh --check
	.venv/bin/python -m scripts.reference --check
	.venv/bin/hadolint Dockerfile

test: .venv/.ready ## Run the tests
	@scripts/system-tools.sh
	.venv/bin/python -m pytest

sim: .venv/.ready ## Simulate clusters in which things break: SEED= (a new one) to start from, SEEDS= (1000) of them
	@PYTHONPATH=tests:. .venv/bin/python -m simulation $(if $(SEED),--seed $(SEED)) --seeds $(or $(SEEDS),1000)

sweep: .venv/.ready ## Strike real servers at every system call, lose power at every moment; takes an hour
	@scripts/system-tools.sh
	@.venv/bin/python tests/chaos/sweep.py
	@.venv/bin/python tests/chaos/power_loss.py

chaos: .venv/.ready ## Break real servers while clients work: DURATION= (120) seconds of faults, SEED= (a new one)
	@scripts/system-tools.sh
	@PYTHONPATH=tests .venv/bin/python tests/chaos/run_chaos.py --duration $(or $(DURATION),120) $(if $(SEED),--seed $(SEED))

docs: .venv-docs/.ready ## Build the pages of docs/ as a site in site/; a broken link or anchor is an error
	@rm -rf site
	.venv-docs/bin/python scripts/stage_pages.py build/pages
	.venv-docs/bin/zensical build --strict --clean --config-file build/pages/mkdocs.yml
	@mv build/pages/site site
	@echo "The first page is site/index.html; \`python3 -m http.server --directory site\` serves it."

demo: .venv/.ready ## Store a file, kill a chunkserver, and read the file back
	@scripts/demo.sh

bench: .venv/.bench-ready ## Compare speed, CPU and memory with peers: BENCH=quick, PEERS=ceph, BENCH_ARGUMENTS=
	@.venv/bin/python -m benchmarks $(if $(filter quick,$(BENCH)),--quick,--save --chart docs/benchmark.png) \
		$(if $(PEERS),--peers $(PEERS)) $(BENCH_ARGUMENTS)

cluster-up: .venv/.ready ## Start a cluster here: Docker Compose if an engine answers, else local processes
	@scripts/cluster.sh up

cluster-down: .venv/.ready ## Stop that cluster and keep its data
	@scripts/cluster.sh down

cluster-status: .venv/.ready ## Show the health of that cluster
	@scripts/cluster.sh status

test-containers: .venv/.ready ## Build the image and test a Compose cluster; needs docker or podman
	.venv/bin/python -m pytest -m containers tests/containers

test-install: .venv/.ready ## Install the wheel as a user does, with everything that it needs, and use it
	.venv/bin/python -m pytest -m install -n0 tests/docs/test_fresh_install.py

lock: ## Refresh requirements/*.lock from pyproject.toml; needs uv
	$(LOCK) pyproject.toml --all-extras --group dev --output-file requirements/development.lock
	$(LOCK) pyproject.toml --all-extras --output-file requirements/runtime.lock
	$(LOCK) --group build --output-file requirements/build.lock
	$(LOCK) --group proto --output-file requirements/proto.lock
	$(LOCK) --group docs --output-file requirements/docs.lock
	$(LOCK) --group bench --constraint requirements/development.lock --output-file requirements/bench.lock

# pyproject.toml is named because it holds the entry point of the `dstore` command.
.venv/.ready: requirements/development.lock pyproject.toml
	$(PYTHON) -m venv .venv
	.venv/bin/python $(INSTALL) requirements/development.lock
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.bench-ready: requirements/bench.lock .venv/.ready
	.venv/bin/python $(INSTALL) requirements/bench.lock
	@touch $@

.venv-proto/.ready: requirements/proto.lock
	$(PROTO_PYTHON) -m venv .venv-proto
	.venv-proto/bin/python $(INSTALL) requirements/proto.lock
	@touch $@

.venv-docs/.ready: requirements/docs.lock
	$(PYTHON) -m venv .venv-docs
	.venv-docs/bin/python $(INSTALL) requirements/docs.lock
	@touch $@
