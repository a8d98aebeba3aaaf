// SPDX-License-Identifier: Apache-2.0
#include "config/brackets.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <string>

using namespace things;

namespace {

/// "kind line:column" of what is open at the end.
std::string open_at_end(std::string_view text) {
    constexpr int end = std::numeric_limits<int>::max();
    std::string all;
    for (const Bracket& bracket : open_brackets(text, end, end, 32))
        all += std::string(all.empty() ? "" : " ") + bracket.kind + std::to_string(bracket.line) + ":" +
               std::to_string(bracket.column);
    return all;
}

} // namespace

TEST_CASE("brackets that begin a list or a mapping are counted, those in text are not") {
    CHECK(open_at_end("a: [1, {b: 2}") == "[1:4");
    CHECK(open_at_end("a: [1, {b: [2}]\n") == "[1:4");
    CHECK(open_at_end("- {a: 1\n- {b: 2}\n") == "{1:3");
    CHECK(open_at_end("a: b[c{d\ne: f\n") == "");
    CHECK(open_at_end("a: # [{\n  1\n# [\n") == "");
    CHECK(open_at_end("a: \"[{\\\"[\"\nb: '[''['\n") == "");
    CHECK(open_at_end("[a: [b]]") == "");
    CHECK(open_at_end("a: |\n  [{\n\n   [\nb: >-\n  [\nc: [") == "[7:4");
    CHECK(open_at_end("- |\n  [\n- [\n") == "[3:3");
    CHECK(open_at_end("  - a: |\n      [\n    b: [1]\n") == "");
    CHECK(open_at_end("a: some text\n  [goes on\nb: {") == "{3:4");
    CHECK(open_at_end("&x [!t {*y, a]") == "[1:4");
    CHECK(open_at_end("a: [\n--- \nb: [") == "[3:4");
    CHECK(open_at_end("a: {b: \"x}\n") == "{1:4 \"1:8");
}

TEST_CASE("what is open before a place, and no deeper than asked") {
    CHECK(open_brackets("a: [[\n]]", 1, 5, 32).size() == 1);
    CHECK(open_brackets("a: [[\n]]", 2, 1, 32).size() == 2);
    CHECK(open_brackets("a: [[\n]]", 2, 2, 32).size() == 1);
    CHECK(open_brackets(std::string(1'000'000, '['), 9, 1, 32).size() == 33);
}
