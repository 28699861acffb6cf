// SPDX-License-Identifier: GPL-2.0-only
// Not hosted: tests bring an environment of their own.
#include "mm/pt_validator.hpp"

#include "mm/host_env.hpp"

namespace streak::mm {

template class PageTables<HostEnv>;
template class TableUpdater<HostEnv>;

} // namespace streak::mm
