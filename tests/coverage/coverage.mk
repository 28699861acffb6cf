# SPDX-License-Identifier: GPL-2.0-only
# What the unit tests and the fuzzers' corpora run of the hosted sources, and what they don't.
#
#   make coverage         a table by folder, and every function that nothing runs
#
# Both programs count into a folder of their own below $(COVERAGE_RUNS); with them unchanged, `make coverage` only reads.

COVERAGE_RUNS := $(OUT)/coverage/runs

# $(call counting,NAME,COMMAND) runs it, and keeps its counts as NAME's.
counting = $(if $(COVERAGE),rm -rf $(COVERAGE_RUNS)/$(1) && GCOV_PREFIX=$(abspath $(COVERAGE_RUNS)/$(1)) )$(2)$(if \
             $(COVERAGE), && touch $(COVERAGE_RUNS)/$(1).done)

$(COVERAGE_RUNS)/unit.done: $(UNIT_OUT)/unit-tests
	@mkdir -p $(@D)
	@$(call counting,unit,$(PYTHON) tests/unit/report.py $<)

$(COVERAGE_RUNS)/fuzz.done: $(FUZZ_REPLAYS) $(wildcard tests/fuzz/corpus/*)
	@mkdir -p $(@D)
	@$(call counting,fuzz,$(PYTHON) tests/fuzz/replay.py $(FUZZ_REPLAYS))

COVERAGE_REPORT = $(PYTHON) tests/coverage/report.py --runs $(COVERAGE_RUNS) --hosted $(UNIT_PURE)

.PHONY: coverage
coverage: $(COVERAGE_RUNS)/unit.done $(COVERAGE_RUNS)/fuzz.done  ## lines and functions that unit tests and corpora run, by folder
	@$(COVERAGE_REPORT)

.PHONY: test-coverage
test-coverage: $(COVERAGE_RUNS)/unit.done $(COVERAGE_RUNS)/fuzz.done  ## no function is left out without a reason (tests/coverage/uncovered.txt)
	@$(PYTHON) tests/coverage/run.py -- $(COVERAGE_REPORT)
