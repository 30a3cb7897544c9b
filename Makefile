# What you can do here, with nothing installed but make and Python 3.11 or newer. `make help` lists it.
#
# Every target first brings .venv up to date, at the tested versions of constraints.txt. It is filled in two steps: the
# demonstration needs a light install with plots, and neither the developers' tools nor openSMILE, whose licence is for
# research only. pip's own settings (PIP_INDEX_URL, PIP_FIND_LINKS, ...) apply.

# The first of these that is new enough; `make PYTHON=/path/to/python demo` names another.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for each in python3 python3.13 python3.12 python3.11; do \
	$$each -c '$(NEW_ENOUGH)' 2>/dev/null && { echo $$each; break; }; done)

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --progress-bar on --constraint constraints.txt
REQUIREMENTS := setup.cfg pyproject.toml constraints.txt
SMOOTHCLAP := $(BIN)/smoothclap
DEMO := $(VENV)/.demo-installed
DEV := $(VENV)/.installed
CHECKPOINT := modeling_smoothclap/checkpoints/smoothclap-tiny

# Processes at a time, of tests and of experiments. Each uses one thread, so that two do not fight over two cores.
JOBS ?= 2
PYTEST := $(BIN)/python -m pytest --numprocesses $(JOBS) --dist worksteal
test docs-check bench: export OMP_NUM_THREADS = 1
# Fitting by the style loss amplifies rounding, which depends on the number of threads.
clep-dg clep-dg-encoders clep-dg-analysis: export OMP_NUM_THREADS = 1
EXPERIMENTS := $(addprefix clep-dg-,attributes arousal synthetic tuned)
# clep_dg_tuned.yaml with other encoders.
ENCODERS := $(addprefix clep-dg-,augmented conditions e5)

.DEFAULT_GOAL := help
.PHONY: $(EXPERIMENTS) $(ENCODERS) help demo demo-train test lint format docs-check bench train judge card clep-dg \
	clep-dg-analysis clep-dg-encoders compare venv clean distclean

help: ## list what you can do
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(firstword $(MAKEFILE_LIST)) | \
		while IFS='|' read -r target text; do printf '%-25s%s\n' "$$target" "$$text"; done

demo: $(DEMO) ## rank descriptions of two real voices; ARGS='clip.wav --labels "a low voice" "a high voice"'
	$(SMOOTHCLAP) rank $(ARGS) --plot ranking.png

test: $(DEV) ## run the tests; at least 95 % of the lines of each package must be reached
	$(PYTEST) --ignore=tests/docs --cov --cov-report=
	$(BIN)/python -m coverage report --include='modeling_smoothclap/*' --fail-under=95
	$(BIN)/python -m coverage report --include='trainer/*' --fail-under=95

lint: $(DEV) ## check style, formatting and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy modeling_smoothclap trainer

format: $(DEV) ## fix style and formatting
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs-check: $(DEV) ## run every example in docstrings and pages, and follow the pages' links
	$(PYTEST) tests/docs

