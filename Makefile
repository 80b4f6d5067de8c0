.DEFAULT_GOAL := help
.PHONY: help run sam test check check-code check-templates check-page format e2e bench attack corpus dist lock clean build deploy key rotate uploads teardown

PYTHON ?= python3
PACKAGES := core layers/contract functions/gateway functions/processor infra/local
BIN := .venv/bin
UV := $(BIN)/uv
SAM := .venv-sam/bin/sam
# One package without others, from npm. It runs on the Node.js that it finds first.
REDOCLY := PATH="$(CURDIR)/.venv-redocly/bin:$$PATH" REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true npx --yes @redocly/cli@2.77.0
# The page's scripts and styles, likewise: types (tsconfig.json) and what linters find (biome.json).
TSC := PATH="$(CURDIR)/.venv-redocly/bin:$$PATH" npx --yes --package=typescript@7.0.2 tsc
BIOME := PATH="$(CURDIR)/.venv-redocly/bin:$$PATH" npx --yes @biomejs/biome@2.6.8
# States Language, likewise. It finds wrong paths and missing states, which the local AWS does not.
ASL_VALIDATOR := PATH="$(CURDIR)/.venv-redocly/bin:$$PATH" npx --yes asl-validator@4.0.0
# The SAM CLI would tell its maker of every command.
export SAM_CLI_TELEMETRY := 0
# boto3, with which `make deploy` and its like ask AWS, reads only AWS_DEFAULT_REGION. Version 2 of the AWS CLI prefers AWS_REGION.
ifdef AWS_REGION
export AWS_DEFAULT_REGION := $(AWS_REGION)
endif
# Where no AWS is asked, the SAM CLI and botocore want a region all the same. `make deploy` takes that of your profile.
check check-templates test bench build e2e: export AWS_DEFAULT_REGION ?= eu-central-1
# Each start of a program would compile its libraries again.
unexport PYTHONDONTWRITEBYTECODE
# Side by side. tests/side_by_side.py says in how many processes, and which tests stay together.
PYTEST := $(BIN)/python -m pytest --numprocesses auto
ENV ?= default
TEMPLATES := template.yaml $(wildcard infra/*.yaml)
# As docs/aws.md has them. What is in us-east-1 only is linted for that.
REGIONS := eu-central-1 eu-west-1 eu-north-1 eu-south-1 us-east-1 us-west-2 ap-southeast-1 ap-east-1
DOCKERFILES := functions/processor/Dockerfile infra/local/Dockerfile
# uv keeps what it downloads in the home folder, or here if there is none that can be written, as in some containers.
ifeq ($(shell test -w "$$HOME" && echo yes),)
export UV_CACHE_DIR ?= $(CURDIR)/.venv/cache
endif
# An installer that fails says so in dozens of lines. The one that a person needs is printed, the others are in a file.
INSTALL_LOG = .venv/install$(notdir $(@D)).log
install = $(1) > $(INSTALL_LOG) 2>&1 || { sh infra/local/explain.sh $(INSTALL_LOG); exit 1; }

help:
	@awk -F ':.*## ' '/^## /{print (NR > 1 ? "\n" : "") substr($$0, 4)} /^[a-z0-9]+:.*## /{printf "  make %-8s  %s\n", $$1, $$2}' $(MAKEFILE_LIST)

## Try it

run: .venv/run ## Serve page and API at http://localhost:5000 (PORT=, RELOAD=1)
	@exec $(BIN)/python -m local_server

sam: build .venv/run ## Serve the API as sam local does, on port 3000 (PORT=; Docker)
	@exec $(BIN)/python infra/local/sam.py

## Develop it

test: .venv/dev .venv-ministack/stamp .venv-openapi/stamp ## Run all tests that can run here (ARGS="-k name", REQUIRE_ALL=1)
	@$(PYTEST) $(ARGS)

check: check-code check-templates check-page ## Lint, check types, and compare what can drift

check-code: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/yamllint --strict .

check-templates: .venv-sam/stamp .venv-checkov/stamp
	.venv-sam/bin/cfn-lint --regions $(REGIONS) -- $(filter-out infra/watch.yaml,$(TEMPLATES))
	.venv-sam/bin/cfn-lint --regions us-east-1 -- infra/watch.yaml
	$(SAM) validate --lint
	.venv-sam/bin/hadolint $(DOCKERFILES)
	.venv-checkov/bin/checkov --config-file .checkov.yaml --file $(TEMPLATES) $(DOCKERFILES)

check-page: .venv-redocly/stamp
	@$(REDOCLY) lint docs/openapi.json
	@$(TSC) --project .
	@$(BIOME) lint --error-on-warnings
	@$(ASL_VALIDATOR) --json-path infra/runs.asl.json

format: .venv/dev ## Format the Python code, and correct what the linter can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

e2e: .venv/dev .venv-sam/stamp .venv-ministack/stamp .venv-localstack/stamp ## Test over HTTP all that runs here, or URL=https://... KEY=...
	@E2E_URL=$(URL) E2E_KEY=$(KEY) $(PYTEST) $(if $(URL),tests/e2e/test_http.py tests/e2e/test_uploads.py,tests/e2e) $(ARGS)

bench: .venv/bench ## Time it beside others, for docs/benchmarks.md (first: corpus)
	@$(BIN)/python -m tests.bench
	@$(BIN)/python -m tests.bench.request

attack: .venv/bench ## Damage files, and compare (SECONDS=300 SEED=2 ONLY="JPEG, cut")
	@SECONDS=$(SECONDS) SEED=$(SEED) ONLY="$(ONLY)" $(BIN)/python -m tests.attack

corpus: $(UV) ## Unpack real images into .corpus (on Debian 12)
	@UV=$(UV) sh tests/bench/corpus.sh

dist: $(UV) .venv-dist/stamp ## Build the package for PyPI, check it, install it, and measure
	@rm -rf dist
	@$(UV) build --quiet --python $(BIN)/python --out-dir dist core
	@.venv-dist/bin/twine check --strict dist/*.whl dist/*.tar.gz
	@set -e; for each in dist/*.whl dist/*.tar.gz; do \
	    $(UV) run --quiet --no-project --isolated --python $(BIN)/python --with "$$each[cli]" intensity static_site/samples/gray-card.png; \
	done

lock: $(UV) ## Compile the requirements.txt files anew (UPGRADE=1: newest)
	@UV=$(UV) UPGRADE=$(UPGRADE) sh infra/local/lock.sh

clean: ## Remove what make has made
	rm -rf .venv .venv-* dist .aws-sam .aws-sam.log .mypy_cache .pytest_cache .ruff_cache .hypothesis

## Deploy it (ENV=prod: page, cache, canary, firewall)

build: $(UV) .venv-sam/stamp ## Build what is deployed, and print its sizes (needs Docker)
	@UV="$(CURDIR)/$(UV)" SLIM="$(CURDIR)/infra/slim.sh" CORE="$(CURDIR)/core" $(SAM) build > .aws-sam.log 2>&1 || { cat .aws-sam.log; exit 1; }
	@du -sh .aws-sam/build/GatewayFunction .aws-sam/build/ContractLayer | sed 's/^/unpacked /'
	@echo "zipped $$(cd .aws-sam/build/GatewayFunction && "$(CURDIR)/$(BIN)/python" -c 'import shutil, os; print(os.path.getsize(shutil.make_archive("../../size", "zip")) // 1000, "kB")') GatewayFunction"
	@echo "image $$(docker run --rm --entrypoint du processorfunction:processor -sh /var/task) on top of the base image"

deploy: build .venv/dev ## Deploy, with the page (ENV=prod, PARAMETERS="Name=value ...")
	@PYTHONPATH=infra $(BIN)/python -m deployment.deploy $(ENV) $(PARAMETERS)

key: .venv/dev ## Make an API key: NAME=alice; END=1 ends it; else list them
	@PYTHONPATH=infra $(BIN)/python -m deployment.keys $(ENV) $(NAME) $(if $(END),end)

rotate: build .venv/dev ## Make new secrets: for tickets and records, and CloudFront's
	@PYTHONPATH=infra $(BIN)/python -m deployment.rotate $(ENV) $(PARAMETERS)

uploads: .venv/dev ## Let direct uploads work again, after the brake stopped them
	@PYTHONPATH=infra $(BIN)/python -m deployment.uploads $(ENV)

teardown: .venv/dev .venv-sam/stamp ## Delete a deployment (ENV=prod wants CONFIRM=name-of-the-stack)
	@PYTHONPATH=infra $(BIN)/python -m deployment.teardown $(ENV) $(CONFIRM)

$(UV): infra/tools/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; this is " + sys.version.split()[0] + ". If you have one by another name: make run PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv .venv
	@$(call install,$(BIN)/python -m pip install --quiet --disable-pip-version-check --retries 1 --require-hashes -r $<)
	@touch $@

# What is said of an installation.
ABOUT_sam := the CLIs of SAM and AWS, cfn-lint and hadolint
ABOUT_checkov := checkov, which looks at templates
ABOUT_redocly := Node.js, by which npx gets the linters of OpenAPI, scripts, styles and States Language
ABOUT_ministack := MiniStack, a local AWS
ABOUT_localstack := LocalStack, a strict S3
ABOUT_openapi := a generator and a tester of clients of OpenAPI
ABOUT_dist := twine

# The stamps say which requirements are installed, so that a second run starts at once.
.venv/run: infra/local/requirements.txt $(PACKAGES:=/pyproject.toml) | $(UV)
	@echo "Installing what the service needs (once)"
	@$(call install,$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r infra/local/requirements.txt)
	@$(call install,$(UV) pip install --quiet --python $(BIN)/python --no-deps $(PACKAGES:%=--editable %))
	@touch $@

.venv/dev: requirements-dev.txt functions/authorizer/pyproject.toml functions/runs/pyproject.toml .venv/run
	@echo "Installing what the tests and linters need (once)"
	@$(call install,$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements-dev.txt)
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable functions/authorizer --editable functions/runs
	@touch $@

.venv/bench: requirements-corpus.txt .venv/dev
	@$(call install,$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements-corpus.txt)
	@touch $@

# S3 for tests (ministack) and a stricter one (localstack), the SAM and AWS CLIs (sam), a linter (checkov), what reads
# the OpenAPI document (openapi), Node.js (redocly) and twine (dist), each apart: their pins conflict with the service's and each other's.
.venv-%/stamp: infra/tools/%.txt | $(UV)
	@echo "Installing $(or $(ABOUT_$*),$*) (once)"
	@$(UV) venv --quiet --allow-existing --python $(BIN)/python .venv-$*
	@$(call install,$(UV) pip install --quiet --python .venv-$*/bin/python --require-hashes -r $<)
	@touch $@
