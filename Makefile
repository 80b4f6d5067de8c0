.DEFAULT_GOAL := help
.PHONY: help run test check bench corpus lock clean

PYTHON ?= python3
UV_VERSION := 0.13.9
PACKAGES := layers/contract functions/gateway functions/processor infra/local
BIN := .venv/bin
UV := $(BIN)/uv

help: ## Show what there is to make
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

run: .venv/run ## Serve the page and the API on http://localhost:5000 (PORT=8080 for another port, RELOAD=1 to reload on change)
	@exec $(BIN)/python -m local_server

test: .venv/dev ## Run every test that this machine can run (REQUIRE_ALL=1: a missing part is a failure)
	@$(BIN)/python -m pytest $(ARGS)

check: .venv/dev ## Lint, check types and compare what can drift
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/yamllint --strict .

bench: .venv/bench ## Time the measurement beside the alternatives and write docs/benchmarks.md (make corpus first, for real photos)
	@$(BIN)/python -m tests.bench

corpus: ## Unpack Debian packages of real images into .corpus, for the benchmarks and the corpus test
	@sh tests/bench/corpus.sh

lock: $(UV) ## Compile the requirements.txt files anew from what the pyproject.toml files ask for (UPGRADE=1: newest versions)
	@UV=$(UV) UPGRADE=$(UPGRADE) sh infra/local/lock.sh

clean: ## Remove what make has made
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed; this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

# The stamps say which requirements are installed, so that a second run starts at once.
.venv/run: infra/local/requirements.txt $(PACKAGES:=/pyproject.toml) | $(UV)
	@echo "Installing what the service needs (once)"
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r infra/local/requirements.txt
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps $(PACKAGES:%=--editable %)
	@touch $@

.venv/dev: requirements-dev.txt .venv/run
	@echo "Installing what the tests and linters need (once)"
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements-dev.txt
	@touch $@

.venv/bench: requirements-corpus.txt .venv/dev
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements-corpus.txt
	@touch $@
