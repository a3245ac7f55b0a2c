# All commands for developers. `make help` lists them.
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

# uv gets an environment of its own. Nothing outside this folder is changed.
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
test: check ## everything that needs no cluster, with branch coverage; a few minutes
	@$(RUN)/python -m dev.versitygw # before the tests, because a build beside them slows them
	$(RUN)/pytest -n 2 --cov

.PHONY: bench
bench: .venv/.ready ## measure speed beside baselines, into docs/bench.md: half an hour on an idle machine (QUICK=1: a minute)
	@$(RUN)/python -m bench $(if $(QUICK),--quick --out .cache/bench)

REV ?= HEAD~1
.PHONY: bench-compare
bench-compare: .venv/.ready ## measure another commit beside this one, over HTTP and HTTPS: REV=<commit> (QUICK=1: a minute)
	@rm -rf .cache/revisions/$(REV) && git clone --quiet --no-checkout . .cache/revisions/$(REV)
	@git -C .cache/revisions/$(REV) checkout --quiet --detach $$(git rev-parse $(REV))
	@UV_PYTHON_DOWNLOADS=never $(UV) sync --project .cache/revisions/$(REV) --locked --no-dev --quiet --python $(PYTHON)
	@UV_PYTHON_DOWNLOADS=never UV_PROJECT_ENVIRONMENT=.cache/revisions/this $(UV) sync --locked --no-dev --quiet --python $(PYTHON)
	@$(RUN)/python -m bench.compare .cache/revisions/$(REV)/.venv/bin .cache/revisions/this/bin --name $(REV) $(if $(QUICK),--quick)

.PHONY: run
run: .venv/.ready ## the whole product on this machine; PORT, METRICS_PORT, S3_PORT choose ports
	@$(RUN)/python -m dev.run --port $(PORT) --metrics-port $(METRICS_PORT) --s3-port $(S3_PORT)

SCENARIO ?= lifecycle
SCHEDULE ?= 0:0
MUTANT ?=
.PHONY: replay
replay: .venv/.ready ## print one schedule of the interleaving explorer: SCENARIO=, SCHEDULE=, MUTANT=
	@$(RUN)/python -m tests.protocol.replay --mutant '$(MUTANT)' '$(SCENARIO)' '$(SCHEDULE)'

.PHONY: s3-races
s3-races: .venv/.ready ## count how often an S3 server lets two writes of one version both succeed
	@$(RUN)/python -m tests.contract.s3_races

.PHONY: bench-memory
bench-memory: .venv/.ready ## measure the memory of a run by the objects in temp/, and of the service's full cache
	@$(RUN)/python -m tests.perf

URL ?= http://127.0.0.1:8080
.PHONY: bench-time-to-final
bench-time-to-final: .venv/.ready ## measure how long clients wait from mark to final, at a running service: URL=
	@$(RUN)/python bench/time_to_final.py $(URL)

.PHONY: bench-parts
bench-parts: .venv/.ready ## upload a file of 1 GiB in parts, beside s5cmd and the AWS CLI (QUICK=1: 100 MiB once)
	@$(RUN)/python -m bench.parts $(if $(QUICK),--megabytes 100 --rounds 1)

.PHONY: parts-cost
parts-cost: .venv/.ready ## count what an upload in parts costs in requests to S3, as docs/operations.md has it
	@$(RUN)/python -m bench.parts_cost

CHECK ?=
SIZE ?= full
.PHONY: verify
verify: .venv/.ready ## the long checks, an hour or more, into docs/verification.md; CHECK= runs one, SIZE=small fewer cases
	@$(RUN)/python -m tests.verify --check '$(CHECK)' --size '$(SIZE)'

.PHONY: docs-config
docs-config: .venv/.ready ## write the docs' page of settings
	$(RUN)/python -m tools.config_page > docs/configuration.md

.PHONY: docs-api
docs-api: .venv/.ready ## write the docs' page of the API
	$(RUN)/python -m tools.api_page > docs/api.md

