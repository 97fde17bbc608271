# Oncue. Each target does its own set-up: Python >= 3.11, make and git are all that must be there.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.locked

.PHONY: help setup demo serve test browser ecosystem check bench models coverage format clean
help:            ## these lines
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

$(STAMP): requirements/dev.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing the locked wheels into $(VENV) ..."
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

setup: $(STAMP)  ## make .venv from the locked wheels

demo: setup      ## the story of the README: drafts saved by events, and nothing lost
	@$(BIN)/oncue demo

serve: setup     ## a server on 127.0.0.1:4566
	@$(BIN)/oncue serve

test: setup      ## every test, on SQLite and PostgreSQL
	@$(BIN)/python -m pytest

browser:         ## Debian's Chromium, for the test of the drafts page (as root; once)
	@test -x /usr/bin/chromium || apt-get install -y -q --no-install-recommends chromium

ecosystem:       ## the clients that tests/ecosystem drives: kombu, Celery, sqs-consumer (needs npm); then make test
	@test -x .venv-ecosystem/bin/python || $(PYTHON) -m venv .venv-ecosystem
	@.venv-ecosystem/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/ecosystem.txt
	@cd tests/ecosystem/node && npm ci --silent --no-audit --no-fund

check: setup     ## the one gate: format, lint, types, import contracts, house style
	@$(BIN)/ruff format --check -q .
	@$(BIN)/ruff check -q .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python -m pytest tests/test_tidy.py

format: setup    ## let ruff lay the code out
	@$(BIN)/ruff format -q . && $(BIN)/ruff check -q --fix .

bench: setup     ## rates and latencies beside peers
	@$(PYTHON) bench/run.py $(ARGS)

models: setup    ## regenerate the protocol tables from the pinned botocore
	@$(BIN)/python -m tools.models

coverage: setup  ## write docs/coverage.md from the signatures
	@$(BIN)/python -m tools.coverage

clean:           ## remove what make made
	rm -rf $(VENV) .venv-ecosystem tests/ecosystem/node/node_modules .oncue .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
