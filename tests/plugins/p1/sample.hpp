// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "p1/telegram_stream.hpp"

#include <simdjson.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

// The sample streams of tests/plugins/p1/telegrams, each with the JSON that says what a reader must make of
// it.
namespace things {

/// Names without extension, all of them.
std::vector<std::string> sample_names();
std::string sample_bytes(const std::string& name);
simdjson::dom::element sample_json(const std::string& name, simdjson::dom::parser& parser);
/// Feeds the bytes through whatever the sample's options ask for. `cut` says how long the next piece is.
std::vector<FoundTelegram> decode_sample(const simdjson::dom::element& json, const std::string& bytes,
                                         const std::function<std::size_t()>& cut);
/// Compares everything the JSON says with what was found; tells doctest.
void check_sample(const simdjson::dom::element& json, const std::vector<FoundTelegram>& found);

} // namespace things
