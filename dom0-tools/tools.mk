# SPDX-License-Identifier: GPL-2.0-only
# The toolstack: every folder is a library; programs are the *_main.cpp files.

TOOLS_CXXFLAGS := -std=c++23 -O2 -g -fPIE -ffunction-sections -D_GLIBCXX_ASSERTIONS -D_FORTIFY_SOURCE=2 -fstack-protector-strong \
                  -Wall -Wextra -Werror -Ihypervisor -Idom0-tools -I. -I/usr/include/libxml2 $(PREFIX_MAP)
TOOLS_SRCS     := $(sort $(wildcard dom0-tools/*/*.cpp))
TOOLS_MAINS    := $(filter %_main.cpp, $(TOOLS_SRCS))
# What programs share, as one archive: the linker takes what a program needs.
TOOLS_SHARED   := $(filter-out %_main.cpp, $(TOOLS_SRCS)) \
                  $(filter-out hypervisor/loader/decoder_shims.cpp, $(wildcard hypervisor/loader/*.cpp))
# Libraries of each program; TOOLS_STATIC ones are linked whole, for a quick start.
LIBS_streak-stored   := -lsystemd
LIBS_streak-consoled := -lsystemd
LIBS_streakd         := -lsystemd -lmicrohttpd -lxml2 -lseccomp -lmnl -lnettle -lfmt -llzma -lz -lzstd -llz4 -llzo2
LIBS_streak          := -lhttp_parser
TOOLS_STATIC         := streak
LINK_streak          := -Wl,-T,dom0-tools/cli/common_code.ld
# Code that runs once for each start is quick when there is little to bring in; long answers are read by loops.
$(OUT)/tools/obj/dom0-tools/cli/%.o: TOOLS_CXXFLAGS += -Os
$(OUT)/tools/obj/dom0-tools/cli/json.cpp.o: TOOLS_CXXFLAGS += -O2
$(OUT)/tools/streak: dom0-tools/cli/common_code.ld

# dom0-tools/store/streak-stored_main.cpp makes build/tools/streak-stored.
TOOLS_PROGRAMS := $(patsubst %_main.cpp,%,$(notdir $(TOOLS_MAINS)))
TOOLS_BINARIES := $(addprefix $(OUT)/tools/,$(TOOLS_PROGRAMS))

$(OUT)/tools/obj/%.cpp.o: %.cpp dom0-tools/tools.mk
	$(call say,TOOL,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CXX) $(TOOLS_CXXFLAGS) -MMD -MP -c -o $@ $<

$(OUT)/tools/libstreak.a: $(patsubst %,$(OUT)/tools/obj/%.o,$(TOOLS_SHARED))
	$(Q)rm -f $@ && $(AR) crs $@ $^

define tools_program
$(OUT)/tools/$(1): $(OUT)/tools/obj/$(filter %/$(1)_main.cpp,$(TOOLS_MAINS)).o $(OUT)/tools/libstreak.a
	$$(call say,LD,$$@)
	$$(Q)$$(CXX) $(if $(filter $(1),$(TOOLS_STATIC)),-static -no-pie,-pie) -Wl,-z,relro,-z,now -Wl,--gc-sections $(LINK_$(1)) -o $$@ $$(filter %.o %.a,$$^) $$(LIBS_$(1))
endef
$(foreach program,$(TOOLS_PROGRAMS),$(eval $(call tools_program,$(program))))

.PHONY: tools
tools: $(TOOLS_BINARIES)  ## the toolstack: build/tools/

-include $(patsubst %,$(OUT)/tools/obj/%.d,$(sort $(TOOLS_SRCS) $(TOOLS_SHARED)))
