# What people do here, in a line or two each; longer commands live in .ci/.
.DEFAULT_GOAL := help
.PHONY: help setup up down test check bench render lock
SHELL := /bin/bash
ENV ?= local
export PATH := $(CURDIR)/.venv/bin:$(PATH)

help: ## print this list
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 16

setup: ## make this machine ready; quick when it is (PYTHON=python3.12 chooses the interpreter)
	@.ci/setup

up: setup ## start the gateway and every model's place on this machine
	switchyard up --detach

down: ## stop what `make up` started
	switchyard down

check: setup ## static checks: style, types, who imports whom
	ruff check . && ruff format --check .
	mypy && lint-imports

test: check ## everything: static checks, then tests, then tests that start real models
	pytest -m "not live"
	pytest -m live

bench: setup ## measure the gateway and the models
	python -m benchmarks

render: ## print what `kubectl apply -k` would send; ENV=dev chooses the overlay
	@kubectl kustomize kustomize/overlays/$(ENV)

lock: setup ## resolve requirements/ again from pyproject.toml and triton.in
	uv pip compile pyproject.toml --extra llm-cpu --extra vision --extra dev --generate-hashes --no-header --no-emit-index-url \
	  --python-version 3.11 --python-platform x86_64-manylinux_2_28 --quiet -o requirements/llm-cpu.lock
	uv pip compile requirements/triton.in --generate-hashes --no-header --no-emit-index-url \
	  --python-version 3.11 --python-platform x86_64-manylinux_2_35 --quiet -o requirements/triton.lock
