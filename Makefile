# SPDX-License-Identifier: GPL-2.0-only
# Everything is built below $(OUT); `make help` lists what can be asked for.

OUT  ?= build
HV   ?= streak
V    ?= 0
JOBS ?= $(shell nproc)

MAKEFLAGS += --no-builtin-rules --no-builtin-variables -j$(JOBS)
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

CXX     := g++-12
LD      := ld
AR      := ar
PYTHON  := python3 -B
OBJCOPY := objcopy
Q       := $(if $(filter 1,$(V)),,@)
say      = @printf '  %-8s %s\n' $(1) $(patsubst $(CURDIR)/%,%,$(2))

# What is needed comes first, before fragments look for libraries. It is quick when nothing is missing.
ifneq ($(filter-out help clean format deps,$(MAKECMDGOALS)),)
$(shell mkdir -p $(OUT) && packaging/install_deps.sh packaging/deps.txt >&2)
ifneq ($(.SHELLSTATUS),0)
$(error packages are missing: see packaging/deps.txt)
endif
endif

# The tests that run on the host, and what is built for them, with counters (tests/coverage).
ifneq ($(filter test coverage test-coverage,$(MAKECMDGOALS)),)
COVERAGE := 1
endif

# ---- Sources -------------------------------------------------------------------------------------------

