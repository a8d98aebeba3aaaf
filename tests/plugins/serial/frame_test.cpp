// SPDX-License-Identifier: Apache-2.0
#include "serial/escaped_text.hpp"
#include "serial/frame_reader.hpp"

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <vector>

using namespace things;

namespace {

struct Cut {
    std::vector<std::string> texts, frames;
    int damaged = 0;
};

Cut cut(const FrameRules& rules, const std::string& bytes, std::size_t piece) {
    Cut result;
    FrameReader reader(
        rules,
        [&result](const SerialFrame& frame) {
            result.texts.emplace_back(frame.text());
            result.frames.push_back(frame.bytes);
        },
        [&result](std::string_view) { ++result.damaged; });
    for (std::size_t at = 0; at < bytes.size(); at += piece) {
        reader.feed(std::string_view(bytes).substr(at, piece));
        CHECK(reader.held() <= rules.max_length);
    }
    return result;
}

/// The same result whatever the pieces.
Cut cut_anyhow(const FrameRules& rules, const std::string& bytes) {
    Cut whole = cut(rules, bytes, bytes.size());
    for (std::size_t piece : {1U, 2U, 3U, 7U, 64U}) {
        Cut other = cut(rules, bytes, piece);
        CHECK(other.texts == whole.texts);
        CHECK(other.frames == whole.frames);
        CHECK(other.damaged == whole.damaged);
    }
    return whole;
}

using Texts = std::vector<std::string>;

} // namespace

TEST_CASE("lines end in CR LF, CR or LF, and empty ones are none") {
    CHECK(cut_anyhow({}, "one\r\ntwo\rthree\n\r\n\nfour").texts == Texts{"one", "two", "three"});
}

TEST_CASE("NMEA sentences are believed only with their checksum, also when a cut one is glued in front") {
    FrameRules rules;
    rules.start = "$";
    rules.checksum.kind = ChecksumKind::nmea;
    const std::string good = "$PSYN,CO2,612,ppm*5E";
    Cut seen = cut_anyhow(rules, good + "\r\n$PSYN,CO2,613,ppm*5E\r\nnoise$PSYN,CO2,6" + good +
                                     "\r\n$PSYN,CO2,612,ppm\r\n$WIMWV,214.8,R,3.2,M,A*2e\r\n");
    CHECK(seen.texts == Texts{good, good, "$WIMWV,214.8,R,3.2,M,A*2e"});
    CHECK(seen.damaged == 2);
    rules.checksum.kind = ChecksumKind::nmea_optional;
    CHECK(cut_anyhow(rules, "$PSYN,CO2,612,ppm\r\n$PSYN,CO2,613,ppm*5E\r\n").texts ==
          Texts{"$PSYN,CO2,612,ppm"});
}

TEST_CASE("the sentences of the reference carry the checksums it says") {
    FrameRules rules;
    rules.checksum.kind = ChecksumKind::nmea;
    std::string all = "$GPGGA,091530.00,5204.1234,N,00518.4321,E,1,09,0.92,3.4,M,46.1,M,,*5B\r\n"
                      "$GPRMC,091530.00,A,5204.1234,N,00518.4321,E,0.04,,231126,,,A*40\r\n"
                      "$GPRMC,091531.00,V,,,,,,,231126,,,N*77\r\n$WIMWV,214.8,R,3.2,M,A*2E\r\n"
                      "$WIXDR,C,7.4,C,TEMP,P,1.0132,B,PRES,H,81.5,P,RH*78\r\n$YXXDR,C,-3.1,C,T1*2B\r\n";
    CHECK(cut_anyhow(rules, all).texts.size() == 6);
}