bench: $(DEV) ## run every benchmark; each prints one table
	@set -e; for script in benchmarks/*.py; do echo "$$script"; $(BIN)/python "$$script"; done

# The game's lines, of which 260 take a minute; examples/configs/demo.yaml trains on this folder.
build/demo-speech/dataset_dict.json: | $(DEV)
	$(BIN)/python examples/recipes/build_speech_dataset.py --corpora drascula --limit 260 --output build/demo-speech

demo-train: build/demo-speech/dataset_dict.json ## train the small checkpoint further on real speech, in minutes (fetches it with apt-get)
	$(SMOOTHCLAP) train examples/configs/demo.yaml $(ARGS)

build/speech/dataset_dict.json: | $(DEV)
	$(BIN)/python examples/recipes/build_speech_dataset.py --output build/speech

build/speech-600/dataset_dict.json: | $(DEV)
	$(BIN)/python examples/recipes/build_speech_dataset.py --limit 600 --output build/speech-600

build/expressive/dataset_dict.json: | $(DEV)
	$(BIN)/python examples/recipes/build_expressive_speech.py --output build/expressive

build/towers/text/distillation.json: | $(DEV)
	$(BIN)/python examples/recipes/fetch_encoders.py --output build/encoders
	$(BIN)/python examples/recipes/distil_towers.py

train: build/speech/dataset_dict.json build/expressive/dataset_dict.json build/towers/text/distillation.json ## make the default checkpoint again: fetch speech and encoders (needs apt-get), distil, train, judge (hours)
	$(BIN)/python examples/recipes/label_emotions.py
	$(SMOOTHCLAP) train examples/configs/smoothclap-tiny.yaml
	find $(CHECKPOINT) -mindepth 1 -maxdepth 1 ! -name notes.md ! -name NOTICE ! -name previous -exec rm -r {} +
	cp $(addprefix build/smoothclap-tiny/*.,json yaml csv safetensors) $(CHECKPOINT)
	cp build/towers/text/distillation.json $(CHECKPOINT)/text_tower.json
	for file in build/smoothclap-tiny/*.py; do ln -s ../../$$(basename $$file) $(CHECKPOINT); done
	$(MAKE) judge

judge: build/expressive/dataset_dict.json build/speech/dataset_dict.json ## judge the default checkpoint on what it was not trained on, and write its card; OLD=FOLDER judges another as the version before
	$(if $(OLD),$(BIN)/python examples/recipes/judge_checkpoint.py $(OLD) --output $(CHECKPOINT)/previous)
	$(BIN)/python examples/recipes/judge_checkpoint.py $(CHECKPOINT)
	$(MAKE) card

card: | $(DEV) ## write the default checkpoint's card, model_card.md, again from the records next to the weights
	$(BIN)/python examples/recipes/write_shipped_cards.py

build/arousal.csv: build/speech/dataset_dict.json
	$(BIN)/python examples/recipes/label_arousal.py

build/clep-synthetic/README.md: build/expressive/dataset_dict.json
	$(SMOOTHCLAP) train examples/configs/clep_synthetic.yaml

clep-dg: build/speech-600/dataset_dict.json build/arousal.csv build/clep-synthetic/README.md ## run all three stages of CLEP-DG on data that is built here, and write the pages in docs/clep-dg
	$(MAKE) --jobs=$(JOBS) $(EXPERIMENTS)
	$(MAKE) clep-dg-analysis

# Stage 1 in acoustic conditions: those that the experiments test but two, codec and clipping, and two more.
SEEN := "[clean, noise-10db, noise-0db, room-small, room-large, telephone]"
build/clep-augmented/README.md build/clep-conditions/README.md: build/clep-%/README.md: build/expressive/dataset_dict.json
	$(SMOOTHCLAP) train examples/configs/clep_synthetic.yaml --acoustic_conditions $(SEEN) --output_dir build/clep-$* $(NAMED)
build/clep-conditions/README.md: NAMED := --name_conditions true

build/clep-e5/README.md: build/expressive/dataset_dict.json build/towers/text/distillation.json
	$(SMOOTHCLAP) train examples/configs/clep_e5.yaml

clep-dg-encoders: build/expressive/dataset_dict.json build/towers/text/distillation.json ## run CLEP-DG after other first stages: in acoustic conditions, with and without their names, and with a larger text tower
	$(MAKE) --jobs=$(JOBS) $(ENCODERS)

TESTED := --conditions "[clean, noise-10db, room-large, telephone, codec, clipping]"
clep-dg-augmented clep-dg-conditions: CHANGES := $(TESTED)
# Half the contexts, because one takes longer through twelve layers than through three.
clep-dg-e5: CHANGES := --acpt "{num_contexts: 8}" --classifier "{batch_size: 12}"
$(ENCODERS): clep-dg-%: build/clep-%/README.md
$(ENCODERS): CONFIG = tuned.yaml --encoder build/clep-$* --output build/clep-dg-$* $(CHANGES)
$(EXPERIMENTS): CONFIG = $*.yaml

$(EXPERIMENTS) $(ENCODERS): clep-dg-%:
	$(SMOOTHCLAP) clep-dg examples/configs/clep_dg_$(CONFIG)
	rm -rf docs/clep-dg/$*
	mkdir -p docs/clep-dg/$*
	cp -r build/clep-dg-$*/report.md build/clep-dg-$*/pictures docs/clep-dg/$*

clep-dg-analysis: ## analyse the contexts of the experiment `tuned`, which was run, and write docs/clep-dg/analysis
	$(BIN)/python examples/recipes/analyse_contexts.py examples/configs/clep_dg_tuned.yaml --output docs/clep-dg/analysis

compare: build/speech-600/dataset_dict.json build/expressive/dataset_dict.json build/towers/text/distillation.json ## train with every objective, five seeds each, and write docs/objectives.md (an hour)
	$(BIN)/python examples/recipes/compare_objectives.py examples/configs/comparison.yaml

venv: $(DEV) ## only install: everything, into .venv

$(DEMO): $(REQUIREMENTS)
	@test -n "$(PYTHON)" || { echo 'No Python 3.11 or newer found: install one, or name it with make PYTHON=/path/to/python' >&2; exit 1; }
	@$(PYTHON) -c '$(NEW_ENOUGH)' || { echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) --version 2>&1)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable '.[plots]'
	@touch $@

$(DEV): $(DEMO)
	$(PIP) --editable '.[acoustics,app,bench,dev,logging,opensmile,plots,train]'
	@touch $@

clean: ## remove what tests, tools and packaging left; keeps .venv, datasets and encoders
	rm -rf dist *.egg-info build/lib build/bdist.* .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean ## remove .venv, .cache and build as well; the next command starts from nothing
	rm -rf $(VENV) .cache build
