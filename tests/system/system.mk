# SPDX-License-Identifier: GPL-2.0-only
# Programs that system tests run in dom0.

HV_PROBE := $(OUT)/system/hv-probe
HV_PROBE_OBJS := $(patsubst %,$(OUT)/tools/obj/%.o,$(wildcard tests/system/hv_probe/*.cpp))

$(HV_PROBE): $(HV_PROBE_OBJS) $(OUT)/tools/libstreak.a
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D)
	$(Q)$(CXX) -static -no-pie -Wl,--gc-sections -o $@ $^

-include $(HV_PROBE_OBJS:.o=.d)
