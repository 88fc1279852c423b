# orch: `make run` shows it working, `make test` proves it. Both install what is missing.
VENV ?= .venv
PY = $(VENV)/bin/python
READY = $(VENV)/.ready
QUICK = tests/house tests/unit tests/store tests/process tests/e2e
PYTEST = PYTHONPATH= $(PY) -m pytest
WORKERS ?= 4
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help run test faults real bench check setup clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: setup ## install what is missing, then run `orch demo`: a task from start to commit
	@$(VENV)/bin/orch demo $(ARGS)

test: setup ## the quick suite: house rules, unit, store, process and end-to-end tests
	$(PYTEST) $(QUICK) -n $(WORKERS) $(ARGS)

faults: setup ## the long suite: kill -9, SIGSTOP, full disks, soak (prints its seed)
	$(PYTEST) tests/faults --timeout 1800 -s $(ARGS)

real: setup ## run the real agent CLIs (npm, a cache folder) against scripted models on loopback
	@.ci/real >/dev/null
	$(PYTEST) tests/real --timeout 600 $(ARGS)

bench: setup $(VENV)/.bench ## measure speed and size beside peers and raw limits
	@$(PY) -m tests.bench $(ARGS)

check: setup ## lint, formatting, strict typing and the house rules
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(PYTEST) tests/house

setup: $(READY) ## install what is missing (system packages, .venv, locked dependencies)
	@command -v git >/dev/null && command -v tmux >/dev/null || VENV=$(VENV) .ci/setup

$(READY): requirements/dev.lock pyproject.toml .ci/setup
	@VENV=$(VENV) .ci/setup

$(VENV)/.bench: pyproject.toml
	@echo "orch: installing the peers to measure beside (supervisor, circus)"
	@$(PY) -m pip --disable-pip-version-check install -q --no-build-isolation -e '.[bench]'
	@touch $@

clean: ## remove .venv and what tools left behind
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
