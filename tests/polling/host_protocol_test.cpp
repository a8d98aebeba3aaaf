// SPDX-License-Identifier: Apache-2.0
#include "polling/host_protocol.hpp"
#include "polling/plugin_config.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <limits>

namespace things {

TEST_CASE("the example of the header is what is written") {
    const std::string payload = encode(WriteFrame{2, Value(1.5), 1000});
    const std::string frame = encode(HostFrame{FrameType::write, payload});
    const unsigned char expected[] = {0x15, 0, 0, 0,    0x04, 2,    0, 0, 0, 4, 0, 0, 0,
                                      0,    0, 0, 0xf8, 0x3f, 0xe8, 3, 0, 0, 0, 0, 0, 0};
    REQUIRE(frame.size() == sizeof expected);
    CHECK(std::memcmp(frame.data(), expected, sizeof expected) == 0);
}

TEST_CASE("a stream is cut into frames wherever it was torn") {
    std::string stream;
    for (int i = 0; i < 50; ++i)
        stream += encode(HostFrame{FrameType::found, std::string(static_cast<std::size_t>(i * 7), 'x')});
    for (const std::size_t piece : {1U, 2U, 5U, 64U, 100'000U}) {
        HostFrameReader reader(1000);
        std::size_t count = 0;
        for (std::size_t at = 0; at < stream.size(); at += piece) {
            reader.feed(std::string_view(stream).substr(at, piece));
            while (auto frame = reader.next()) {
                CHECK(frame->payload.size() == count * 7);
                ++count;
            }
        }
        CHECK(count == 50);
    }
}

TEST_CASE("a frame that claims too much breaks the stream, before memory is asked for") {
    HostFrameReader reader(1000);
    reader.feed(std::string("\xff\xff\xff\x7f\x21", 5));
    CHECK_FALSE(reader.next().has_value());
    CHECK(reader.is_broken());
    HostFrameReader unknown(1000);
    unknown.feed(std::string("\x00\x00\x00\x00\x63", 5));
    CHECK_FALSE(unknown.next().has_value());
    CHECK(unknown.is_broken());
}

TEST_CASE("readings come out as they went in, and no shorter payload passes") {
    std::vector<RawReading> readings(3);
    readings[0].value = std::numeric_limits<std::uint64_t>::max();
    readings[1].value = std::string("caf\xc3\xa9");
    readings[1].own_time_ms = 1'700'000'000'000;
    readings[2].point = 7;
    readings[2].value = -0.0;
    readings[2].raw = "0x0102";
    readings[2].duration_us = 1234;
    const std::string payload = encode(readings);
    std::vector<RawReading> out;
    REQUIRE(decode(payload, out));
    CHECK(out == readings);
    for (std::size_t size = 0; size < payload.size(); ++size) {
        std::vector<RawReading> part;
        CHECK_FALSE(decode(std::string_view(payload).substr(0, size), part));
    }
    out.clear();
    CHECK_FALSE(decode(payload + "x", out));
}

TEST_CASE("a source's configuration travels whole, but for what is none of the plugin's business") {
    SourceWork work;
    work.config.name = "plc";
    work.config.settings.push_back({"host", std::string("192.0.2.20"), {}, {}, false});
    work.devices.push_back({"boiler", {{"unit_id", std::int64_t{1}, {}, {}, false}}});
    work.points.resize(1);
    work.points[0].config.name = "setpoint";
    work.points[0].config.unit = "Cel";
    work.points[0].config.interval = seconds(10);
    work.points[0].config.writable.emplace().max = 30;
    work.points[0].config.settings.push_back(
        {"invalid", std::monostate(), {std::int64_t{-1}, 2.5, std::string("x"), true}, {}, false});
    SourceWork out;
    REQUIRE(decode(encode(work), out));
    CHECK(out.config.settings == work.config.settings);
    CHECK(out.devices[0].settings == work.devices[0].settings);
    CHECK(out.points[0].config.settings == work.points[0].config.settings);
    CHECK(out.points[0].config.interval == seconds(10));
    CHECK(out.points[0].config.writable.has_value());
    CHECK_FALSE(out.points[0].config.writable->max.has_value());
    work.points[0].device = 1; // there is only one
    SourceWork bad;
    CHECK_FALSE(decode(encode(work), bad));
}

TEST_CASE("UTF-8 is checked as RFC 3629 has it") {
    const auto is_good = [](const std::string& text) {
        return is_utf8(text);
    };
    CHECK(is_good(""));
    CHECK(is_good("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"));
    for (const char* text :
         {"\x80", "\xc0\xaf", "\xc1\xbf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf0\x80\x80\xaf",
          "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xc3", "\xe2\x82", "a\xff"})
        CHECK_FALSE(is_good(text));
    CHECK(clean_text("a\x1b[31m\xff\n\xc3\xa9", 100) == "a?[31m??\xc3\xa9");
    CHECK(clean_text(nullptr, 100).empty());
    CHECK(clean_text("abcdef", 3) == "abc");
}

} // namespace things
