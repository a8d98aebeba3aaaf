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
    std::string why; // of the last one
};

Cut cut(const FrameRules& rules, const std::string& bytes, std::size_t piece) {
    Cut result;
    FrameReader reader(
        rules,
        [&result](const SerialFrame& frame) {
            result.texts.emplace_back(frame.text());
            result.frames.push_back(frame.bytes);
        },
        [&result](const FrameDamage& damage) {
            ++result.damaged;
            result.why = damage.why;
        });
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

TEST_CASE("each damaged frame is counted, with what did not fit, though none is ever good") {
    FrameRules rules; // the dust sensor, with the end byte forgotten in its settings
    rules.kind = FrameKind::fixed;
    rules.length = 10;
    rules.start = "\xaa\xc0";
    rules.checksum.kind = ChecksumKind::sum8;
    rules.checksum.from = 2;
    const std::string frame("\xaa\xc0\x2c\x00\x37\x00\x7e\x23\x04\xab", 10);
    std::string all;
    for (int i = 0; i < 61; ++i)
        all += frame;
    Cut seen = cut_anyhow(rules, all);
    CHECK(seen.frames.empty());
    CHECK(seen.damaged == 61);
    CHECK(seen.why == "the checksum over bytes 2 to 8 is AB, but should be 08");
    rules.checksum.tail = 1;
    CHECK(cut_anyhow(rules, all).frames.size() == 61);
    all[8] = 5;
    CHECK(cut_anyhow(rules, all).why == "the checksum over bytes 2 to 7 is 05, but should be 04");
}

TEST_CASE("a battery whose two's complement stands before an end byte") {
    FrameRules rules; // JBD: DD 03 status length data checksum 77
    rules.kind = FrameKind::length;
    rules.start = "\xdd";
    rules.length_at = 3;
    rules.length_add = 7;
    rules.checksum.kind = ChecksumKind::sum16;
    rules.checksum.from = 2;
    rules.checksum.tail = 1;
    rules.checksum.is_negated = true;
    const std::string data("\x00\x04\x10\xe6\x10\xe7", 6); // 2 + 4 bytes, which add up to 01F1
    const std::string frame = "\xdd\x03" + data + "\xfe\x0f\x77";
    CHECK(cut_anyhow(rules, "noise" + frame + frame).frames == Texts{frame, frame});
    CHECK(make_checksum(data, rules.checksum) == "\xfe\x0f");
    std::string why;
    std::optional<Template> request = Template::parse("\\xDD\\xA5\\x03\\x00{checksum}\\x77", false, why);
    REQUIRE_MESSAGE(request, why);
    CHECK(in_hex(request->fill(rules.checksum)) == "DD A5 03 00 FF FD 77");
}

TEST_CASE("what did not fit is told for each kind of damage") {
    auto why = [](FrameKind kind, ChecksumKind checksum, const std::string& bytes) {
        FrameRules rules;
        rules.kind = kind;
        rules.checksum.kind = checksum;
        rules.checksum.is_hex = kind == FrameKind::line;
        rules.length = 5;
        rules.length_at = 0;
        rules.max_length = 32;
        std::string text;
        FrameReader reader(
            rules, [](const SerialFrame&) {}, [&text](const FrameDamage& damage) { text = damage.why; });
        reader.feed(bytes);
        reader.on_silence();
        return text;
    };
    CHECK(why(FrameKind::line, ChecksumKind::nmea, "$PSYN,CO2,613,ppm*5E\r\n") ==
          "the checksum is \"5E\", but should be \"5F\"");
    CHECK(why(FrameKind::line, ChecksumKind::nmea, "$PSYN,CO2\r\n") ==
          "it does not end in * and the two digits of a checksum");
    CHECK(why(FrameKind::line, ChecksumKind::xor8, "ab00\r\n") ==
          "the checksum over bytes 0 to 1 is \"00\", but should be \"03\"");
    CHECK(why(FrameKind::line, ChecksumKind::xor8, "a\r\n") == "2 bytes are too few to hold the checksum");
    CHECK(why(FrameKind::line, ChecksumKind::none, std::string(40, 'x')) ==
          "32 bytes and no end; a frame has at most 32 (`max_length`)");
    CHECK(why(FrameKind::fixed, ChecksumKind::none, "abc") ==
          "3 of its 5 bytes came, then nothing for the time of `silence`");
    CHECK(why(FrameKind::length, ChecksumKind::none, std::string(1, '\x7f')) ==
          "the length in it cannot be that of a frame");
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
        [](const FrameDamage&) {});
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
        [&damaged](const FrameDamage&) { ++damaged; });
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
