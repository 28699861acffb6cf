# SPDX-License-Identifier: GPL-2.0-only
#
# $(OUT)/decoders.o: the decoders of Debian's static libraries (liblzma-dev, zlib1g-dev, liblzo2-dev) in one relocatable object whose sections are .init.* and whose only global symbols are
# the entry points below. Undefined in it: memcpy memmove memset memcmp (lib/string.cpp).
#
# Needs: OUT (build directory), CXX, LD, OBJCOPY. Include from the hypervisor's Makefile.

DECODER_DIR := $(dir $(lastword $(MAKEFILE_LIST)))
DECODER_ARCHIVES := $(foreach l,lzma z lzo2,$(shell $(CXX) -print-file-name=lib$(l).a))
DECODER_ENTRIES := lzma_stream_buffer_decode inflateInit2_ inflate inflateEnd adler32 \
                   lzo1x_decompress_safe
DECODER_CXXFLAGS := -std=c++23 -ffreestanding -fno-builtin -fno-exceptions -fno-rtti -mgeneral-regs-only \
                    -mno-red-zone -fPIE -fno-stack-protector -fno-asynchronous-unwind-tables \
                    -fno-threadsafe-statics -Wall -Wextra -Werror -O2

$(OUT)/decoder_shims.o: $(DECODER_DIR)decoder_shims.cpp $(DECODER_DIR)decoders.mk
	$(CXX) $(DECODER_CXXFLAGS) -c $< -o $@

# The shims come first: what they define is not taken from an archive any more.
$(OUT)/decoders.o: $(OUT)/decoder_shims.o $(DECODER_DIR)decoders.lds $(DECODER_ARCHIVES)
	$(LD) -r -T $(DECODER_DIR)decoders.lds $(addprefix -u ,$(DECODER_ENTRIES)) -o $@.tmp \
	    $(OUT)/decoder_shims.o --start-group $(DECODER_ARCHIVES) --end-group
	$(OBJCOPY) --strip-debug $(addprefix --keep-global-symbol=,$(DECODER_ENTRIES)) $@.tmp $@
	rm -f $@.tmp
