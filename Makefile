# Every target does what it needs first; on a fresh machine start with 'make demo' or 'make test'.
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/.installed
TESTS := $(BIN)/python -m pytest -n 2 --dist loadfile

.PHONY: install demo test test-slow lint docs licences bench clean

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $(INSTALLED)

demo: $(INSTALLED)  ## the main job on a synthesised corpus: runs/demo/report.html
	$(BIN)/avparse demo

test: $(INSTALLED)  ## the default suite
	$(TESTS) -m 'not slow'

test-slow: $(INSTALLED)  ## the tests that take longer
	$(TESTS) -m slow

lint: $(INSTALLED)  ## style, types, and the import contract of the layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(INSTALLED)  ## this documentation as a site: site/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

licences: $(INSTALLED)  ## the licences of all dependencies; fails on one that is unknown or not accepted
	$(BIN)/python tools/licences.py

bench: $(INSTALLED)  ## the figures of docs/performance.md
	$(BIN)/python -m benchmarks.bench_metrics
	$(BIN)/python -m benchmarks.bench_training
	$(BIN)/python -m benchmarks.bench_memory
	$(BIN)/python -m benchmarks.bench_data
	$(BIN)/python -m benchmarks.bench_formats
	$(BIN)/python -m benchmarks.bench_denoisers
	$(BIN)/python -m benchmarks.bench_leap
	$(BIN)/python -m benchmarks.bench_extractors
	$(BIN)/python -m benchmarks.bench_unseen_classes
	$(BIN)/python -m benchmarks.bench_review
	$(BIN)/python -m benchmarks.bench_report

clean:
	rm -rf .venv build dist site .pytest_cache .mypy_cache .ruff_cache
