// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model/downlink.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

// The body of an answer as a downlink: SenML (RFC 8428) read tolerantly, see parse_downlink. Pure; any
// thread; bounded in time and memory whatever the bytes are.
namespace things {

/// Larger bodies are refused unread.
inline constexpr std::size_t downlink_max_bytes = std::size_t{64} * 1024;
/// More records for one device than this are refused.
inline constexpr std::size_t downlink_max_records = 100;

/// Exactly one of three: a downlink; a reason why the body is none; neither, when nothing is asked.
/// `foreign` may stand beside any of them.
struct ParsedDownlink {
    std::optional<Downlink> downlink;
    std::string reason;       ///< in words; never longer than a line
    std::size_t foreign = 0;  ///< records for another base name, ignored
    std::string foreign_name; ///< the first of them, shortened
};

/// Reads `body`, the answer to a post of the device named `base_name` ("urn:dev:DVNUUID:<uuid>:").
/// - Empty or white space, or no record for this device: nothing is asked.
/// - Base fields in any record; base-only records; names with or without the base name (`pump`, or the full
///   name), the base name compared without regard to case; unknown labels ignored.
/// - Refused as a whole: anything but an array of objects, a label ending in `_`, a duplicate label, a wrong
///   type, none or two values in a record that names something, a `bver` we do not know, numbers beyond 64
///   bit or a double's range, invalid UTF-8, nesting deeper than 16.
///
/// Costs one parser of the body's size. Numbers stay exact up to 64 bits; `bv` + `v` is added exactly where
/// both are integers.
[[nodiscard]] ParsedDownlink parse_downlink(std::string_view body, std::string_view base_name);

} // namespace things
