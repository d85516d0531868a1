# One definition of each check: CI and the README run these targets.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
RUN := $(BIN)/python
CARGO := $(shell command -v cargo 2>/dev/null)
UV := $(shell command -v uv 2>/dev/null)
# The first interpreter that is new enough; PYTHON=/path/to/python overrides it.
PYTHON ?= $(shell for p in python3.11 python3 python python3.12 python3.13; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { command -v $$p; break; }; done)
ARGS ?=
RUST_SOURCES := $(wildcard rust/Cargo.* rust/pyproject.toml rust/*/Cargo.toml) $(shell find rust/core rust/bindings -name '*.rs')

# Maturin and uv install into the environment of this checkout, whatever else is activated.
export VIRTUAL_ENV := $(abspath $(VENV))
unexport CONDA_PREFIX PYTHONHOME

ifdef UV
INSTALL = $(UV) pip install --quiet --python $(RUN) --require-hashes -r
NEW_VENV = $(UV) venv --quiet --allow-existing --seed --python "$(PYTHON)" $(VENV)
else
INSTALL = $(RUN) -m pip install --quiet --disable-pip-version-check --require-hashes -r
NEW_VENV = "$(PYTHON)" -m venv $(VENV)
endif

# Without cargo, or where the build fails, the demo runs on the Python engine: slower, with equal results.
ifdef CARGO
NATIVE := $(VENV)/.native
ACCELERATE = $(MAKE) build || { \
	echo "the Rust extension was not built (see above): running without it, slower"; export KRAKEN_FLOW_NATIVE=off; }
else
NATIVE :=
ACCELERATE = echo "cargo was not found: running without the Rust extension, slower"
endif

.PHONY: help
help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

.PHONY: demo
demo: $(VENV)/.core ## trade the combined strategy on paper, on the sample market
	@$(ACCELERATE); $(RUN) -m kraken_flow mode=paper strategy=combined $(ARGS)
	@echo "next, many runs:         $(RUN) -m kraken_flow -m strategy=sma_cross strategy.fast=5,10,20"
	@echo "next, your own strategy: $(RUN) -m kraken_flow mode=new mode.name=my_idea"

.PHONY: test
test: $(VENV)/.dev $(NATIVE) ## run the tests (ARGS="-k name" passes arguments to pytest)
	@$(RUN) -m pytest -n auto --maxprocesses 8 --dist worksteal --doctest-modules $(ARGS)

.PHONY: lint
lint: lint-python lint-rust ## ruff, mypy, import contracts, rustfmt, clippy

.PHONY: lint-python
lint-python: $(VENV)/.dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	PYTHONPATH=. $(BIN)/lint-imports --no-logo

.PHONY: lint-rust
lint-rust:
ifdef CARGO
	cargo fmt --all --manifest-path rust/Cargo.toml --check
	cargo clippy --quiet --locked --manifest-path rust/Cargo.toml --all-targets -- -D warnings
endif

.PHONY: test-rust
test-rust: ## run the tests of the Rust crates
	cargo test --quiet --locked --manifest-path rust/Cargo.toml -p kraken-flow-core

.PHONY: check
check: lint test-rust test ## all that has to pass before a change lands

.PHONY: format
format: $(VENV)/.dev ## format Python and Rust, mend what ruff can mend
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
ifdef CARGO
	cargo fmt --all --manifest-path rust/Cargo.toml
endif

.PHONY: bench
bench: $(VENV)/.dev $(NATIVE) ## compare speed with other engines, side by side in one run
	@$(RUN) -m tests.bench $(ARGS)

.PHONY: docs
docs: $(VENV)/.dev ## build the user guide as a site into build/site
	@NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --quiet --strict $(ARGS)
	@echo "made build/site; to read it: $(RUN) -m http.server --directory build/site"

.PHONY: build
build: $(VENV)/.native ## build the Rust extension into .venv
	@:

.PHONY: picture
picture: $(VENV)/.dev $(NATIVE) ## photograph the report for the README with Chromium
	@$(RUN) docs/images/picture.py

.PHONY: lock
lock: ## compile the requirement files anew (UPGRADE=1 takes newer versions)
	@command -v uv >/dev/null || { echo "make lock needs uv: pip install uv"; exit 2; }
	$(call compile,core,pyproject.toml)
	$(call compile,build,--group build)
	$(call compile,dev,-c requirements/core.txt -c requirements/build.txt --group dev $(EXTRAS) pyproject.toml)

EXTRAS = --extra index --extra live --extra optimise --extra vectorbt
compile = uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
	--no-annotate --no-header --no-emit-index-url --no-emit-find-links $(if $(UPGRADE),--upgrade) $(2) -o requirements/$(1).txt

.PHONY: clean
clean: ## remove what was built; runs/ stays
	rm -rf $(VENV) dist build rust/target .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis

$(VENV)/.created:
	@test -n "$(PYTHON)" || { echo "Kraken Flow needs Python 3.11 or newer; none was found (set PYTHON=/path/to/python)"; exit 2; }
	@echo "making $(VENV) with $(PYTHON)"
	@$(NEW_VENV)
	@$(RUN) -c 'import pathlib, sysconfig; pathlib.Path(sysconfig.get_path("purelib"), "kraken-flow.pth").write_text("$(CURDIR)\n")'
	@touch $@

$(VENV)/.%: requirements/%.txt | $(VENV)/.created
	@echo "installing $<"
	@$(INSTALL) $<
	@touch $@

$(VENV)/.native: $(RUST_SOURCES) $(VENV)/.build
	@command -v cargo >/dev/null || { echo "cargo was not found: install Rust to build the extension"; exit 2; }
	@echo "building the Rust extension"
	@$(BIN)/maturin develop --quiet --release --manifest-path rust/bindings/Cargo.toml >$(VENV)/native.log 2>&1 \
		|| { cat $(VENV)/native.log; exit 1; }
	@touch $@