TEST_CASE("VE.Direct blocks end by their label, whatever byte the checksum is") {
    FrameRules rules;
    rules.kind = FrameKind::delimiter;
    rules.delimiter = "\r\nChecksum\t";
    rules.trailing = 1;
    rules.checksum.kind = ChecksumKind::sum8_zero;
    int seen_line_ends = 0;
    for (int volts = 12000; volts < 12600; ++volts) {
        std::string text =
            "\r\nPID\t0xA042\r\nV\t" + std::to_string(volts) + "\r\nSER#\t" +
            std::string(static_cast<std::size_t>(volts % 7), static_cast<char>('!' + volts % 90));
        std::string block = text + "\r\nChecksum\t";
        block += static_cast<char>(0x100 - sum8(block));
        seen_line_ends += block.back() == '\r' || block.back() == '\n' ? 1 : 0;
        Cut seen = cut(rules, block + block, 5);
        REQUIRE(seen.frames == Texts{block, block});
        CHECK(seen.texts[0] == text);
        block[10] = static_cast<char>(block[10] ^ 1);
        CHECK(cut(rules, block, 5).frames.empty());
    }
    CHECK(seen_line_ends > 0);
}

TEST_CASE("STX, weight, ETX and a check character that covers ETX and not STX") {
    FrameRules rules;
    rules.kind = FrameKind::delimiter;
    rules.start = "\x02";
    rules.delimiter = "\x03";
    rules.trailing = 1;
    rules.checksum = {ChecksumKind::xor8, false, false, 1, 0};
    std::string body = " 0012.34G\x03";
    std::string frame = "\x02" + body + static_cast<char>(xor8(body));
    Cut seen = cut_anyhow(rules, "junk" + frame + "\x02 00" + frame);
    CHECK(seen.frames == Texts{frame, frame});
    CHECK(seen.texts[0] == "\x02 0012.34G");
}

TEST_CASE("fixed frames find their beginning again after lost and doubled bytes") {
    FrameRules rules; // a dust sensor: AA C0 six bytes sum AB
    rules.kind = FrameKind::fixed;
    rules.length = 9;
    rules.start = "\xaa\xc0";
    rules.checksum = {ChecksumKind::sum8, false, false, 2, 0};
    auto frame = [](int pm) {
        std::string data = {static_cast<char>(pm), 0x01, 0x22, 0x02, 0x55, 0x66};
        return "\xaa\xc0" + data + static_cast<char>(sum8(data));
    };
    std::string damaged = frame(9);
    damaged.erase(5, 1);
    Cut seen = cut_anyhow(rules, frame(1) + damaged + frame(2) + "\xaa\xc0" + frame(3));
    CHECK(seen.frames == Texts{frame(1), frame(2), frame(3)});
    CHECK(seen.damaged == 2);
}

TEST_CASE("frames with a length in them and a Modbus CRC") {
    FrameRules rules; // address, function, count, data, CRC low first
    rules.kind = FrameKind::length;
    rules.length_at = 2;
    rules.length_add = 5;
    rules.max_length = 64;
    rules.checksum = {ChecksumKind::crc16_modbus, false, true, 0, 0};
    std::string body("\x01\x03\x02\x02\x64", 5);
    std::uint16_t crc = crc16_modbus(body);
    std::string frame = body + static_cast<char>(crc & 0xff) + static_cast<char>(crc >> 8);
    std::string wrong = frame;
    wrong[4] = 0x65;
    Cut seen = cut_anyhow(rules, frame + wrong + frame + frame);
    CHECK(seen.frames.size() == 3);
    CHECK(seen.frames[0] == frame);
    CHECK(seen.damaged >= 1);
}

TEST_CASE("a frame that ends by silence") {
    FrameRules rules;
    rules.kind = FrameKind::silence;
    Texts frames;
    FrameReader reader(
        rules, [&frames](const SerialFrame& frame) { frames.push_back(frame.bytes); },
        [](std::string_view) {});
    reader.feed("ab");
    reader.feed("c");
    CHECK(frames.empty());
    reader.on_silence();
    reader.on_silence();
    CHECK(frames == Texts{"abc"});
}

