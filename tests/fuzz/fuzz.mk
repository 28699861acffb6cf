# SPDX-License-Identifier: GPL-2.0-only
# Fuzzers: tests/fuzz/NAME.cpp defines LLVMFuzzerTestOneInput(), tests/fuzz/corpus/NAME/ holds inputs that once mattered.
#
#   make test-fuzz                     every input of every corpus once, with the objects of the unit tests
#   make fuzz FUZZ=NAME SECONDS=60     new inputs by libFuzzer; findings in build/fuzz/NAME.found
#   make fuzz-merge FUZZ=NAME          of those, what reaches something new goes into the corpus
#
# FUZZ_SRCS_NAME lists the sources a fuzzer is linked with; without it, all pure ones.

FUZZ_NAMES    := $(patsubst tests/fuzz/%.cpp,%,$(filter-out tests/fuzz/replay.cpp, $(wildcard tests/fuzz/*.cpp)))
FUZZ_CXX      ?= clang++-19
FUZZ_CXXFLAGS := -std=c++23 -O1 -g -D_GLIBCXX_ASSERTIONS -Wall -Wextra -Werror -Ihypervisor -Idom0-tools -I. \
                 -I/usr/include/libxml2 -fsanitize=address,undefined -fno-sanitize-recover=all
FUZZ_LIBS     := $(filter-out -lCatch2%,$(UNIT_LIBS))
FUZZ          ?= kernel
SECONDS       ?= 60

FUZZ_SRCS_api_request = $(UNIT_PURE) $(wildcard tests/unit/fake_port*.cpp)
FUZZ_SRCS_kernel := $(filter-out %/decoder_shims.cpp, $(wildcard hypervisor/loader/*.cpp)) $(patsubst %,dom0-tools/base/%.cpp,error io) \
                    $(patsubst %,dom0-tools/builder/%.cpp,kernel kernel_file load_errors page_tables start_plan)
FUZZ_SRCS_config_xml := $(wildcard dom0-tools/config/*.cpp dom0-tools/base/*.cpp)
FUZZ_SRCS_store_wire := $(patsubst %,dom0-tools/store/%.cpp,control journal operation path permissions requests ring \
                          service state_file store transaction tree watches wire) dom0-tools/base/error.cpp
FUZZ_SRCS_store_ring := $(FUZZ_SRCS_store_wire)
# (What is not here, a fuzzer includes itself.)
FUZZ_SRCS_page_types := hypervisor/mm/memory_map.cpp
FUZZ_SRCS_events     := hypervisor/evtchn/port_table.cpp
FUZZ_SRCS_grants     := tests/fuzz/grants.cpp
FUZZ_SRCS_sched      := hypervisor/sched/run_queue.cpp hypervisor/sched/timer_heap.cpp
FUZZ_SRCS_boot_info  := $(patsubst %,hypervisor/loader/%.cpp,acpi acpi_tables cmdline load_error multiboot2)
FUZZ_SRCS_instructions := hypervisor/pv/privop_decode.cpp hypervisor/pv/ptwr_decode.cpp

# ---- Replay: g++ and the unit tests' objects

define fuzz_replay
$(UNIT_OUT)/fuzz/replay-$(1): $(patsubst %,$(UNIT_OUT)/unit/%.o,$(sort tests/fuzz/$(1).cpp tests/fuzz/replay.cpp $(or $(FUZZ_SRCS_$(1)),$(UNIT_PURE))))
	$$(call say,LD,$$@)
	$$(Q)mkdir -p $$(@D)
	$$(Q)$$(UNIT_CXX) $$(UNIT_SANITIZE) $$(UNIT_COUNTS) -o $$@ $$^ $$(FUZZ_LIBS)
endef
$(foreach name,$(FUZZ_NAMES),$(eval $(call fuzz_replay,$(name))))

FUZZ_REPLAYS := $(patsubst %,$(UNIT_OUT)/fuzz/replay-%,$(FUZZ_NAMES))

.PHONY: test-fuzz
test-fuzz: $(FUZZ_REPLAYS)  ## the fuzzers' corpora, each input once, under ASan and UBSan
	@$(call counting,fuzz,$(PYTHON) tests/fuzz/replay.py $^)
	@$(PYTHON) tests/fuzz/search.py --make "$(MAKE)"

# ---- Fuzzing: clang and libFuzzer

$(OUT)/fuzz/obj/%.o: %
	$(call say,FUZZ,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(FUZZ_CXX) $(FUZZ_CXXFLAGS) -fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<

$(OUT)/fuzz/fuzz-$(FUZZ): $(patsubst %,$(OUT)/fuzz/obj/%.o,$(sort tests/fuzz/$(FUZZ).cpp $(or $(FUZZ_SRCS_$(FUZZ)),$(UNIT_PURE))))
	$(call say,LD,$@)
	$(Q)$(FUZZ_CXX) -fsanitize=fuzzer,address,undefined -o $@ $^ $(FUZZ_LIBS)

.PHONY: fuzz
fuzz: $(OUT)/fuzz/fuzz-$(FUZZ)  ## FUZZ=NAME SECONDS=60: looks for new inputs with libFuzzer
	@mkdir -p $(OUT)/fuzz/$(FUZZ).found tests/fuzz/corpus/$(FUZZ)
	$< -max_total_time=$(SECONDS) -timeout=10 -rss_limit_mb=3072 -print_final_stats=1 \
	    -artifact_prefix=$(OUT)/fuzz/$(FUZZ).found/ $(OUT)/fuzz/$(FUZZ).found tests/fuzz/corpus/$(FUZZ)

.PHONY: fuzz-merge
fuzz-merge: $(OUT)/fuzz/fuzz-$(FUZZ)  ## FUZZ=NAME: of what `make fuzz` found, what reaches something new goes into the corpus
	$< -merge=1 tests/fuzz/corpus/$(FUZZ) $(OUT)/fuzz/$(FUZZ).found

-include $(patsubst %,$(UNIT_OUT)/unit/tests/fuzz/%.cpp.d,$(FUZZ_NAMES) replay) \
         $(wildcard $(OUT)/fuzz/obj/*/*/*.d $(OUT)/fuzz/obj/tests/fuzz/*.d)
