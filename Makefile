# `make run` and `make test` do all of their own set-up; `make help` lists the rest.
.DEFAULT_GOAL := help
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/stamps
VENDOR := static/vendor
CODE := app workers tools tests alembic

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: help run setup setup-dev test check lint types layers unit test-faults format lock clean messages screenshots openapi bench-peers bench-portal bench-api bench-reviews bench-manifest bench-backup

help: ## list what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 16

run: setup ## set up what is missing and start Earmark (Ctrl-C stops it)
	@exec $(BIN)/earmark run

setup: $(STAMPS)/worker $(STAMPS)/front ## install what `make run` needs

setup-dev: $(STAMPS)/dev $(STAMPS)/system $(STAMPS)/front-dev ## install what `make test` needs

$(STAMPS)/venv:
	@echo "Making the virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --upgrade pip
	@mkdir -p $(STAMPS) && touch $@

# torch first: of its two builds the lock can name neither (see tools/setup_torch.py).
$(STAMPS)/torch: requirements/torch.txt | $(STAMPS)/venv
	@echo "Installing torch (a CPU build where one is offered, else several GB)"
	@$(BIN)/python -m pip install -qq --requirement requirements/torch.txt
	@touch $@

$(STAMPS)/worker: requirements/worker.txt tools/setup_torch.py pyproject.toml | $(STAMPS)/torch
	@echo "Installing the Python packages"
	@$(BIN)/python -m pip install -qq --no-deps --require-hashes --requirement requirements/worker.txt
	@$(BIN)/python tools/setup_torch.py
	@$(BIN)/python -m pip install -qq --no-deps --editable .
	@touch $@

$(STAMPS)/dev: requirements/dev.txt $(STAMPS)/worker
	@echo "Installing the Python packages of the tests"
	@$(BIN)/python -m pip install -qq --no-deps --require-hashes --requirement requirements/dev.txt
	@$(BIN)/python tools/setup_torch.py
	@touch $@

$(STAMPS)/system: tools/system_packages.sh | $(STAMPS)/venv
	@sh tools/system_packages.sh
	@touch $@

# --ignore-scripts: no package of ours needs an install script, so none gets to run one.
$(STAMPS)/front: package-lock.json tools/vendor.mjs | $(STAMPS)/venv
	@echo "Installing the front-end packages"
	@npm ci --omit=dev --ignore-scripts --no-audit --no-fund --loglevel=error
	@node tools/vendor.mjs
	@touch $@

$(STAMPS)/front-dev: package-lock.json tools/vendor.mjs | $(STAMPS)/venv
	@echo "Installing the front-end packages and the tests' sign-in server"
	@npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@node tools/vendor.mjs
	@touch $@ $(STAMPS)/front

test: setup-dev check unit ## set up, then lint, types, layer contracts and every test

check: lint types layers ## lint, types and layer contracts

lint:
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive app workers tools alembic

types:
	$(BIN)/mypy

layers:
	$(BIN)/lint-imports

unit:
	$(BIN)/python -m pytest --numprocesses auto --no-loadscope-reorder

test-faults: setup-dev ## the long tests: kill, freeze and fill everything under load, damage files by the thousand (half an hour)
	$(BIN)/python -m pytest --numprocesses 3 -m long

format: ## let ruff format and mend what it can
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

messages: ## collect new texts for the translators
	$(BIN)/pybabel extract --mapping-file app/locale/babel.cfg --keywords N_ --sort-by-file --no-location \
		--project Earmark --output-file $(VENV)/earmark.pot .
	$(BIN)/pybabel update --domain earmark --input-file $(VENV)/earmark.pot --output-dir app/locale \
		--no-fuzzy-matching --ignore-pot-creation-date --ignore-obsolete

screenshots: ## take pictures of every page, into tests/artifacts and docs/images
	$(BIN)/python -m tests.browser.screenshots

PEERS := .venv-peers

$(PEERS)/ready: requirements/torch.txt tools/peers/requirements.txt
	@echo "Installing the peers in $(PEERS)"
	@$(PYTHON) -m venv $(PEERS)
	@$(PEERS)/bin/python -m pip install -qq --requirement requirements/torch.txt --requirement tools/peers/requirements.txt
	@touch $@

bench-peers: setup-dev $(PEERS)/ready ## compare with LitServe, BentoML and the reference program (ten minutes, and their installation)
	@$(BIN)/earmark set-up
	$(BIN)/python tools/peers/bench.py --python $(PEERS)/bin/python

bench-portal: ## time every page with 10,000 and with 100,000 recordings
	$(BIN)/python tools/bench_portal.py

bench-reviews: ## time the way from one review to the next, with very many waiting
	$(BIN)/python -m tools.bench_reviews

bench-api: ## uploads and reads against bare handlers; webhooks while endpoints fail and the sender is killed (ten minutes)
	$(BIN)/python -m tools.bench_api
	$(BIN)/python -m tools.bench_webhooks

bench-backup: ## time backup and restore of 100,000 jobs, embedded and with PostgreSQL (some minutes)
	$(BIN)/python -m tools.bench_backup

bench-manifest: ## what a manifest of 10,000 lines costs the server
	$(BIN)/python -m tools.bench_manifest

openapi: | $(STAMPS)/worker ## write docs/openapi.json and docs/errors.md anew
	$(BIN)/earmark openapi > docs/openapi.json
	$(BIN)/earmark openapi --errors > docs/errors.md

lock: | $(STAMPS)/venv ## write the Python lock files anew
	$(BIN)/python -m pip install -qq pip-tools
	sh tools/lock.sh

clean: ## remove what the set-up made (data is kept)
	rm -rf $(VENV) $(PEERS) node_modules $(VENDOR)
