// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model/reading.hpp"
#include "queue/books.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// A dead letter as it is stored: in the hot log until the next commit, then in the archive. Pure.
// Bytes: id, device, series, time in ms (signed), value, reason as text, time of setting aside (signed).
namespace things {

struct StoredLetter {
    std::uint64_t id = 0;
    DeviceId device = 0;
    Reading reading; ///< stamp: wall
    std::string reason;
    std::int64_t wall_ms = 0;
};

/// As with commands: no checksum of their own; decode gives none for bytes that are cut or longer.
[[nodiscard]] std::string encode(const StoredLetter& letter);
[[nodiscard]] std::optional<StoredLetter> decode_letter(std::string_view bytes);

} // namespace things