SWAGGER_UI_VERSION ?=
VIEWER := service/static/swagger-ui
.PHONY: docs-viewer
docs-viewer: ## copy the viewer of /docs from npm: make docs-viewer SWAGGER_UI_VERSION=5.35.0
	@test -n '$(SWAGGER_UI_VERSION)' || { echo "make: name a version: make docs-viewer SWAGGER_UI_VERSION=…" >&2; exit 1; }
	@folder=$$(mktemp -d) && trap 'rm -r "$$folder"' EXIT \
	&& (cd "$$folder" && npm pack --silent swagger-ui-dist@$(SWAGGER_UI_VERSION) > /dev/null) \
	&& tar -xzf "$$folder"/*.tgz -C "$$folder" \
	&& for file in swagger-ui-bundle.js swagger-ui-bundle.js.LICENSE.txt swagger-ui.css LICENSE NOTICE; do \
	  cp "$$folder/package/$$file" $(VIEWER)/ || exit 1; done \
	&& echo $(SWAGGER_UI_VERSION) > $(VIEWER)/VERSION

.PHONY: docs
docs: .venv/.ready ## serve docs/ on 127.0.0.1:8000, and rebuild it when a page changes
	$(RUN)/mkdocs serve --dev-addr 127.0.0.1:8000

.PHONY: dashboard
dashboard: .venv/.ready ## write the chart's Grafana dashboard from its script
	$(RUN)/python charts/dashboard.py

.PHONY: docs-chart
docs-chart: .venv/.ready ## write the table of values in the chart's README, and its defaults for the templates
	$(RUN)/python charts/readme.py

VERSION ?=
.PHONY: version
version: .venv/.ready ## set the version everywhere: make version VERSION=0.2.0
	@test -n '$(VERSION)' || { echo "make: name a version: make version VERSION=0.2.0" >&2; exit 1; }
	@$(UV) version --no-sync '$(VERSION)'
	@sed -i.old -e 's/^version: .*/version: $(VERSION)/' -e 's/^appVersion: .*/appVersion: "$(VERSION)"/' charts/assetuploader/Chart.yaml
	@rm charts/assetuploader/Chart.yaml.old
	@$(UV) sync --locked --group docs --quiet

# The packaged chart installs the image IMAGE_REPOSITORY:appVersion by default.
IMAGE_REPOSITORY ?= assetuploader
.PHONY: dist
dist: .venv/.ready ## what a release publishes, into dist/: wheel, sdist, chart and SBOM; IMAGE_REPOSITORY= is the chart's image
	rm -rf dist
	$(UV) build --quiet --out-dir dist
	cp -r charts/assetuploader dist/chart
	sed -i.old -e 's|^  repository: assetuploader$$|  repository: $(IMAGE_REPOSITORY)|' \
	  -e 's|"repository": "assetuploader"|"repository": "$(IMAGE_REPOSITORY)"|' dist/chart/values.yaml dist/chart/files/defaults.json
	rm dist/chart/values.yaml.old dist/chart/files/defaults.json.old
	$(RUN)/helm package dist/chart --destination dist
	rm -r dist/chart
	$(UV) export --quiet --locked --no-dev --format cyclonedx1.5 --preview-features sbom-export --output-file dist/assetuploader.cdx.json >/dev/null

# The cluster must be able to pull IMAGE. S3_IMAGE and PROMETHEUS_IMAGE are for clusters without access to Docker Hub.
# INGRESS is the Service of the ingress controller, as in ingress/traefik. SKAFFOLD_DEFAULT_REPO is skaffold's registry.
export IMAGE S3_IMAGE INGRESS SKAFFOLD_DEFAULT_REPO
.PHONY: e2e
e2e: .venv/.ready ## the chart on the cluster of the current kubeconfig: make e2e IMAGE=registry/assetuploader:tag
	$(RUN)/pytest tests/e2e --timeout 600 -v
