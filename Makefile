# Every command does its own set-up; what is ready is skipped within a moment.
.DEFAULT_GOAL := help
.PHONY: help run page pictures test check setup stack stop verify-tracks stress bench load clean

TRACKS ?=
ARGS ?=

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' Makefile

run: ## everything on this machine: server, worker, simulated riders; Ctrl-C ends all of it
	@scripts/run $(ARGS)

page: ## build the live map, unless it is built; fetches Node where it is missing or too old
	@scripts/setup --with-page

pictures: ## take the pictures of docs/ anew, of a `make run` that is running elsewhere
	@.venv/bin/python -m tests.e2e.browser.screenshots $(ARGS)

test: ## the fast gate, then all tests (ARGS go to pytest)
	@scripts/test $(ARGS)

check: ## the fast gate: ruff, mypy --strict, import-linter
	@scripts/check

setup: ## what run and test need, and nothing else
	@scripts/setup --for-tests

stack: ## start the private PostgreSQL and Redis, and print their addresses
	@scripts/setup
	@.venv/bin/python -m server stack start

stop: ## stop them, and what make run has started; their data stays
	@scripts/stop

verify-tracks: ## ride every track of TRACKS=directory through two nodes, with a worker killed, and check every fix
	@test -n "$(TRACKS)" || { echo "which tracks? make verify-tracks TRACKS=directory" >&2; exit 2; }
	@test -d "$(TRACKS)" || { echo "$(TRACKS) is not a directory" >&2; exit 2; }
	@scripts/setup
	@.venv/bin/python -m loadtests.verify --tracks "$(TRACKS)" $(ARGS)

stress: ## nodes, stores and network break by a seed while clients work, and every promise is checked (ARGS="--seed 1")
	@scripts/setup
	@.venv/bin/python -m loadtests.stress $(if $(ARGS),$(ARGS),--seed 1)

bench: ## the worker against the bare COPY; ARGS=wire: the server against its peers; ARGS=nodes: several nodes
	@scripts/setup
	@.venv/bin/python -m loadtests.bench $(if $(filter tracks wire nodes,$(firstword $(ARGS))),,tracks) $(ARGS)

load: ## a small Locust load on a system of its own, headless, and its table
	@scripts/load $(ARGS)

clean: ## remove everything that is not in git: servers, their data, environments, caches
	@scripts/clean
