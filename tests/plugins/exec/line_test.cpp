// SPDX-License-Identifier: Apache-2.0
#include "exec/line.hpp"

#include <doctest/doctest.h>

namespace things {

TEST_CASE("a reading has a point, a value and perhaps a time") {
    const Line line = parse_line(R"({"point":"temperature","value":21.5,"time":1700000000.25})");
    CHECK(line.kind == Line::Kind::readings);
    REQUIRE(line.values.size() == 1);
    CHECK(line.values[0].first == "temperature");
    CHECK(line.values[0].second == LineValue(21.5));
    CHECK(line.time_ms == 1'700'000'000'250);
}

TEST_CASE("several readings share a line, integers stay exact") {
    const Line line = parse_line(
        R"({"values":{"a":true,"b":-9223372036854775808,"c":18446744073709551615,"d":"x\u00e9","e":null}})");
    REQUIRE(line.kind == Line::Kind::readings);
    REQUIRE(line.values.size() == 4);
    CHECK(line.values[0].second == LineValue(true));
    CHECK(line.values[1].second == LineValue(INT64_MIN));
    CHECK(line.values[2].second == LineValue(UINT64_MAX));
    CHECK(line.values[3].second == LineValue(std::string("x\xc3\xa9")));
    CHECK_FALSE(line.time_ms.has_value());
}

TEST_CASE("problems, notes and answers are told apart") {
    Line line = parse_line(R"({"problem":"no sensor","code":"bus","point":"t"})");
    CHECK(line.kind == Line::Kind::problem);
    CHECK(line.text == "no sensor");
    CHECK(line.code == "bus");
    CHECK(line.field == "t");
    CHECK(parse_line(R"({"recovered":"there again"})").kind == Line::Kind::recovered);
    CHECK(parse_line(R"({"note":"hello"})").kind == Line::Kind::note);
    line = parse_line(R"({"note":"battery low","point":"t"})");
    CHECK(line.kind == Line::Kind::note);
    CHECK(line.text == "battery low");
    CHECK(line.field == "t");
    CHECK(parse_line(R"({"note":"firmware 2.1","point":"t","value":1})").kind == Line::Kind::readings);
    line = parse_line(R"({"done":7,"value":20})");
    CHECK(line.kind == Line::Kind::done);
    CHECK(line.id == 7);
    CHECK(line.value == LineValue(std::int64_t{20}));
    line = parse_line(R"({"failed":8,"text":"too hot"})");
    CHECK(line.kind == Line::Kind::failed);
    CHECK(line.text == "too hot");
    CHECK(parse_line("  \r").kind == Line::Kind::empty);
}

TEST_CASE("what is no line of ours is said to be so") {
    for (const char* text :
         {"hello", "{", "[]", "1", "{}", R"({"point":"a"})", R"({"point":"a","value":null})",
          R"({"point":"a","value":[1]})", R"({"values":[1]})", R"({"values":{"a":{}}})",
          R"({"point":"a","value":1,"time":"now"})", R"({"point":"a","value":1,"time":-1})",
          R"({"point":"a","value":1,"time":1e300})", R"({"done":"x"})", R"({"done":-1})",
          "{\"point\":\"\xff\",\"value\":1}", R"({"point":"a","value":1e999})"}) {
        CAPTURE(text);
        const Line line = parse_line(text);
        CHECK(line.kind == Line::Kind::invalid);
        CHECK_FALSE(line.text.empty());
    }
    CHECK(parse_line(std::string(longest_line + 1, 'x')).kind == Line::Kind::invalid);
    CHECK(parse_line(std::string(10'000, '[')).kind == Line::Kind::invalid);
}

TEST_CASE("what the program gets to read is JSON, whatever the names are") {
    CHECK(poll_line(3, {"a", "b\"\\\n"}) == "{\"poll\":3,\"points\":[\"a\",\"b\\\"\\\\\\u000a\"]}\n");
    CHECK(write_line(4, "s", LineValue(0.1)) == "{\"write\":4,\"point\":\"s\",\"value\":0.1}\n");
    CHECK(write_line(5, "s", LineValue(true)) == "{\"write\":5,\"point\":\"s\",\"value\":true}\n");
    CHECK(write_line(6, "s", LineValue(std::string("on"))) ==
          "{\"write\":6,\"point\":\"s\",\"value\":\"on\"}\n");
}

TEST_CASE("bytes become lines wherever they were torn, and one without end does not fill the memory") {
    LineBuffer buffer;
    buffer.feed("ab");
    CHECK_FALSE(buffer.next().has_value());
    buffer.feed("c\nd\n\ne");
    CHECK(buffer.next() == "abc");
    CHECK(buffer.next() == "d");
    CHECK(buffer.next() == "");
    CHECK_FALSE(buffer.next().has_value());
    const std::string piece(10'000, 'x');
    for (int i = 0; i < 100; ++i) {
        buffer.feed(piece);
        CHECK_FALSE(buffer.next().has_value());
    }
    CHECK(buffer.take_overlong() == 1);
    buffer.feed("tail\ngood\n");
    CHECK(buffer.next() == "good");
    buffer.feed(std::string(70'000, 'x') + "\nnext\n");
    CHECK(buffer.next() == "next");
    CHECK(buffer.take_overlong() == 1);
}

} // namespace things