TEST_CASE("a damaged character costs its frame and no other") {
    Texts frames;
    int damaged = 0;
    FrameReader reader(
        {}, [&frames](const SerialFrame& frame) { frames.push_back(frame.bytes); },
        [&damaged](std::string_view) { ++damaged; });
    reader.feed("one\r\ntw");
    reader.mark_damaged();
    reader.feed("o\r\nthree\r\n");
    CHECK(frames == Texts{"one\r", "three\r"});
    CHECK(damaged == 1);
}

TEST_CASE("a line that never ends is thrown away whole") {
    FrameRules rules;
    rules.max_length = 64;
    Cut seen = cut_anyhow(rules, "good\r\n" + std::string(1000, 'x') + "tail\r\nnext\r\n");
    CHECK(seen.texts == Texts{"good", "next"});
    CHECK(seen.damaged == 1);
}

TEST_CASE("checksums stand in frames as digits and bytes in either order") {
    CHECK(make_checksum("123456789", {ChecksumKind::crc16_modbus, false, true, 0, 0}) == "\x37\x4B");
    CHECK(make_checksum("123456789", {ChecksumKind::crc_ccitt, true, false, 0, 0}) == "29B1");
    CHECK(make_checksum("123456789", {ChecksumKind::sum16, true, false, 0, 0}) == "01DD");
    CHECK(make_checksum("123456789", {ChecksumKind::xor8, true, false, 0, 0}) == "31");
    // BB3D in three characters: 1011 101100 111101
    CHECK(make_checksum("123456789", {ChecksumKind::sdi12, false, false, 0, 0}) == "Kl}");
    CHECK(is_intact("CO2=   452 ppm6F", 16, 0, {ChecksumKind::xor8, true, false, 0, 0}) ==
          (make_checksum("CO2=   452 ppm", {ChecksumKind::xor8, true, false, 0, 0}) == "6F"));
}

TEST_CASE("escapes become bytes, or a reason") {
    std::string why;
    CHECK(unescape("SI\\r\\n", why) == "SI\r\n");
    CHECK(unescape("\\x02\\\\a\\0", why) == std::string("\x02\\a\0", 4));
    for (const char* bad : {"\\", "\\q", "\\x0", "\\xGG"})
        CHECK_FALSE(unescape(bad, why));
    CHECK(escaped("a\r\n\x02\xff") == "a\\r\\n\\x02\\xFF");
    CHECK(escaped(std::string(500, 'x')).size() == 123);
}

TEST_CASE("templates write values in the form that is asked for") {
    std::string why, shown;
    auto fill = [&why, &shown](const char* text, double value, ChecksumRules rules = {}) {
        std::optional<Template> form = Template::parse(text, true, why);
        REQUIRE_MESSAGE(form, why);
        return form->fill({value, false, ""}, rules, shown).value_or("none");
    };
    CHECK(fill("SP {value}\\r", 21.5) == "SP 21.5\r");
    CHECK(fill("SP {value}\\r", 21) == "SP 21\r");
    CHECK(fill("SP{value:05.1f}\\r", 21.46) == "SP021.5\r");
    CHECK(shown == "021.5");
    CHECK(fill("{value:d}", 3.6) == "4");
    CHECK(fill("{value:+04d}", 7) == "+007");
    CHECK(fill("{value:04X}", 255) == "00FF");
    CHECK(fill("{value:x}", -1) == "none");
    CHECK(fill("{\"set\":{value}}", 1) == "{\"set\":1}");
    CHECK(fill("$PSYN,SET,{value}*{checksum}\\r\\n", 5, {ChecksumKind::nmea, true, false, 0, 0}) ==
          "$PSYN,SET,5*" + make_checksum("PSYN,SET,5", {ChecksumKind::nmea, true, false, 0, 0}) + "\r\n");
    for (const char* bad : {"SP", "{value}{value}", "{value:q}", "{value:1.2.3f}", "{value:.2d}",
                            "{checksum}{value}", "{value:99d}"})
        CHECK_FALSE(Template::parse(bad, true, why));
    CHECK_FALSE(Template::parse("{value}", false, why));
}
