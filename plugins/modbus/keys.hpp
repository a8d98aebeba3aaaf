// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "things_plugin.h"

#include <cstdint>

// The keys that the modbus plugin understands, with default, range and one sentence of help each. The host
// validates the YAML with this table and prints it with `plugins show modbus`; settings.hpp applies the
// defaults.
namespace things {

struct ModbusKeys {
    const things_key* const* keys;
    std::uint32_t count;
};

/// Lives as long as the program.
/// The array and what it points to are never changed.
ModbusKeys modbus_keys();

} // namespace things
