# SPDX-License-Identifier: GPL-2.0-only
# Programs that system tests run in dom0.

# On the hypercall library alone: its operations; the dirty pages of a guest.
HV_PROBE := $(OUT)/system/hv-probe
HV_PROBE_OBJS := $(patsubst %,$(OUT)/tools/obj/%.o,$(wildcard tests/system/hv_probe/*.cpp))
LOG_PROBE := $(OUT)/system/log-probe
LOG_PROBE_OBJS := $(OUT)/tools/obj/tests/system/log_probe/main.cpp.o

$(HV_PROBE): $(HV_PROBE_OBJS)
$(LOG_PROBE): $(LOG_PROBE_OBJS)
$(HV_PROBE) $(LOG_PROBE): $(OUT)/tools/libstreak.a
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CXX) -static -no-pie -Wl,--gc-sections -o $@ $(filter %.o,$^) $<

-include $(HV_PROBE_OBJS:.o=.d) $(LOG_PROBE_OBJS:.o=.d)

# Makes a guest with no daemon running.
BUILDER_PROBE := $(OUT)/system/builder-probe
BUILDER_PROBE_OBJS := $(OUT)/tools/obj/tests/system/builder_probe/main.cpp.o

$(BUILDER_PROBE): $(BUILDER_PROBE_OBJS) $(OUT)/tools/libstreak.a
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CXX) -pie -Wl,-z,now -Wl,--gc-sections -o $@ $^ -lnettle -lfmt -llzma -lz -llzo2

-include $(BUILDER_PROBE_OBJS:.o=.d)

# A guest that does nothing, and a clock for commands (docs/testing.md).
$(OUT)/system/stub: tests/bench/stub.S tests/guests/lib/kernel.ld
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CXX) -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,max-page-size=4096 -T tests/guests/lib/kernel.ld -o $@ $<

$(OUT)/system/count: tests/bench/count.cpp
	$(call say,CXX,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CXX) -std=c++23 -O2 -Wall -Wextra -Werror -static -o $@ $<
