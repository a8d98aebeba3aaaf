// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

// What the platform would make of a body: RFC 8428, in the strict reading this simulator takes of it. Written
// for the simulator alone and sharing nothing with the daemon, so that one mistake cannot hide the other.
// Pure; throws nothing but bad_alloc, bounded by the size of the body.
namespace things::simulator {

/// How strict: the subset KPN documents (bn bt n u t v vb vs vd, base fields in the first record only), or
/// all of the RFC (base fields anywhere, bu bv bs s ut bver too).
enum class Dialect { kpn, rfc };

struct Rules {
    Dialect dialect = Dialect::kpn;
    double oldest = 1577836800; // 2020-01-01; what is older comes from a clock that was never set
    double ahead = 86400;       // seconds a reading may lie in the future
};

/// A resolved record: full name split into base and point, absolute time.
struct Accepted {
    std::string name; // without the base name
    std::string unit; // empty: none
    double time = 0;  // seconds since 1970
    std::variant<double, bool, std::string> value;
    bool is_data = false; // value is base64url (vd)
};

struct Pack {
    std::string base_name;
    std::vector<Accepted> readings;
    bool has_white_space = false; // outside strings; allowed, but a sender that minds its bytes has none
};

/// The outcome. `base_name` is set as soon as the first record gave one, even if the pack is refused, since
/// the platform looks up the device before it looks at the readings.
struct Checked {
    Pack pack;
    std::optional<std::string> refusal; // why not; nothing if the pack is good
};

/// Parses and checks one body that arrived at `now` (seconds since 1970).
Checked check_senml(std::string_view body, double now, const Rules& rules);

/// Is `unit` in the SenML registry (RFC 8428, RFC 8798, and what IANA added since)?
bool is_unit(std::string_view unit);

} // namespace things::simulator
