// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model/setting.hpp"
#include "things_plugin.h"

#include <string>

// What a plugin's table says of itself, believed only as far as its sizes reach. Pure; any thread.
namespace things {

/// Copies a foreign table: fields beyond its size are null. Throws std::runtime_error with the reason if it
/// is no table of ours: null, another major version, too short for what every plugin must have.
/// `table` must be null or point to at least a size and a version.
things_plugin copy_table(const things_plugin* table);

/// The description in a table that `copy_table` returned. Every text is bounded and copied. Throws
/// std::runtime_error with the reason if a name is missing or a key makes no sense.
/// At most 1,000 keys; names of a-z 0-9 - _ below 100 bytes, other texts cut at 4,000. One that can neither
/// poll nor listen is refused, as is a key that is described twice.
PluginDescription describe(const things_plugin& table);

/// Bounds and cleans every text of a description that came over a socket (clean_text).
void clean(PluginDescription& description);

} // namespace things
