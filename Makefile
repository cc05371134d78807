# `make` alone prints this list. Everything lives in the checkout: .venv (packages) and .demo (servers and their data).
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
export OPSCONSOLE_ENVIRONMENT := development
# Checks depend on nothing that happens to run or lie here: port 1 refuses at once, and the estate is the example.
NOWHERE := postgresql://nobody@127.0.0.1:1/none
ALONE := OPSCONSOLE_ESTATE=estate.example.toml KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:1 \
	DATABASE_URL=$(NOWHERE) SOURCE_DATABASE_URL=$(NOWHERE) INDEX_DATABASE_URL=$(NOWHERE)
# Tests side by side, each process with servers of its own; 0 runs them in one, as `pytest` alone does. One more than there
# are processors: many a test waits for processes of its own.
PROCESSES ?= $(shell n=$$(nproc 2>/dev/null || echo 2); echo $$((n < 2 ? 2 : n > 3 ? 4 : n + 1)))
# First every fault alone, then every pair: 120 rounds are all of it.
SEED ?= 1
ROUNDS ?= 30
PRODUCTION := $(ALONE) OPSCONSOLE_ENVIRONMENT=production ALLOWED_HOSTS=console.example.com DEBUG=off
RANDOM_KEY := $(BIN)/python -c 'import secrets; print(secrets.token_hex(32))'
NO_HISTORY := ignore:Got an error checking a consistent migration history:RuntimeWarning

.PHONY: help demo test faults check fix coverage bench clean

help:  ## print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo 'ARGS="…" is handed on to demo, test and bench.'

.venv/installed: requirements.txt requirements-opentelemetry.txt requirements-dev.txt .ci/venv
	@.ci/venv

demo: .venv/installed  ## start servers, company and console with nothing but this checkout; Ctrl-C stops all of it
	@exec $(BIN)/python manage.py demo $(ARGS)

test: .venv/installed  ## run every test, against real embedded servers and Chromium
	@.ci/chromium
	@echo "Running the tests."
	@$(BIN)/pytest --numprocesses $(PROCESSES) $(ARGS)

faults: .venv/installed  ## the main job under ROUNDS rounds of faults made from SEED; a line a round, and one JSON object
	@$(BIN)/python -m tests.faults --seed $(SEED) --rounds $(ROUNDS) $(ARGS)

check: .venv/installed  ## format, lint, Django's checks as in production, types, missing migrations, templates, scripts
	@echo "Format (ruff)."
	@$(BIN)/ruff format --check --quiet || { echo "The files above are not formatted: 'make fix' does it." >&2; exit 1; }
	@echo "Lint (ruff)."
	@$(BIN)/ruff check --quiet
	@echo "Django's system checks, for development and with --deploy under production settings."
	@$(ALONE) $(BIN)/python manage.py check --fail-level WARNING
	@$(PRODUCTION) SECRET_KEY="$$($(RANDOM_KEY))" $(BIN)/python manage.py check --deploy --fail-level WARNING
	@echo "Types (mypy)."
	@$(BIN)/mypy --no-error-summary
	@echo "Missing migrations."
	@$(ALONE) $(BIN)/python -W "$(NO_HISTORY)" manage.py makemigrations --check --dry-run
	@echo "Templates (djlint; that each compiles is one of the system checks)."
	@$(BIN)/djlint templates --lint --quiet
	@echo "Shell scripts."
	@for script in .ci/*; do head -1 "$$script" | grep -q bash && bash -n "$$script" || head -1 "$$script" | grep -q python; done
	@echo "Security of the code (bandit; what is accepted says why in its line)."
	@$(BIN)/bandit --quiet --recursive opsconsole sync monitoring -ll -ii
	@echo "Known vulnerabilities of the pinned packages (pip-audit)."
	@$(BIN)/python .ci/audit-packages
	@echo "All checks passed."

fix: .venv/installed  ## format the code and apply the lint fixes that are safe
	@$(BIN)/ruff check --fix --quiet || true
	@$(BIN)/ruff format

coverage: .venv/installed  ## run the tests and list the lines that none of them reaches
	@.ci/chromium
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest $(ARGS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report

bench: .venv/installed  ## measure what must be fast, each against a bare lower bound of the same run
	@$(BIN)/python -m benchmarks $(ARGS)

clean:  ## remove .venv, .demo and all caches (not while the demonstration runs)
	@.ci/clean
