// SPDX-License-Identifier: GPL-2.0-only
#include "loader/load_error.hpp"

namespace streak::loader {

std::string_view describe(LoadErrc code) {
    switch (code) {
#define LOAD_ERROR(name, sentence)                                                                                     \
    case LoadErrc::name: return sentence;
#include "loader/load_error.def"
#undef LOAD_ERROR
    }
    return "unknown error";
}

} // namespace streak::loader
