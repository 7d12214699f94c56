# Two commands on a fresh machine: `make run` and `make test`. Each sets up what it needs.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PY := .venv/bin/python
TRACK ?=
SEED ?=

.PHONY: help setup setup-dev servers browser prometheus dashboard fdkaac kubernetes run test check \
  format lint types imports music corpus bench bench-throughput bench-queue bench-reference regress \
  acceptance lock audit docs image-test chaos clean

help:  ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.venv/.runtime: requirements.lock requirements-build.lock pyproject.toml tools/setup.sh
	@tools/setup.sh requirements.lock $@

.venv/.development: requirements-dev.lock requirements-build.lock pyproject.toml tools/setup.sh
	@tools/setup.sh requirements-dev.lock $@

setup: .venv/.runtime  ## the virtual environment with what the program needs

setup-dev: .venv/.development  ## and with what tests and checks need

servers: setup-dev  ## PostgreSQL, MariaDB for the tests, where this user may install them
	@tools/install-servers.sh

browser: setup-dev  ## Chromium and hls.js for the player test, where this user may install them
	@tools/install-browser.sh

prometheus: setup-dev  ## Prometheus and promtool for the alerts' tests, unpacked into .venv
	@tools/install-prometheus.sh

dashboard: setup-dev  ## the Grafana dashboard anew, from tools/dashboard
	@$(PY) -m tools.dashboard
	@$(PY) -m tools.kubernetes_embeds

fdkaac: setup-dev  ## fdkaac for the tests, from Debian's non-free, in a folder of its own
	@tools/install-fdkaac.sh

kubernetes: setup-dev  ## helm for the tests of the chart (kubectl comes with setup-dev)
	@tools/install-helm.sh

run: .venv/.runtime  ## ingest a demo track (or TRACK=path) on the embedded default
	@$(PY) -m audio_processor ingest $(if $(TRACK),"$(TRACK)")

test: setup-dev servers browser fdkaac prometheus kubernetes music  ## the whole suite, on real servers and a real player
	@failed=0; $(PY) -m pytest -n auto --maxprocesses 4 --dist loadfile --ignore tests/chaos || failed=1; \
	  $(PY) -m pytest tests/chaos || failed=1; exit $$failed

check: setup-dev format lint types imports docs test  ## format, lint, types, import contracts, docs, tests

format: setup-dev  ## is everything formatted?
	@.venv/bin/ruff format --check .

lint: setup-dev  ## ruff
	@.venv/bin/ruff check .

types: setup-dev  ## mypy --strict
	@.venv/bin/mypy

imports: setup-dev  ## import contracts
	@.venv/bin/lint-imports

music: setup-dev
	@$(PY) -m bench.corpus || echo "music: the corpus cannot be had here (the tests on real music are skipped)"

corpus: setup-dev  ## real music for tests and bench, from Debian's packages
	@$(PY) -m bench.corpus

bench: setup-dev corpus  ## CPU cost of the line and of each preset; flat memory
	@kept=0; for one in bench.cost bench.mastering "bench.mastering --flat" bench.flat; do \
	  $(PY) -m $$one || kept=1; done; exit $$kept

bench-throughput: setup-dev servers corpus  ## audio per second and use of the cores, against tracks at once
	@$(PY) -m bench.throughput $(if $(BACK_END),--back-end $(BACK_END))

bench-queue: setup-dev servers  ## claims per second and latency on a million rows, by 64 workers (ROWS=…)
	@$(PY) -m bench.queue $(if $(ROWS),--rows $(ROWS))

bench-reference: setup-dev corpus  ## matching on real pairs, beside Matchering as a program of its own
	@$(PY) -m bench.reference

regress: setup-dev corpus  ## every preset against its goldens; UPDATE_GOLDENS=1 writes them anew
	@$(PY) -m bench.regress

acceptance: setup-dev servers corpus  ## real tracks on every back end, checked by FFmpeg's meters
	@$(PY) -m bench.acceptance

lock: setup-dev  ## requirements*.lock anew from requirements*.txt, with the hashes of all files
	@tools/lock.sh

audit: setup-dev  ## known vulnerabilities of what is locked (exit 3: the advisories cannot be had)
	@tools/audit.sh $(if $(IF_REACHABLE),--if-reachable)

docs: setup-dev  ## the pages as a site, in build/site; what does not hold fails it
	@tools/docs.sh

image-test: setup-dev  ## the image, built and run for real without an engine (root; ~10 minutes)
	@tools/install-builders.sh
	@tests/image/build.sh build/image && $(PY) -m tests.image.container build/image

chaos: setup-dev servers  ## real workers on real servers, everything around them breaking (SEED=…)
	@$(PY) -W ignore -m tests.chaos $(if $(SEED),--seed $(SEED))

clean:  ## remove the environment and the embedded default's data
	rm -rf .venv data build dist tests/player/node_modules
