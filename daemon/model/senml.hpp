// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model/reading.hpp"

#include <cstddef>
#include <string>
#include <string_view>

// The wire form: SenML (RFC 8428) in JSON, in the subset that KPN Things documents. Pure; one object a
// thread.
//
// A pack, as sent (one line, no white space). The base fields stand in the first measurement, `t` counts
// seconds from `bt`, and is left out when 0:
//   [{"bn":"urn:dev:DVNUUID:6f1c2b9e-4a57-4d0b-9c3e-2f8a1d7e5b40:","bt":1700000000.5,"n":"temperature",
//     "u":"Cel","v":20.5},{"n":"pump","t":10,"vb":true},{"n":"mode","t":10.25,"vs":"off"}]
namespace things {

/// Times below this many seconds mean "relative to now" (RFC 8428 4.5.3), so they cannot be sent.
constexpr std::int64_t senml_first_absolute_ms = (std::int64_t{1} << 28) * 1000;

/// Whether a unit is allowed the configuration decides; the writer sends what it is given.
enum class UnitKind : std::uint8_t {
    unknown,
    primary,   ///< RFC 8428, RFC 8798 section 2 and the registry
    secondary, ///< RFC 8798 section 3 (kWh, hPa, ppm ...): sent as it is, without `bver`
};
/// What the SenML registry says of a unit.
[[nodiscard]] UnitKind find_unit(std::string_view unit);

/// Characters; ours: neither the RFC nor the platform tells a limit.
inline constexpr std::size_t longest_senml_name = 200;

/// Whether `name` may stand behind a base name: only A-Z a-z 0-9 - : . / _ (RFC 8428 4.5.1), not empty, at
/// most longest_senml_name.
[[nodiscard]] bool is_senml_name(std::string_view name);

/// "urn:dev:DVNUUID:<dvnuuid>:", the id exactly as configured.
[[nodiscard]] std::string senml_base_name(std::string_view dvnuuid);

/// The part of a record that is the same for every reading of a series.
struct SenmlSeries {
    std::string members; ///< `"n":"temperature","u":"Cel"`
    std::string refusal; ///< why no reading of it can be sent; empty if they can
};
/// Never fails: what cannot be sent has its refusal. A unit is at most 32 printable characters.
[[nodiscard]] SenmlSeries make_senml_series(std::string_view name, std::string_view unit);

/// Why this value at this time cannot be sent (NaN, infinite, a time before 1978); empty if it can.
/// Also refused: after the year 9999. The text lives as long as the process.
[[nodiscard]] std::string_view find_senml_refusal(const Value& value, std::int64_t wall_ms);

/// Writes one pack at a time into a buffer of its own, which is reused.
class SenmlWriter {
public:
    /// Begins a new pack; what was written before is gone.
    /// `base_name` is escaped and copied.
    void begin(std::string_view base_name);
    /// Adds a reading that can be sent (see the refusals above). False, and nothing changed, if the pack
    /// with its closing bracket would be longer than `max_bytes`; the first reading always fits.
    /// `members` as make_senml_series() gave them. Numbers are the shortest that read back as the same, with
    /// less than 19 characters of mantissa (RFC 8428 section 4.3); text that is no UTF-8 has U+FFFD in its
    /// place.
    bool add(std::string_view members, std::int64_t wall_ms, const Value& value, std::size_t max_bytes);
    /// Closes the pack. The text is valid until the next begin(). Not to be called without a reading.
    [[nodiscard]] std::string_view finish();

private:
    /// Room for so many bytes more; the buffer grows by doubling and never shrinks.
    char* reserve(std::size_t bytes);

    std::string base_name_; ///< JSON-escaped
    std::string buffer_;    ///< its size is capacity; `length_` bytes are in use
    std::size_t length_ = 0;
    std::int64_t base_ms_ = 0;
    bool is_empty_ = true;
};

} // namespace things
