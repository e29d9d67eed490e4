# `make demo` and `make test` are all a newcomer needs: Python >= 3.11, git and make; the rest is fetched on the first run.
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
# Test processes; each may drive an engine of its own. They take work from each other: the slow tests stand side by side, and one
# process would get them all.
WORKERS ?= 2
CODE := $(wildcard spillway infra images sandbox cost observability rehearsal policy tests)

.PHONY: help setup demo test test-boot test-focus test-vllm lint format typecheck bench bench-capacity reports clean distclean

help: ## What there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

setup: ## Virtual environment from uv.lock and the Pulumi engine; instant when nothing changed
	@tools/setup.sh

demo: setup ## Deploy a region per cloud and DNS with `pulumi up` on stand-in clouds: no account, no credentials
	@$(BIN)/python -m sandbox.demo

test: setup lint typecheck ## Everything that can be checked offline
	@$(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal -m "not boot and not vllm" tests
	@$(BIN)/python -m pytest -q tests/boot/test_nspawn*.py

test-boot: setup ## The serving image booted in a container and in a machine; says what it lacks here
	@$(BIN)/python -m pytest -q tests/boot

test-focus: setup ## The FOCUS files of docs/reports/ by the official validator, in an environment of its own (Python 3.12)
	@$(BIN)/python -m tests.cost.focus_validator

test-vllm: setup ## The real vLLM behind the real gate and nginx; without a GPU a build for CPUs, 6 GB the first time
	@$(BIN)/python -m pytest -q tests/vllm

lint: setup ## Ruff: rules and format
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .

format: setup ## Rewrite files the way `make lint` wants them
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format --quiet .

typecheck: setup ## mypy, strict
	@$(BIN)/mypy --no-error-summary $(CODE)

bench: setup ## Time and memory of regions, DNS, the gate, the copy of weights and boots, as ratios and JSON (one: python -m tests.bench NAME)
	@$(BIN)/python -m tests.bench

bench-capacity: setup ## Where to hold GPUs: every policy on recorded spot capacity; a table and docs/benchmarks/capacity.{json,html,svg}
	@$(BIN)/python -m rehearsal.capacity

reports: setup ## docs/reports/: what the shipped scenarios cost, with today's code and the latest prices
	@$(BIN)/python -m cost.report

clean: ## Remove what builds, tests and stand-in clouds left (their deployments are gone then)
	@rm -rf .sandbox .pytest_cache .mypy_cache .ruff_cache .hypothesis build/function dist *.egg-info
	@find . -path ./.venv -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## Also remove .venv; the engine stays in the user's cache
	@rm -rf .venv
