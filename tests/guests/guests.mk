# SPDX-License-Identifier: GPL-2.0-only
# PV test guests: every folder with a main.cpp becomes $(OUT)/guests/NAME.elf. A folder modules/NAME becomes
# $(OUT)/guests/modules/NAME.elf: a kernel for domains that guests start.

OUT ?= build
CXX ?= g++

GUESTS := $(patsubst tests/guests/%/main.cpp,%,$(wildcard tests/guests/*/main.cpp))
GUEST_MODULES := $(patsubst tests/guests/modules/%/main.cpp,modules/%,$(wildcard tests/guests/modules/*/main.cpp))
GUEST_ELFS := $(patsubst %,$(OUT)/guests/%.elf,$(GUESTS) $(GUEST_MODULES))
guest_objects = $(patsubst tests/guests/%.cpp,$(OUT)/guests/%.o,$(wildcard tests/guests/$1/*.cpp))

GUEST_FLAGS := -O2 -g -Wall -Wextra -Werror -ffreestanding -fno-pie -mcmodel=kernel -mno-red-zone \
    -mgeneral-regs-only -fno-stack-protector -fno-asynchronous-unwind-tables -fno-omit-frame-pointer \
    -fcf-protection=none -Ihypervisor -I.
GUEST_CXXFLAGS := $(GUEST_FLAGS) -std=c++23 -fno-exceptions -fno-rtti -fno-threadsafe-statics
GUEST_LIB_OBJECTS := \
    $(patsubst tests/guests/lib/%.S,$(OUT)/guests/lib/%.S.o,$(wildcard tests/guests/lib/*.S)) \
    $(patsubst tests/guests/lib/%.cpp,$(OUT)/guests/lib/%.o,$(wildcard tests/guests/lib/*.cpp))

.PHONY: guests
guests: $(GUEST_ELFS)

.SECONDEXPANSION:
$(OUT)/guests/%.elf: $$(call guest_objects,$$*) $(GUEST_LIB_OBJECTS) tests/guests/lib/kernel.ld
	$(call say,LD,$@)
	$(Q)$(CXX) -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack \
	    -T tests/guests/lib/kernel.ld -o $@ $(filter %.o,$^)

$(OUT)/guests/lib/%.S.o: tests/guests/lib/%.S
	$(call say,GUEST,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CXX) $(GUEST_FLAGS) -c -o $@ $<

$(OUT)/guests/%.o: tests/guests/%.cpp
	$(call say,GUEST,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CXX) $(GUEST_CXXFLAGS) -MMD -MP -c -o $@ $<

.SECONDARY: $(foreach guest,$(GUESTS) $(GUEST_MODULES),$(call guest_objects,$(guest))) $(GUEST_LIB_OBJECTS)

-include $(wildcard $(OUT)/guests/*/*.d $(OUT)/guests/modules/*/*.d)
