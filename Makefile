# `make demo` shows E2S; `make test` is everything that CI runs.
SHELL := /bin/bash
BIN := .venv/bin
# How many processes run the tests, each a file at a time.
WORKERS ?= 2
.PHONY: demo test env debian judges lint types imports tests coverage docs bench soak soak-fire soak-fuzz soak-tests pins clean
.DEFAULT_GOAL := help

help:
	@echo "make demo          one whole purchase between parties with their own keys and processes"
	@echo "make test          everything that CI runs"
	@echo "make coverage      the tests, with a report of the branches that they take"
	@echo "make bench         the figures, as ratios measured in turn (AREA=crypto for one area)"
	@echo "make soak          purchases under fire, every decoder fuzzed, every kill: hours, resumable (docs/soak.md)"
	@echo "make soak-fire     1,000 purchases under fire (PURCHASES=100 for fewer), resumable"
	@echo "make soak-fuzz     every decoder fuzzed for an hour each (SECONDS=60 for a minute), resumable"
	@echo "make env           only the environment, .venv"
	@echo "make pins          resolve the requirements anew"

demo:
	@tools/environment run
	$(BIN)/e2s demo purchase $(DEMO)

test: debian env lint types imports tests docs

env:
	@tools/environment dev

debian:
	@tools/debian-packages || [ -z "$$CI" ]

lint: env
	@echo "== ruff"
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: env
	@echo "== mypy --strict (a first run takes a minute or two)"
	$(BIN)/mypy

imports: env
	@echo "== import-linter: floors and rooms"
	$(BIN)/lint-imports

# Peers of our CMS that come from npm.
judges:
	@tools/judges

tests: env judges
	@echo "== pytest (some minutes; two files at a time)"
	@scratch=$$(tools/scratch) && trap 'rm -rf "$$scratch"' EXIT && \
	TMPDIR=$$scratch $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(TESTS)

# The same tests under the coverage tracer, which takes them half as long again.
coverage: env judges
	@mkdir -p build/coverage
	$(BIN)/coverage run -m pytest $(TESTS)
	$(BIN)/coverage report --format=total | sed 's/^/== branch coverage, per cent: /'
	$(BIN)/coverage html -q -d build/coverage/html

docs: env
	@echo "== documentation, warnings as errors"
	$(BIN)/sphinx-build -q -W -b html docs build/docs

bench: env
	$(BIN)/python -m bench $(AREA)

# What can go on where it was cut short comes first: what is done says so and is not done again.
soak: soak-fire soak-fuzz soak-tests

# Processes killed, messages lost, disks full, clocks wrong; docs/soak.md.
PURCHASES := 1000
soak-fire: env debian
	$(BIN)/python -m tests.fire.campaign --purchases $(PURCHASES)

# Every kill, and the property tests with many more examples.
soak-tests: env
	E2S_SOAK=1 HYPOTHESIS_PROFILE=soak $(BIN)/python -m pytest -q $(TESTS)

# Goes on where it was stopped; a finding stops it and says how to replay what was found.
SECONDS := 3600
soak-fuzz: env
	$(BIN)/python -m tools.fuzz run --seconds $(SECONDS) $(TARGETS)

pins:
	@tools/pins
	@tools/judges pin

clean:
	rm -rf build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
