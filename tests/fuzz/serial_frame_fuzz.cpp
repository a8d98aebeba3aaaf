// SPDX-License-Identifier: Apache-2.0
#include "serial/escaped_text.hpp"
#include "serial/frame_reader.hpp"
#include "serial/point_value.hpp"

#include <cstdio>
#include <cstdlib>
#include <vector>

// Whatever comes over the line: frames do not depend on how the bytes were cut, memory is bounded, and every
// way to find a value in a frame ends well. The first bytes choose the rules.
using namespace things;

namespace {

void fail(const char* what) {
    std::fprintf(stderr, "%s\n", what);
    std::abort();
}

FrameRules choose(const std::uint8_t* data) {
    FrameRules rules;
    rules.kind = static_cast<FrameKind>(data[0] % 5);
    rules.start = (data[0] & 0x40U) != 0 ? "$" : "";
    rules.delimiter = (data[0] & 0x80U) != 0 ? "\r\nChecksum\t" : "\x03";
    rules.trailing = data[1] & 3U;
    rules.length = 1 + (data[1] >> 2U);
    rules.length_at = data[2] & 7U;
    rules.length_size = 1 + ((data[2] >> 3U) & 1U);
    rules.is_length_low_first = (data[2] & 0x10U) != 0;
    rules.length_add = data[2] >> 5U;
    rules.max_length = 65 + data[3];
    rules.checksum.kind = static_cast<ChecksumKind>((data[3] & 15U) % 14);
    rules.checksum.is_hex = (data[3] & 0x10U) != 0;
    rules.checksum.is_low_first = (data[3] & 0x20U) != 0;
    rules.checksum.from = data[3] >> 6U;
    rules.checksum.tail = data[1] & 1U;
    rules.checksum.is_negated = (data[1] & 2U) != 0;
    return rules;
}

std::vector<PointRules> all_rules() {
    std::vector<PointRules> all;
    std::string why;
    for (const char* expression : {R"(([+-]? *[\d.]+))", R"(\nV\t(-?\d+))"}) {
        all.emplace_back().match = Pattern::parse(expression, why);
        all.back().scale = 0.1;
        all.back().invalid = {"85.0"};
    }
    for (ValueType type : {ValueType::number, ValueType::string, ValueType::boolean, ValueType::degrees}) {
        all.emplace_back().column = 1;
        all.back().type = type;
        all.back().has_decimal_comma = type == ValueType::number;
    }
    all.emplace_back().pointer = "/a/0";
    for (ValueType type : {ValueType::int8, ValueType::uint16, ValueType::int32, ValueType::uint64,
                           ValueType::float32, ValueType::float64, ValueType::string}) {
        all.emplace_back().byte = 2;
        all.back().type = type;
        all.back().order = ByteOrder::cdab;
        all.back().length = 5;
        all.back().scale = 1e-3;
    }
    return all;
}

std::vector<std::string> run(const FrameRules& rules, std::string_view bytes, std::size_t piece, bool looks) {
    static const std::vector<PointRules> points = all_rules();
    std::vector<std::string> frames;
    JsonReader json;
    FrameReader reader(
        rules,
        [&](const SerialFrame& frame) {
            frames.push_back(frame.bytes);
            if (frame.text_length > frame.bytes.size())
                fail("the text is longer than the frame");
            for (std::size_t i = 0; looks && i < points.size(); ++i)
                (void)extract(frame, points[i], json);
            (void)escaped(frame.bytes);
        },
        [](const FrameDamage&) {});
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
        reader.feed(bytes.substr(at, piece));
        if (reader.held() > rules.max_length)
            fail("the reader holds too much");
    }
    reader.on_silence();
    return frames;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 5)
        return 0;
    FrameRules rules = choose(data);
    std::string_view bytes(reinterpret_cast<const char*>(data) + 4, size - 4);
    if (run(rules, bytes, bytes.size(), true) != run(rules, bytes, 1 + (data[0] & 7U), false))
        fail("the frames depend on how the stream was cut");
    std::string why, shown;
    (void)unescape(bytes, why);
    if (std::optional<Template> form = Template::parse(bytes, true, why); form)
        (void)form->fill({static_cast<double>(data[1]) / 7, false, ""}, rules.checksum, shown);
    return 0;
}
