// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <span>

#include "tests/guests/modules/fuzz/values.hpp"

namespace fuzz {

/// A member of a structure of the ABI, or (Form::registers) an argument.
struct Field {
    u16 offset;
    u8 size;
    Kind kind;
    u64 parameter = 0;
};

/// How a call's arguments reach the hypervisor.
enum class Form : u8 {
    registers,       ///< the structure is the registers
    command_pointer, ///< command, structure
    command_list,    ///< command, structures, their number
    command_vcpu,    ///< command, vCPU, structure
    pointer,         ///< structure, which has the command
    list             ///< structures, their number, how many were done, whose
};

struct Operation;
/// What is remembered when it has succeeded.
using Note = void (*)(Player& player, const u8* structure);

/// A row of the table of all that a guest can ask for.
struct Operation {
    const char* name;
    u8 hypercall;
    Form form;
    u8 weight; ///< how often, relative to the others; 0: only as a part of a sequence
    u32 command;
    u16 size; ///< of the structure
    std::span<const Field> fields;
    Note note = nullptr;
    int status_at = -1;     ///< grants: where the structure tells of success
    bool forbidden = false; ///< never succeeds for a domain without privileges
};

extern const std::span<const Operation> operations;

} // namespace fuzz
