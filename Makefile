# `make demo` and `make test` do all of their set-up themselves.
SHELL := /bin/bash
.DEFAULT_GOAL := help
TASK ?= lift_cube
SEED ?= 1
OBS ?= cameras
SCENE ?= $(if $(filter cameras,$(OBS)),hard,plain)
BASELINES ?= 0
REWARD ?= sim
HARDWARE ?= sim
JOBS ?= 2
WITH_ENV := . scripts/env.sh &&

.PHONY: help setup demo test check bench clean

help:
	@echo "make demo   a simulated Koch arm learns $(TASK) from its cameras"
	@echo "            (TASK=... SEED=$(SEED) OBS=state SCENE=plain BASELINES=1 REWARD=classifier;"
	@echo "            HARDWARE=emulated: in real time, through a serial port)"
	@echo "make test   checks, unit tests, and tests that start the real nodes"
	@echo "make bench  measures the learner and the loop beside what they are compared to"
	@echo "make setup  installs and builds; implied by the others"
	@echo "make clean  removes what setup made; runs/ stays"

setup:
	@bash scripts/setup.sh

demo: setup
	@bash scripts/demo.sh $(TASK) $(OBS) $(SCENE) $(SEED) $(BASELINES) $(REWARD) $(HARDWARE)

check: setup
	@$(WITH_ENV) ruff check src bench tests requirements scripts
	@$(WITH_ENV) ruff format --check --quiet src bench tests requirements scripts || \
	  { echo "some files are not formatted: run 'ruff format src bench tests requirements scripts'"; exit 1; }
	@$(WITH_ENV) mypy --no-error-summary $(wildcard src/hilserl_*/hilserl_*)

test: check
	@$(WITH_ENV) python -m pytest -n $(JOBS) --dist loadgroup src
	@$(WITH_ENV) python -m pytest -n $(JOBS) --dist loadfile -m "not alone" tests
	@$(WITH_ENV) python -m pytest -m alone tests

bench: setup
	@$(WITH_ENV) python bench/run.py

clean:
	rm -rf .venv build install log
