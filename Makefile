PY := .venv/bin/python
CHECKED := src tests scripts benchmarks

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format bench gallery clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install system packages (where allowed) and the package with its tools into .venv
	@scripts/setup.sh

demo: setup ## Train a world model on the simulator on a short preset: minutes on two cores, no GPU needed
	$(PY) -m f1rl experiment=demo overwrite=true

test: lint ## Run every check and test
	$(PY) -m pytest

lint: setup ## Check style, formatting and spelling
	$(PY) -m ruff check $(wildcard $(CHECKED))
	$(PY) -m ruff format --check $(wildcard $(CHECKED))
	$(PY) -m codespell_lib $(wildcard $(CHECKED) conf docs *.md)

format: setup ## Rewrite the code in the project's style
	$(PY) -m ruff check --fix $(wildcard $(CHECKED))
	$(PY) -m ruff format $(wildcard $(CHECKED))

bench: setup ## Measure speed against bare SAPIEN, training rate, start-up time and memory
	$(PY) -m benchmarks

gallery: setup ## Draw the pictures of docs/environments.md: embodiments, control modes, randomisation
	$(PY) scripts/render_docs.py
	$(PY) scripts/gallery.py

clean: ## Delete the environment, caches and build outputs; keeps outputs/ and multirun/
	rm -rf .venv .pytest_cache .ruff_cache build dist
	find src tests benchmarks scripts -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
