// SPDX-License-Identifier: Apache-2.0
#include "platform/printable.hpp"

#include "platform/json.hpp"

#include <doctest/doctest.h>

#include <string>

using things::printable;

TEST_CASE("what a terminal would obey is shown, in every alphabet what it would print is kept") {
    CHECK(printable("21.5 \xc2\xb0"
                    "C, caf\xc3\xa9, \xe6\xb8\xa9, \xf0\x9f\x94\xa5") ==
          "21.5 \xc2\xb0"
          "C, caf\xc3\xa9, \xe6\xb8\xa9, \xf0\x9f\x94\xa5");
    CHECK(printable("nope\x1b[2J\x1b]0;T\x07\nFORGED\t\x7f") ==
          R"(nope\x1b[2J\x1b]0;T\x07\x0aFORGED\x09\x7f)");
    CHECK(printable(std::string("a\0b", 3)) == R"(a\x00b)");
    CHECK(printable("\xc2\x9b"
                    "31m\xc2\x80\xc2\x9f\xc2\xa0") == "\\u{9b}31m\\u{80}\\u{9f}\xc2\xa0"); // C1
    CHECK(printable("\xe2\x80\xa8\xe2\x80\xa9") == R"(\u{2028}\u{2029})");
    CHECK(printable("\xe2\x80\xaa\xe2\x80\xae\xe2\x81\xa6\xe2\x81\xa9") ==
          R"(\u{202a}\u{202e}\u{2066}\u{2069})");
    // A lone C1 byte, an overlong newline, a surrogate, a sequence that breaks off.
    CHECK(printable("\x9b"
                    "2J") == R"(\x9b2J)");
    CHECK(printable("\xc0\x8a") == R"(\xc0\x8a)");
    CHECK(printable("\xed\xa0\x80") == R"(\xed\xa0\x80)");
    CHECK(printable("\xe2\x82") == R"(\xe2\x82)");
}

TEST_CASE("a text is cut between characters") {
    CHECK(printable("abcdef", 6) == "abcdef");
    CHECK(printable("abcdefg", 6) == "abcdef...");
    CHECK(printable("abc\xc3\xa9", 4) == "abc...");
    CHECK(printable("abc\n", 6) == "abc...");
    CHECK(printable("abc\n", 7) == R"(abc\x0a)");
    CHECK(printable(std::string(1000000, 'x')).size() == things::printable_most + 3);
    CHECK(printable("").empty());
}

TEST_CASE("JSON holds the same characters escaped, so that `--json` may be shown too") {
    CHECK(things::json_string("\x1b\x7f\xc2\x9b\xe2\x80\xa8\xe2\x80\xae\xff\xc3\xa9") ==
          "\"\\u001b\\u007f\\u009b\\u2028\\u202e\xef\xbf\xbd\xc3\xa9\"");
    CHECK(things::printable_json("{\"a\":\"\xc2\x9b\x7f\xc3\xa9\"}") == "{\"a\":\"\\u009b\\u007f\xc3\xa9\"}");
}
