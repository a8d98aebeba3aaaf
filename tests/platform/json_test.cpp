// SPDX-License-Identifier: Apache-2.0
#include "platform/json.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <stdexcept>

using things::json_number;
using things::json_string;
using things::JsonWriter;

TEST_CASE("text is escaped and always valid UTF-8") {
    CHECK(json_string("") == "\"\"");
    CHECK(json_string("a\"b\\c/d") == "\"a\\\"b\\\\c/d\"");
    CHECK(json_string("\n\r\t\b") == "\"\\n\\r\\t\\u0008\"");
    CHECK(json_string(std::string("\0\x1f\x7f", 3)) == "\"\\u0000\\u001f\\u007f\"");
    CHECK(json_string("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80") == "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
    const std::string replaced = "\xEF\xBF\xBD";
    CHECK(json_string("a\xff") == "\"a" + replaced + "\"");
    CHECK(json_string("\xc0\xaf") == "\"" + replaced + replaced + "\"");                // overlong
    CHECK(json_string("\xed\xa0\x80") == "\"" + replaced + replaced + replaced + "\""); // surrogate
    CHECK(json_string("\xf4\x90\x80\x80").size() == 2 + 4 * 3);                         // above U+10FFFF
    CHECK(json_string("\xe2\x82") == "\"" + replaced + replaced + "\"");                // cut short
}

TEST_CASE("numbers are the shortest that read back") {
    CHECK(json_number(0.1) == "0.1");
    CHECK(json_number(21) == "21");
    CHECK(json_number(-0.5) == "-0.5");
    CHECK(json_number(100000) == "100000");
    CHECK(json_number(1e300) == "1e+300");
    CHECK(json_number(std::nan("")) == "null");
    CHECK(json_number(std::numeric_limits<double>::infinity()) == "null");
}

TEST_CASE("a document that is not well formed is a bug that is told, in every build") {
    CHECK_THROWS_AS(JsonWriter().end(), std::logic_error);
    CHECK_THROWS_AS(JsonWriter().key("a"), std::logic_error);
    CHECK_THROWS_AS(JsonWriter().array().key("a"), std::logic_error);
    CHECK_THROWS_AS(JsonWriter().object().end().end(), std::logic_error);
}

TEST_CASE("a document is nested and separated") {
    JsonWriter json;
    json.object()
        .member("a", 1)
        .key("b")
        .array()
        .value(true)
        .null()
        .value("x")
        .object()
        .end()
        .array()
        .end()
        .end();
    json.member("c", things::Value(std::string("y"))).member("d", 2.5).key("e").raw("{\"f\":1}").end();
    CHECK(json.text() == R"({"a":1,"b":[true,null,"x",{},[]],"c":"y","d":2.5,"e":{"f":1}})");
}