HV_BASE   := 0xffff82d040000000
HV_LDS    := hypervisor/hypervisor.ld
HV_SRCS   := $(sort $(wildcard hypervisor/*/*.cpp hypervisor/*/*/*.cpp xsm/*.cpp xsm/*/*.cpp \
                               hypervisor/*/*.S hypervisor/*/*/*.S))
HV_SRCS   := $(filter-out hypervisor/arch/asm_offsets.cpp, $(HV_SRCS))

# Fragments may add to HV_SRCS (more sources), HV_EXCLUDE (sources compiled otherwise), HV_OBJS (objects with
# rules of their own) and HV_LIBS (archives), and may define targets.
HV_EXCLUDE :=
HV_OBJS    :=
HV_LIBS    :=

# What no guest waits for is built for size.
HV_COLD := $(foreach folder,loader init console lib arch/boot,hypervisor/$(folder)/%) \
           $(patsubst %,hypervisor/arch/%.cpp,acpi clock cmos cpu descriptor efi font ioapic irq lapic machine msi \
             nmi panic pci percpu pic smp speculation uart vga) \
           $(patsubst %,hypervisor/domain/%.cpp,affinity event_ports grants lifecycle log_dirty memory_teardown pirq registry shutdown trace \
             vcpu_info) \
           $(patsubst %,hypervisor/mm/%.cpp,boot_memory heap host_page_table memory_map) \
           $(patsubst %,hypervisor/pv/%.cpp,context debug_registers guest_cpuid hypercall_page) \
           $(patsubst %,hypervisor/hypercall/%.cpp,call_counters callback_op console_io cpu_bitmap cpu_policy domctl domctl_context \
             domctl_devices domctl_info domctl_life domctl_log domctl_memory domctl_sched event_channel_fifo grant_setup grant_transfer machine_check memory_op \
             memory_exchange memory_reservation physdev_op platform_op set_debugreg set_trap_table sysctl trace_op unsupported vcpu_op watch \
             vm_assist xen_version)
HV_COLD := $(filter-out hypervisor/lib/string.cpp hypervisor/loader/lz4_block.cpp hypervisor/loader/zstd%, \
             $(filter $(HV_COLD), $(HV_SRCS)))

# Instructions in the order they are written in compress better than scheduled ones.
HV_SMALL := -Os -fno-schedule-insns2

HV_INCLUDES := -Ihypervisor -I. -I$(OUT)
PREFIX_MAP  := -ffile-prefix-map=$(CURDIR)=. -ffile-prefix-map=$(abspath $(OUT))=build
HV_CXXFLAGS := -std=c++23 -ffreestanding -fno-exceptions -fno-rtti -mgeneral-regs-only -mno-red-zone \
               -fPIE -fvisibility=hidden -fno-stack-protector -fno-asynchronous-unwind-tables \
               -fno-threadsafe-statics -D_GLIBCXX_ASSERTIONS -fcf-protection=none -Wall -Wextra -Werror \
               -mindirect-branch=thunk-extern -mindirect-branch-register -O2 -falign-loops=1 -falign-jumps=1 -g \
               -fno-omit-frame-pointer $(HV_INCLUDES) $(PREFIX_MAP) \
               -include lib/library_assert.hpp
HV_ASFLAGS  := -D__ASSEMBLY__ -g -Wa,--fatal-warnings -Wa,--noexecstack $(HV_INCLUDES) $(PREFIX_MAP)
HV_LDFLAGS  := -static -nostdlib -no-pie -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack \
               -Wl,--no-relax -Wl,--build-id=sha1 -Wl,-T,$(HV_LDS)

-include hypervisor/loader/decoders.mk
ifdef DECODER_ENTRIES
HV_EXCLUDE += hypervisor/loader/decoder_shims.cpp
HV_OBJS    += $(OUT)/decoders.o
endif
include tests/unit/unit.mk
include tests/guests/guests.mk
include tests/invariants/invariants.mk
-include tests/fuzz/fuzz.mk tests/coverage/coverage.mk dom0-tools/tools.mk
include tests/system/system.mk

HV_SRCS := $(sort $(filter-out $(HV_EXCLUDE), $(HV_SRCS)))
HV_OBJS := $(patsubst %,$(OUT)/obj/%.o,$(HV_SRCS)) $(HV_OBJS)

# ---- Hypervisor ----------------------------------------------------------------------------------------

.PHONY: hypervisor
hypervisor: $(OUT)/streak.gz $(OUT)/compile_commands.json  ## build/streak.gz (for GRUB) and build/streak-syms

.PHONY: debug-hypervisor
debug-hypervisor:  ## build/debug/streak.gz: Streak that checks itself after every N hypercalls (check-invariants=N)

$(OUT)/obj/%.cpp.o: %.cpp Makefile
	$(call say,CXX,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CXX) $(HV_CXXFLAGS) $(if $(filter $(HV_COLD),$<),$(HV_SMALL)) -MMD -MP -c -o $@ $<

$(OUT)/obj/%.S.o: %.S $(OUT)/asm_offsets.h
	$(call say,AS,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CXX) $(HV_ASFLAGS) -MMD -MP -c -o $@ $<

# Offsets and sizes that assembly needs: lines `->NAME value` of the compiler's output become definitions.
$(OUT)/asm_offsets.s: hypervisor/arch/asm_offsets.cpp
	$(Q)mkdir -p $(@D)
	$(Q)$(CXX) $(HV_CXXFLAGS) -g0 -MMD -MP -MF $(OUT)/asm_offsets.d -MT $@ -S -o $@ $<

$(OUT)/asm_offsets.h: $(OUT)/asm_offsets.s
	$(call say,GEN,$@)
	$(Q)sed -nE 's/^[[:space:]]*->([A-Za-z_][A-Za-z_0-9]*)[[:space:]]+\$$?(-?[0-9]+).*/#define \1 \2/p' $< > $@

# Letters for frame buffers: GRUB's own font.
$(OUT)/font_8x16.h: packaging/font.py /usr/share/grub/ascii.pf2
	$(call say,GEN,$@)
	$(Q)$(PYTHON) $^ > $@

$(OUT)/obj/hypervisor/arch/font.cpp.o: $(OUT)/font_8x16.h

$(OUT)/streak-syms: $(HV_OBJS) $(HV_LIBS) $(HV_LDS) packaging/link.py
	$(call say,LD,$@)
	$(Q)$(PYTHON) packaging/link.py --output $@ --base $(HV_BASE) -- \
	    $(CXX) $(HV_LDFLAGS) $(HV_OBJS) $(HV_LIBS)

$(OUT)/streak: $(OUT)/streak-syms
	$(Q)$(OBJCOPY) --strip-all $< $@.new
	$(Q)grub-file --is-x86-multiboot2 $@.new || { echo "$@: GRUB finds no multiboot2 header" >&2; false; }
	$(Q)mv $@.new $@

$(OUT)/streak.gz: $(OUT)/streak
	$(Q)zopfli -c $< > $@.new && mv $@.new $@
	$(call say,GZIP,"$@ ($$(( $$(stat -c %s $@) / 1024 )) KiB)")

$(OUT)/compile_commands.json: Makefile packaging/compile_commands.py $(HV_SRCS)
	$(Q)mkdir -p $(@D)
	$(Q)$(PYTHON) packaging/compile_commands.py \
	    --flags "$(CXX) $(HV_CXXFLAGS)" $(filter %.cpp,$(HV_SRCS)) \
	    --flags "$(UNIT_CXX) $(UNIT_CXXFLAGS)" $(UNIT_TESTS) > $@
	$(Q)ln -sf $@ compile_commands.json

-include $(wildcard $(patsubst %.o,%.d,$(HV_OBJS))) $(wildcard $(OUT)/asm_offsets.d)

# ---- Running -------------------------------------------------------------------------------------------

hv_image = $(if $(filter xen,$(HV)),,$(OUT)/streak.gz)
dom0_tools = $(if $(filter xen,$(HV)),,$(TOOLS_BINARIES))
system   = OUT=$(OUT) $(PYTHON) tests/system

.PHONY: deps
deps:  ## install the missing Debian packages of packaging/deps.txt
	@packaging/install_deps.sh packaging/deps.txt

.PHONY: iso
iso: $(hv_image) $(dom0_tools)  ## build/HV.iso: GRUB, hypervisor, Debian's kernel, dom0 image
	$(Q)$(system)/interactive.py --hv $(HV) --iso-only

.PHONY: run
run: $(hv_image) $(dom0_tools)  ## boot to a dom0 shell; without a terminal: demonstrate, power off
	@$(system)/interactive.py --hv $(HV)

.PHONY: shell
shell: $(hv_image) $(dom0_tools)  ## boot to a dom0 shell, always
	@$(system)/interactive.py --hv $(HV) --shell

# WHAT is dom0 or guest:NAME, a micro-kernel of tests/guests. DOM0_SYMBOLS=SYSTEM.MAP names the functions of dom0's kernel;
# COMMANDS='…; …' runs these of the debugger and leaves.
WHAT ?= dom0
.PHONY: bochs
bochs: guests $(hv_image) $(dom0_tools)  ## boot WHAT=dom0|guest:NAME in Bochs, with its debugger on the terminal
	@OUT=$(OUT) $(PYTHON) tests/bochs/debug.py --hv $(HV) --what $(WHAT) $(if $(DOM0_SYMBOLS),--dom0-symbols $(DOM0_SYMBOLS)) \
	    $(if $(COMMANDS),--commands '$(COMMANDS)')

.PHONY: bochs-profile
bochs-profile: guests $(hv_image)  ## where the instructions go while WHAT=guest:NAME runs, by function
	@OUT=$(OUT) $(PYTHON) tests/bochs/profile.py --what $(if $(filter dom0,$(WHAT)),guest:start-info,$(WHAT))

# AFTER='text': gdb stops the machine when its console shows that; GDB='…': more arguments of gdb's.
debug = OUT=$(OUT) $(PYTHON) tests/debug/session.py --what $(WHAT) --gdb '$(GDB)' --commands '$(COMMANDS)'
debug_needs = $(OUT)/streak.gz $(if $(filter guest:%,$(WHAT)),guests,$(dom0_tools))

.PHONY: gdb
gdb: $(debug_needs)  ## boot WHAT=dom0 or guest:NAME in QEMU under gdb; STOP=1 stops it at its first instruction
	@$(debug) gdb $(if $(filter 1,$(STOP)),--stop) --after '$(AFTER)'

.PHONY: record
record: $(debug_needs)  ## record a boot of WHAT in build/record, to be stepped backwards
	@$(debug) record

.PHONY: replay
replay:  ## replay the recording of WHAT under gdb: reverse-stepi, reverse-continue
	@$(debug) replay

# Manual pages are docs/man/NAME.SECTION.scd. What streak says about its commands stands in its page.
MAN_PAGES := $(patsubst docs/man/%.scd,$(OUT)/man/%,$(wildcard docs/man/*.scd))

$(OUT)/man/commands.scd: $(OUT)/tools/streak
	$(Q)mkdir -p $(@D) && $< help --scdoc > $@

$(OUT)/man/streak.1: $(OUT)/man/commands.scd
$(OUT)/man/%: docs/man/%.scd
	$(call say,MAN,$@)
	$(Q)mkdir -p $(@D)
	$(Q)sed -e '/^@COMMANDS@$$/{r $(OUT)/man/commands.scd' -e 'd}' $< | SOURCE_DATE_EPOCH=0 scdoc > $@.new && mv $@.new $@

.PHONY: man
man: $(MAN_PAGES)  ## manual pages: build/man/

.PHONY: image
image: $(OUT)/streak.gz $(TOOLS_BINARIES) $(MAN_PAGES)  ## build/image/streak.img: a bootable disk, Debian 12 with Streak installed
	@$(PYTHON) packaging/image/build.py $(OUT)/image/streak.img --make "$(MAKE)"

.PHONY: run-image
run-image: image  ## boot it to a login (root, no password), on a copy
	@OUT=$(OUT) $(PYTHON) tests/system/installed.py $(OUT)/image/streak.img --run

DESTDIR ?=

units = $(DESTDIR)/usr/lib/systemd/system

.PHONY: install
install: $(OUT)/streak.gz $(TOOLS_BINARIES) $(MAN_PAGES)  ## into DESTDIR: image, kernel hooks, GRUB's menu, toolstack, documents
	install -D -m 644 $(OUT)/streak.gz $(DESTDIR)/boot/streak.gz
	install -D -m 644 $(OUT)/streak-syms $(DESTDIR)/usr/lib/debug/boot/streak-syms
	install -D packaging/kernel/zz-streak $(DESTDIR)/etc/kernel/postinst.d/zz-streak
	install -D packaging/kernel/zz-streak $(DESTDIR)/etc/kernel/postrm.d/zz-streak
	install -D packaging/grub/20_linux_streak $(DESTDIR)/etc/grub.d/20_linux_streak
	install -D -m 644 packaging/grub/streak.cfg $(DESTDIR)/etc/default/grub.d/streak.cfg
	for program in $(TOOLS_BINARIES); do \
	    case $$program in */streak) folder=bin ;; *) folder=sbin ;; esac; \
	    install -D -s -t $(DESTDIR)/usr/$$folder $$program; done
	install -D -m 644 -t $(units) $(wildcard packaging/systemd/*.service packaging/systemd/*.mount)
	install -D -m 644 packaging/systemd/tmpfiles.conf $(DESTDIR)/usr/lib/tmpfiles.d/streak.conf
	install -D -m 644 packaging/systemd/sysusers.conf $(DESTDIR)/usr/lib/sysusers.d/streak.conf
	install -D -m 644 -t $(DESTDIR)/usr/share/doc/streak README.md docs/*.md
	install -D -m 644 -t $(DESTDIR)/usr/share/streak dom0-tools/config/domain.rng
	install -D -m 644 -t $(DESTDIR)/usr/share/bash-completion/completions packaging/completion/streak
	install -D -m 644 -t $(DESTDIR)/usr/share/streak/gdb packaging/gdb/streak.py
	install -D -m 644 -t $(DESTDIR)/usr/share/streak/gdb/streak_gdb $(wildcard packaging/gdb/streak_gdb/*.py)
	for page in $(MAN_PAGES); do install -D -m 644 -t $(DESTDIR)/usr/share/man/man$${page##*.} $$page; done

# ---- Tests ---------------------------------------------------------------------------------------------

.PHONY: test
test: $(hv_image) $(dom0_tools) $(UNIT_OUT)/unit-tests  ## every test below, one after the other
	@OUT=$(OUT) $(PYTHON) tests/run_all.py --make "$(MAKE) COVERAGE=1" --hv $(HV) checks install unit fuzz coverage cli guests \
	    $(if $(filter xen,$(HV)),,invariants bench debug) system $(if $(filter xen,$(HV)),,image) bochs

.PHONY: test-checks
test-checks: $(OUT)/streak.gz  ## limits of lines and bytes; every operation has its hook and its test
	@$(PYTHON) packaging/checks.py $<

.PHONY: test-install
test-install: $(OUT)/streak.gz  ## make install, the kernel hook and the GRUB menu in a folder of their own
	@OUT=$(OUT) $(PYTHON) tests/install/run.py --make "$(MAKE)"

.PHONY: test-unit
test-unit:  ## Catch2 tests of the pure folders, hosted, under ASan and UBSan

.PHONY: test-cli
test-cli: $(OUT)/tools/streak $(OUT)/tools/streak-stored  ## the program streak against a stand-in for streakd: output, errors, manual, completion
	@OUT=$(OUT) $(PYTHON) tests/cli/run.py

.PHONY: test-system
test-system: $(hv_image) $(dom0_tools) $(HV_PROBE) $(LOG_PROBE) $(BUILDER_PROBE) $(OUT)/system/stub $(OUT)/system/count  ## Debian's kernel as dom0 in QEMU: disks, networks, firmware, stress
	@$(system)/run.py --hv $(HV) --suite full

.PHONY: test-image
test-image: image  ## the disk image in QEMU: services, restarts, power-off
	@OUT=$(OUT) $(PYTHON) tests/system/installed.py $(OUT)/image/streak.img

.PHONY: test-bochs
test-bochs: $(hv_image)  ## the smoke subset in Bochs
	@OUT=$(OUT) $(PYTHON) tests/bochs/run.py --hv $(HV)

.PHONY: soak
soak: $(hv_image)  ## 20 dom0 boots in a row
	@$(system)/run.py --hv $(HV) --case boot --repeat 20

.PHONY: test-guests
test-guests: guests $(hv_image)  ## small PV kernels booted as dom0
	@$(PYTHON) tests/guests/run.py --hv $(HV) --jobs 2 --image $$($(system)/host.py $(HV)) || failed=1; \
	[ $(HV) = xen ] || $(PYTHON) tests/guests/boot_errors.py || failed=1; \
	[ $(HV) = xen ] || $(PYTHON) tests/guests/serial_stall.py || failed=1; exit $${failed:-0}

.PHONY: test-debug
test-debug: guests $(hv_image) $(dom0_tools)  ## gdb's commands on small PV kernels, a recording that goes backwards, docs/debugging.md
	@OUT=$(OUT) $(PYTHON) tests/debug/run.py || failed=1; $(PYTHON) tests/debug/page.py || failed=1; exit $${failed:-0}

.PHONY: test-invariants
test-invariants:  ## Streak checks itself while a hostile guest makes 200 000 hypercalls; the check finds faults

.PHONY: fuzz-guest
fuzz-guest:  ## CALLS=N hypercalls of a hostile guest, with SEED=N, CHECKS=N (calls between two checks), QEMU='-smp 2'

bench_needs := guests $(hv_image) $(TOOLS_BINARIES) $(LOG_PROBE) $(OUT)/system/stub $(OUT)/system/count

.PHONY: bench
bench: $(bench_needs)  ## instructions per operation, Streak and Xen side by side; IN=bochs: counted by Bochs
	@OUT=$(OUT) $(PYTHON) tests/bench/run.py $(if $(filter bochs,$(IN)),--bochs)

.PHONY: test-bench
test-bench: $(bench_needs)  ## no operation takes 10 % more instructions than in tests/bench/baseline.json
	@OUT=$(OUT) $(PYTHON) tests/bench/run.py --short

.PHONY: bench-baseline
bench-baseline: guests $(hv_image)  ## make today's counts that baseline
	@OUT=$(OUT) $(PYTHON) tests/bench/run.py --update

.PHONY: conformance
conformance:  ## docs/conformance.md: the ABI's operations with their handlers, hooks and tests
	@$(PYTHON) -B tests/conformance/run.py

# ---- House-keeping -------------------------------------------------------------------------------------

format_files = $(shell git ls-files -co --exclude-standard '*.cpp' '*.hpp')

.PHONY: format
format:  ## clang-format over all sources
	clang-format-19 -i $(format_files)

LINT ?= $(filter %.cpp,$(HV_SRCS))
.PHONY: lint
lint: $(OUT)/compile_commands.json $(OUT)/asm_offsets.h  ## clang-tidy; LINT="FILE..." for some files only
	printf '%s\n' $(LINT) | xargs -P$(JOBS) -n1 clang-tidy-19 --quiet -p $(OUT) \
	    --extra-arg=-Wno-unknown-warning-option --extra-arg=-Wno-error

.PHONY: clean
clean:  ## remove build/
	rm -rf $(OUT) compile_commands.json

.PHONY: help
help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(filter Makefile %.mk,$(MAKEFILE_LIST)) | sort -u -t: -k1,1 | \
	    sed -E 's/^([a-z-]+):.*## *(.*)/\1|\2/' | while IFS='|' read -r target text; do \
	    printf '  make %-17s %s\n' "$$target" "$$text"; done
	@echo "  HV=xen runs and tests Debian's Xen instead, as a comparison; V=1 shows the commands."
