# SPDX-License-Identifier: GPL-2.0-only
# Unit tests: the pure folders compiled hosted, and every tests/unit/*.cpp, in one program.

UNIT_TESTS := $(sort $(wildcard tests/unit/*.cpp))

# The sources of other folders that are pure as well, by name.
UNIT_PURE := $(wildcard hypervisor/loader/*.cpp hypervisor/evtchn/*.cpp hypervisor/grant/*.cpp \
                        hypervisor/sched/*.cpp xsm/*.cpp hypervisor/mm/page_type*.cpp \
                        hypervisor/mm/pt_*.cpp hypervisor/mm/memory_map*.cpp \
                        hypervisor/pv/privop_decode*.cpp hypervisor/pv/ptwr_decode*.cpp hypervisor/arch/acpi*.cpp \
                        hypervisor/arch/multiboot2*.cpp hypervisor/lib/format*.cpp \
                        $(filter-out %_main.cpp, $(wildcard dom0-tools/*/*.cpp)))
UNIT_PURE := $(filter-out hypervisor/loader/decoder_shims.cpp, $(UNIT_PURE))
# Verbs of the command line are tested as a program, by tests/cli.
UNIT_PURE := $(filter-out dom0-tools/debug/%_verbs.cpp dom0-tools/debug/domain_id.cpp dom0-tools/cli/%verb.cpp dom0-tools/cli/%verbs.cpp \
                          $(patsubst %,dom0-tools/cli/%.cpp,run help console context), $(UNIT_PURE))
# Sources that only make sense inside the image; a file that says so in a line `// Not hosted: why` stays out.
UNIT_PURE := $(filter-out $(shell grep -ls '^// Not hosted:' $(UNIT_PURE) /dev/null), $(UNIT_PURE))

# With COVERAGE=1 they say what they ran (tests/coverage), for which they are built apart.
UNIT_OUT      := $(OUT)$(if $(COVERAGE),/coverage)
UNIT_COUNTS   := $(if $(COVERAGE),--coverage -DCOUNTS_WHAT_RUNS '-fprofile-filter-files=hypervisor/;xsm/;dom0-tools/' -fprofile-update=prefer-atomic)

UNIT_CXX      := $(CXX)
UNIT_CATCH_V3 := $(wildcard /usr/include/catch2/catch_test_macros.hpp)
UNIT_LIBS     := $(if $(UNIT_CATCH_V3),-lCatch2Main -lCatch2) -llzma -lz -lzstd -llz4 -llzo2 \
                 -lsystemd -lmicrohttpd -lhttp_parser -lxml2 -lseccomp -lmnl -lnettle -lfmt
UNIT_SUPPORT  := $(if $(UNIT_CATCH_V3),,tests/unit/support/catch_main.cpp)
UNIT_SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all
# (Under the sanitizers the compiler suspects std::function of being uninitialized.)
UNIT_CXXFLAGS := -std=c++23 $(if $(COVERAGE),-O0,-O1) -g -D_GLIBCXX_ASSERTIONS -Wall -Wextra -Werror -Wno-maybe-uninitialized $(UNIT_SANITIZE) $(UNIT_COUNTS) \
                 -Ihypervisor -Idom0-tools -I. -I/usr/include/libxml2 $(if $(UNIT_CATCH_V3),,-I$(UNIT_OUT)/unit/pch -isystem tests/unit/support)
UNIT_OBJS     := $(patsubst %,$(UNIT_OUT)/unit/%.o,$(UNIT_TESTS) $(UNIT_PURE) $(UNIT_SUPPORT))
# Catch2 version 2 is one large header: it is compiled once.
UNIT_PCH      := $(if $(UNIT_CATCH_V3),,$(UNIT_OUT)/unit/pch/catch2/catch_test_macros.hpp.gch)

$(UNIT_OUT)/unit/pch/catch2/%.hpp.gch: tests/unit/support/catch2/%.hpp tests/unit/unit.mk
	$(Q)mkdir -p $(@D)
	$(Q)$(UNIT_CXX) $(UNIT_CXXFLAGS) -w -x c++-header -o $@ $<

$(UNIT_OUT)/unit/%.o: % | $(UNIT_PCH)
	$(call say,UNIT,$<)
	$(Q)mkdir -p $(@D)
	$(Q)rm -f $(@:.o=.gcda)
	$(Q)$(UNIT_CXX) $(UNIT_CXXFLAGS) -MMD -MP -c -o $@ $<

$(UNIT_OUT)/unit-tests: $(UNIT_OBJS)
	$(call say,LD,$@)
	$(Q)$(UNIT_CXX) $(UNIT_SANITIZE) $(UNIT_COUNTS) -o $@ $^ $(UNIT_LIBS)

.SECONDARY: $(UNIT_PCH)
.PHONY: test-unit
test-unit: $(UNIT_OUT)/unit-tests
	@$(call counting,unit,$(PYTHON) tests/unit/report.py $<)

-include $(UNIT_OBJS:.o=.d)
