// SPDX-License-Identifier: Apache-2.0
#include "plugins/p1/sample.hpp"

#include <doctest/doctest.h>

#include <random>

using namespace things;

TEST_CASE("every sample stream decodes to the JSON beside it, however it is cut") {
    std::vector<std::string> names = sample_names();
    REQUIRE(names.size() == 33);
    for (const std::string& name : names) {
        CAPTURE(name);
        simdjson::dom::parser parser;
        simdjson::dom::element json = sample_json(name, parser);
        std::string bytes = sample_bytes(name);
        REQUIRE(bytes.size() == std::uint64_t(json["bytes"]));
        check_sample(json, decode_sample(json, bytes, [&bytes] { return bytes.size(); }));
        check_sample(json, decode_sample(json, bytes, [] { return std::size_t{1}; }));
        for (unsigned seed = 0; seed < 20; ++seed) {
            CAPTURE(seed);
            std::minstd_rand random(seed);
            check_sample(json,
                         decode_sample(json, bytes, [&random] { return std::size_t{1 + random() % 97}; }));
        }
    }
}
