// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "config/config.hpp"

#include <string>
#include <string_view>

// Values as text for people, YAML and JSON. Pure.
namespace things {

/// A scalar for YAML that reads back as the same: quoted where it would be taken for something else.
std::string yaml_text(std::string_view text);
/// A JSON string with its quotes.
std::string json_text(std::string_view text);

/// `true`, `-5`, `0.1`, `"on"`: a value for YAML.
std::string yaml_value(const Value& value);
std::string yaml_scalar(const Scalar& scalar);
/// A plugin's setting for YAML; secrets become a stand-in, durations get their unit. `key` may be null.
/// Lists and maps in flow style, on one line.
std::string yaml_setting(const Setting& setting, const KeyDescription* key);

/// A count of bytes for people: `1.2 MB`.
std::string bytes_text(double bytes);

} // namespace things
