# Everything a developer types. `make help` lists it.
.DEFAULT_GOAL := help
PYTHON ?= python3
UV_VERSION := 0.13.9
UV := .cache/uv/bin/uv
RUN := .venv/bin

PORT ?= 8080
METRICS_PORT ?= 9090
S3_PORT ?= 8333

.PHONY: help
help: ## list these commands
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' Makefile

# uv in a corner of its own: nothing outside this folder is touched.
$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $(PYTHON) must be Python 3.11 or later: make PYTHON=python3.13 …" >&2; exit 1; }
	@$(PYTHON) -m venv .cache/uv || { echo "make: $(PYTHON) cannot make virtual environments: install python3-venv (Debian, Ubuntu)" >&2; exit 1; }
	@.cache/uv/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

.venv/.ready: pyproject.toml uv.lock | $(UV)
	@UV_PYTHON_DOWNLOADS=never $(UV) sync --locked --group docs --quiet --python $(PYTHON)
	@touch $@

.PHONY: check
check: .venv/.ready ## format, lint, types and import contracts
	$(RUN)/ruff format --check
	$(RUN)/ruff check
	$(RUN)/mypy
	$(RUN)/lint-imports

.PHONY: test
test: check ## everything that needs no cluster, a few minutes
	$(RUN)/pytest -n 2

.PHONY: bench
bench: .venv/.ready ## how fast it is, beside others: docs/bench.md; twenty minutes, on an idle machine (QUICK=1: a minute)
	@$(UV) sync --locked --quiet --inexact --group bench
	@$(RUN)/python -m bench $(if $(QUICK),--quick --out .cache/bench)

.PHONY: run
run: .venv/.ready ## the whole product on this machine; PORT, METRICS_PORT, S3_PORT choose ports
	@$(RUN)/python -m local.run --port $(PORT) --metrics-port $(METRICS_PORT) --s3-port $(S3_PORT)

SCENARIO ?= life
SCHEDULE ?= 0:0
MUTANT ?=
.PHONY: replay
replay: .venv/.ready ## one schedule of the interleaving explorer, told step by step: SCENARIO=, SCHEDULE=, MUTANT=
	@$(RUN)/python -m tests.protocol.replay --mutant '$(MUTANT)' '$(SCENARIO)' '$(SCHEDULE)'

.PHONY: races
races: .venv/.ready ## how often the S3 server lets two writes of one version both succeed
	@$(RUN)/python -m tests.contract.races

.PHONY: memory
memory: .venv/.ready ## the reconciler's peak memory for 1,000 and for 100,000 objects in temp/
	@$(RUN)/python -m tests.memory

ROW ?=
SIZE ?= full
.PHONY: prove
prove: .venv/.ready ## the long proofs, an hour or more, into docs/proof.md; ROW= runs one, SIZE=small less of it
	@$(RUN)/python -m tests.prove --row '$(ROW)' --size '$(SIZE)'

.PHONY: settings-page
settings-page: .venv/.ready ## write the docs' page of settings
	$(RUN)/python -m cli.settings_page > docs/configuration.md

.PHONY: docs
docs: .venv/.ready ## the site of docs/ on 127.0.0.1:8000, built again when a page changes
	$(RUN)/mkdocs serve --dev-addr 127.0.0.1:8000

.PHONY: dashboard
dashboard: .venv/.ready ## write the chart's Grafana dashboard from its script
	$(RUN)/python charts/dashboard.py

.PHONY: dashboard-picture
dashboard-picture: .venv/.ready ## draw the dashboard from a Prometheus that scrapes a real run of three minutes
	UV_PYTHON_DOWNLOADS=never $(UV) run --locked --group docs --group draw python -m tests.operate.draw

.PHONY: chart-docs
chart-docs: .venv/.ready ## write the table of values in the chart's README
	$(RUN)/python charts/readme.py

# IMAGE must be where the cluster can pull it from. S3_IMAGE likewise, if the cluster does not reach Docker Hub; INGRESS is
# the ingress controller's Service, as in ingress/traefik; SKAFFOLD_DEFAULT_REPO is where skaffold may push.
export IMAGE S3_IMAGE INGRESS SKAFFOLD_DEFAULT_REPO
.PHONY: e2e
e2e: .venv/.ready ## the chart on the cluster of the current kubeconfig: make e2e IMAGE=registry/assetuploader:tag
	$(RUN)/pytest tests/e2e --timeout 600 -v
