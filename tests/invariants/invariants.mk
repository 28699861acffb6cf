# SPDX-License-Identifier: GPL-2.0-only
# HV_DEBUG=1: the image has the check of docs/testing.md linked in. Files that replace ones of the hypervisor include them.

INVARIANT_SRCS := $(wildcard tests/invariants/*.cpp)

ifeq ($(HV_DEBUG),1)
HV_SRCS    += $(INVARIANT_SRCS)
HV_EXCLUDE += hypervisor/mm/frame_allocator.cpp hypervisor/mm/heap.cpp hypervisor/domain/timers.cpp
HV_CXXFLAGS += -DHV_DEBUG
$(INVARIANT_SRCS:%=$(OUT)/obj/%.o): HV_CXXFLAGS += -fno-access-control
endif

debug-hypervisor:
	@$(MAKE) --no-print-directory OUT=$(OUT)/debug HV_DEBUG=1 $(OUT)/debug/streak.gz

# The fuzzer of hypercalls: in a stage of `make test`, and as long as one likes.
fuzz_guest = $(PYTHON) tests/guests/run.py --image $(OUT)/debug/streak.gz --hv-append check-invariants=$(1) --timeout $(2)

test-invariants: guests debug-hypervisor
	@OUT=$(OUT) $(PYTHON) tests/invariants/run.py || failed=1; \
	$(call fuzz_guest,500,300) --append 'calls=60000 rounds=2 seed=2568227977' fuzz-domu || failed=1; \
	$(call fuzz_guest,1000,300) --qemu '-smp 2' --append 'calls=40000 rounds=2 vcpus=2 seed=2568227977' fuzz-domu || failed=1; exit $${failed:-0}

CALLS  ?= 1000000
CHECKS ?= 20000
round  := 200000
fuzz-guest: guests debug-hypervisor
	@$(call fuzz_guest,$(CHECKS),1000000) $(if $(QEMU),--qemu '$(QEMU)') --echo \
	    --append 'calls=$(round) rounds=$(shell echo $$((($(CALLS) + $(round) - 1) / $(round)))) $(if $(SEED),seed=$(SEED)) $(WORDS)' fuzz-domu
