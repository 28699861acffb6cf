# SPDX-License-Identifier: GPL-2.0-only
# PV test guests: every folder with a main.cpp becomes $(OUT)/guests/NAME.elf.

OUT ?= build
CXX ?= g++

GUESTS := $(patsubst tests/guests/%/main.cpp,%,$(wildcard tests/guests/*/main.cpp))
GUEST_ELFS := $(GUESTS:%=$(OUT)/guests/%.elf)

GUEST_FLAGS := -O2 -g -Wall -Wextra -Werror -ffreestanding -fno-pie -mcmodel=kernel -mno-red-zone \
    -mgeneral-regs-only -fno-stack-protector -fno-asynchronous-unwind-tables -fno-omit-frame-pointer \
    -fcf-protection=none -Ihypervisor -I.
GUEST_CXXFLAGS := $(GUEST_FLAGS) -std=c++23 -fno-exceptions -fno-rtti -fno-threadsafe-statics
GUEST_LIB_OBJECTS := \
    $(patsubst tests/guests/lib/%.S,$(OUT)/guests/lib/%.S.o,$(wildcard tests/guests/lib/*.S)) \
    $(patsubst tests/guests/lib/%.cpp,$(OUT)/guests/lib/%.o,$(wildcard tests/guests/lib/*.cpp))

.PHONY: guests
guests: $(GUEST_ELFS)

$(OUT)/guests/%.elf: $(OUT)/guests/%/main.o $(GUEST_LIB_OBJECTS) tests/guests/lib/kernel.ld
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

.SECONDARY: $(GUESTS:%=$(OUT)/guests/%/main.o) $(GUEST_LIB_OBJECTS)

-include $(wildcard $(OUT)/guests/*/*.d)
