// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model/command.hpp"

#include <optional>
#include <string>
#include <string_view>

// A command as it is stored. Pure.
// Bytes: a version byte; id, pack; dvnuuid, device, point, origin, boot id as texts; value; received wall and
// boot time, delay, ttl (signed); state (1 byte); before and after (1 byte whether there, then value);
// verdict as text; end (signed).
namespace things {

/// Both directions hold every field; decode gives none for another version, a cut or longer text, or an
/// unknown state. The bytes carry no checksum of their own.
[[nodiscard]] std::string encode(const Command& command);
[[nodiscard]] std::optional<Command> decode_command(std::string_view bytes);

} // namespace things
