# GNU make 3.81, which macOS has, is enough. Every target sets up what it needs.

# A Python 3.11-3.14 of your choice; by default one is looked for.
PYTHON ?=
# Notebooks for `make notebooks`, stages for `make test`; by default all.
NB ?=
ONLY ?=
# For `make reseed`: what the fresh seeds depend on; by default another number each time.
NUMBER ?=
# Modules for `make mutants`, such as groups; by default all.
MODULE ?=
# For `make lock`: --upgrade, or --upgrade-package NAME.
LOCK ?=
PORT ?= 8000

RUN := .venv/bin/python
FOUND = $(shell tools/setup.sh find '$(PYTHON)')
NONE = This book needs Python 3.11 to 3.14 with its venv module: \
$(if $(PYTHON),$(PYTHON) is not one,none was found); name one with make PYTHON=/path/to/python3

.DEFAULT_GOAL := help
# Two targets must not set up .venv at the same time.
.NOTPARALLEL:
.PHONY: help setup setup-test book pdf test notebooks reseed portability mutants test-archive test-oldest test-latest test-axe lint format serve lock clean

help: ## say what each target does
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' Makefile

setup: ## make .venv with the pinned packages of the book, and no others (targets do it)
	@$(eval USED := $(FOUND))$(if $(USED),,$(error $(NONE)))tools/setup.sh install '$(USED)'

setup-test: ## add the pinned packages of the checks to .venv (targets that need them do it)
	@$(eval USED := $(FOUND))$(if $(USED),,$(error $(NONE)))tools/setup.sh install '$(USED)' test

book: setup ## build the book and say where it is
	@$(RUN) -m tools.build

pdf: setup-test book ## print the book into one file, which the landing page then offers (needs Chromium)
	@$(RUN) -m tools.pdf

test: setup-test ## verify what has changed (ALL=1: everything; ONLY=lint,types,...: some stages)
	@$(RUN) -m tools.verify --only '$(ONLY)' $(if $(ALL),--all)

notebooks: setup ## run the notebooks and store their outputs (NB=book/x.ipynb: only that one)
	@$(RUN) -m tools.notebooks store $(NB)

reseed: setup ## repeat every simulated check on fresh seeds, storing nothing (NB=..., NUMBER=7)
	@$(RUN) -m tools.reseed $(NB) $(if $(NUMBER),--number $(NUMBER))

portability: setup-test ## run the notebooks in every arithmetic that this processor has (NB=...)
	@$(RUN) -m tools.portability every $(NB)

mutants: setup-test ## change the library in small ways, count what tests notice (MODULE=groups: one)
	@# Not in the lock: only this nightly target needs it, and pip cannot install its needs by hash.
	@$(RUN) -m pip install --quiet --disable-pip-version-check mutmut==3.8.1
	@$(RUN) -m tools.mutants store $(MODULE)

test-archive: setup-test book ## run every notebook from the archive of the built book, installed anew
	@$(RUN) -m tools.archive check --all

test-oldest: setup ## test the library with the oldest packages that pyproject.toml allows
	@$(RUN) -m tools.bounds oldest

test-latest: setup ## test the library with the newest packages that there are
	@$(RUN) -m tools.bounds latest

test-axe: setup-test ## look for what keeps readers out, on every built page (NB=mercer: only that)
	@AXE=all REQUIRE_BROWSER=1 $(RUN) -m pytest -q tests/pages/test_browser.py \
	  -k 'rules_of_accessibility$(if $(NB), and $(NB))'

lint: setup-test ## check code style and types
	@$(RUN) -m tools.verify --only lint,types

format: setup-test ## lay out the code and mend what ruff can mend
	@$(RUN) -m ruff check --fix .
	@$(RUN) -m ruff format .

serve: book ## build the book and serve it on this machine (PORT=8000)
	@$(RUN) -m http.server --bind 127.0.0.1 --directory _build/html $(PORT)

lock: setup ## write the locks from requirements*.in (LOCK="--upgrade-package sympy")
	@command -v uv >/dev/null || test -x _build/uv/bin/uv || \
	  { $(RUN) -m venv _build/uv && _build/uv/bin/python -m pip install --quiet uv; }
	@PATH="$$PATH:_build/uv/bin" $(RUN) -m tools.lock $(LOCK)

clean: ## remove everything that was built, but not .venv
	rm -rf _build .mypy_cache .pytest_cache .ruff_cache .hypothesis
